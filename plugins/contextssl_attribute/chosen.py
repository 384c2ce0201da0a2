"""The change of an attribute that the user chooses."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin import Options, Schema
from contextssl_cli.plugin.attribute import AttributeChange, PairingOptions


class ChosenOptions(PairingOptions):
    """Which attribute, and how the second record of a pair is made."""

    sensitive: str | None = Field(
        default=None,
        description="The attribute that changes, or any other categorical column; by default the first attribute.",
    )


class ChosenAttribute(AttributeChange):
    """Any categorical column of a table."""

    name = "attribute"
    summary = (
        "change of a table's attribute (--sensitive) between the records of a pair; -1, 0 or 1, or for more than two "
        "categories the difference of their one-hot codes"
    )
    options: ClassVar[type[Options]] = ChosenOptions
    chosen: ChosenOptions = ChosenOptions()

    def attribute(self, schema: Schema) -> str:
        """The one that the user chose, or the first."""
        if self.chosen.sensitive is not None:
            return self.chosen.sensitive
        if not schema.attributes:
            raise UsageError(
                f"{schema.dataset} declares no sensitive attribute: name a categorical column with --sensitive COLUMN"
            )
        return next(iter(schema.attributes))
