"""matplotlib without the user's settings: a figure has the same bytes whatever they are.

Every module that draws takes matplotlib's classes from here, so that it is imported here first.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contextssl_cli.text import printable_lines

__all__ = ["Axes", "Figure", "rendered"]


@contextmanager
def _without_settings() -> Iterator[None]:
    """Hide ``MPLBACKEND`` and every matplotlibrc: matplotlib reads them at its import, and a wrong one ends it."""
    hidden = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
    kept = {name: os.environ.get(name) for name in hidden}
    here = os.open(".", os.O_RDONLY)  # not its name, which is gone if the folder was removed
    os.environ |= hidden
    # A matplotlibrc in the working folder goes before all others. The folder may be on sys.path, as in `python -c`, so
    # it is one whose modules hide no others.
    os.chdir(Path(os.__file__).parent)
    try:
        yield
    finally:
        os.fchdir(here)
        os.close(here)
        for name, value in kept.items():
            os.environ.pop(name)
            os.environ |= {} if value is None else {name: value}


if "matplotlib" not in sys.modules:
    with _without_settings():
        importlib.import_module("matplotlib")

import matplotlib as mpl  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402

_NOT_OURS = ("backend", "backend_fallback", "interactive", "toolbar", "webagg", "timezone", "date.epoch", "datapath")
STYLE: dict[Any, Any] = {
    **{key: mpl.rcParamsDefault[key] for key in mpl.rcParamsDefault if not key.startswith(_NOT_OURS)},
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "contextssl",
    "text.parse_math": False,  # a dollar in a name is a dollar
}
"""Every setting of every figure."""


def rendered(
    draw: Callable[[], Figure], kind: str, metadata: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> bytes:
    """Draw a figure and return its file.

    Args:
        draw: makes the figure.
        kind: ``png`` or ``svg``.
        metadata: of the file; None leaves out what matplotlib would write.
        settings: over ``STYLE``.
    """
    stream = io.BytesIO()
    with mpl.rc_context(STYLE | dict(settings or {})):
        figure = draw()
        for text in figure.findobj(Text):  # names may come from a file, and SVG takes no control characters
            text.set(text=printable_lines(text.get_text()))
        figure.savefig(stream, format=kind, dpi=150, metadata=dict(metadata))
    return stream.getvalue()
