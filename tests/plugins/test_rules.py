"""The contract finds each rule that a plugin breaks, and says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from contextssl_cli import testing
from contextssl_cli.errors import DataMissingError, PluginError
from contextssl_cli.plugin import ActionType, Dataset, Options, Prepared, Samples, Schema


class Brighten(ActionType):
    """An action type that keeps the contract."""

    name = "brighten"
    summary = "brightness in [0, 1]; the difference"
    modality = "image"

    def width(self, schema: Schema) -> int:
        return 1

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        return torch.rand(len(inputs), 1, generator=generator)

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        return inputs * latents[:, :, None, None]

    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        return second - first


def changed(base: Any, **members: Any) -> Any:
    """An instance of ``base`` with some members replaced."""
    return type("Changed", (type(base),), members)()


@pytest.mark.parametrize(
    ("words", "members"),
    [
        ("name is 'Bright-en'", {"name": "Bright-en"}),
        ("summary is ''", {"summary": ""}),
        ("one line of text", {"summary": "two\nlines"}),
        ("probe is 'forest'", {"probe": "forest"}),
        ("give check_action_type a schema", {"modality": "sound"}),
        ("width is 0", {"width": lambda s, schema: 0}),
        (r"expected \(64, 2\)", {"width": lambda s, schema: 2}),
        ("relative of equal views|relative has the shape", {"relative": lambda s, a, b: (b - a)[:, 0]}),
        ("absolute has the shape", {"absolute": lambda s, x: torch.cat([x, x], 1)}),
        ("equal views is not zero", {"relative": lambda s, a, b: b - a + 1}),
        ("back is not minus the action", {"relative": lambda s, a, b: (b - a) ** 2}),
        ("NaN", {"relative": lambda s, a, b: (b - a) / 0}),
        ("expected (64, latent width)", {"sample": lambda s, x, schema, g: torch.rand(len(x), generator=g)}),
        ("every row the same", {"sample": lambda s, x, schema, g: torch.rand(1, 1, generator=g).expand(len(x), 1)}),
        ("draws from a global generator", {"sample": lambda s, x, schema, g: torch.rand(len(x), 1)}),
        ("draws from a global generator",
         {"sample": lambda s, x, schema, g: torch.from_numpy(np.random.rand(len(x), 1)).float()}),  # noqa: NPY002
        ("the same for two seeds",
         {"sample": lambda s, x, schema, g: torch.linspace(0, 1, len(x))[:, None]}),
        ("changes its inputs in place", {"apply": lambda s, x, z, schema: x.mul_(z[:, :, None, None])}),
        ("changes its latents in place", {"apply": lambda s, x, z, schema: x * z.mul_(0.5)[:, :, None, None]}),
        ("keep the shape", {"apply": lambda s, x, z, schema: x[..., 1:] * z[:, :, None, None]}),
        ("keep the type", {"apply": lambda s, x, z, schema: (x * z[:, :, None, None]).double()}),
        (r"images stay in \[0, 1\]", {"apply": lambda s, x, z, schema: x + z[:, :, None, None]}),
        ("NaN", {"apply": lambda s, x, z, schema: x / 0 * z[:, :, None, None]}),
        ("differently in a batch", {"apply": lambda s, x, z, schema: x * z[:, :, None, None] * x.mean()}),
        ("no effect", {"apply": lambda s, x, z, schema: x.clone()}),
        ("two results for the same latents", {"apply": lambda s, x, z, schema: x * torch.rand(len(x), 1, 1, 1)}),
        ("is recorded: give", {"recorded": True}),
    ],
)  # fmt: skip
def test_a_broken_action_type_is_told_its_rule(words: str, members: dict[str, Any]) -> None:
    testing.check_action_type(Brighten())
    pattern = words if "\\" in words or "|" in words else words.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(PluginError, match=pattern):
        testing.check_action_type(changed(Brighten(), **members))


def test_a_representation_without_negatives_is_allowed_when_meant() -> None:
    turned = changed(Brighten(), relative=lambda s, a, b: (b - a).cos())
    with pytest.raises(PluginError, match="not zero"):
        testing.check_action_type(turned)
    testing.check_action_type(turned, antisymmetric=False)


class Squares(Dataset):
    """A data set that keeps the contract, with a recorded action type."""

    name = "squares"
    summary = "grey squares"
    modality = "image"
    licence = "CC0"
    training: ClassVar = {"steps": 5}
    probing: ClassVar = {"views": 2}

    def prepare(self, source: Path | None, options: Options) -> Prepared:
        if source is None or not (source / "squares.txt").is_file():
            raise DataMissingError(f"{source} has no squares.txt")
        return Prepared(self.schema(), [self.samples(split) for split in ("train", "test")])

    def schema(self, **given: Any) -> Schema:
        values = {"dataset": "squares", "modality": "image", "shape": (4, 4, 1), "dtype": "uint8",
                  "tasks": {"grey": ("dark", "bright")}, "latents": {"brighten": 1}}  # fmt: skip
        return Schema(**(values | given))

    def samples(self, split: str, **given: Any) -> Samples:
        grey = np.arange(80) % 4
        images = np.broadcast_to((grey * 80).astype(np.uint8)[:, None, None, None], (80, 4, 4, 1))
        values = {"labels": {"grey": grey // 2}, "latents": {"brighten": grey[:, None]}, "objects": np.arange(80) // 4}
        return Samples(split, images, **(values | given))

    @property
    def actions(self) -> tuple[ActionType, ...]:  # type: ignore[override]
        return (changed(Brighten(), recorded=True),)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "squares.txt").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "members"),
    [
        ("name is 'a-b'", {"name": "a-b"}),
        ("names no licence", {"licence": " "}),
        ("training defaults are not valid", {"training": {"stpes": 5}}),
        ("training defaults are not valid", {"training": {"steps": 0}}),
        ("probing defaults are not valid", {"probing": {"viwes": 2}}),
        ("trial defaults are not valid", {"trial": {"limit": 3}}),
        ("actions holds", {"actions": (Brighten,)}),
        ("accepts an empty folder",
         {"prepare": lambda s, source, options: Prepared(s.schema(), [s.samples("train"), s.samples("test")])}),
        ("raises FileNotFoundError for an empty folder",
         {"prepare": lambda s, source, options: (source / "squares.txt").read_text()}),
        ("schema says dataset 'circles'", {"schema": lambda s: Squares.schema(s, dataset="circles")}),
        ("schema says modality 'table'", {"schema": lambda s: Squares.schema(s, modality="table")}),
        ("codes from 0 to 1 for 1 classes", {"schema": lambda s: Squares.schema(s, tasks={"grey": ("all",)})}),
        ("an object has one view", {"samples": lambda s, split: Squares.samples(s, split, objects=np.arange(80))}),
        ("declares no latents",
         {"schema": lambda s: Squares.schema(s, latents={}),
          "samples": lambda s, split: Squares.samples(s, split, latents={})}),
        ("images have the shape", {"schema": lambda s: Squares.schema(s, shape=(16,)),
                                   "samples": lambda s, split: flat(Squares.samples(s, split))}),
        ("two runs of prepare", {"samples": lambda s, split: Squares.samples(
            s, split, objects=np.random.default_rng().permutation(80) // 4)}),
        ("draws from a global generator", {"augment_view": lambda s, x, schema, g: x * torch.rand(len(x), 1, 1, 1)}),
        ("augment draws from a global generator", {"augment": lambda s, x, schema, g: x * torch.rand(len(x), 1, 1, 1)}),
        ("the same for two seeds", {"augment_view": lambda s, x, schema, g: x * 0.5}),
        ("in place", {"augment_view": lambda s, x, schema, g: x.mul_(0.5)}),
        ("keep the shape", {"augment_view": lambda s, x, schema, g: x[:, :, 1:]}),
        ("inputs are uint8", {"schema": lambda s: Squares.schema(s, shape=(4, 5, 1))}),
    ],
)  # fmt: skip
def test_a_broken_data_set_is_told_its_rule(words: str, members: dict[str, Any], source: Path) -> None:
    testing.check_dataset(Squares(), source)
    with pytest.raises(PluginError, match=words):
        testing.check_dataset(changed(Squares(), **members), source)


def flat(samples: Samples) -> Samples:
    return Samples(samples.split, samples.inputs.reshape(80, 16), samples.labels, samples.attributes, samples.latents,
                   samples.objects)  # fmt: skip


def test_a_source_must_be_given_where_one_is_needed() -> None:
    with pytest.raises(PluginError, match="give check_dataset a small one"):
        testing.check_dataset(Squares())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("imports torch", "import torch\ndef contextssl_datasets(): return [1]"),
        ("imports torch", "def contextssl_datasets():\n    import torch\n    return [1]"),
        ("does not load: ZeroDivisionError", "1 / 0"),
        ("brings neither", "x = 1"),
    ],
)
def test_a_broken_module_is_told_its_rule(
    words: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text(text)
    (tmp_path / "torch.py").touch()  # the real one takes seconds
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(PluginError, match=words):
        testing.check_plugin("broken_module")
