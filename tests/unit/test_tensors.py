"""Arrays of every harmless type give the same model input; others are refused in words."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from contextssl_cli.data.tensors import ROUNDING, to_tensor
from contextssl_cli.errors import CorruptFileError
from tests.tiny import image_schema, table_schema

IMAGES = image_schema(4, 5)
TABLE = table_schema()
GRID = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype(np.float64) / 255
ROWS = np.random.default_rng(0).normal(size=(3, *TABLE.shape))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.astype(">f8"),
        lambda a: a.astype(">f4"),
        np.asfortranarray,
        lambda a: a[::-1][::-1],
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a.astype(np.longdouble),
        lambda a: a.tolist(),
    ],
)
@pytest.mark.parametrize("modality", ["image", "table"])
def test_the_layout_in_memory_changes_nothing(change: Any, modality: str) -> None:
    schema, array = (IMAGES, GRID) if modality == "image" else (TABLE, ROWS)
    found = to_tensor(change(array), schema)
    assert found.is_contiguous()
    assert torch.equal(found, to_tensor(array.astype(np.float32), schema))


def test_half_precision_and_booleans() -> None:
    assert torch.allclose(to_tensor(GRID.astype(np.float16), IMAGES), to_tensor(GRID, IMAGES), atol=1e-3)
    assert torch.equal(to_tensor(GRID > 0.5, IMAGES), to_tensor((GRID > 0.5) * 1.0, IMAGES))
    assert torch.equal(to_tensor(ROWS > 0, TABLE), to_tensor((ROWS > 0) * 1.0, TABLE))


@pytest.mark.parametrize("value", [1.0000002, 1 + 1e-6, np.float16(1.001), -1e-9, np.float32(-1e-7), 1 + ROUNDING / 2])
def test_rounding_errors_are_clipped(value: float) -> None:
    array = GRID.astype(np.asarray(value).dtype)
    array[0, 0, 0, 0] = value
    found = to_tensor(array, IMAGES)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert found[0, 0, 0, 0] == round(float(value))


@pytest.mark.parametrize("value", [1.002, 1.1, 2, 255, -0.002, -1])
def test_values_out_of_range_are_refused(value: float) -> None:
    array = GRID.copy()
    array[0, 0, 0, 0] = value
    with pytest.raises(CorruptFileError, match=f"{value:g}"):
        to_tensor(array, IMAGES)


@pytest.mark.parametrize("value", [1e39, -1e300, np.finfo(np.float64).max, np.nan, np.inf])
@pytest.mark.parametrize("modality", ["image", "table"])
def test_what_float32_cannot_hold_is_refused(value: float, modality: str) -> None:
    schema, array = (IMAGES, GRID.copy()) if modality == "image" else (TABLE, ROWS.copy())
    array.flat[0] = value
    with pytest.raises(CorruptFileError), warnings.catch_warnings(action="error"):
        to_tensor(array, schema)


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.0),
        np.array("x"),
        np.array([{}]),
        np.zeros(3, dtype=[("a", float)]),
        GRID.astype(complex),
        GRID.astype("datetime64[s]"),
        GRID.astype(str),
        np.zeros((3, 5, 4, 3)),
        np.zeros((4, 5, 3)),
        np.zeros((3, 0)),
    ],
)
def test_other_types_and_shapes_are_refused(array: Any) -> None:
    with pytest.raises(CorruptFileError):
        to_tensor(array, IMAGES)


def test_the_array_of_the_caller_is_not_changed() -> None:
    array = GRID.astype(np.float32)
    before = array.copy()
    to_tensor(array, IMAGES).zero_()
    assert np.array_equal(array, before)


def test_no_samples_give_none() -> None:
    assert to_tensor(np.zeros((0, 4, 5, 3)), IMAGES).shape == (0, 3, 4, 5)
