"""The options of a data set as flags of ``contextssl prepare``: ``limit_objects`` is ``--limit-objects``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin.kinds import Dataset


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(f"{self.prog}: {message}")


def parse_options(dataset: Dataset, arguments: Sequence[str]) -> dict[str, Any]:
    """The values of the flags that were given; the data set's model checks them.

    Raises:
        UsageError: if a flag is unknown or lacks its value.
    """
    parser = _parser(dataset)
    given, rest = parser.parse_known_args(list(arguments))
    if rest:
        known = ", ".join(option_flags(dataset)) or "none"
        raise UsageError(f"contextssl prepare {dataset.name} has no option {rest[0]}; its own options: {known}")
    return {name: value for name, value in vars(given).items() if value is not None}


def option_flags(dataset: Dataset) -> dict[str, str]:
    """The flags of a data set with their help, and the default where there is one."""
    flags = {}
    for name, field in dataset.options.model_fields.items():
        default = "" if field.default in (None, False, ()) or field.is_required() else f" (default: {field.default})"
        flags[_flag(name)] = f"{field.description or ''}{default}"
    return flags


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _parser(dataset: Dataset) -> _Parser:
    parser = _Parser(f"contextssl prepare {dataset.name}", add_help=False, allow_abbrev=False)
    for name, field in dataset.options.model_fields.items():
        if field.annotation is bool:
            parser.add_argument(_flag(name), dest=name, action="store_true", default=None)
        elif _is_sequence(field.annotation):
            parser.add_argument(_flag(name), dest=name, type=_listed)
        else:
            parser.add_argument(_flag(name), dest=name)
    return parser


def _is_sequence(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(get_origin(part) is tuple for part in get_args(annotation))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
