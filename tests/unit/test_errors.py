"""How a value that does not fit is told."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contextssl_cli.errors import invalid_value


class Inner(BaseModel):
    size: int = Field(default=1, ge=1)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    inner: Inner = Inner()

    @model_validator(mode="after")
    def _no_rubbish(self) -> Outer:
        if self.title == "rubbish":
            raise ValueError("the title is rubbish")
        return self


@pytest.mark.parametrize(
    ("values", "owner", "told"),
    [
        ({"title": "x", "inner": {"size": 0}}, "plan", "plan inner.size: Input should be greater than or equal to 1"),
        ({"title": "x", "inner": {"size": 0}}, "", "inner.size: Input should be greater than or equal to 1"),
        ({"titel": "x"}, "plan", "plan titel: Extra inputs are not permitted"),  # and not that the title is missing
        ({}, "plan", "plan title: Field required"),
        ({"title": "rubbish"}, "plan", "plan: the title is rubbish"),
        ({"title": "rubbish"}, "", "the title is rubbish"),
    ],
)
def test_the_first_thing_wrong_is_told(values: dict[str, Any], owner: str, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    assert invalid_value(caught.value, owner) == told
