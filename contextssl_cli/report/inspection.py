"""What ``contextssl context inspect`` prints."""

from __future__ import annotations

from contextssl_cli.evaluation.inspection import HURTS, SCORE_TOLERANCE, Inspection, Reading
from contextssl_cli.report.terminal import terminal

_SHOWN = 5


def print_inspection(found: Inspection, *, as_json: bool) -> None:
    """The profile by length, how many pairs suffice, and the pairs that matter most; or one JSON object."""
    if as_json:
        terminal.json(found.as_dict())
        return
    actions = list(found.profile[0].r2)
    header = ["pairs", "tokens", *(f"R2 {action}" for action in actions), "score", "note"]
    title = f"Context {found.environment}, by length (on {found.judged} held-out pairs, {found.probe})"
    terminal.table(title, header, [_line(reading, actions) for reading in found.profile])
    terminal.result("score: mean R2 of the types that the context shows minus that of the others, negative R2 as 0")
    terminal.result(_verdict(found))
    strong = ", ".join(f"{name} {r2:.3f}" for name, r2 in found.strong_r2.items())
    terminal.result(f"R2 with {found.used[-1].pairs} pairs by a strong probe ({found.strong_probe}): {strong}")
    if found.gain > SCORE_TOLERANCE:
        terminal.result(f"pairs that suffice: {found.suffices} of {min(found.pairs, found.trained_pairs)}")
    for text in _pair_sentences(found):
        terminal.result(text)
    terminal.result(_beyond(found))


def _verdict(found: Inspection) -> str:
    least, most = found.used[0], found.used[-1]
    scores = f"score {least.score:.3f} without a pair, {most.score:.3f} with {most.pairs}"
    if found.gain > SCORE_TOLERANCE:
        return f"the context brings {found.gain:.3f}: {scores}"
    if found.gain < -SCORE_TOLERANCE:
        return f"the context harms, by {-found.gain:.3f}: {scores}"
    return (
        f"the context changes nothing: {scores}. Either what it asks for is there without it, or the model has not "
        "learnt to read contexts: see contextssl probe"
    )


def _line(reading: Reading, actions: list[str]) -> list[str]:
    std = f" ± {reading.score_std:.3f}" if reading.draws > 1 else ""
    r2 = [f"{reading.r2[action]:.3f}" for action in actions]
    note = "longer than trained" if reading.beyond else ""
    return [str(reading.pairs), str(2 * reading.pairs), *r2, f"{reading.score:.3f}{std}", note]


def _pair_sentences(found: Inspection) -> list[str]:
    lines = [
        f"pair {one.pair} hurts: without it the score changes by {one.change:+.3f} (standard error {one.error:.3f})"
        for one in found.hurting[:_SHOWN]
    ]
    if more := [str(one.pair) for one in found.hurting[_SHOWN:]]:
        lines.append(f"{len(more)} more hurt, by less: {', '.join(more)}")
    worst = max(found.left_out, key=lambda one: one.change)
    best = min(found.left_out, key=lambda one: one.change)
    if not lines:
        lines = [f"no pair hurts: the largest gain from leaving one out is {worst.change:+.3f} (pair {worst.pair})"]
    if best.change > -HURTS:
        return [*lines, f"no pair is needed: without any one of them the score falls by less than {HURTS:g}"]
    return [*lines, f"the pair that helps most is {best.pair}: without it the score changes by {best.change:+.3f}"]


def _beyond(found: Inspection) -> str:
    longer = [reading for reading in found.profile if reading.beyond]
    if not longer:
        return f"the model was trained to read {found.trained_pairs} pairs at most; the context has {found.pairs}"
    at = next(reading for reading in found.profile if reading.pairs == found.trained_pairs)
    return (
        f"beyond the {found.trained_pairs} pairs that the model was trained to read: score {longer[-1].score:.3f} with "
        f"{found.pairs}, {at.score:.3f} with {at.pairs}; adapt reads the first {found.trained_pairs}"
    )
