"""A figure has the same bytes whatever the user's matplotlib is set to."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import matplotlib as mpl
import pytest

from contextssl_cli.report.canvas import Figure, rendered
from contextssl_cli.report.html.inline_svg import inline_svg

PROGRAM = """
import hashlib
from contextssl_cli.report.canvas import rendered
from tests.unit.test_figure_settings import drawn
for kind, metadata in (("png", {}), ("svg", {"Date": None})):
    print(hashlib.sha256(rendered(drawn, kind, metadata)).hexdigest())
"""

SETTINGS = [
    {"figure.dpi": 30, "savefig.bbox": "tight", "savefig.dpi": 20},
    {"axes.prop_cycle": mpl.cycler(color=["red"])},
    {"text.usetex": True},
    {"font.family": "monospace", "font.size": 20, "mathtext.fontset": "stix"},
    {"axes.facecolor": "yellow", "axes.grid": True, "lines.linewidth": 9},
    {"axes.unicode_minus": False, "axes.formatter.use_locale": True},
    {"svg.fonttype": "none", "svg.hashsalt": None, "path.sketch": (1, 100, 2)},
    {"figure.constrained_layout.use": False, "figure.autolayout": True, "xtick.labelsize": 30},
]


def drawn(label: str = "a line") -> Figure:
    figure = Figure(figsize=(2, 2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1, 2], [-1, 0, 1], label=label)
    axes.set_title(f"{label}, -1")
    axes.legend()
    return figure


def bytes_of(kind: str, label: str = "a line") -> bytes:
    return rendered(partial(drawn, label), kind, {"Date": None} if kind == "svg" else {})


@pytest.mark.parametrize("kind", ["png", "svg"])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: next(iter(settings)))
def test_the_settings_of_matplotlib_change_nothing(settings: dict[str, object], kind: str) -> None:
    plain = bytes_of(kind)
    with mpl.rc_context(settings):  # type: ignore[arg-type]
        before = dict(mpl.rcParams)
        assert bytes_of(kind) == plain
        assert {key: mpl.rcParams[key] for key in settings} == {key: before[key] for key in settings}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "rc"),
    [
        ({"MPLBACKEND": "nonexistent"}, None),
        ({"MPLBACKEND": "QtAgg"}, None),
        ({"MATPLOTLIBRC": "."}, b"text.usetex: True\nfont.family: monospace\nfigure.dpi: 30\n"),
        ({"MATPLOTLIBRC": "matplotlibrc"}, b"\xff\xfe broken"),
        ({"MPLCONFIGDIR": "/proc/nothing"}, b"no such: setting\nbackend: nothing\n"),
    ],
)
def test_the_users_files_and_variables_change_nothing(
    environment: dict[str, str], rc: bytes | None, tmp_path: Path
) -> None:
    if rc is not None:
        (tmp_path / "matplotlibrc").write_bytes(rc)
    place = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])}
    outputs = [
        subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, env={**os.environ, **place, **more},
                       capture_output=True, text=True, check=True).stdout
        for folder, more in ((Path("/"), {}), (tmp_path, environment))
    ]  # fmt: skip
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("name", ["$\\frac$", "$x^{$ 5 $", "a\x1bb", "\ud800", "<b>&amp;", "\u202egnp"])
def test_any_name_can_be_drawn(name: str) -> None:
    assert bytes_of("png", name).startswith(b"\x89PNG")
    svg = inline_svg(partial(drawn, name), "p-", name)
    assert svg.startswith("<svg")
    assert all(character.isprintable() or character in "\n\t" for character in svg)
    assert "<b>" not in svg


def test_a_working_folder_that_is_gone_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert bytes_of("svg")
