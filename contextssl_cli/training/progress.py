"""What a training run tells after every step."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """What a progress display needs after a step.

    Attributes:
        step: steps done.
        steps: steps in all.
        loss: of this step, by environment or by term; empty between the steps that are logged.
        pairs_per_second: in this process, so far.
        remaining: seconds.
        gap: the last measured adaptation gap on held-out training samples, None before the first.
        watched: whether the method has a context, and so a gap.
    """

    step: int
    steps: int
    loss: dict[str, float] = field(default_factory=dict)
    pairs_per_second: float = 0.0
    remaining: float = 0.0
    gap: float | None = None
    watched: bool = True
