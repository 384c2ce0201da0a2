"""The lines that a training run writes to a log."""

from __future__ import annotations

import pytest

from contextssl_cli.report.progress import training_progress
from contextssl_cli.report.terminal import terminal
from contextssl_cli.training.progress import Progress


@pytest.mark.parametrize("steps", [20, 200, 3950, 4450])
def test_a_log_gets_a_score_of_lines_whatever_the_number_of_steps(
    steps: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "verbosity", 0)
    with training_progress("run") as report:
        for step in range(1, steps + 1):
            logged = step in (1, steps) or step % 10 == 0
            report(Progress(step, steps, {"contrast": 1.0} if logged else {}))
    lines = capsys.readouterr().err.splitlines()
    assert f"step 1/{steps}" in lines[0]
    assert f"step {steps}/{steps}" in lines[-1]
    assert min(steps // 10 + 1, 20) <= len(lines) <= 22
