"""Every kind of file that is read, damaged, and then read by a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import h5py

from tests.faults import mutators
from tests.faults.bench import MEASURES, PICTURES, TABLE, TASK, TINY, few_adults, few_pictures, own_recipe, small_parts
from tests.faults.mutators import Mutator, change_bytes, replace_kind
from tests.faults.running import forked
from tests.faults.sandbox import Listing, Outcome, Sandbox, Verdict, brief, changed, digest, faults_of


@dataclass(frozen=True)
class Reader:
    """A command that reads the file.

    Attributes:
        command: with ``{file}`` for the file.
        outputs: what it may write, below the sandbox.
        result: the paths that hold its result, below the work folder; its stdout too, unless ``silent``.
        checked: damage must be found, or change nothing: the file has a digest.
        prepared: called in the process before the command.
    """

    command: str | list[str]
    outputs: tuple[str, ...] = ()
    result: tuple[str, ...] = ()
    silent: bool = False
    checked: bool = False
    prepared: Callable[[], object] = lambda: None

    def arguments(self, file: str) -> list[str]:
        """The words of the command."""
        words = self.command.split() if isinstance(self.command, str) else self.command
        return [word.replace("{file}", file) for word in words]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        files: patterns below the sandbox; a case damages one of the files found.
        readers: of which a case runs one.
        mutators: in addition to those of any file.
    """

    files: tuple[str, ...]
    readers: tuple[Reader, ...]
    mutators: tuple[Mutator, ...] = ()


CACHE = ("work/run/cache",)
ADAPT = Reader("adapt --context rotation.h5 --run run --out new.h5", ("work/new.h5", *CACHE), ("new.h5",))
PROBE = Reader(["probe", "--run", "run", "--out", "new", *MEASURES], ("work/new", *CACHE), ("new/results.csv",))
INSPECT = Reader("context inspect {file} --run run --json", CACHE)
RESUME = Reader("pretrain --resume --out half --device cpu", ("work/half",), ("half/checkpoint",), silent=True)
TRAIN = ["--out", "new", *TINY, "--steps", "1"]
NEW_RUN = ("work/new", "home/runs.txt")


def _report(what: str) -> Reader:
    return Reader(f"report {what} --out new.html --json", ("work/new.html",))


def _trained(task: str, *more: str, **given: bool) -> Reader:
    command = ["pretrain", "--plugin", task, "--store", "{file}", *TRAIN, *more]
    return Reader(command, NEW_RUN, ("new/checkpoint",), silent=True, **given)


def _prepared(words: list[str], **given: Callable[[], object]) -> Reader:
    return Reader(["prepare", *words, "--out", "new.h5"], ("work/new.h5", "work/.new.h5.parts"), ("new.h5",), **given)


