"""The live display of a training run, and of a preparation in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from contextssl_cli.report.terminal import terminal
from contextssl_cli.text import printable
from contextssl_cli.training.progress import Progress

_LINES = 20  # of a run whose stderr is not a terminal


@contextmanager
def training_progress(label: str) -> Iterator[Callable[[Progress], None]]:
    """Yield a function to call after every step; it draws a bar, or writes a line now and then to a log."""
    if terminal.verbosity < 0:
        yield lambda _: None
    elif not terminal.err.is_terminal:
        yield _log_lines(label)
    else:
        with Bar(*_columns(), TextColumn("{task.fields[state]}", markup=False), console=terminal.err) as bar:
            task = bar.add_task(printable(label), total=None, state="")
            state = ""

            def draw(progress: Progress) -> None:
                nonlocal state
                state = describe(progress) if progress.loss else state
                bar.update(task, completed=progress.step, total=progress.steps, state=state)

            yield draw


@contextmanager
def parts_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call with the parts that are done and all of them."""
    if terminal.verbosity < 0:
        yield lambda done, total: None
    elif not terminal.err.is_terminal:
        yield lambda done, total: _log_parts(label, done, total)
    else:
        with Bar(*_columns(), console=terminal.err) as bar:
            task = bar.add_task(printable(label), total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _columns() -> list[ProgressColumn]:
    description = TextColumn("{task.description}", markup=False)
    return [description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]


def _log_parts(label: str, done: int, total: int) -> None:
    if done % max(1, total // _LINES) == 0 or done == total:
        terminal.note(f"{label}: part {done}/{total}")


def describe(progress: Progress) -> str:
    """Loss per environment or term, speed and, where there is a context, the adaptation gap in one line."""
    losses = "  ".join(f"loss {name} {value:.3f}" for name, value in progress.loss.items())
    speed = f"{losses}  {progress.pairs_per_second:.0f} pairs/s"
    gap = "not measured yet" if progress.gap is None else f"{progress.gap:.2f}"
    return f"{speed}  held-out gap (ridge) {gap}" if progress.watched else speed


def _log_lines(label: str) -> Callable[[Progress], None]:
    last_gap: float | None = None
    last_line = 0

    def write(progress: Progress) -> None:
        nonlocal last_gap, last_line
        every = max(1, progress.steps // _LINES)
        due = progress.step // every > last_line // every or last_line == 0  # steps with a loss need not be multiples
        news = progress.gap is not None and progress.gap != last_gap
        last_gap = progress.gap
        if progress.loss and (due or news or progress.step == progress.steps):
            last_line = progress.step
            terminal.note(
                f"{label}: step {progress.step}/{progress.steps}  {describe(progress)}  "
                f"{progress.remaining:.0f} s remain"
            )

    return write
