"""Few-shot selection: the closed form, the verdicts, and every label that cannot be used."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from contextssl_cli.adaptation.inputs import Inputs
from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError, UsageError
from contextssl_cli.plugin.cells import MISSING
from contextssl_cli.selection import leave_one_out
from contextssl_cli.selection.bounds import difference, share
from contextssl_cli.selection.labels import class_codes, column, read_labels
from contextssl_cli.selection.leave_one_out import PENALTIES, difference_error, difference_p
from contextssl_cli.selection.select import Selection, select_context
from contextssl_cli.store.context import Context


class Views:
    """Stands for an encoder: under the context A it shows the first half of the numbers, else the second."""

    def __init__(self, context: Context | None = None) -> None:
        self.context = context

    def with_context(self, context: Any, guard: str | None = None) -> Views:
        return Views(context)

    def rows(self, X: np.ndarray) -> np.ndarray:
        return X

    def features(self, rows: np.ndarray) -> list[torch.Tensor]:
        return [torch.from_numpy(rows)]

    def embed_features(self, features: torch.Tensor) -> np.ndarray:
        X = features.numpy()
        half = X.shape[1] // 2
        return (X[:, :half] if self.context in (A, TWIN) else X[:, half:]).astype(np.float32)


A, TWIN, B = (Context(np.full((1, 1), value), np.zeros((1, 1))) for value in (1.0, 2.0, 3.0))


def chosen(X: np.ndarray, y: Any, contexts: dict[str, Any] | None = None, **given: Any) -> Selection:
    return select_context(Views(), contexts or {"a": A, "b": B}, X, y, **given)  # type: ignore[arg-type]


def few(seed: int, signal: float = 1.0, classes: int = 3, each: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """The first half of the numbers tells the class."""
    draw = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    X = draw.normal(size=(len(y), 16)) * 0.5
    X[:, :classes] += signal * np.eye(classes)[y] * 2
    return X, y


def test_leaving_one_out_is_that_of_scikit_learn() -> None:
    X, y = few(0)
    targets = np.eye(3)[y]
    centred = X - X.mean(axis=0)
    unit = np.square(centred).sum() / len(X)
    expected = [cross_val_predict(Ridge(alpha=penalty * unit), X, targets, cv=LeaveOneOut()) for penalty in PENALTIES]
    best = min(expected, key=lambda predicted: np.square(targets - predicted).sum())
    np.testing.assert_allclose(leave_one_out.LeaveOneOut(X).left_out(targets), best, atol=1e-6)


def test_the_context_that_tells_the_classes_is_chosen() -> None:
    found = [chosen(*few(seed), seed=seed) for seed in range(20)]
    assert all(selection.chosen == "a" for selection in found)
    assert sum(selection.decided for selection in found) >= 19
    first = found[0]
    assert [candidate.name for candidate in first.candidates] == ["a", "b"]
    assert first.candidates[0].behind == 0 < first.candidates[1].behind
    assert first.candidates[0].skill > 0.3 > first.candidates[1].skill


def test_labels_that_depend_on_nothing_cannot_tell() -> None:
    found = [chosen(*few(seed, signal=0), seed=seed) for seed in range(40)]
    assert sum(selection.decided for selection in found) <= 4
    assert all("cannot tell" in selection.reason for selection in found if not selection.decided)


def test_contexts_that_tell_equally_well_are_rarely_told_apart() -> None:
    found = []
    for seed in range(60):
        X, y = few(seed, signal=0.5)
        other, _ = few(seed + 1000, signal=0.5)
        found.append(chosen(np.hstack([X[:, :8], other[:, :8]]), y, seed=seed))
    assert all(selection.p_value <= 0.05 for selection in found[:5])
    assert sum(selection.decided for selection in found) <= 6  # without the overlap of the others it was 12 to 25 %


def test_the_error_of_a_difference_is_that_of_its_mean_and_more() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert difference_error(values) == pytest.approx(2**0.5 * values.std(ddof=1) / 50**0.5)
    assert difference_p(values - values.mean() + 5, seed=0) == pytest.approx(1 / 2000)
    assert difference_p(np.zeros(4), seed=0) == 1


def test_two_contexts_that_tell_alike_cannot_be_told_apart() -> None:
    X, y = few(1)
    selection = chosen(X, y, {"a": A, "twin": TWIN})
    assert not selection.decided
    assert selection.reason.startswith("cannot tell ")
    assert selection.candidates[1].behind == 0


def test_the_names_and_order_of_labels_do_not_matter() -> None:
    X, y = few(2)
    order = np.random.default_rng(0).permutation(len(y))
    named = chosen(X[order], np.array(["x", "y", "z"])[y][order])
    assert [c.skill for c in named.candidates] == pytest.approx([c.skill for c in chosen(X, y).candidates])


def test_a_bound_excludes_the_context_that_tells_the_attribute() -> None:
    X, y = few(3, classes=2, each=30)
    X[:, 8:10] += np.eye(2)[y]  # b tells the label too, not as well
    group = np.random.default_rng(1).integers(2, size=60)
    X[:, 4] += 3 * group  # a tells the attribute
    free = chosen(X, y, groups={"sex": group})
    bounded = chosen(X, y, groups={"sex": group}, at_most={"sex": 0.8})
    assert (free.chosen, bounded.chosen) == ("a", "b")
    assert bounded.reason == "'b' alone meets the bounds"
    assert bounded.candidates[0].bounds["sex"] <= 0.8 < bounded.candidates[1].bounds["sex"]
    with pytest.raises(UsageError, match="no candidate meets the bounds"):
        chosen(X, y, groups={"sex": group}, at_most={"sex": 0.1})


def test_a_bound_that_the_labels_cannot_judge_is_told() -> None:
    X, y = few(5, classes=2, each=10)
    group = np.arange(20) % 2
    X[:, 4] += group  # read, not perfectly
    twins = {"a": A, "twin": TWIN}
    free = chosen(X, y, twins, groups={"sex": group}, at_most={"sex": 1})
    value, error = free.candidates[0].bounds["sex"], free.candidates[0].bound_errors["sex"]
    assert 0.05 < error < 0.2
    near = chosen(X, y, twins, groups={"sex": group}, at_most={"sex": value + error / 2})
    assert near.chosen == "a"
    assert not near.decided
    assert near.reason.startswith("cannot tell whether 'a' meets at most ")


def test_skill_is_no_ground_to_risk_a_bound() -> None:
    X, y = few(6, classes=2, each=100)
    X[:, 8:10] += np.eye(2)[y]  # b tells the label too, not as well
    group = np.random.default_rng(2).integers(2, size=200)
    X[:, 4] += 0.7 * group  # a tells the attribute, somewhat
    free = chosen(X, y, groups={"sex": group}, at_most={"sex": 1})
    value = free.candidates[0].bounds["sex"]
    assert free.chosen == "a"
    near = chosen(X, y, groups={"sex": group}, at_most={"sex": value + 0.01})
    assert near.chosen == "b"
    assert near.candidates[1].behind < 0
    assert near.reason.startswith("cannot tell 'b' from 'a'")


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=30, deadline=None)
def test_differences_are_those_of_the_groups_rates(seed: int, categories: int) -> None:
    draw = np.random.default_rng(seed)
    codes, predicted, groups = draw.integers(2, size=60), draw.integers(2, size=60), draw.integers(categories, size=60)
    for name, kinds in {"equalized-odds": (0, 1), "equal-opportunity": (1,)}.items():
        cells = [[predicted[(groups == g) & (codes == kind)] for g in np.unique(groups)] for kind in kinds]
        found = difference(name, codes, predicted, groups)
        if any(len(cell) == 0 for row in cells for cell in row):
            assert found is None
            continue
        assert found is not None
        rates = [[cell.mean() for cell in row] for row in cells]
        assert found.value == pytest.approx(max(max(row) - min(row) for row in rates))


@pytest.mark.slow
def test_the_error_of_a_difference_between_groups_covers_what_it_should() -> None:
    draw = np.random.default_rng(0)
    codes, groups = np.ones(80, dtype=int), np.arange(80) % 2
    errors, values = [], []
    for _ in range(300):
        predicted = (draw.random(80) < np.where(groups == 1, 0.8, 0.3)).astype(int)
        found = difference("equal-opportunity", codes, predicted, groups)
        assert found is not None
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    assert share(np.ones(10, dtype=bool)).value == 1
    assert share(np.ones(10, dtype=bool)).error == pytest.approx((12 / 14 * 2 / 14 / 14) ** 0.5)


def test_a_bound_on_equalized_odds() -> None:
    draw = np.random.default_rng(4)
    y, group = draw.integers(2, size=200), draw.integers(2, size=200)
    X = draw.normal(size=(200, 16)) * 0.3
    X[:, 0] += np.where(group == 1, y, draw.integers(2, size=200)) * 2  # a reads the label of one group alone
    X[:, 8] += y * 0.8
    selection = chosen(X, y, groups={"sex": group}, at_most={"equalized-odds": 0.3})
    assert (selection.chosen, selection.decided) == ("b", True)
    assert selection.candidates[1].bounds["equalized-odds"] > 0.4
    both = chosen(X, y, groups={"sex": group}, at_most={"equalized-odds": 0.3, "equal-opportunity": 0.3})
    assert both.chosen == "b"
    assert both.candidates[1].bounds.keys() == {"equalized-odds", "equal-opportunity"}
    with pytest.raises(UsageError, match="undefined"):
        chosen(X, y, groups={"sex": y}, at_most={"equalized-odds": 0.2})
    with pytest.raises(UsageError, match="undefined"):  # one group has no difference, not one of 0
        chosen(X, y, groups={"sex": np.zeros(200)}, at_most={"equalized-odds": 0.2})


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0] * 6, "all labels are 0"),
        ([0, 0, 0, 1, 1, 2], "the class 2 has one label"),
        ([0, 0, 1, 1, np.nan, 0], "label 4 is NaN"),
        ([0, 0, 1, None, 1, 0], "label 3 is None"),
        (np.array(["a", "b", 1, 1, "a", "b"], dtype=object), "several kinds .int, str."),
        (["a", "b", "a", float("nan"), "a", "b"], "label 3 is NaN"),
        (["a", "b", "a", pd.NA, "a", "b"], "label 3 is NaN"),
        (["a", "b", 1, 1, "a", "b"], "several kinds .int, str."),
        ([["a"], ["b"]] * 3, "one value for each input"),
        (np.zeros((6, 1)), "one value for each input"),
        ("a", "one value for each input"),
        ([0, 0, 1, 1], "6 inputs and 4 labels"),
    ],
)
def test_labels_that_cannot_be_used(labels: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        chosen(np.zeros((6, 4)), labels)


def test_bounds_and_candidates_that_cannot_be_used() -> None:
    X, y = few(0)
    with pytest.raises(UsageError, match="nothing to choose from"):
        chosen(X, y, {"a": "a"})
    with pytest.raises(UsageError, match="give a mapping"):
        chosen(X, y, ["a", "b"])
    with pytest.raises(UsageError, match="seed -1: expected"):
        chosen(X, y, seed=-1)
    with pytest.raises(UsageError, match=r"seed 1\.5: expected"):
        chosen(X, y, seed=1.5)
    with pytest.raises(UsageError, match="at_most"):
        chosen(X, y, at_most=["sex"])
    for bound in (-0.1, 1.5, float("nan"), "x", None):
        with pytest.raises(UsageError, match=f"sex is {bound}"):
            chosen(X, y, at_most={"sex": bound}, groups={"sex": y})
    with pytest.raises(UsageError, match="equalized-odds, equal-opportunity"):
        chosen(X, y, at_most={"sex": 0.5})
    with pytest.raises(UsageError, match="needs two classes"):
        chosen(X, y, at_most={"equalized-odds": 0.5}, groups={"sex": y})
    with pytest.raises(UsageError, match="no and yes"):
        chosen(X[:10], ["no", "yes"] * 5, at_most={"equal-opportunity": 0.5}, groups={"sex": [0, 1] * 5})
    with pytest.raises(UsageError, match="'sex' needs two labelled inputs or more of each of two categories; there "
                                         "are 1 of f, 14 of m"):  # fmt: skip
        chosen(X, y, at_most={"sex": 0.5}, groups={"sex": ["f", *"m" * 14]})
    for missing, told in ((None, "None"), (np.nan, "NaN")):
        with pytest.raises(UsageError, match=f"sex of input 2 is {told}"):
            chosen(X, y, at_most={"sex": 0.5}, groups={"sex": [0, 1, missing, *[0, 1] * 6]})
    with pytest.raises(UsageError, match="sex has 2 values for 15 inputs"):
        chosen(X, y, at_most={"sex": 0.5}, groups={"sex": [0, 1]})


INPUTS = Inputs(torch.zeros(5, 2), names=("a.png", "b/c.png", "d.png", "e.png", "f.png"))


def test_rows_names_and_groups_are_read(tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("row,label\n4,cat\n0,dog\n4,cat\n")
    found = read_labels(file, INPUTS)
    assert (found.rows.tolist(), found.labels.tolist(), found.groups) == ([4, 0], ["cat", "dog"], None)
    file.write_text("group,name,label\nx, b/c.png ,1\ny,f.png,0\n")
    found = read_labels(file, INPUTS)
    assert found.groups is not None
    assert (found.rows.tolist(), found.labels.tolist(), found.groups.tolist()) == ([1, 4], ["1", "0"], ["x", "y"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty, expected row,label"),
        ("row,class\n0,1\n", "expected row,label or name,label"),
        ("row,label,why\n0,1,2\n", "expected row,label or name,label"),
        ("row,label,label\n0,1,2\n", "expected row,label or name,label"),
        ("row,name,label\n0,a.png,2\n", "expected row,label or name,label"),
        ("row,label\n", "holds no label"),
        ("row,label\n5,1\n", "line 2: row '5'"),
        ("row,label\n-1,1\n", "row '-1'"),
        ("row,label\n0.5,1\n", "row '0.5'"),
        ("row,label\n0,\n", "line 2: the label is ''"),
        ("row,label\n0,NaN\n", "the label is 'NaN'"),
        ("row,label\n0,1\n1,1\n0,2\n", "line 4: row 0 has the label '2' here and '1' above"),
        ("row,label\n0\n", "line 2: expected 2 columns"),
        ("row,label\n0,1,2\n", "line 2: expected 2 columns"),
        ("name,label\nc.png,1\n", "'c.png': no such image"),
        ("row,label,group\n0,1,x\n0,1,y\n", "line 3: row 0 has the group 'y' here and 'x' above"),
        ("row,label\n１,1\n", "line 2: row '１'"),
        ("row,label\n1_0,1\n", "line 2: row '1_0'"),
        ("row,label\n,1\n", "line 2: row ''"),
        (f"row,label\n{'1' * 5000},1\n", "line 2: row '11"),
        ('row,label\n0,"1\n', "line 2"),
        ("row,label\n0,1\0\n", "line 2"),
        ("row,label\r\n\r\n0,1\r1,\n", "line 4: the label is ''"),
        *((f"row,label\n0,a\n1, {word.upper()} \n", "line 3: the label is") for word in sorted(MISSING)),
        ("row,label,group\n0,a,<NA>\n", "line 2: the group is"),
    ],
)
def test_a_file_of_labels_that_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text(text)
    with pytest.raises(CorruptFileError) as caught:
        read_labels(file, INPUTS)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)


def test_labels_are_cells_of_csv(tmp_path: Path) -> None:
    labels = ["a\u2028b", "a\x0cb\x85c", "two\nlines", 'say "no", twice', "1_000", "9007199254740993", "x" * 200_000]
    file = tmp_path / "few.csv"
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows([["row", "label"], *enumerate(labels)])
    found = read_labels(file, Inputs(torch.zeros(len(labels), 2)))
    assert found.rows.tolist() == list(range(len(labels)))
    assert found.labels.tolist() == labels


def test_names_of_files_may_begin_and_end_with_blanks(tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("name,label\n a.png,first\n b.png ,second\n")
    found = read_labels(file, Inputs(torch.zeros(3, 2), names=("a.png", " a.png", "b.png")))
    assert found.rows.tolist() == [1, 2]


def test_a_file_of_labels_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("fifo", "zero", "."):
        with pytest.raises(UnsafeFileError):
            read_labels(tmp_path / name, INPUTS)


@pytest.mark.parametrize(
    "values",
    [
        [2**53, 2**53 + 1, 0.5],
        [-1, 2**63, 2**63 + 1],
        [2**64, 2**64 + 1, 1],
        ["a", "a\0"],
        [True, 2, 2**53 + 1, 0.5],
    ],
)
def test_labels_that_numpy_would_round_stay_different(values: list[Any]) -> None:
    found = column(values * 2, "label")
    assert found.tolist() == values * 2
    assert len(set(class_codes(found, 100).tolist())) == len(values)


def test_a_file_of_labels_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError):
        read_labels(tmp_path / "few.csv", INPUTS)
    (tmp_path / "few.csv").write_bytes(b"row,label\n0,\xff\n")
    with pytest.raises(CorruptFileError, match="UTF-8"):
        read_labels(tmp_path / "few.csv", INPUTS)


def test_inputs_without_names_take_rows(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("name,label\na.png,1\n")
    with pytest.raises(CorruptFileError, match="use the column row"):
        read_labels(tmp_path / "few.csv", Inputs(torch.zeros(5, 2)))
