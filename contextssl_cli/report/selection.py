"""What ``contextssl adapt --labels`` prints: the candidates, the chosen one first, and whether the labels can tell."""

from __future__ import annotations

from contextssl_cli.report.terminal import terminal
from contextssl_cli.selection.select import Selection


def print_selection(selection: Selection) -> None:
    """The ranking with its uncertainty, and the verdict."""
    bounded = list(selection.candidates[0].bounds)
    rows = [
        [
            candidate.name,
            f"{candidate.skill:.3f}",
            f"{candidate.behind:.3f} ± {candidate.behind_error:.3f}",
            f"{candidate.accuracy:.3f} ± {candidate.accuracy_error:.3f}",
            *(f"{candidate.bounds[name]:.3f} ± {candidate.bound_errors[name]:.3f}" for name in bounded),
        ]
        for candidate in selection.candidates
    ]
    header = ["context", "skill", "behind the first", "accuracy", *bounded]
    terminal.table(f"Contexts by {selection.labels} labels, each predicted from the others", header, rows)
    terminal.result(selection.reason)
