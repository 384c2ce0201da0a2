"""The progress of a training run after a step, and the time that it took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """What a progress display needs after a step.

    Attributes:
        step: the number of steps done.
        steps: the number of all steps.
        loss: of this step, by environment or by term; empty between the steps that are logged.
        pairs_per_second: in this process, so far.
        remaining: seconds.
        gap: the last adaptation gap measured on held-out training samples; None before the first.
        first_gap: the step after which the gap is first measured; None for a method without a context.
        ceiling: the largest possible gap, the number of action types.
    """

    step: int
    steps: int
    loss: dict[str, float] = field(default_factory=dict)
    pairs_per_second: float = 0.0
    remaining: float = 0.0
    gap: float | None = None
    first_gap: int | None = None
    ceiling: int = 0


@dataclass(frozen=True)
class TrainingTime:
    """The time that the steps of a run took, over all processes that trained it.

    Attributes:
        seconds: by the clock; other jobs on the machine lengthen it.
        processor_seconds: CPU time of all threads, which other jobs hardly change.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0


class Clock:
    """Measures the time of this process, from now on.

    Args:
        before: the time of earlier processes.
    """

    def __init__(self, before: TrainingTime) -> None:
        self._before = before
        self._began = time.perf_counter(), time.process_time()

    @property
    def elapsed(self) -> float:
        """Seconds by the clock, in this process alone."""
        return time.perf_counter() - self._began[0]

    def spent(self) -> TrainingTime:
        """The time of all processes so far."""
        processor = time.process_time() - self._began[1]
        return TrainingTime(
            round(self._before.seconds + self.elapsed, 2), round(self._before.processor_seconds + processor, 2)
        )
