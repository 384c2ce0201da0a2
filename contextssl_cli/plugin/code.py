"""What a plugin's code is, as a hash: what was measured with another must not pass for what this one gives."""

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
    """A hash over the packages that define the plugins and what they inherit from: their source, and files beside it.

    Comments and layout do not count, nor do tests and Markdown. The package itself is left out, whose version is known;
    so are other packages that a plugin imports, and what has no source, such as a class of an interactive session.
    """
    kinds = {kind for plugin in plugins for kind in type(plugin).__mro__ if issubclass(kind, Dataset | ActionType)}
    own = [kind for kind in kinds if not kind.__module__.startswith("contextssl_cli.")]
    folders = {path for kind in own if (path := _package(kind)) is not None}
    return hashlib.sha256("".join(sorted(map(_hash, folders))).encode()).hexdigest()[:24]


def _package(kind: type) -> Path | None:
    """The folder of the package that defines a class; the file, if it is a module by itself."""
    try:
        path = Path(inspect.getfile(kind))
    except (OSError, TypeError):
        return None
    depth = kind.__module__.count(".") + (path.name == "__init__.py")
    return path.parents[depth - 1] if depth else path


@functools.lru_cache
def _hash(package: Path) -> str:
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
