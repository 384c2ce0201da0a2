"""``ContextEncoder`` as a scikit-learn transformer, and that adapting changes no parameter."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contextssl_cli import Context, ContextEncoder
from contextssl_cli.adaptation.context_files import context_from_run
from contextssl_cli.errors import CorruptFileError, DataMissingError, InvalidInputError, UsageError
from contextssl_cli.evaluation.open_run import ContextTooLongWarning, OpenRun
from contextssl_cli.selection.select import select_context
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run
from tests import tiny


@pytest.fixture(scope="module")
def encoder(digits_run: Run) -> ContextEncoder:
    return ContextEncoder.load(digits_run.folder, "cpu")


@pytest.fixture(scope="module")
def rotation(digits_run: Run) -> Context:
    return context_from_run(digits_run, ["rotation"], 5, seed=0)


@pytest.fixture(scope="module")
def images(digits_store: Store) -> np.ndarray:
    return digits_store.test.inputs()[:40]


def test_adapting_changes_no_parameter(encoder: ContextEncoder, rotation: Context, images: np.ndarray) -> None:
    before = tiny.weights_hash(encoder.opened_.model)
    adapted = encoder.with_context(rotation)
    adapted.transform(images)
    encoder.transform(images)
    assert tiny.weights_hash(adapted.opened_.model) == tiny.weights_hash(encoder.opened_.model) == before


def test_a_run_is_needed() -> None:
    with pytest.raises(UsageError, match="name the run"):
        ContextEncoder().fit()


def test_a_context_of_another_run_is_told(
    encoder: ContextEncoder, rotation: Context, images: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rotation.save(tmp_path / "own.h5")
    replace(rotation, fingerprint="0" * 64).save(tmp_path / "foreign.h5")
    encoder.with_context(tmp_path / "own.h5")
    assert not caplog.records
    encoder.with_context(tmp_path / "foreign.h5")
    assert "foreign.h5 was made for another run" in caplog.text
    candidates = {"rotation": tmp_path / "foreign.h5", "none": None}
    with pytest.raises(UsageError, match="rotation was made for another run"):
        select_context(encoder, candidates, images, [0, 1] * (len(images) // 2))


def test_equal_candidates_are_refused(
    encoder: ContextEncoder, rotation: Context, images: np.ndarray, tmp_path: Path
) -> None:
    rotation.save(tmp_path / "rotation.h5")
    candidates = {"one": rotation, "other": tmp_path / "rotation.h5"}
    with pytest.raises(UsageError, match="one and other hold the same context"):
        select_context(encoder, candidates, images, [0, 1] * (len(images) // 2))


def test_the_hash_of_the_weights_sees_a_single_change(digits_run: Run) -> None:
    model = OpenRun(digits_run).context_model
    before = tiny.weights_hash(model)
    next(iter(model.buffers())).view(-1)[0] += 1
    assert tiny.weights_hash(model) != before


def test_a_context_gives_another_encoder_and_leaves_this_one(
    encoder: ContextEncoder, rotation: Context, images: np.ndarray
) -> None:
    before = encoder.transform(images)
    adapted = encoder.with_context(rotation)
    assert not np.allclose(adapted.transform(images), before)
    assert encoder.context is None
    np.testing.assert_array_equal(encoder.transform(images), before)
    np.testing.assert_array_equal(adapted.with_context(None).transform(images), before)


def test_a_context_may_be_a_file(
    encoder: ContextEncoder, rotation: Context, images: np.ndarray, tmp_path: Path
) -> None:
    rotation.save(tmp_path / "context.h5")
    by_file = encoder.with_context(tmp_path / "context.h5").transform(images)
    np.testing.assert_array_equal(by_file, encoder.with_context(rotation).transform(images))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_do_not_change_the_result(size: int, encoder: ContextEncoder, images: np.ndarray) -> None:
    divided = ContextEncoder(encoder.run, device="cpu", batch_size=size).fit().transform(images)
    np.testing.assert_allclose(divided, encoder.transform(images), atol=1e-5)


def test_flattened_and_scaled_images_are_taken_too(encoder: ContextEncoder, images: np.ndarray) -> None:
    expected = encoder.transform(images)
    np.testing.assert_array_equal(encoder.transform(images.reshape(len(images), -1)), expected)
    np.testing.assert_allclose(encoder.transform(images / 255), expected, atol=1e-5)


def test_embeddings_have_unit_length_and_names(encoder: ContextEncoder, images: np.ndarray) -> None:
    found = encoder.transform(images)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    assert len(encoder.get_feature_names_out()) == found.shape[1]
    assert encoder.transform(images[:0]).shape == (0, found.shape[1])


@pytest.mark.parametrize("fault", ["shape", "NaN", "range", "text"])
def test_bad_input_is_refused(fault: str, encoder: ContextEncoder, images: np.ndarray) -> None:
    bad = {
        "shape": images[:, 1:], "NaN": images * np.nan, "range": images * 2.0, "text": images.astype(str),
    }[fault]  # fmt: skip
    with pytest.raises(InvalidInputError):
        encoder.transform(bad)


def test_a_clone_has_the_parameters_and_gives_the_same(
    encoder: ContextEncoder, rotation: Context, images: np.ndarray
) -> None:
    adapted = encoder.with_context(rotation)
    copy = clone(adapted)
    assert copy.get_params().keys() == {"run", "context", "device", "batch_size", "guard"}
    assert not hasattr(copy, "opened_")
    np.testing.assert_array_equal(copy.fit(images).transform(images), adapted.transform(images))


def test_it_works_in_a_pipeline(encoder: ContextEncoder, rotation: Context, digits_store: Store) -> None:
    images, labels = digits_store.train.inputs()[:200], digits_store.train.labels("digit")[:200]
    steps = encoder.with_context(rotation), StandardScaler(), LogisticRegression(max_iter=500)
    pipeline = make_pipeline(*steps).fit(images, labels)
    assert clone(pipeline).fit(images, labels).score(images, labels) == pipeline.score(images, labels) > 0.2


def test_a_changed_parameter_takes_effect_at_the_next_fit(
    encoder: ContextEncoder, digits_run: Run, rotation: Context, images: np.ndarray, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(digits_run.folder, other)
    changed = clone(encoder).fit().set_params(run=other, context=rotation).fit()
    assert changed.opened_.run.folder == other
    np.testing.assert_array_equal(changed.transform(images), encoder.with_context(rotation).transform(images))


def test_a_context_that_is_too_long_warns_and_its_first_pairs_are_used(
    encoder: ContextEncoder, digits_run: Run, images: np.ndarray
) -> None:
    longest = digits_run.record.config.model.max_context // 2
    with pytest.warns(ContextTooLongWarning, match=f"{longest + 3} pairs.*first {longest} are used"):
        context = context_from_run(digits_run, ["rotation"], longest + 3, seed=0)
    with pytest.warns(ContextTooLongWarning):
        long = encoder.with_context(context)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitting = encoder.with_context(context.take(longest))
    np.testing.assert_array_equal(long.transform(images), fitting.transform(images))


def test_a_context_that_does_not_fit_is_refused(encoder: ContextEncoder, rotation: Context) -> None:
    block = rotation.actions["rotation"]
    for actions in ({"spin": block}, {"rotation": np.hstack([block, block])}):
        with pytest.raises(CorruptFileError, match="action block"):
            encoder.with_context(Context(rotation.x, rotation.y, actions))
    with pytest.raises(CorruptFileError, match="shape"):
        encoder.with_context(Context(rotation.x[:, 1:], rotation.y[:, 1:], {"rotation": block}))


def test_a_run_that_is_not_there_is_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError):
        ContextEncoder.load(tmp_path)
