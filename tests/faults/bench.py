"""The small inputs of all cases, one of each kind of file, made once by the commands themselves."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.running import forked
from tests.faults.sandbox import Sandbox
from tests.places import ROOT
from tests.small_images import encoded, picture, write_archive, write_files

SIZES = [
    "--batch-size", "8", "--set", "model.width=16", "--set", "model.layers=1", "--set", "model.heads=2",
    "--set", "model.block_size=8", "--set", "model.feature_dim=8", "--set", "model.encoder_width=8",
    "--set", "model.aux_hidden=8", "--device", "cpu",
]  # fmt: skip
"""Of ``pretrain``: the smallest model."""
TINY = ["--steps", "3", *SIZES]
TASK = "imagefolder-rotation-color"
PICTURES = ["--source", "pictures", "--size", "16"]
MEASURES = ["--metrics", "r2,top1", "--probes", "none", "--lengths", "0,2"]
SWEEP = ["sweep", "--plugin", TASK, "--steps", "2", "--set", "batch_size=8", *SIZES[2:], *MEASURES]
ADULT_RECORDS = {"train": 40, "test": 20}
OBJECTS = [f"/0{2 + n % 2 * 2}/o{n}" for n in range(20)]
"""Training objects of the small 3DIEBench."""
KINDS = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP"}


def make_bench(sandbox: Sandbox) -> None:
    """Fill the sandbox and keep it as the template.

    Raises:
        RuntimeError: if a command does not succeed.
    """
    sandbox.make()
    _in_fork(sandbox, _write_sources)
    for command in _commands():
        _must(sandbox, command)
    _must(sandbox, ["pretrain", "--plugin", TASK, "--out", "half", *TINY, "--steps", "6"], _stop_soon, code=130)
    _must(sandbox, ["prepare", "3diebench", "--source", "tree", "--size", "16", "--out", "parts.h5"], _keep_parts)
    (sandbox.work / "parts.h5").unlink()
    _in_fork(sandbox, _write_more)
    _stop_clocks(sandbox)
    sandbox.keep_as_template()


def _commands() -> list[list[str]]:
    pretrain = ["pretrain", "--plugin", TASK, *TINY]
    equimod = [*pretrain, "--method", "equimod", "--equivariant"]
    return [
        ["prepare", "imagefolder", *PICTURES],
        ["prepare", "3diebench", "--source", "tree", "--out", "encoded.h5", "--size", "16"],
        ["prepare", "table", *TABLE, "--source", "people.csv", "--out", "people.h5"],
        [*pretrain, "--out", "run"],
        ["context", "create", "--run", "run", "--action", "rotation", "--out", "rotation.h5"],
        ["context", "create", "--run", "run", "--action", "color", "--out", "color.h5"],
        ["adapt", "--context", "rotation.h5", "--out", "embeddings.h5"],
        ["probe", "--run", "run", *MEASURES],
        [*equimod, "rotation", "--out", "told/rotation"],
        [*equimod, "color", "--out", "told/color"],
        ["probe", "--compare", "--run", "told/rotation", "--run", "told/color", "--metrics", "r2", "--probes", "none"],
        [*SWEEP, "--vary", "context-mask=0,0.9", "--out", "sweep"],
    ]


TABLE = ["--label", "income", "--sensitive", "sex"]


def _must(
    sandbox: Sandbox, command: Sequence[str], prepared: Callable[[], object] = lambda: None, code: int = 0
) -> None:
    outcome = forked(sandbox, command, prepared)
    if outcome.code != code:
        raise RuntimeError(f"{' '.join(command)}: exit code {outcome.code}, expected {code}\n{outcome.err[-3000:]}")


def _in_fork(sandbox: Sandbox, work: Callable[[], object]) -> None:
    """Polars and PyTorch start threads at their first use, and no thread is left in a fork: they are not used here."""
    if (child := os.fork()) == 0:
        try:
            os.chdir(sandbox.work)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the inputs could not be written")


def few_adults() -> None:
    """So few records are the whole of Adult, as far as this process knows."""
    from contextssl_adult import adult

    adult.RECORDS = ADULT_RECORDS


def few_pictures() -> None:
    """A batch of CIFAR-10 holds so few images."""
    from contextssl_cifar10 import batches

    batches.IMAGES = 3


def own_recipe() -> None:
    """The recipe of the mask's ablation is the file in the work folder."""
    from contextssl_cli.plugin.registry import registry

    registry().recipes["mask-ablation"] = Path("recipe.toml")


def _stop_soon() -> None:
    """Ctrl-C once the first step is logged."""
    from contextssl_cli.training.log import MetricsLog

    append = MetricsLog.append

    def logged(self: MetricsLog, values: dict[str, Any]) -> None:
        append(self, values)
        os.kill(os.getpid(), signal.SIGINT)

    MetricsLog.append = logged  # type: ignore[method-assign]


def _keep_parts() -> None:
    """A preparation that leaves its parts, as one that was killed; a part holds one object."""
    from contextssl_cli.data import prepare

    prepare.remove_parts = lambda path: None
    small_parts()


def small_parts() -> None:
    """Parts of one object, so that a small tree has several."""
    from contextssl_3diebench import diebench

    diebench.OBJECTS_PER_PART = 1


