"""scikit-learn's own checks of an estimator, on ``ContextEncoder``; and how it behaves inside scikit-learn's tools."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import check_estimator

from contextssl_cli import Context, ContextEncoder
from contextssl_cli.adaptation.guard import Guard
from contextssl_cli.data.tensors import to_tensor
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, InvalidInputError, UsageError
from tests import tiny

WIDTHS = range(1, 11)
"""The numbers of features that the checks use."""
FIXED_WIDTH = "its X has 1, 2, 4, 5 or 10 features, and a run fixes their number"
EXPECTED = dict.fromkeys(
    [
        "check_dtype_object",
        "check_estimators_dtypes",
        "check_estimators_fit_returns_self",
        "check_estimators_overwrite_params",
        "check_fit2d_1feature",
        "check_fit2d_1sample",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_positive_only_tag_during_fit",
        "check_readonly_memmap_input",
    ],
    FIXED_WIDTH,
)
"""The checks that ``ContextEncoder`` cannot pass with a run of 3 features, each with its reason."""


def a_context(seed: int = 1, **blocks: int) -> Context:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(2, 4, 3)).astype(np.float32)
    widths = blocks or {"turn": 2}
    return Context(x, y, {name: generator.normal(size=(4, width)) for name, width in widths.items()})


class FittingEncoder(ContextEncoder):
    """Opens the run that was trained on tables as wide as X, so that every check runs; else it is its parent."""

    def fit(self, X: Any = None, y: Any = None) -> FittingEncoder:
        shape = getattr(X, "shape", np.shape(X) if isinstance(X, list) else ())
        self._width = shape[1] if len(shape) == 2 and shape[1] in WIDTHS else 3
        return super().fit(X, y)

    def _open(self) -> Any:
        return ContextEncoder(Path(self.run) / str(self._width), device=self.device)._open()


@pytest.fixture(scope="module")
def runs(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for every number of features."""
    folder = tmp_path_factory.mktemp("widths")
    for width in WIDTHS:
        tiny.untrained(tiny.table_schema((1,) * width), folder / str(width))
    return folder


@pytest.fixture(scope="module")
def table() -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(24, 3))


@pytest.fixture(scope="module")
def context() -> Context:
    return a_context()


@pytest.fixture
def encoder(runs: Path) -> ContextEncoder:
    return ContextEncoder.load(runs / "3", "cpu")


def failures(estimator: ContextEncoder) -> dict[str, Any]:
    """What scikit-learn's checks raise, by check."""
    found = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(found) > 40
    return {one["check_name"]: one["exception"] for one in found if one["status"] == "failed"}


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks warn of what they skip
def test_it_fails_no_check_but_those_of_another_number_of_features(runs: Path, context: Context) -> None:
    failed = failures(ContextEncoder(runs / "3", context, device="cpu", batch_size=2))
    assert set(failed) == set(EXPECTED)
    for name, error in failed.items():
        assert "is expecting 3 features" in f"{error} {error.__cause__}", name


@pytest.mark.filterwarnings("ignore")
def test_it_passes_every_check_where_a_run_fits_the_table(runs: Path) -> None:
    assert failures(FittingEncoder(runs, device="cpu")) == {}


@pytest.mark.parametrize("method", ["transform", "get_feature_names_out"])
def test_nothing_is_computed_before_fit(method: str, runs: Path, table: NDArray[Any]) -> None:
    given = [table] if method == "transform" else []
    with pytest.raises(NotFittedError):
        getattr(ContextEncoder(runs / "3", device="cpu"), method)(*given)
    with pytest.raises(NotFittedError):
        getattr(clone(ContextEncoder.load(runs / "3", "cpu")), method)(*given)