INFO = Reader("info {file} --json")
FORMATS: dict[str, Format] = {
    "store": Format(
        ("home/stores/imagefolder.h5",),
        (
            INFO,
            _trained(TASK, checked=True),
            Reader("adapt --context rotation.h5 --run run --input {file} --out new.h5", ADAPT.outputs, ADAPT.result,
            checked=True),
            Reader(PROBE.command, PROBE.outputs, PROBE.result, checked=True),
            Reader(["prepare", "imagefolder", *PICTURES]),
        ),
        (mutators.change_hdf5, mutators.change_hdf5, mutators.change_json_attribute),
    ),
    "store of files": Format(
        ("work/encoded.h5",),
        (INFO, _trained("3diebench-rotation-color", "--set", "model.encoder=convnet", checked=True)),
        (mutators.change_hdf5, mutators.change_json_attribute),
    ),
    "store of a table": Format(
        ("work/people.h5",),
        (INFO, _trained("table-attribute", checked=True)),
        (mutators.change_hdf5, mutators.change_json_attribute),
    ),
    "part": Format(
        ("work/.parts.h5.parts/*.h5", "work/.parts.h5.parts/plan.json"),
        (
            Reader(
                "prepare 3diebench --source tree --size 16 --out parts.h5", ("work/parts.h5", "work/.parts.h5.parts"),
                ("parts.h5",), prepared=small_parts,
            ),
        ),
        (mutators.change_hdf5,),
    ),
    "context": Format(
        ("work/rotation.h5",),
        (INFO, ADAPT, INSPECT, Reader("adapt --context {file} --out new.h5", ADAPT.outputs, ADAPT.result)),
        (mutators.change_hdf5, mutators.change_hdf5),
    ),
    "pairs": Format(
        ("work/pairs.npz",),
        (Reader("context create --run run --from-pairs {file} --out new.h5", ("work/new.h5",), ("new.h5",)),),
        (mutators.change_npy,),
    ),
    "embeddings": Format(
        ("work/embeddings.h5",),
        (INFO, Reader("adapt --context rotation.h5 --run run --out embeddings.h5", ("work/embeddings.h5", *CACHE))),
        (mutators.change_hdf5, mutators.change_json_attribute),
    ),
    "run.json": Format(
        ("work/run/run.json",),
        (Reader("info run --json"), ADAPT, PROBE, _report("run")),
        (mutators.change_json, mutators.change_json, mutators.change_json),
    ),
    "metrics.jsonl": Format(
        ("work/half/metrics.jsonl",),
        (Reader("info half --json"), RESUME),
        (mutators.change_json_line, mutators.change_json_line),
    ),
    "checkpoint": Format(
        ("work/half/checkpoint/*/*.safetensors", "work/half/checkpoint/*/checkpoint.json"),
        (
            Reader("info half --json"),
            RESUME,
            Reader("adapt --context rotation.h5 --run half --out new.h5", ("work/new.h5", "work/half/cache"),
            ("new.h5",)),
        ),
        (mutators.change_tensors,),
    ),
    "results.json": Format(
        ("work/run/probe/results.json",), (_report("{file}"), _report("run")), (mutators.change_json,
        mutators.change_json)
    ),
    "comparison.json": Format(
        ("work/told/rotation/comparison/comparison.json",), (_report("{file}"),), (mutators.change_json,
        mutators.change_json)
    ),
    "sweep.json": Format(("work/sweep/sweep.json",), (_report("{file}"),), (mutators.change_json,
    mutators.change_json)),
    "configuration": Format(
        ("work/config.toml",),
        (Reader(f"pretrain --plugin {TASK} --config {{file}} --out new --dry-run"),),
        (mutators.change_toml, mutators.change_toml),
    ),
    "recipe": Format(
        ("work/recipe.toml",),
        (Reader("reproduce mask-ablation --dry-run --out new", prepared=own_recipe),),
        (mutators.change_toml, mutators.change_toml),
    ),
    "labels": Format(
        ("work/labels.csv",),
        (
            Reader(
                "adapt --context rotation.h5 --context color.h5 --run run --input inputs.npy --labels {file} "
                "--out new.h5",
                ADAPT.outputs, ADAPT.result,
            ),
        ),
        (mutators.change_csv, mutators.change_csv, mutators.change_csv),
    ),
    "CSV table": Format(
        ("work/people.csv",),
        (_prepared(["table", "--source", "people.csv", *TABLE]), _prepared(["table", "--source", "people.csv"])),
        (mutators.change_csv, mutators.change_csv, mutators.change_csv),
    ),
    "Parquet table": Format(("work/people.parquet",), (_prepared(["table", "--source", "people.parquet", *TABLE]),)),
    "arrays": Format(
        ("work/inputs.npy", "work/inputs.npz"),
        (Reader("adapt --context rotation.h5 --run run --input {file} --out new.h5", ADAPT.outputs, ADAPT.result),),
        (mutators.change_npy, mutators.change_npy),
    ),
    "images": Format(
        ("work/photos/*",),
        (
            Reader("adapt --context rotation.h5 --run run --input photos --out new.h5", ADAPT.outputs, ADAPT.result),
            _prepared(["imagefolder", "--source", "photos", "--unlabelled", "--test-fraction", "0.5", "--size", "16"]),
            _prepared(["imagefolder", "--source", "photos", "--unlabelled", "--test-fraction", "0.5", "--size", "80"]),
        ),
        (mutators.change_picture, mutators.change_picture),
    ),
    "3DIEBench files": Format(
        ("work/tree/*.npy", "work/tree/*/*/*"), (_prepared(["3diebench", "--source", "tree", "--size", "16"]),)
    ),
    "archives": Format(
        ("work/cifar.tar.gz", "work/batches.tar"),
        (_prepared(["cifar10", "--source", "{file}"], prepared=few_pictures),),
        (mutators.change_archive, mutators.change_archive),
    ),
    "MIMIC tables": Format(
        ("work/mimic/*.csv",), (_prepared(["mimic3", "--source", "mimic"]),), (mutators.change_csv, mutators.change_csv)
    ),
    "Adult files": Format(
        ("work/adult/adult.*",),
        (_prepared(["adult", "--source", "adult"], prepared=few_adults),),
        (mutators.change_csv, mutators.change_csv),
    ),
    "authors' checkpoint": Format(
        ("work/official.pt",),
        (
            Reader(
                "import-official {file} --heads 2 --block-size 8 --image-size 32 --out new", NEW_RUN,
                ("new/checkpoint",),
                silent=True,
            ),
        ),
        (mutators.change_torch,),
    ),
    "cache": Format(("work/run/cache/*.safetensors", "work/run/cache/*.json"), (ADAPT, PROBE), (mutators.change_json,)),
    "index of runs": Format(
        ("home/runs.txt",),
        (Reader("adapt --context rotation.h5 --out new.h5", ADAPT.outputs, ADAPT.result), Reader("probe --dry-run")),
        (mutators.change_lines, mutators.change_lines),
    ),
}  # fmt: skip