def _write_sources() -> None:
    files = {
        f"{label}/{n}.png": encoded(picture(n + 50 * (label == "b"), 16, 16), "PNG")
        for label in "ab"
        for n in range(14)
    }
    write_files(Path("pictures"), files)
    write_files(
        Path("photos"), {f"photo.{suffix}": encoded(picture(3, 20, 24), kind) for suffix, kind in KINDS.items()}
    )
    _helper("contextssl_3diebench", "diebench_tree").write_tree(Path("tree"), views=2, train=OBJECTS)
    mimic = _helper("contextssl_mimic3", "mimic3_tables")
    mimic.write(mimic.made(10), Path("mimic"))
    people = _helper("contextssl_table", "table_files")
    for name in ("people.csv", "people.parquet"):
        people.written(Path(), people.people(60), name)
    _write_adult(Path("adult"))
    _write_cifar()


def _write_more() -> None:
    """What the commands do not make."""
    images = np.stack([np.asarray(picture(n, 16, 16)) for n in range(6)])
    np.save("inputs.npy", images)
    np.savez("inputs.npz", x=images)
    np.savez("pairs.npz", x=images[:3], y=images[3:], **{"actions/rotation": np.zeros((3, 1), np.float32)})
    Path("labels.csv").write_text(
        "row,label,group\n" + "".join(f"{n},{'ab'[n % 2]},{'uv'[n // 2 % 2]}\n" for n in range(6))
    )
    Path("config.toml").write_text(
        "steps = 2\nlr = 1e-3\nseed = 1\nbatch_size = 8\n[model]\nwidth = 16\nheads = 2\nblock_size = 8\n"
        'encoder = "convnet"\n[actions.rotation]\n'
    )
    recipe = (ROOT / "plugins" / "contextssl_paper" / "mask-ablation.toml").read_bytes()
    Path("recipe.toml").write_bytes(recipe)
    _write_official(Path("official.pt"))
    Path("evil.pt").write_bytes(pickle.dumps(_Evil()))


def _write_adult(folder: Path) -> None:
    from contextssl_adult.adult import COLUMNS, NUMERIC
    from contextssl_adult.categories import CATEGORIES

    folder.mkdir()
    for name, split in (("adult.data", "train"), ("adult.test", "test")):
        stop = "." if split == "test" else ""
        lines = ["|1x3 Cross validator\n"] if split == "test" else []
        for n in range(ADULT_RECORDS[split]):
            cells = [str(n * 7 % 90 + 1) if c in NUMERIC else CATEGORIES[c][n % len(CATEGORIES[c])] for c in COLUMNS]
            lines.append(", ".join(cells) + stop + "\n")
        (folder / name).write_text("".join(lines))


def _write_cifar() -> None:
    cifar = _helper("contextssl_cifar10", "cifar10_files")
    write_archive(Path("cifar.tar.gz"), {f"cifar10/{name}": data for name, data in cifar.tree(2, 1, "PNG").items()})
    batches = {f"cifar-10-batches-py/{name}": cifar.python2_pickle(*batch) for name, batch in cifar.batches(3).items()}
    write_archive(Path("batches.tar"), batches, "w")


def _write_official(path: Path) -> None:
    """A checkpoint of the authors' shapes. One number stands for a whole tensor, so that the file is small."""
    import torch

    from contextssl_cli.config.model import ModelConfig
    from contextssl_cli.data.actions import ActionSpace, Block
    from contextssl_cli.model.contextssl import ContextSSL
    from contextssl_cli.model.encoders import build_encoder
    from contextssl_cli.store.schema import Schema

    config = ModelConfig(
        encoder="resnet18", stem="imagenet", feature_dim=512, width=16, layers=1, heads=2, block_size=8, aux_hidden=8,
        feature_norm=False, standardise_actions=False, activity_bits=False,
    )  # fmt: skip
    schema = Schema(dataset="imported", modality="image", shape=(32, 32, 3), dtype="uint8", mean=(), std=())
    space = ActionSpace(blocks=(Block(name="rotation", width=4), Block(name="color", width=2)))
    tensors = {}
    for name, tensor in ContextSSL(build_encoder(config, schema), config, space).state_dict().items():
        for ours, theirs in AUTHORS_NAMES.items():
            if name.startswith(ours):
                tensors[theirs + name.removeprefix(ours)] = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
    torch.save(tensors, path)


AUTHORS_NAMES = {
    "encoder.": "enc.",
    "world.read_in.": "predictor._read_in.",
    "world.read_out.": "predictor._read_out.",
    "world.norm.": "predictor.transformer.ln_f.",
    "world.layers.0.norm_1.": "predictor.transformer.h.0.ln_1.",
    "world.layers.0.norm_2.": "predictor.transformer.h.0.ln_2.",
    "world.layers.0.attention.qkv.": "predictor.transformer.h.0.attn.c_attn.",
    "world.layers.0.attention.project.": "predictor.transformer.h.0.attn.c_proj.",
    "world.layers.0.mlp.0.": "predictor.transformer.h.0.mlp.c_fc.",
    "world.layers.0.mlp.2.": "predictor.transformer.h.0.mlp.c_proj.",
    "aux.": "aug_predictor.",
}


class _Evil:
    """Unpickling it leaves a mark."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("executed",)


def _stop_clocks(sandbox: Sandbox) -> None:
    """Take the time out of what the runs hold, so that a case is the same on another day."""
    for path in sandbox.work.rglob("run.json"):
        record = json.loads(path.read_text()) | {"created": "2026-01-01T00:00:00Z"}
        path.write_text(json.dumps(record, indent=2) + "\n")
    for path in sandbox.work.rglob("metrics.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            line |= dict.fromkeys(line.keys() & {"pairs_per_second", "seconds", "processor_seconds"}, 1.0)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _helper(plugin: str, name: str) -> Any:
    """A module of a plugin's tests that writes small files."""
    folder = str(ROOT / "plugins" / plugin / "tests")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Cells as CSV."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
