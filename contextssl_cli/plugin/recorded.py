"""Recorded action types that several data sets share: their views come with latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from contextssl_cli.plugin.kinds import ActionType
from contextssl_cli.store.schema import Schema

if TYPE_CHECKING:
    from torch import Tensor


class RecordedDifference(ActionType):
    """Latents whose action is their difference, such as two hues."""

    modality = "image"
    recorded = True

    def __init__(self, name: str, width: int, summary: str) -> None:
        self.name = name  # type: ignore[misc]
        self.summary = summary  # type: ignore[misc]
        self._width = width

    def width(self, schema: Schema) -> int:
        """One number for each latent."""
        return self._width

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """The differences, (N, width)."""
        return second - first


class RecordedRotation(ActionType):
    """The rotation of an object in space: Euler angles in radians, about the fixed axes x, y and z in turn.

    The action is the quaternion (x, y, z, w) of ``inverse(R1) R2``, as in the authors' code. A rotation has two
    quaternions; the one with w >= 0 is taken.
    """

    name = "rotation"
    summary = "rotation in space (extrinsic xyz, radians); relative quaternion (x, y, z, w)"
    modality = "image"
    recorded = True
    probe: ClassVar[Literal["linear", "mlp"]] = "mlp"

    def width(self, schema: Schema) -> int:
        """A quaternion."""
        return 4

    def absolute(self, latents: Tensor) -> Tensor:
        """The quaternions (N, 4) of Euler angles (N, 3)."""
        return _positive(_quaternion(latents))

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """The quaternions (N, 4) that take the first orientation to the second, seen from the object."""
        return _positive(_product(_conjugate(_quaternion(first)), _quaternion(second)))


def _quaternion(angles: Tensor) -> Tensor:
    """(N, 3) angles about fixed x, then y, then z -> (N, 4): the product q_z q_y q_x."""
    import torch

    half = angles / 2
    turns = []
    for axis in range(3):
        turn = torch.zeros(len(angles), 4, dtype=angles.dtype, device=angles.device)
        turn[:, axis] = half[:, axis].sin()
        turn[:, 3] = half[:, axis].cos()
        turns.append(turn)
    about_x, about_y, about_z = turns
    return _product(about_z, _product(about_y, about_x))


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Hamilton's product of quaternions (N, 4), x y z w."""
    import torch

    u, v = left[:, :3], right[:, :3]
    a, b = left[:, 3:], right[:, 3:]
    return torch.cat([a * v + b * u + torch.cross(u, v, dim=1), a * b - (u * v).sum(1, keepdim=True)], dim=1)


def _conjugate(quaternion: Tensor) -> Tensor:
    return quaternion * quaternion.new_tensor([-1.0, -1.0, -1.0, 1.0])


def _positive(quaternion: Tensor) -> Tensor:
    return quaternion * (1 - 2 * (quaternion[:, 3:] < 0).to(quaternion))
