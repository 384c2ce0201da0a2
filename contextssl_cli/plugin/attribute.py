"""The change of a sensitive attribute of a table: what the action types ``attribute`` and ``gender`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from contextssl_cli.errors import UsageError, suggestion
from contextssl_cli.plugin.kinds import ActionType
from contextssl_cli.plugin.options import Options
from contextssl_cli.store.schema import Column, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor

_CHUNK = 1 << 20  # distances in memory at a time: 8 MiB, which fit in a cache
_DECIMALS = 6  # smaller differences of squared distances depend on the order of a sum


class PairingOptions(Options):
    """How the second record of a pair is made."""

    pairing: Literal["alone", "counterfactual", "matched"] = Field(
        default="counterfactual",
        description="counterfactual: the attribute and the columns linked to it change. alone: nothing else changes. "
        "matched: the second record is the nearest real record of another group.",
    )


class AttributeChange(ActionType):
    """A categorical attribute changes between the records of a pair, or stays.

    With two categories the latent is the category (0 or 1) and the action the change: -1, 0 or 1. With C > 2 the latent
    is the one-hot category and the action the difference of two of them, C numbers: -1 at the category that is left, 1
    at the one that is reached, all 0 where it stays.

    Both records of a pair draw their category with equal chances, independently of the other columns (`alone`), and
    values linked to it follow (`counterfactual`). With `matched` both records are real: the second is drawn with equal
    chances from the record itself and, for every other category, the record of that category that is nearest to the
    counterfactual in all columns but the attribute's. A differing category then counts 2, as much as two random values
    of a standardised number on average.
    """

    modality = "table"
    options: ClassVar[type[Options]] = PairingOptions
    chosen: PairingOptions = PairingOptions()

    def attribute(self, schema: Schema) -> str:
        """The attribute, or the categorical column, that changes in a data set.

        Raises:
            UsageError: if there is none to choose.
        """
        return self.name

    def width(self, schema: Schema) -> int:
        """One change, or the difference of two one-hot categories."""
        count = len(self.column(schema).categories)
        return 1 if count == 2 else count

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Categories drawn with equal chances, (N, 1) or one-hot (N, C); with `matched` the records' own."""
        import torch
        from torch.nn import functional as F

        column = self.column(schema)
        count = len(column.categories)
        if self.chosen.pairing == "matched":
            codes = _codes(inputs, column)[:, None]
        else:
            codes = torch.randint(count, (len(inputs), 1), generator=generator)
        return (codes if count == 2 else F.one_hot(codes[:, 0], count)).to(inputs)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Write the category into the attribute's one-hot places, and what follows from it into linked columns."""
        from torch.nn import functional as F

        column = self.column(schema)
        count = len(column.categories)
        codes = latents[:, 0].long() if count == 2 else latents.argmax(1)
        changed = inputs.clone()
        changed[:, column.start : column.stop] = F.one_hot(codes, count).to(inputs)
        if self.chosen.pairing == "counterfactual":
            _follow(changed, codes, column, schema)
        return changed

    def partners(self, inputs: Tensor, schema: Schema) -> Tensor | None:
        """With `matched`, the nearest record of every category, (N, C); the record itself for its own.

        For a category that no record has, it is the record itself as well.
        """
        import torch

        if self.chosen.pairing != "matched":
            return None
        column = self.column(schema)
        codes = _codes(inputs, column)
        rows = torch.arange(len(inputs), device=inputs.device)
        found = rows[:, None].repeat(1, len(column.categories))
        for code in codes.unique().tolist():
            group, others = rows[codes == code], rows[codes != code]
            if len(others):
                asked = inputs[others]
                _follow(asked, torch.full_like(others, code), column, schema)
                places = nearest(_without(asked, column), _without(inputs[group], column))
                found[others, code] = group[places]
        return found

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """The change of category."""
        return second - first

    def column(self, schema: Schema) -> Column:
        """The column that changes.

        Raises:
            UsageError: if the data set has no such attribute, or it is not categorical.
        """
        name = self.attribute(schema)
        categorical = [column for column in schema.columns if column.kind == "categorical"]
        column = schema.column_of(name) or next((c for c in categorical if c.name == name), None)
        if column is None:
            known = [*schema.attributes, *(c.name for c in categorical if c.attribute is None)]
            numeric = any(c.name == name for c in schema.columns)
            why = "holds numbers, not categories" if numeric else "is not there"
            raise UsageError(
                f"the attribute {name!r} of the action type {self.name} {why} in {schema.dataset}: "
                f"{suggestion(name, known)}"
            )
        if len(column.categories) < 2:
            raise UsageError(
                f"{name!r} of {schema.dataset} has {len(column.categories)} categories: a change needs two"
            )
        return column


def _codes(inputs: Tensor, column: Column) -> Tensor:
    """(N,) categories of records."""
    return inputs[:, column.start : column.stop].argmax(1)


def _without(inputs: Tensor, column: Column) -> Tensor:
    """Records without the places of a column."""
    import torch

    return torch.cat([inputs[:, : column.start], inputs[:, column.stop :]], dim=1)


def _follow(inputs: Tensor, codes: Tensor, column: Column, schema: Schema) -> None:
    """Change, in place, the values of linked columns in records that have the categories ``codes`` (N,)."""
    import torch

    for linked in schema.columns:
        for category, values in linked.linked.get(column.attribute or "", {}).items():
            step = torch.eye(len(linked.categories)).to(inputs)
            for old, new in values.items():
                step[linked.categories.index(old)] = step[linked.categories.index(new)]
            rows = (codes == column.categories.index(category)).nonzero()[:, 0]
            inputs[rows, linked.start : linked.stop] = inputs[rows, linked.start : linked.stop] @ step


def nearest(asked: Tensor, among: Tensor, chunk: int = _CHUNK) -> Tensor:
    """The row of ``among`` that is nearest to each row of ``asked``, by Euclidean distance; (N,) row numbers.

    Distances are computed in float64 and rounded, and of equal ones the first row wins: neither the division into
    chunks nor the number of threads changes the answer. In addition to the tables, ``chunk`` distances are in
    memory at a time.

    Args:
        asked: (N, D).
        among: (M, D), M at least 1.
        chunk: distances at a time.
    """
    import torch

    other = among.double()
    lengths = other.square().sum(1)  # |a - b|^2 = |a|^2 - 2 ab + |b|^2, and |a|^2 is the same for all candidates
    parts = asked.double().split(max(1, chunk // len(other)))
    return torch.cat(
        [torch.addmm(lengths, part, other.T, alpha=-2).round_(decimals=_DECIMALS).argmin(1) for part in parts]
    )
