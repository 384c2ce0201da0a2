"""What a store says about its data: kind and shape of the inputs, tasks, sensitive attributes, latents."""

from __future__ import annotations

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

    @model_validator(mode="after")
    def _check_width(self) -> Self:
        width = len(self.categories) if self.kind == "categorical" else 1
        if self.stop - self.start != width:
            raise ValueError(f"column {self.name!r} takes {self.stop - self.start} places, expected {width}")
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
    def _check_storage(self) -> Self:
        if self.storage == "encoded" and (self.dtype != "uint8" or len(self.shape) != 3 or self.shape[-1] != 3):
            raise ValueError("encoded inputs are uint8 images of the shape (height, width, 3)")
        return self

    def column_of(self, attribute: str) -> Column | None:
        """The column that holds a sensitive attribute."""
        return next((column for column in self.columns if column.attribute == attribute), None)
