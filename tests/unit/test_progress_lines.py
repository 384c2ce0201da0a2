"""The display of a training run: one line of 80 columns on a terminal, plain lines in a log."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from contextssl_cli.report.progress import training_progress
from contextssl_cli.report.terminal import terminal
from contextssl_cli.training.progress import Progress

LONG = "a-data-set-with-a-long-name-" * 5
LOSS = {"rotation": 1.25, "an-action-type-with-a-long-name": 0.5, "color": 12.75}


@pytest.fixture(autouse=True)
def verbosity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "verbosity", 0)


def drawn(monkeypatch: pytest.MonkeyPatch, *states: Progress) -> list[str]:
    """The lines that a terminal of 80 columns shows, without escape sequences."""
    stream = io.StringIO()
    monkeypatch.setattr(terminal, "err", Console(file=stream, force_terminal=True, width=80, color_system=None))
    with training_progress(LONG) as report:
        for state in states:
            report(state)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]", text) if line.strip()]


def running(steps: int, remaining: float, gap: float | None, speed: float = 512.4) -> Progress:
    return Progress(steps - 1, steps, LOSS, speed, remaining, gap, first_gap=200, ceiling=2)


@pytest.mark.parametrize("flags", [0, 1])
@pytest.mark.parametrize("gap", [None, 1.875, -0.5])
@pytest.mark.parametrize(
    ("steps", "remaining", "speed"), [(12, 3, 8), (3950, 754, 512.4), (1_250_000, 40_000, 98765), (999_999, 2e6, 1e6)]
)
def test_the_line_fits_80_columns_in_a_fixed_order(
    steps: int, remaining: float, speed: float, gap: float | None, flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "verbosity", flags)
    lines = drawn(monkeypatch, running(steps, remaining, gap, speed))
    assert lines
    assert max(map(len, lines)) <= 80
    measured = "gap at step 200" if gap is None else f"gap {gap:.2f} of 2"
    order = [f"{steps - 1}/{steps}", " left  ", measured, f"{speed:.0f} pairs/s", *(["loss"] if flags else [])]
    places = [lines[-1].index(words) for words in order]
    assert places == sorted(places)
    assert places[0] >= 5  # the bar
    assert ("loss" in lines[-1]) is bool(flags)


def test_a_method_without_a_context_shows_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "gap" not in drawn(monkeypatch, Progress(5, 9, LOSS, 10.0, 4.0))[-1]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7265, "2:01:05"), (90_000, "1 d 1 h")]
)
def test_time_left(seconds: float, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"  {shown} left  " in drawn(monkeypatch, running(9, seconds, None))[-1]


@pytest.mark.parametrize("steps", [20, 200, 3950, 4450])
def test_a_log_gets_about_twenty_lines_whatever_the_number_of_steps(
    steps: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with training_progress("run") as report:
        for step in range(1, steps + 1):
            logged = step in (1, steps) or step % 10 == 0
            report(Progress(step, steps, {"contrast": 1.0} if logged else {}, first_gap=200, ceiling=2))
    lines = capsys.readouterr().err.splitlines()
    assert "step 1/" in lines[0]
    assert "gap at step 200" in lines[0]
    assert f"step {steps}/{steps}" in lines[-1]
    assert min(steps // 10 + 1, 20) <= len(lines) <= 22


@pytest.mark.parametrize("verbosity", [0, 1])
def test_a_log_has_the_losses_with_v(
    verbosity: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "verbosity", verbosity)
    with training_progress("run") as report:
        report(running(9, 1, 0.5))
    assert ("loss rotation 1.250" in capsys.readouterr().err) is bool(verbosity)


@pytest.mark.parametrize(("gap", "advised"), [(0.05, True), (0.3, False), (None, False)])
@pytest.mark.parametrize("step", [99, 100])
def test_a_run_that_ends_without_adaptation_says_what_to_try(
    gap: float | None, advised: bool, step: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with training_progress("run") as report:
        report(Progress(step, 100, LOSS, 10.0, 0.0, gap, first_gap=100, ceiling=2))
    assert ("--steps 200" in capsys.readouterr().err) is (advised and step == 100)


def test_a_run_that_fails_gets_no_advice(capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> None:
        with training_progress("run") as report:
            report(Progress(100, 100, LOSS, 10.0, 0.0, 0.0, first_gap=100, ceiling=2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert "--steps" not in capsys.readouterr().err
