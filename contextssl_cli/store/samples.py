"""A batch of samples, as a data set passes it to the store. No h5py here, so that plugins load quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Samples:
    """A batch of N samples of one split.

    Attributes:
        split: ``train`` or ``test``.
        inputs: (N, *schema.shape) of ``schema.dtype``; N files' bytes where ``schema.storage`` is ``encoded``.
        labels: by task, (N,) class indices; -1 where a label is missing.
        attributes: by sensitive attribute, (N,) category indices.
        latents: by recorded action type, (N, width) absolute parameters of the view.
        objects: (N,) which views belong to one object; needed with recorded latents.
        skipped: sources that could not be read and were left out on the user's wish, each with its reason.
    """

    split: str
    inputs: Array | Sequence[bytes]
    labels: Mapping[str, Array] = field(default_factory=dict)
    attributes: Mapping[str, Array] = field(default_factory=dict)
    latents: Mapping[str, Array] = field(default_factory=dict)
    objects: Array | None = None
    skipped: Sequence[str] = ()
