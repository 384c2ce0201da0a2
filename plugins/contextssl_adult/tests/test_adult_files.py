"""The canonical files: a cut one is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from contextssl_adult.adult import Adult
from contextssl_cli.errors import CorruptFileError
from contextssl_cli.plugin import Options
from tests.places import real_data


@pytest.fixture
def adult(tmp_path: Path) -> Path:
    """A copy of the canonical files, to be damaged."""
    for path in real_data("adult").glob("adult.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", ["adult.data", "adult.test"])
def test_the_records_are_counted(adult: Path, name: str) -> None:
    path = adult / name
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-500]))
    with pytest.raises(CorruptFileError, match=rf"{name} holds \d+,\d+ records, expected the \d+,\d+"):
        Adult().prepare(adult, Options())
