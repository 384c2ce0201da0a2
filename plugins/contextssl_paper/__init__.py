"""The recipes of the paper's experiments, for ``contextssl reproduce``."""

from __future__ import annotations

from pathlib import Path

from contextssl_cli.plugin import hookimpl


@hookimpl
def contextssl_recipes() -> list[Path]:
    """Bring the experiments."""
    return sorted(Path(__file__).parent.glob("*.toml"))
