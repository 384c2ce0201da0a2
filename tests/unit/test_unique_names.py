"""No public name is defined in two modules of the package, so that a name leads to one place."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import contextssl_cli

PACKAGE = Path(contextssl_cli.__file__).parent


def defined(module: str) -> Iterator[str]:
    """The public names that the source of a module defines at its top level."""
    for node in ast.parse(module).body:
        names = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            names = [part.id for part in parts if isinstance(part.ctx, ast.Store)]
        yield from (name for name in names if not name.startswith("_"))


def test_what_counts_as_defined() -> None:
    source = "A: int = 1\nB = C = 2\n(D, _e), F = f()\nclass G: h = 1\ndef i(j): k = 1\nfrom l import m\nn.o = 1"
    assert sorted(defined(source)) == ["A", "B", "C", "D", "F", "G", "i"]


def test_no_public_name_is_defined_twice() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    modules = [path for path in PACKAGE.rglob("*.py") if "templates" not in path.relative_to(PACKAGE).parts]
    assert len(modules) > 100
    for path in modules:
        for name in defined(path.read_text(encoding="utf-8")):
            places[name].add(str(path.relative_to(PACKAGE)))
    assert {name: sorted(found) for name, found in places.items() if len(found) > 1} == {}
