"""The action vector: one named block per action type, zeroed where the type is inactive (paper section 3.1).

Runs declare their blocks in ``run.json``, which ``contextssl info`` reads without torch: only methods import it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contextssl_cli.errors import CorruptFileError, PluginError, invalid_value, suggestion
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor


class Block(BaseModel):
    """One action type's part of the action vector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    width: int = Field(ge=1)


class ActionSpace(BaseModel):
    """The declared blocks, in their order in the action vector."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blocks: tuple[Block, ...]

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if len(set(self.names)) < len(self.blocks):
            raise ValueError("an action block is named twice")
        return self

    @classmethod
    def of(cls, task: Task, schema: Schema) -> ActionSpace:
        """The blocks of a task's action types on one data set.

        Raises:
            PluginError: if the width of one is no whole number from 1 on.
        """
        try:
            return cls(blocks=tuple(Block(name=a.name, width=a.width(schema)) for a in task.actions))
        except ValidationError as error:
            raise PluginError(f"an action type of {task.name} is not valid: {invalid_value(error)}") from error

    @property
    def names(self) -> tuple[str, ...]:
        """The action types."""
        return tuple(block.name for block in self.blocks)

    @property
    def width(self) -> int:
        """Numbers in the action vector."""
        return sum(block.width for block in self.blocks)

    @property
    def slices(self) -> dict[str, slice]:
        """The slice of the action vector that each block takes."""
        ends = list(accumulate(block.width for block in self.blocks))
        return {b.name: slice(end - b.width, end) for b, end in zip(self.blocks, ends, strict=True)}

    def assemble(self, parts: Mapping[str, Tensor], environment: Collection[str], rows: int) -> Tensor:
        """The action vectors in an environment: (rows, width), zero in every inactive block.

        Args:
            parts: (rows, block width) by action type; must hold at least the active ones.
            environment: the active action types.
            rows: the number of pairs, which the parts of the empty environment do not give.

        Raises:
            CorruptFileError: if a block is unknown, missing, or of another width than declared.
        """
        import torch

        self.check({name: parts[name].shape[-1] for name in environment if name in parts}, environment)
        like = next(iter(parts.values()), torch.empty(0))
        action = torch.zeros(rows, self.width, device=like.device)
        for name, where in self.slices.items():
            if name in environment:
                action[:, where] = parts[name].float()
        return action

    def active(self, environment: Collection[str]) -> Tensor:
        """(width,) mask of the numbers that belong to active blocks."""
        import torch

        mask = torch.zeros(self.width, dtype=torch.bool)
        for name, where in self.slices.items():
            mask[where] = name in environment
        return mask

    def bits(self, environment: Collection[str]) -> Tensor:
        """(blocks,) activity bits: 1 where a block is active."""
        import torch

        return torch.tensor([float(block.name in environment) for block in self.blocks])

    def check(self, widths: Mapping[str, int], environment: Collection[str]) -> None:
        """Compare the blocks of a context with the declared ones.

        Raises:
            CorruptFileError: if a block is unknown, missing, or of another width.
        """
        declared = {block.name: block.width for block in self.blocks}
        for name in environment:
            if name not in declared:
                raise CorruptFileError(f"there is no action block {name!r} in this run: {suggestion(name, declared)}")
            if widths.get(name) != declared[name]:
                raise CorruptFileError(
                    f"the action block {name!r} has the width {widths.get(name)}, this run's is {declared[name]}"
                )
