"""Between the arrays of files and users, and the tensors of the model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contextssl_cli.errors import CorruptFileError
from contextssl_cli.store.schema import Schema

ROUNDING = 1e-3
"""How far the values of float images may be outside of 0..1: float16 rounds by as much, and it is a quarter of a grey
level of 255."""
_IMAGE = -ROUNDING, 1 + ROUNDING, "images are uint8 0..255 or float 0..1"
_LARGEST = float(np.finfo(np.float32).max)
_FLOAT32 = -_LARGEST, _LARGEST, "the model computes with float32, which does not hold them"


def to_tensor(array: NDArray[Any], schema: Schema, what: str = "the input") -> Tensor:
    """Model input from stored or user-supplied samples.

    Args:
        array: (N, *schema.shape), or flattened to (N, features). Images are uint8 0..255, or other numbers 0..1,
            channels last; values up to ``ROUNDING`` outside of 0..1 are clipped. Booleans are 0 and 1.
        schema: of the data set that the model was trained on.
        what: how an error calls the array.

    Returns:
        float32, (N, channels, height, width) in [0, 1] for images, (N, *schema.shape) otherwise.

    Raises:
        CorruptFileError: if the shape differs, or values are not finite, out of range, or beyond float32.
    """
    array = check_samples(array, schema, what)
    # A copy, in C order and this machine's byte order: the caller's array may be read-only.
    tensor = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
    if schema.modality != "image":
        return tensor
    tensor = tensor.div_(255) if array.dtype == np.uint8 else tensor.clip_(0, 1)
    return tensor.permute(0, 3, 1, 2).contiguous()


def check_samples(array: NDArray[Any], schema: Schema, what: str) -> NDArray[Any]:
    """Compare samples with what a model takes; arguments as for ``to_tensor``.

    Returns:
        The same values, (N, *schema.shape).

    Raises:
        CorruptFileError: if they are not numbers, the shape differs, or values are not finite or out of range.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "buif":
        raise CorruptFileError(f"{what} has the type {array.dtype}, expected numbers")
    if array.ndim == 0:
        raise CorruptFileError(f"{what} is a single number, expected samples of the shape {schema.shape}")
    if array.ndim == 2 and array.shape[1] == math.prod(schema.shape):
        array = array.reshape(len(array), *schema.shape)
    if array.shape[1:] != schema.shape:
        raise CorruptFileError(f"{what} has samples of the shape {array.shape[1:]}, this model takes {schema.shape}")
    if not np.isfinite(array).all():
        raise CorruptFileError(f"{what} holds NaN or infinite values")
    if array.size and array.dtype != np.uint8:
        lowest, highest, expected = _IMAGE if schema.modality == "image" else _FLOAT32
        low, high = float(array.min()), float(array.max())
        if low < lowest or high > highest:
            raise CorruptFileError(f"{what} has values from {low:g} to {high:g}; {expected}")
    return array


def to_array(inputs: Tensor, schema: Schema) -> NDArray[np.float32]:
    """Samples as files hold them, (N, *schema.shape) float32, from model input."""
    if schema.modality == "image":
        inputs = inputs.permute(0, 2, 3, 1)
    return inputs.cpu().contiguous().numpy()
