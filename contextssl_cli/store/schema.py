"""What a store says about its data: kind and shape of the inputs, tasks, sensitive attributes, latents."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator


class Column(BaseModel):
    """One column of a table and the place of its encoding in the input vector.

    A numeric column is standardised, ``(value - mean) / std``, and takes one place. A categorical column is
    one-hot and takes ``len(categories)`` places.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["numeric", "categorical"]
    start: int
    stop: int
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0
    attribute: str | None = None
    """The sensitive attribute that this column holds, if any."""
    linked: dict[str, dict[str, dict[str, str]]] = {}
    """What changes with an attribute: by attribute, by the category that it takes, old value: new value.

    ``{"gender": {"Female": {"Husband": "Wife"}, "Male": {"Wife": "Husband"}}}`` on a column ``relationship`` says that
    a record that becomes Female has Wife where it had Husband. Values that are not named stay.
    """

    @model_validator(mode="after")
    def _check(self) -> Self:
        width = len(self.categories) if self.kind == "categorical" else 1
        if self.stop - self.start != width:
            raise ValueError(f"column {self.name!r} takes {self.stop - self.start} places, expected {width}")
        for attribute, by_category in self.linked.items():
            for category, values in by_category.items():
                where = f"column {self.name!r}, linked to {attribute} = {category}"
                for value in (*values, *values.values()):
                    if value not in self.categories:
                        raise ValueError(f"{where}: {value!r} is none of its categories")
                for old, new in values.items():
                    if new in values:
                        raise ValueError(f"{where}: {old!r} becomes {new!r}, which changes too; name its last value")
        return self


class Schema(BaseModel):
    """Everything that is known of a data set without reading its samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    modality: str
    """``image``, ``table``, or a plugin's own kind; action types name the modality they work on."""
    shape: tuple[int, ...]
    """Shape of one stored input: (height, width, channels) for images, (features,) for tables."""
    dtype: Literal["uint8", "float32"]
    storage: Literal["raw", "encoded"] = "raw"
    """``encoded`` keeps images as the bytes of their files, decoded and fitted to ``shape`` when read."""
    columns: tuple[Column, ...] = ()
    tasks: dict[str, tuple[str, ...]] = {}
    """Class names by task; the first task is the one that is reported by default."""
    attributes: dict[str, tuple[str, ...]] = {}
    """Category names by sensitive attribute."""
    latents: dict[str, int] = {}
    """Widths of the recorded latents by action type."""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    """Per-channel normalisation of images in [0, 1], over the training split."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.storage == "encoded" and (self.dtype != "uint8" or len(self.shape) != 3 or self.shape[-1] != 3):
            raise ValueError("encoded inputs are uint8 images of the shape (height, width, 3)")
        channels = self.shape[-1] if len(self.shape) == 3 else 0
        if len(self.mean) != len(self.std) or (self.mean and len(self.mean) != channels):
            raise ValueError(f"mean and std hold {len(self.mean)} and {len(self.std)} numbers for {channels} channels")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or any(value <= 0 for value in self.std):
            raise ValueError("mean and std are finite numbers, and std is above 0")
        for column in self.columns:
            for attribute, by_category in column.linked.items():
                holder = self.column_of(attribute)
                if holder is None or holder is column:
                    raise ValueError(f"column {column.name!r} is linked to {attribute!r}, which no other column holds")
                unknown = set(by_category) - set(holder.categories)
                if unknown:
                    raise ValueError(
                        f"column {column.name!r} is linked to {attribute} = {min(unknown)!r}: no such category"
                    )
        return self

    def column_of(self, attribute: str) -> Column | None:
        """The column that holds a sensitive attribute."""
        return next((column for column in self.columns if column.attribute == attribute), None)
