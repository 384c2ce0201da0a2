"""Options of plugins: validated models whose fields become flags of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from contextssl_cli.errors import UsageError, invalid_value, suggestion
from contextssl_cli.plugin.guard import blamed


class UserValues(BaseModel):
    """Values that a user names; ``true`` is not taken for the number 1, nor ``false`` for 0."""

    @field_validator("*", mode="before")
    @classmethod
    def _check_truth(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic, as Python, takes the truth values for numbers."""
        named = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, bool) for one in named):
            kinds = set(_kinds(cls.model_fields[str(info.field_name)].annotation))
            if kinds & {int, float} and bool not in kinds:
                raise ValueError(f"expected a number, not {str(value).lower()}")
        return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types in an annotation: int and None of ``tuple[int | None, ...]``."""
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


class Options(UserValues):
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
