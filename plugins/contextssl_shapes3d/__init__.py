"""The data set ``shapes3d``: procedural solids, rendered in 3DIEBench's format."""

from __future__ import annotations

from contextssl_cli.plugin import Dataset, hookimpl
from contextssl_shapes3d.shapes3d import Shapes3D


@hookimpl
def contextssl_datasets() -> list[Dataset]:
    """Bring the rendered solids."""
    return [Shapes3D()]