BAD: dict[str, tuple[Any, type[Exception]]] = {
    "one dimension": (np.zeros(3), InvalidInputError),
    "a number": (3.0, InvalidInputError),
    "complex": (np.zeros((2, 3)) + 1j, InvalidInputError),
    "NaN": (np.full((2, 3), np.nan), InvalidInputError),
    "infinite": (np.full((2, 3), -np.inf), InvalidInputError),
    "beyond float32": (np.full((2, 3), 1e300), InvalidInputError),
    "None in a list": ([[1, None, 2]], InvalidInputError),
    "text": ([["a", "b", "c"]], InvalidInputError),
    "bytes": (np.full((2, 3), b"1"), InvalidInputError),
    "dates": (np.zeros((2, 3), "datetime64[s]"), InvalidInputError),
    "durations": (np.zeros((2, 3), "timedelta64[s]"), InvalidInputError),
    "ragged": ([[1, 2, 3], [1, 2]], InvalidInputError),
    "too wide": (np.zeros((2, 4)), InvalidInputError),
    "too narrow": (np.zeros((2, 2)), InvalidInputError),
    "no columns": (np.zeros((2, 0)), InvalidInputError),
    "three dimensions": (np.zeros((2, 3, 1)), InvalidInputError),
    "masked": (np.ma.masked_greater(np.arange(6.0).reshape(2, 3), 4), InvalidInputError),
    "records": (np.zeros(2, [("a", float), ("b", float)]), InvalidInputError),
    "missing in a data frame": (pd.DataFrame({"a": [1, None], "b": 1, "c": 1}), InvalidInputError),
    "words in a data frame": (pl.DataFrame({"a": ["x"], "b": [1], "c": [1]}), InvalidInputError),
    "sparse": (scipy.sparse.csr_array(np.ones((2, 3))), TypeError),
    "sparse matrix": (scipy.sparse.coo_matrix(np.ones((2, 3))), TypeError),
    "dictionaries": (np.array([[{}, {}, {}]], object), TypeError),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_no_table_of_the_run_is_refused(fault: str, encoder: ContextEncoder, table: NDArray[Any]) -> None:
    bad, kind = BAD[fault]
    before = encoder.transform(table)
    for method in (encoder.transform, encoder.fit, encoder.fit_transform):
        with pytest.raises(kind):
            method(bad)
    np.testing.assert_array_equal(encoder.transform(table), before)


def test_no_rows_are_embedded_as_no_rows_but_not_fitted(encoder: ContextEncoder) -> None:
    assert encoder.transform(np.zeros((0, 3))).shape == (0, 16)
    with pytest.raises(InvalidInputError):
        encoder.fit(np.zeros((0, 3)))


@pytest.mark.parametrize(
    "convert",
    [
        np.ndarray.tolist, np.asfortranarray, pd.DataFrame, lambda x: x.astype(">f8"), lambda x: x.astype(object),
        lambda x: pd.DataFrame(x).convert_dtypes(), lambda x: pl.DataFrame(x, schema=["a", "b", "c"]),
        lambda x: np.repeat(x, 2, axis=0)[::2], np.ma.asarray,
    ],
    ids=["list", "fortran", "pandas", "big-endian", "object", "nullable", "polars", "strided", "nothing masked"],
)  # fmt: skip
def test_every_form_of_a_table_gives_the_same(convert: Any, encoder: ContextEncoder, table: NDArray[Any]) -> None:
    np.testing.assert_array_equal(encoder.transform(convert(table)), encoder.transform(table))


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint8, np.int64, np.float16, "Float64", "boolean"])
def test_every_kind_of_number_is_read_by_its_value(kind: Any, encoder: ContextEncoder) -> None:
    ones = np.array([[0, 1, 1], [1, 0, 1]])
    converted = pd.DataFrame(ones).astype(kind)
    np.testing.assert_array_equal(encoder.transform(converted), encoder.transform(ones.astype(np.float32)))


def test_it_says_how_wide_its_tables_are_and_names_its_embeddings(encoder: ContextEncoder) -> None:
    assert encoder.n_features_in_ == 3
    assert not hasattr(encoder, "feature_names_in_")
    assert list(encoder.get_feature_names_out()) == [f"contextencoder{number}" for number in range(16)]


def test_names_of_columns_are_kept_and_compared(encoder: ContextEncoder, table: NDArray[Any]) -> None:
    frame = pd.DataFrame(table, columns=["age", "hours", "gain"])
    fitted = clone(encoder).fit(frame)
    assert list(fitted.feature_names_in_) == ["age", "hours", "gain"]
    np.testing.assert_array_equal(fitted.transform(frame), encoder.transform(table))
    for other in (frame[["hours", "age", "gain"]], frame.rename(columns={"age": "years"})):
        with pytest.raises(InvalidInputError):
            fitted.transform(other)
    fitted.fit(table)
    assert not hasattr(fitted, "feature_names_in_")


@pytest.mark.parametrize(
    ("form", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("default", np.ndarray)]
)
def test_the_output_may_be_a_data_frame(
    form: str, kind: type, encoder: ContextEncoder, context: Context, table: NDArray[Any]
) -> None:
    found = clone(encoder).set_output(transform=form).fit_transform(table)
    assert isinstance(found, kind)
    np.testing.assert_array_equal(np.asarray(found), encoder.transform(table))
    adapted = clone(encoder).set_output(transform=form).with_context(context)
    assert isinstance(adapted.transform(table), kind)
    if form != "default":
        assert list(found.columns) == list(encoder.get_feature_names_out())


def test_the_index_of_a_data_frame_is_kept(encoder: ContextEncoder, table: NDArray[Any]) -> None:
    frame = pd.DataFrame(table, index=[f"row {number}" for number in range(len(table))])
    assert list(clone(encoder).set_output(transform="pandas").fit(frame).transform(frame).index) == list(frame.index)


def test_parameters_stay_as_they_were_given(runs: Path, context: Context, table: NDArray[Any]) -> None:
    given = {"run": runs / "3", "context": context, "device": "cpu", "batch_size": np.int64(5), "guard": None}
    fitted = ContextEncoder(**given).fit(table)
    fitted.transform(table)
    assert all(fitted.get_params()[name] is value for name, value in given.items())
    assert "turn" in repr(fitted)
    assert len(repr(fitted)) < 400
    assert "turn" in fitted._repr_html_()


