"""Hashes of code: a figure that other code computed must not be taken for one of this code."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import inspect
from collections.abc import Iterable
from pathlib import Path

from contextssl_cli.plugin.kinds import ActionType, Dataset

_APART = {"tests", "__pycache__", ".md"}


def code_hash(plugins: Iterable[Dataset | ActionType]) -> str:
    """A hash over the files of the packages that define the plugins and the classes they inherit from.

    Comments and layout do not count, nor do tests and Markdown. Classes of ``contextssl_cli`` are left out, and so
    are other packages that a plugin imports and classes without source, such as those of an interactive session.
    """
    kinds = {kind for plugin in plugins for kind in type(plugin).__mro__ if issubclass(kind, Dataset | ActionType)}
    own = [kind for kind in kinds if not kind.__module__.startswith("contextssl_cli.")]
    folders = {path for kind in own if (path := _package(kind)) is not None}
    return hashlib.sha256("".join(sorted(map(source_hash, folders))).encode()).hexdigest()[:24]


def _package(kind: type) -> Path | None:
    """The folder of the package that defines a class; the file, if it is a module by itself."""
    try:
        path = Path(inspect.getfile(kind))
    except (OSError, TypeError):
        return None
    depth = kind.__module__.count(".") + (path.name == "__init__.py")
    return path.parents[depth - 1] if depth else path


@functools.cache
def source_hash(package: Path) -> str:
    """A hash over a package: its source without comments and layout, and other files; tests and Markdown do not count.

    Args:
        package: its folder, or the file of a module. It is read once per process.
    """
    files = sorted(package.rglob("*")) if package.is_dir() else [package]
    own = [file for file in files if file.is_file() and not _APART & {*file.relative_to(package).parts, file.suffix}]
    return hashlib.sha256(repr([(str(file.relative_to(package)), _read(file)) for file in own]).encode()).hexdigest()


def _read(file: Path) -> str:
    """What a file says to Python; another, or one that Python cannot read, as it is."""
    source = file.read_bytes()
    with contextlib.suppress(SyntaxError, ValueError):
        if file.suffix == ".py":
            return ast.dump(ast.parse(source))
    return hashlib.sha256(source).hexdigest()
