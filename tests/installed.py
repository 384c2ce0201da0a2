"""A project as pip would leave it after ``pip install -e``: importable from its folder, its entry points known."""

from __future__ import annotations

import tomllib
from pathlib import Path


def install_project(project: Path, site: Path) -> None:
    """Write the metadata of the project in a folder to ``site``; the import path has to name both."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ((group, points),) = about["entry-points"].items()
    info = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    lines = [f"{name} = {module}" for name, module in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
