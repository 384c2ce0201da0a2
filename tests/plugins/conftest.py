"""Plugins of strangers, installed as pip installs them: a module and its distribution's metadata."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contextssl_cli.plugin.registry import registry

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one plugin; the registry finds it on its next use."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def distribution(name: str, code: str, *, point: str | None = None, module: str | None = None) -> Path:
        module = module or f"stranger_{name}"
        (folder / f"{module}.py").write_text(code, encoding="utf-8")
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[contextssl]\n{point or name} = {module}\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)  # of an earlier test
        registry.cache_clear()
        return folder

    yield distribution
    registry.cache_clear()
