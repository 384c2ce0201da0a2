"""The change of a binary sensitive attribute called ``gender``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import ActionType, Column, Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Gender(ActionType):
    """The attribute is redrawn with equal chances in both records of a pair, whatever the other columns say.

    So the pair changes it or leaves it, each half of the time. The latent is the category (0 or 1), the action the
    change: -1, 0 or 1.
    """

    name = "gender"
    summary = "change of the attribute gender between the records of a pair; one number: -1, 0 or 1"
    modality = "table"

    def width(self, schema: Schema) -> int:
        """One change."""
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """(N, 1) categories drawn with equal chances."""
        import torch

        self._column(schema)
        return torch.randint(2, (len(inputs), 1), generator=generator).to(inputs)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Write the category into the attribute's one-hot places."""
        from torch.nn import functional as F

        column = self._column(schema)
        changed = inputs.clone()
        changed[:, column.start : column.stop] = F.one_hot(latents[:, 0].long(), 2).to(inputs)
        return changed

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """The change of category."""
        return second - first

    def _column(self, schema: Schema) -> Column:
        column = schema.column_of(self.name)
        if column is None:
            raise UsageError(
                f"{schema.dataset} has no column for the attribute {self.name!r}; it has: "
                f"{', '.join(sorted(schema.attributes)) or 'none'}"
            )
        if len(column.categories) != 2:
            raise UsageError(
                f"the attribute {self.name!r} of {schema.dataset} has {len(column.categories)} categories, "
                "this action type takes 2"
            )
        return column
