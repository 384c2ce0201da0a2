"""The live display of a training run, and of a preparation in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column

from contextssl_cli.report.terminal import terminal
from contextssl_cli.text import printable
from contextssl_cli.training.progress import Progress

_LINES = 20  # of a run whose stderr is not a terminal
_ADAPTS = 0.1  # of the ceiling: with a smaller gap, the run ends without adaptation


@contextmanager
def training_progress(label: str) -> Iterator[Callable[[Progress], None]]:
    """Display a training run, and say at its end if the model does not adapt to its context.

    On a terminal it is one line of the terminal's width: bar, steps, time left, adaptation gap, pairs per second, and
    with ``-v`` the losses. Elsewhere it is about twenty lines with the same figures.

    Args:
        label: names the run in these lines.

    Yields:
        A function to call after every step.
    """
    last = Progress(0, 0)
    show = _bar() if terminal.err.is_terminal else _lines(label)
    with show as draw:

        def report(progress: Progress) -> None:
            nonlocal last
            last = progress
            draw(progress)

        yield report
    if last.steps and last.step == last.steps and (advice := advice_without_adaptation(last)):
        terminal.note(advice)


def advice_without_adaptation(progress: Progress) -> str:
    """What to try if a finished run does not adapt to its context; empty if it does, or has none."""
    if progress.gap is None or progress.gap >= _ADAPTS * progress.ceiling:
        return ""
    return (
        f"The model does not adapt to its context: the gap on held-out samples is {progress.gap:z.2f} of "
        f"{progress.ceiling}. Try more steps (--steps {2 * progress.steps}), or --set invariance_weight=1"
    )


def _figures(progress: Progress) -> list[str]:
    """Steps, time left, adaptation gap and speed; without a gap, the step of its first measurement."""
    shown = [f"{progress.step}/{progress.steps}", f"{_duration(progress.remaining)} left"]
    if progress.gap is not None:
        shown.append(f"gap {progress.gap:z.2f} of {progress.ceiling}")
    elif progress.first_gap is not None:
        shown.append(f"gap at step {progress.first_gap}")
    return [*shown, f"{progress.pairs_per_second:.0f} pairs/s"]


def _losses(progress: Progress) -> str:
    """The losses of the step by environment or term."""
    return "  ".join(f"loss {printable(name)} {value:.3f}" for name, value in progress.loss.items())


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
    return f"{hours // 24} d {hours % 24} h"


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    """One line that is drawn again after every step; the bar, and with ``-v`` the losses, take the free width."""
    columns: list[ProgressColumn] = [
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        TextColumn("{task.fields[figures]}", markup=False),
    ]
    if terminal.verbosity > 0:
        columns.append(TextColumn("{task.fields[losses]}", markup=False, table_column=Column(ratio=2, no_wrap=True)))
    with Bar(*columns, console=terminal.err, expand=True, disable=terminal.verbosity < 0) as bar:
        task = bar.add_task("", total=None, figures="", losses="")
        last_losses = ""

        def draw(progress: Progress) -> None:
            nonlocal last_losses
            last_losses = _losses(progress) or last_losses
            shown = "  ".join(_figures(progress))
            bar.update(task, completed=progress.step, total=progress.steps, figures=shown, losses=last_losses)

        yield draw


@contextmanager
def _lines(label: str) -> Iterator[Callable[[Progress], None]]:
    """A line for every twentieth of the steps and every new gap."""
    last_gap: float | None = None
    last_line = 0

    def write(progress: Progress) -> None:
        nonlocal last_gap, last_line
        every = max(1, progress.steps // _LINES)
        due = progress.step // every > last_line // every or last_line == 0  # steps with a loss need not be multiples
        new = progress.gap is not None and progress.gap != last_gap
        last_gap = progress.gap
        if progress.loss and (due or new or progress.step == progress.steps):
            last_line = progress.step
            shown = [*_figures(progress), *([_losses(progress)] if terminal.verbosity > 0 else [])]
            terminal.note(f"{label}: step {', '.join(shown)}")

    yield write


@contextmanager
def parts_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call with the number of parts that are done and of all parts."""
    if not terminal.err.is_terminal:
        yield lambda done, total: _log_parts(label, done, total)
        return
    description = TextColumn("{task.description}", markup=False)
    columns = (description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=terminal.err, disable=terminal.verbosity < 0) as bar:
        task = bar.add_task(printable(label), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _log_parts(label: str, done: int, total: int) -> None:
    if done % max(1, total // _LINES) == 0 or done == total:
        terminal.note(f"{label}: part {done}/{total}")
