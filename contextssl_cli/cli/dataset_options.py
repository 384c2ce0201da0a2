"""The options of a data set as flags of ``contextssl prepare``: ``limit_objects`` becomes ``--limit-objects``."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from contextssl_cli.errors import UsageError
from contextssl_cli.plugin.kinds import Dataset

HELP_WIDTH = 80
"""Columns of the help."""
_INDENT = 24
_METAVARS = {int: "N", float: "N", Path: "PATH", str: "TEXT"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UsageError(f"{self.prog}: {message}")


def parse_options(dataset: Dataset, arguments: Sequence[str]) -> dict[str, Any]:
    """Parse the flags of a data set. The values are those given; the options model of the data set checks them.

    Raises:
        UsageError: if a flag is unknown or lacks its value.
    """
    parser = _Parser(f"contextssl prepare {dataset.name}", add_help=False, allow_abbrev=False)
    for name, field in dataset.options.model_fields.items():
        if field.annotation is bool:
            parser.add_argument(_flag(name), dest=name, action="store_true", default=None)
        elif _is_sequence(field.annotation):
            parser.add_argument(_flag(name), dest=name, type=_listed)
        else:
            parser.add_argument(_flag(name), dest=name)
    given, rest = parser.parse_known_args(list(arguments))
    if rest:
        known = ", ".join(map(_flag, dataset.options.model_fields)) or "none"
        raise UsageError(f"contextssl prepare {dataset.name} has no option {rest[0]}; its own options are: {known}")
    return {name: value for name, value in vars(given).items() if value is not None}


def option_flags(dataset: Dataset) -> dict[str, str]:
    """The help of a data set's flags, with their defaults, by flag and metavar, such as ``--size N``."""
    flags = {}
    for name, field in dataset.options.model_fields.items():
        shown = not (field.is_required() or field.default is None or field.default is False or field.default == ())
        default = f"  [default: {field.default}]" if shown else ""
        flags[f"{_flag(name)} {_metavar(field.annotation)}".rstrip()] = f"{field.description or ''}{default}"
    return flags


def option_lines(dataset: Dataset) -> list[str]:
    """The lines that ``contextssl prepare NAME --help`` adds, laid out like the rest of the help."""
    lines = []
    for flag, text in option_flags(dataset).items():
        head = f"  {flag}"
        unbroken = text.replace("[default: ", "[default:\xa0")
        wrapped = [line.replace("\xa0", " ") for line in textwrap.wrap(unbroken, HELP_WIDTH - _INDENT)]
        if len(head) + 2 > _INDENT:
            lines.append(head)
        elif wrapped:
            lines.append(f"{head:<{_INDENT}}{wrapped.pop(0)}")
        lines += [" " * _INDENT + line for line in wrapped]
    return lines


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _metavar(annotation: Any) -> str:
    """How the help calls the value of an option; empty for a switch."""
    if annotation is bool:
        return ""
    kinds = [kind for kind in (annotation, *get_args(annotation)) if kind is not type(None)]
    if _is_sequence(annotation):
        return "NAME,..."
    literal = next((kind for kind in kinds if get_origin(kind) is Literal), None)
    if literal is not None:
        return "|".join(get_args(literal))
    return next((_METAVARS[kind] for kind in kinds if kind in _METAVARS), "VALUE")


def _is_sequence(annotation: Any) -> bool:
    return get_origin(annotation) is tuple or any(get_origin(part) is tuple for part in get_args(annotation))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
