"""A schema is refused where its parts do not fit together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.tiny import image_schema, table_schema


def test_a_normalisation_has_a_number_for_each_channel() -> None:
    assert image_schema(mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3)).std == (0.1, 0.2, 0.3)
    assert image_schema().mean == ()


@pytest.mark.parametrize(
    "given",
    [
        {"mean": (0.5, 0.5), "std": (0.1, 0.1)},
        {"mean": (0.5, 0.5, 0.5), "std": (0.1, 0.1)},
        {"mean": (0.5, 0.5, 0.5)},
        {"mean": (0.5, 0.5, 0.5), "std": (0.1, 0.0, 0.1)},
        {"mean": (0.5, 0.5, 0.5), "std": (0.1, -1.0, 0.1)},
        {"mean": (0.5, float("nan"), 0.5), "std": (0.1, 0.1, 0.1)},
        {"mean": (0.5, 0.5, 0.5), "std": (0.1, float("inf"), 0.1)},
    ],
)
def test_a_normalisation_that_does_not_fit_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="std"):
        image_schema(**given)


def test_a_table_has_no_channels() -> None:
    with pytest.raises(ValidationError, match="mean"):
        table_schema(mean=(0.0,), std=(1.0,))
