"""Options of plugins: validated models whose fields become flags of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from contextssl_cli.errors import UsageError, invalid_value, suggestion
from contextssl_cli.plugin.guard import blamed


class Options(BaseModel):
    """What a data set or an action type lets its user choose; none by default.

    A field ``limit_objects`` of a data set becomes the flag ``--limit-objects`` of ``contextssl prepare``; the field's
    description is its help.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


Chosen = TypeVar("Chosen", bound=Options)


def validated(kind: type[Chosen], values: Mapping[str, Any], owner: str) -> Chosen:
    """The options ``kind`` with ``values``.

    Args:
        kind: the model.
        values: by field.
        owner: whose options they are, for messages.

    Raises:
        UsageError: if there is no such option, or a value does not fit.
        PluginError: if a validator fails in any other way.
    """
    for name in values:
        if name not in kind.model_fields:
            raise UsageError(f"{owner} has no option {name!r}: {suggestion(name, kind.model_fields)}")
    with blamed(owner):
        try:
            return kind.model_validate(dict(values))
        except ValidationError as error:
            raise UsageError(f"{owner}: {invalid_value(error)}") from error
