"""``true`` where a number belongs: Python takes it for 1."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contextssl_cli.config.methods import SimCLROptions
from contextssl_cli.config.model import ModelConfig
from contextssl_cli.config.probe import ProbeConfig
from contextssl_cli.config.train import TrainConfig
from contextssl_cli.plugin.options import Options, UserValues


class Chosen(Options):
    limit: int | None = None
    shares: tuple[float, ...] = ()
    either: bool | int = 3
    anything: Any = None


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TrainConfig, "steps"), (TrainConfig, "lr"), (TrainConfig, "epochs"), (ModelConfig, "layers"),
        (ProbeConfig, "seed"), (SimCLROptions, "temperature"), (Chosen, "limit"),
    ],
)  # fmt: skip
def test_a_truth_value_is_no_number(kind: type[UserValues], name: str, value: bool) -> None:
    with pytest.raises(ValidationError, match="expected a number"):
        kind.model_validate({name: value})


def test_nor_is_it_one_in_a_list() -> None:
    with pytest.raises(ValidationError, match="expected a number"):
        Chosen(shares=(0.5, True))


def test_it_is_read_where_it_belongs() -> None:
    assert ModelConfig(feature_norm=False).feature_norm is False
    assert TrainConfig(context_contrast=False).context_contrast is False
    chosen = Chosen(either=True, anything=True)
    assert (chosen.either, chosen.anything) == (True, True)
    assert Chosen(limit=1, shares=(1, 0)).shares == (1.0, 0.0)
