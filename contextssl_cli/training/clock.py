"""What training takes: time by the clock, and time of the processor."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingTime:
    """What the steps of a run took, over all processes that made them. None where a run does not tell.

    Attributes:
        seconds: by the clock. Other jobs on the machine lengthen it.
        processor_seconds: of the process's threads together, which other jobs hardly do. Of the CPU alone.
    """

    seconds: float | None = 0.0
    processor_seconds: float | None = 0.0


class Clock:
    """Started with the first step of a process.

    Args:
        before: what the steps before this process took.
    """

    def __init__(self, before: TrainingTime) -> None:
        self._before = before
        self._began = time.perf_counter(), time.process_time()

    @property
    def elapsed(self) -> float:
        """Seconds by the clock, of this process alone."""
        return time.perf_counter() - self._began[0]

    def spent(self) -> TrainingTime:
        """So far."""
        processor = time.process_time() - self._began[1]
        return TrainingTime(
            _added(self._before.seconds, self.elapsed), _added(self._before.processor_seconds, processor)
        )


def _added(before: float | None, since: float) -> float | None:
    return None if before is None else round(before + since, 2)