@pytest.mark.parametrize("size", [0, -1, 2.5, "8", None])
def test_a_batch_is_a_whole_number_of_inputs(size: Any, encoder: ContextEncoder, table: NDArray[Any]) -> None:
    with pytest.raises(UsageError):
        encoder.set_params(batch_size=size).transform(table)


@pytest.mark.parametrize("fault", ["run", "context", "guard", "blocks", "device"])
def test_a_fit_that_fails_leaves_the_encoder_as_it_was(
    fault: str, encoder: ContextEncoder, context: Context, table: NDArray[Any], tmp_path: Path
) -> None:
    bad = {
        "run": {"run": tmp_path}, "context": {"context": tmp_path / "none.h5"}, "guard": {"guard": "tint"},
        "blocks": {"context": a_context(turn=5)}, "device": {"device": "abacus"},
    }[fault]  # fmt: skip
    adapted = encoder.with_context(context)
    before = adapted.transform(table)
    with pytest.raises(ContextSSLError):
        adapted.set_params(**bad).fit(table)
    np.testing.assert_array_equal(adapted.transform(table), before)
    assert adapted.bound_.context is context
    assert adapted.n_features_in_ == 3


def test_fit_reads_a_run_that_was_trained_further_again(runs: Path, table: NDArray[Any], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs / "3", folder)
    fitted = ContextEncoder.load(folder, "cpu")
    before, model = fitted.transform(table), fitted.opened_
    assert fitted.fit().opened_ is model
    tiny.untrained(tiny.table_schema((1, 1, 1)), folder, seed=5)
    np.testing.assert_array_equal(fitted.transform(table), before)
    assert not np.allclose(fitted.fit().transform(table), before)


def test_fitting_another_run_takes_its_number_of_features(encoder: ContextEncoder, runs: Path) -> None:
    encoder.set_params(run=runs / "5").fit()
    assert encoder.n_features_in_ == 5
    assert encoder.transform(np.zeros((2, 5))).shape == (2, 16)


def test_a_pickle_holds_everything_that_transform_needs(
    runs: Path, context: Context, table: NDArray[Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs / "3", folder)
    adapted = ContextEncoder.load(folder, "cpu").with_context(context)
    kept = pickle.dumps(adapted)
    shutil.rmtree(folder)
    copy = pickle.loads(kept)  # noqa: S301
    np.testing.assert_array_equal(copy.transform(table), adapted.transform(table))
    with pytest.raises(DataMissingError):
        copy.fit()


def test_threads_share_an_encoder(encoder: ContextEncoder, context: Context, table: NDArray[Any]) -> None:
    adapted = encoder.with_context(context)
    expected = [one.transform(table) for one in (encoder, adapted)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda turn: [encoder, adapted][turn % 2].transform(table), range(40)))
    for turn, values in enumerate(found):
        np.testing.assert_array_equal(values, expected[turn % 2])


@pytest.mark.parametrize("jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_a_grid_search_chooses_among_contexts(jobs: int | None, encoder: ContextEncoder, table: NDArray[Any]) -> None:
    contexts = [None, a_context(1), a_context(2, turn=2, tint=3)]
    steps = Pipeline([("embed", encoder), ("read", LogisticRegression())])
    search = GridSearchCV(steps, {"embed__context": contexts}, cv=2, n_jobs=jobs, error_score="raise")
    search.fit(table, table[:, 0] > 0)
    assert len(search.cv_results_["mean_test_score"]) == 3
    chosen, fitted = contexts[search.best_index_], search.best_estimator_.named_steps["embed"]
    np.testing.assert_array_equal(fitted.transform(table), encoder.with_context(chosen).transform(table))


@pytest.mark.parametrize("kind", [UsageError, ValueError, ContextSSLError])
def test_the_error_of_an_array_is_of_every_kind_that_callers_catch(kind: type[Exception]) -> None:
    error = pickle.loads(pickle.dumps(InvalidInputError("X is odd")))  # noqa: S301
    assert isinstance(error, kind)
    assert str(error) == "X is odd"
    assert (error.code, error.exit_code) == ("E201", 2)


def test_a_guard_of_views_that_are_all_the_same_moves_nothing() -> None:
    same = np.full((3, 4), 0.5, np.float32)
    guard = Guard.fit(same, same)
    np.testing.assert_allclose(guard(same), same, atol=1e-6)


def test_bytes_of_images_become_fractions() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    found = to_tensor(levels, tiny.image_schema(16, 16))[0, 0].numpy().ravel()
    np.testing.assert_array_equal(found, np.arange(256, dtype=np.float32) / np.float32(255))


@pytest.mark.parametrize("lowest", [-0.01, -3e38])
def test_values_that_no_image_has_are_refused(lowest: float) -> None:
    images = np.full((2, 8, 8, 3), lowest)
    with pytest.raises(CorruptFileError):
        to_tensor(images, tiny.image_schema())
