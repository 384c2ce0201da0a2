"""A checkpoint of the authors' code maps names to tensors; anything else is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.model.official import read_official

ONE = torch.zeros(1)


@pytest.mark.parametrize(
    "held",
    [{7: ONE}, {("enc", "conv1"): ONE}, {None: ONE}, {"enc.conv1": 1.0}, {"enc.conv1": {"weight": ONE}}, [ONE], ONE],
)
def test_what_is_no_mapping_of_names_to_tensors_is_refused(held: Any, tmp_path: Path) -> None:
    torch.save(held, tmp_path / "official.pt")
    with pytest.raises(CorruptFileError, match=r"official\.pt"):
        read_official(tmp_path / "official.pt")
