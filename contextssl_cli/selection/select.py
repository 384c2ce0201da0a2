"""Few-shot symmetry selection: which context suits a task, from a few labelled inputs.

Every candidate context gives embeddings of the labelled inputs; no weight changes. From each, ridge regression on
one-hot classes predicts every input's label with that input left out (``contextssl_cli.selection.leave_one_out``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from contextssl_cli.adaptation.context_encoder import ContextEncoder
from contextssl_cli.data.random import Purpose, seeded_numpy
from contextssl_cli.data.rows import Rows
from contextssl_cli.errors import UsageError
from contextssl_cli.selection.bounds import LEVEL, ClassCodes, Estimate, check_bounds, measured, share
from contextssl_cli.selection.labels import class_codes, column
from contextssl_cli.selection.leave_one_out import (
    LeaveOneOut,
    Numbers,
    difference_error,
    difference_p,
    squared_errors,
)
from contextssl_cli.store.context import Context
from contextssl_cli.training.runs import check_context

_PERMUTATIONS = 199
_MOST = 5000


@dataclass(frozen=True)
class Choice:
    """What a context is chosen by.

    Attributes:
        rows: the N labelled inputs.
        codes: (N,) their classes as 0, 1, ...
        bounds: that the choice must meet, by what they are on.
        groups: (N,) categories by sensitive attribute.
    """

    rows: Rows
    codes: ClassCodes
    bounds: dict[str, float]
    groups: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Candidate:
    """One context's figures, each with the labelled input left out that is predicted.

    Attributes:
        name: of the context.
        skill: 1 - (squared error) / (squared error of the class frequencies): 0 is nothing, 1 is perfect.
        behind: by how much its skill is below that of the chosen candidate.
        behind_error: the standard error of that, from the differences input by input.
        behind_p: how often these differences are as large where their signs are drawn by chance (two-sided).
        accuracy: share of right classes.
        accuracy_error: its standard error.
        bounds: what the bounds are on.
        bound_errors: their standard errors.
    """

    name: str
    skill: float
    behind: float
    behind_error: float
    behind_p: float
    accuracy: float
    accuracy_error: float
    bounds: Mapping[str, float] = field(default_factory=dict)
    bound_errors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """The candidates, best first, and what follows.

    Attributes:
        candidates: the chosen one, then by falling skill; those that break a bound are last.
        chosen: the name of the one with the highest skill; under bounds, of those that surely meet them, or if none
            does, the one that meets them with the most room.
        decided: whether the labels can tell it from the others.
        reason: in words.
        labels: how many labelled inputs there were.
        p_value: of the best skill, by permuted labels.
    """

    candidates: tuple[Candidate, ...]
    chosen: str
    decided: bool
    reason: str
    labels: int
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"candidates": [asdict(candidate) for candidate in self.candidates]}


def select_context(
    encoder: ContextEncoder,
    contexts: Mapping[str, Context | str | Path | None],
    X: NDArray[Any],
    y: ArrayLike,
    *,
    at_most: Mapping[str, float] | None = None,
    groups: Mapping[str, ArrayLike] | None = None,
    guard: str | None = None,
    seed: int = 0,
) -> Selection:
    """Rank contexts by how well a few labels are read from the embeddings under each.

    Args:
        encoder: of the run.
        contexts: candidates by name; None is no context.
        X: (N, *shape) inputs.
        y: (N,) their labels, at least two of each class.
        at_most: bounds that the choice must meet, by what they are on: the accuracy at which a sensitive attribute is
            read, or the difference between the groups of the only attribute, ``equalized-odds`` or
            ``equal-opportunity``; for the latter 1 is the favourable label and 0 the other.
        groups: (N,) categories by sensitive attribute.
        guard: an action type that every context zeroes, to be taken out of what is judged.
        seed: of the permutations.

    Raises:
        UsageError: if there is nothing to choose from, a context was made for another run, a class has fewer than two
            labels, a label or a group is missing, a bound cannot be judged, no candidate meets the bounds, one has
            nothing to guard with, two hold the same pairs, or the seed is no whole number from 0 on.
        DataMissingError: if a context file is missing.
        InvalidInputError: if the inputs do not fit the run, or hold what is not finite.
        CorruptFileError: if a context file cannot be read, or does not fit the run.
    """
    if not isinstance(contexts, Mapping):
        raise UsageError(
            "contexts are candidates by name: give a mapping, as {'rotation': 'rotation.h5', 'none': None}"
        )
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed {seed}: expected a whole number from 0 on")
    if not isinstance(at_most, Mapping | None):
        raise UsageError("at_most are bounds by name: give a mapping, as {'equalized-odds': 0.1}")
    bounds = dict(at_most or {})
    known = {name: column(values, f"{name} of input") for name, values in (groups or {}).items()}
    choice = check_choice(len(contexts), encoder.rows(X), column(y, "label"), bounds, known)
    read = {n: c if c is None or isinstance(c, Context) else Context.load(Path(c)) for n, c in contexts.items()}
    return select_rows(encoder, read, choice, guard=guard, seed=seed)


def select_rows(
    encoder: ContextEncoder, contexts: Mapping[str, Context | None], choice: Choice, *, guard: str | None, seed: int
) -> Selection:
    """As ``select_context``, by what was checked; every input is encoded once for all contexts."""
    check_distinct(contexts)
    for name, context in contexts.items():
        if context is not None and context.fingerprint:
            check_context(encoder.opened_.run, context, name, foreign="refuse")
    encoders = {name: encoder.with_context(context, guard) for name, context in contexts.items()}
    features = torch.cat(list(encoder.features(choice.rows)))
    embeddings = {name: under.embed_features(features) for name, under in encoders.items()}
    within = {name: measured(e, choice.codes, choice.bounds, choice.groups, seed) for name, e in embeddings.items()}
    probes = {name: LeaveOneOut(values) for name, values in embeddings.items()}
    return _selection(probes, choice.codes, within, seed)


def check_distinct(contexts: Mapping[str, Context | None]) -> None:
    """Refuse equal candidates, which no label can tell apart.

    Raises:
        UsageError: naming two.
    """
    for (one, mine), (other, theirs) in combinations(contexts.items(), 2):
        if mine and theirs and mine.same_pairs(theirs):
            raise UsageError(f"{one} and {other} hold the same context; name one of them")


def check_choice(
    candidates: int, rows: Rows, labels: NDArray[Any], bounds: dict[str, float], groups: dict[str, NDArray[Any]]
) -> Choice:
    """What to choose by, once all that can be wrong before anything is embedded has been looked at.

    Args:
        candidates: how many there are.
        rows: the N labelled inputs.
        labels: (N,).
        bounds: by what they are on.
        groups: (N,) categories by sensitive attribute.

    Raises:
        UsageError: as ``select_context``.
    """
    if candidates < 2:
        raise UsageError(f"there is nothing to choose from: name two contexts or more, not {candidates}")
    if len(labels) != len(rows):
        raise UsageError(f"there are {len(rows)} inputs and {len(labels)} labels; give one label for each input")
    codes = class_codes(labels, _MOST)
    check_bounds(bounds, groups, np.unique(labels), len(rows))
    return Choice(rows, codes, bounds, groups)


def _selection(
    probes: Mapping[str, LeaveOneOut], codes: ClassCodes, within: Mapping[str, Mapping[str, Estimate]], seed: int
) -> Selection:
    targets = np.eye(codes.max() + 1)[codes]
    predicted = {name: probe.left_out(targets) for name, probe in probes.items()}
    errors = {name: squared_errors(targets, found) for name, found in predicted.items()}
    meeting = [name for name, found in within.items() if all(estimate.is_met for estimate in found.values())]
    if not meeting:
        found_all = "; ".join(f"{name}: {_listed(found)}" for name, found in within.items())
        raise UsageError(f"no candidate meets the bounds ({found_all}); loosen --at-most, or guard what a bound is on")
    chosen = _safest(meeting, errors, within)
    ranked = sorted(probes, key=lambda name: (name != chosen, name not in meeting, errors[name].mean()))
    best = errors[chosen]
    rows = tuple(
        _candidate(name, errors[name], best, share(predicted[name].argmax(axis=1) == codes), within[name], seed)
        for name in ranked
    )
    p_value = _p_value([probes[name] for name in meeting], targets, float(best.mean()), seed)
    decided, reason = _verdict(rows, within, p_value, len(codes))
    return Selection(rows, chosen, decided, reason, len(codes), p_value)


def _safest(meeting: list[str], errors: Mapping[str, Numbers], within: Mapping[str, Mapping[str, Estimate]]) -> str:
    """The candidate with the least error, of those that surely meet the bounds; if none does, the one with most room.

    A bound is a must: skill is no ground to risk it.
    """
    sure = [name for name in meeting if all(estimate.is_sure for estimate in within[name].values())]
    if sure:
        return min(sure, key=lambda name: errors[name].mean())
    return max(meeting, key=lambda name: min(estimate.room for estimate in within[name].values()))


def _candidate(
    name: str, errors: Numbers, best: Numbers, accuracy: Estimate, within: Mapping[str, Estimate], seed: int
) -> Candidate:
    behind = errors - best
    return Candidate(
        name=name,
        skill=float(1 - errors.mean()),
        behind=float(behind.mean()),
        behind_error=difference_error(behind),
        behind_p=difference_p(behind, seed),
        accuracy=accuracy.value,
        accuracy_error=accuracy.error,
        bounds={key: estimate.value for key, estimate in within.items()},
        bound_errors={key: estimate.error for key, estimate in within.items()},
    )


def _verdict(
    rows: tuple[Candidate, ...], within: Mapping[str, Mapping[str, Estimate]], p_value: float, count: int
) -> tuple[bool, str]:
    """Whether the labels can tell the first candidate from the others, and in words why."""
    best = rows[0].name
    if p_value > LEVEL:
        return False, (
            f"cannot tell: no candidate reads these {count} labels better than permuted ones (p = {p_value:.3f}); "
            "label more inputs"
        )
    unsure = {key: estimate for key, estimate in within[best].items() if not estimate.is_sure}
    if unsure:
        limits = ", ".join(f"at most {estimate.most:g} {key}" for key, estimate in unsure.items())
        return False, f"cannot tell whether {best!r} meets {limits} ({_listed(unsure)}); label more inputs"
    # A candidate that breaks a bound by more than the error explains is no rival.
    rivals = [row for row in rows[1:] if all(e.is_met or not e.is_sure for e in within[row.name].values())]
    close = [repr(row.name) for row in rivals if row.behind < 0 or row.behind_p * len(rivals) > LEVEL]  # Bonferroni
    if close:
        return False, f"cannot tell {best!r} from {', '.join(close)} by these {count} labels; label more inputs"
    bounded = bool(within[best])
    if not rivals and bounded:
        return True, f"{best!r} alone meets the bounds"
    return True, f"{best!r} reads the labels best" + (" of those that meet the bounds" if bounded else "")


def _listed(found: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{key} {estimate.value:.3f} ± {estimate.error:.3f}" for key, estimate in found.items())


def _p_value(probes: list[LeaveOneOut], targets: Numbers, error: float, seed: int) -> float:
    """How often permuted labels are read as well by the candidate that reads them best."""
    draw = seeded_numpy(seed, Purpose.PERMUTATIONS)
    reached = 0
    for _ in range(_PERMUTATIONS):
        permuted = targets[draw.permutation(len(targets))]
        reached += min(float(squared_errors(permuted, probe.left_out(permuted)).mean()) for probe in probes) <= error
    return (1 + reached) / (1 + _PERMUTATIONS)