def cases(count: int) -> list[str]:
    """The names of so many cases, the formats in turn."""
    names = list(FORMATS)
    return [f"mutation:{names[number % len(names)]}:{number // len(names):05}" for number in range(count)]


def run(case: str, seed: int, sandbox: Sandbox) -> Verdict:
    """Damage a file and read it."""
    name = case.split(":")[1]
    form, random = FORMATS[name], Random(f"{seed} {case}")  # noqa: S311 - reproducible, no secret
    sandbox.restore()
    paths = sorted(path for pattern in form.files for path in sandbox.root.glob(pattern))
    path, reader = random.choice(paths), random.choice(form.readers)
    file = str(path.relative_to(sandbox.work)) if path.is_relative_to(sandbox.work) else str(path)
    expected = _expected(sandbox, reader, file)
    mutator = random.choice([change_bytes, change_bytes, replace_kind, *form.mutators, *form.mutators])
    try:
        said = mutator(random, path)
    except (ValueError, OSError, RuntimeError, TypeError, OverflowError) as error:  # such as JSON of a binary file
        return Verdict(
            case,
            f"{mutator.__name__} of {path.name}",
            "not damaged",
            () if _passing(mutator, path) else (f"harness: {error}",),
        )
    before = sandbox.listing()
    outcome = forked(sandbox, reader.arguments(file), reader.prepared)
    after = sandbox.listing()
    what = f"{path.name}: {said}; contextssl {' '.join(reader.arguments(file))}"
    faults = [*faults_of(outcome), *_changes(reader, before, after, outcome)]
    result = brief(outcome)
    if outcome.code == 0:
        same = _result(sandbox, reader, outcome) == expected
        result = "same result" if same else "other result"
        if reader.checked and not same:
            faults.append("another result, silently")
    return Verdict(case, what, result, tuple(faults))


def _passing(mutator: Mutator, path: Path) -> bool:
    """Whether a mutator was for another kind of file of the format."""
    return mutator in (mutators.change_json, mutators.change_tensors, mutators.change_hdf5)


def _changes(reader: Reader, before: Listing, after: Listing, outcome: Outcome) -> list[str]:
    outside = changed(before, after, reader.outputs)
    found = [f"changed {', '.join(outside[:4])}"] if outside else []
    if any(path.endswith("/executed") for path in after):
        found.append("executed a pickle")
    partial = [path for path in after.keys() - before.keys() if path.endswith(".partial")]
    if partial:
        found.append(f"left {partial[0]}")
    return found


_known: dict[tuple[str, str], str] = {}


def _expected(sandbox: Sandbox, reader: Reader, file: str) -> str:
    """The result of the undamaged file."""
    key = (" ".join(reader.arguments(file)), file)
    if key not in _known:
        outcome = forked(sandbox, reader.arguments(file), reader.prepared)
        if outcome.code:
            raise RuntimeError(f"{key[0]}: exit code {outcome.code} without any damage\n{outcome.err[-3000:]}")
        _known[key] = _result(sandbox, reader, outcome)
        sandbox.restore()
    return _known[key]


def _result(sandbox: Sandbox, reader: Reader, outcome: Outcome) -> str:
    parts = [_content(sandbox.work / name) for name in reader.result]
    return json.dumps(parts if reader.silent else [outcome.out, *parts])


def _content(path: Path) -> str:
    """Of a store its samples, since its provenance names the files that were damaged; of all else the bytes."""
    if path.suffix == ".h5" and path.is_file():
        with h5py.File(path) as file:
            if "content_hash" in file.attrs:
                return str(file.attrs["content_hash"])
    return digest(path)
