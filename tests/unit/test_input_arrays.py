"""Arrays that a user hands to ``adapt --input``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contextssl_cli.adaptation.inputs import read_inputs
from contextssl_cli.data.rows import whole
from contextssl_cli.errors import CorruptFileError
from tests import tiny

ROWS = np.arange(14, dtype=np.float32).reshape(2, 7)
BAD = {
    "too narrow": (ROWS[:, 1:], "table"),
    "one dimension": (ROWS[0], "table"),
    "a number": (ROWS[0, 0], "table"),
    "NaN": (ROWS * np.nan, "table"),
    "beyond float32": (ROWS.astype(np.float64) * 1e300, "table"),
    "complex": (ROWS * 1j, "table"),
    "text": (ROWS.astype(str), "table"),
    "dates": (ROWS.astype("datetime64[s]"), "table"),
    "channels first": (np.zeros((2, 3, 8, 8), np.uint8), "image"),
    "0 to 255 as float": (np.full((2, 8, 8, 3), 255.0), "image"),
    "16 bits": (np.full((2, 8, 8, 3), 65535, np.uint16), "image"),
}


@pytest.mark.parametrize("fault", BAD)
def test_an_array_that_does_not_fit_is_named_by_its_file(fault: str, tmp_path: Path) -> None:
    array, modality = BAD[fault]
    np.save(tmp_path / "mine.npy", array)
    schema = tiny.table_schema() if modality == "table" else tiny.image_schema()
    with pytest.raises(CorruptFileError, match=r"mine\.npy"):
        whole(read_inputs(tmp_path / "mine.npy", schema).rows)


@pytest.mark.parametrize("array", [ROWS, ROWS.astype(">f8"), ROWS.astype(np.int16)])
def test_an_array_that_fits_is_read(array: NDArray[np.floating], tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x=array)
    np.testing.assert_array_equal(whole(read_inputs(tmp_path / "mine.npz", tiny.table_schema()).rows), array)
