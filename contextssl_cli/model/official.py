"""Import checkpoints of the authors' code (MIT licence, 3DIEBench).

The file is a PyTorch ``state_dict``: ``enc.*`` is torchvision's ResNet without its last layer, ``predictor.*`` the
transformer, ``aug_predictor.*`` the auxiliary predictor. ``rel_aug_predictor.*`` and ``equiv_linear.*`` are used
only by their training script and are ignored.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from contextssl_cli import files
from contextssl_cli.config.model import EncoderName, ModelConfig
from contextssl_cli.errors import CorruptFileError, UsageError, invalid_value

_RENAMES = (
    (r"enc\.", "encoder."),
    (r"predictor\._read_in\.", "world.read_in."),
    (r"predictor\._read_out\.", "world.read_out."),
    (r"predictor\.transformer\.ln_f\.", "world.norm."),
    (r"predictor\.transformer\.h\.(\d+)\.ln_([12])\.", r"world.layers.\1.norm_\2."),
    (r"predictor\.transformer\.h\.(\d+)\.attn\.c_attn\.", r"world.layers.\1.attention.qkv."),
    (r"predictor\.transformer\.h\.(\d+)\.attn\.c_proj\.", r"world.layers.\1.attention.project."),
    (r"predictor\.transformer\.h\.(\d+)\.mlp\.c_fc\.", r"world.layers.\1.mlp.0."),
    (r"predictor\.transformer\.h\.(\d+)\.mlp\.c_proj\.", r"world.layers.\1.mlp.2."),
    (r"aug_predictor\.", "aux."),
)
_UNUSED = ("rel_aug_predictor.", "equiv_linear.")


def read_official(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of the authors' checkpoint under the names of this package, and the names that are not used.

    Raises:
        DataMissingError: if there is no such file.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if it is not a state_dict of tensors, holds pickled objects, or an unknown tensor.
    """
    files.check_input(path, "a checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle, which is refused below
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load may raise anything on a file that is no checkpoint
        raise CorruptFileError(
            f"{path} is not a PyTorch state_dict of tensors alone; pickled objects are refused"
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in loaded.items()):
        raise CorruptFileError(f"{path} does not hold a state_dict: a mapping of names to tensors")
    renamed: dict[str, Tensor] = {}
    unused: list[str] = []
    for name, tensor in loaded.items():
        plain = name.removeprefix("module.")
        if plain.startswith(_UNUSED):
            unused.append(plain)
        else:
            renamed[_rename(plain, path)] = tensor
    return renamed, unused


def official_config(tensors: dict[str, Tensor], heads: int, block_size: int, path: Path) -> ModelConfig:
    """The configuration that follows from the shapes of the tensors; heads and block size do not.

    Raises:
        CorruptFileError: if a tensor is missing.
        UsageError: if heads or block size do not fit.
    """
    try:
        width, _ = tensors["world.read_in.weight"].shape
        return ModelConfig(
            encoder=_resnet(tensors),
            stem="imagenet" if tensors["encoder.conv1.weight"].shape[-1] == 7 else "cifar",
            feature_dim=len(tensors["world.read_out.bias"]),
            width=width,
            layers=1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("world.layers.")),
            heads=heads,
            block_size=block_size,
            aux_hidden=len(tensors["aux.0.bias"]),
            feature_norm=False,
            standardise_actions=False,
            activity_bits=False,
        )
    except ValidationError as error:
        raise UsageError(invalid_value(error)) from error
    except (KeyError, ValueError) as error:
        raise CorruptFileError(f"{path} lacks a tensor of the authors' model ({error})") from error


def _rename(name: str, path: Path) -> str:
    for pattern, replacement in _RENAMES:
        renamed, count = re.subn(rf"\A{pattern}", replacement, name)
        if count:
            return renamed
    raise CorruptFileError(f"{path} holds the tensor {name!r}, which the authors' code does not write")


def _resnet(tensors: dict[str, Tensor]) -> EncoderName:
    if "encoder.layer1.0.conv3.weight" in tensors:
        return "resnet50"
    return "resnet34" if "encoder.layer1.2.conv1.weight" in tensors else "resnet18"
