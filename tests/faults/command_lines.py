"""Odd command lines: every command and option with values that nobody planned."""

from __future__ import annotations

import json
import os
import shlex
import socket
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import typer

from tests.faults.bench import MEASURES, SIZES, SWEEP, TABLE, TASK
from tests.faults.running import forked
from tests.faults.sandbox import Outcome, Sandbox, Verdict, brief, changed, faults_of

ONE_STEP = ["--steps", "1", *SIZES]
COMMANDS: dict[str, list[str]] = {
    "prepare imagefolder": ["--source", "pictures", "--size", "16", "--out", "new.h5"],
    "prepare table": ["--source", "people.csv", *TABLE, "--out", "new.h5"],
    "pretrain": ["--plugin", TASK, "--out", "new", *ONE_STEP],
    "probe": ["--run", "run", "--out", "new", *MEASURES],
    "report": ["run", "--out", "new.html"],
    "sweep": [*SWEEP[1:], "--vary", "context-mask=0.5", "--out", "new"],
    "reproduce": ["mask-ablation", "--dry-run", "--out", "new"],
    "context create": ["--run", "run", "--action", "color", "--out", "new.h5"],
    "context inspect": ["rotation.h5", "--run", "run"],
    "adapt": ["--context", "rotation.h5", "--run", "run", "--input", "inputs.npy", "--out", "new.h5"],
    "plugins": [],
    "plugins new": ["fresh", "--out", "new"],
    "plugins check": ["no_such_package"],
    "info": ["run"],
    "import-official": ["official.pt", "--heads", "2", "--block-size", "8", "--image-size", "32", "--out", "new"],
    "demo": ["--out", "new", "--dry-run"],
}
"""A command line that succeeds quickly for each, except the one of ``plugins check``."""
OUTPUTS = ["work/new", "work/new.h5", "work/.new.h5.parts", "work/new.html", "work/run/cache", "work/odd/out"]
MAY_ADD = {"pretrain": ["home/runs.txt", "home/runs"], "sweep": ["home/runs.txt"], "import-official": ["home/runs.txt"]}
OF_LENGTH = {
    "--steps",
    "--views",
    "--objects",
    "--pairs",
    "--limit-objects",
    "--image-size",
    "--block-size",
    "--batch-size",
}
"""Takes long, or much memory, with a large number: asked for with ``--dry-run`` where there is one."""

NEVER_MEANT = ("demo", "reproduce")
"""Train for minutes or hours."""

TEXTS = [
    "", " ", "-", "--", "=", "a=b=c", ",", ",,", "0", "-1", "1", "1.5", "1e999", "nan", "NaN", "inf", "-inf",
    "9" * 400, "1_0", "0x10",
    "\u0663", "\u00e9\u4e2d\u6587", "\u202eabc", "\x1b[31mred", "a\nb", "a\rb", "\x7f", "\udcff\udcfe", "\U0001f600",
    "x" * 300,
    "x" * 100_000, "a/b", "..", "%s%n", "$(touch odd/out)", "*", "[", "{}", "none", "all", "none,all", "true", "None",
    "null", "[1]",
    "rotation", "color", "rotation,color", "test", "digits-rotation", "imagefolder-color-color", "a.b=1",
    "model.width=0",
    "model.width=nan", "lr=-1", "steps=1e3", "model.encoder=resnet18", "unknown=1", "model={}", "seed=-1",
    "equalized-odds=nan",
]  # fmt: skip
PATHS = [
    "odd/fifo", "odd/socket", "odd/loop", "odd/dangling", "odd/folder", "odd/empty", "odd/\u00e9 \u4e2d",
    "odd/new\nline", "odd/\udcff",
    "odd/-dash", "odd/*.h5", "odd/out", "odd/file/under", "/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem",
    "/proc/self/environ", "/",
    ".", "..", "~", "x" * 300, "y/" * 3000, "pictures", "people.csv", "people.parquet", "rotation.h5", "home.h5",
    "run", "run/run.json",
    "run/cache", "config.toml", "inputs.npy", "inputs.npz", "official.pt", "evil.pt", "cifar.tar.gz", "tree",
    "missing", "missing/deep/a.h5",
    "labels.csv", "embeddings.h5", "half", "sweep", "odd/link.h5", "odd/link-to-folder",
]  # fmt: skip
VARIABLES = ["SEED", "DEVICE", "STEPS", "MODEL_WIDTH", "HOME", "NO_SUCH_KEY", "LR", "EQUIVARIANT"]


@dataclass(frozen=True)
class Option:
    """An option of a command: its names, and what it takes."""

    names: tuple[str, ...]
    kind: str

    @property
    def takes_value(self) -> bool:
        """Whether a value follows."""
        return self.kind != "flag"


def options_of(command: str) -> list[Option]:
    """The options of a command, as Typer has them; of ``prepare`` also the data set's own."""
    from contextssl_cli.cli.app import app

    found: Any = typer.main.get_command(app)
    words = command.split()
    for word in words if words[0] != "prepare" else words[:1]:
        found = found.commands[word] if hasattr(found, "commands") and word in found.commands else found
    options = [Option(tuple(p.opts), _kind(p)) for p in found.params if p.param_type_name == "option"]
    if words[0] == "prepare":
        options += _of_dataset(words[1])
    return options


def _of_dataset(name: str) -> list[Option]:
    from contextssl_cli.plugin.registry import registry

    fields = registry().dataset(name).options.model_fields.items()
    return [Option((f"--{key.replace('_', '-')}",), "flag" if f.annotation is bool else "text") for key, f in fields]


def _kind(parameter: Any) -> str:
    if parameter.is_flag or parameter.count:
        return "flag"
    return "path" if "Path" in parameter.bare_type() else "text"


def cases(count: int) -> list[str]:
    """The names of so many cases, the commands in turn."""
    names = list(COMMANDS)
    return [f"command-line:{names[number % len(names)]}:{number // len(names):05}" for number in range(count)]


def run(case: str, seed: int, sandbox: Sandbox) -> Verdict:
    """Run one odd command line."""
    command = case.split(":")[1]
    random = Random(f"{seed} {case}")  # noqa: S311 - reproducible, no secret
    sandbox.restore()
    _add_odd_paths(sandbox.work)
    words, variables = _odd_words(random, command)
    if command in NEVER_MEANT and "--help" not in words:
        words.append("--dry-run")
    before = sandbox.listing()
    outcome = forked(sandbox, [*command.split(), *words], **variables)
    after = sandbox.listing()
    outside = changed(before, after, [*OUTPUTS, *MAY_ADD.get(command.split()[0], []), *_named(words)])
    if _is_made_here(words):
        outside = [path for path in outside if path in before]
    faults = faults_of(outcome)
    if outside and not (variables.get("CONTEXTSSL_HOME") and outside == []):
        faults.append(f"changed {', '.join(outside[:4])}")
    if "--json" in words and outcome.code == 0 and not _is_one_object(outcome):
        faults.append("--json printed something else than one object")
    said = " ".join(f"{key}={shlex.quote(value)}" for key, value in variables.items())
    line = f"{said} contextssl {command} {shlex.join(word[:60] for word in words)}".strip()
    return Verdict(case, ascii(line)[1:-1], brief(outcome), tuple(faults))


def _odd_words(random: Random, command: str) -> tuple[list[str], dict[str, str]]:
    """The usual words of a command with one to three of them changed; variables of the environment."""
    words, options, variables = list(COMMANDS[command]), options_of(command), {}
    has_dry_run = any("--dry-run" in option.names for option in options)
    for _ in range(random.choice([1, 1, 2, 3])):
        how = random.choice(
            [
                "value",
                "value",
                "value",
                "value",
                "argument",
                "unknown",
                "missing",
                "drop",
                "twice",
                "shuffle",
                "variable",
            ]
        )
        option = random.choice(options)
        name = random.choice(option.names)
        if how == "value":
            if not option.takes_value:
                words.append(random.choice([name, f"{name}=1", f"{name}="]))
                continue
            value = random.choice(PATHS if option.kind == "path" and random.random() < 0.8 else TEXTS)
            if name in OF_LENGTH and has_dry_run:
                words.append("--dry-run")
            words = [*_without(words, name), *random.choice([[name, value], [f"{name}={value}"]])]
        elif how == "argument":
            words.insert(random.randrange(len(words) + 1), random.choice([*TEXTS, *PATHS]))
        elif how == "unknown":
            words.append(
                random.choice(
                    [
                        "--unknown",
                        "--unknown=1",
                        "-x",
                        "-vvvvv",
                        "--no-force",
                        "--\u00e9",
                        "--HELP",
                        "--out=",
                        "-qv",
                        "---",
                    ]
                )
            )
        elif how == "missing":
            words.append(name)
        elif how == "drop" and words:
            del words[random.randrange(len(words))]
        elif how == "twice" and words:
            words += words[: random.randrange(1, len(words) + 1)]
        elif how == "shuffle":
            random.shuffle(words)
        elif how == "variable":
            variables[f"CONTEXTSSL_{random.choice(VARIABLES)}"] = random.choice([t for t in TEXTS if "\x00" not in t])
    return words, variables


def _without(words: list[str], name: str) -> list[str]:
    if name not in words:
        return words
    place = words.index(name)
    return words[:place] + words[place + 2 :]


def _named(words: list[str]) -> list[str]:
    """What ``--out`` names is an output, relative to the sandbox; so is what stands in a folder named there."""
    found = []
    for place, word in enumerate(words):
        option, _, value = word.partition("=")
        if option in ("--out", "--layout-dir"):
            value = value or (words[place + 1] if place + 1 < len(words) else "")
            if value not in ("", "."):
                found.append(os.path.normpath(f"work/{value}"))
    return found


def _is_made_here(words: list[str]) -> bool:
    """Whether ``--out`` names the current folder, to which a command may add files."""
    return "--out=." in words or ("--out", ".") in pairwise(words)


def _add_odd_paths(work: Path) -> None:
    odd = work / "odd"
    for name in ("", "folder", "\u00e9 \u4e2d", "new\nline"):
        (odd / name).mkdir(parents=True, exist_ok=True)
    for name in ("empty", "file", "\udcff", "-dash", "*.h5"):
        (odd / name).touch()
    os.mkfifo(odd / "fifo")
    (odd / "loop").symlink_to("loop")
    (odd / "dangling").symlink_to("nowhere")
    (odd / "link.h5").symlink_to("../rotation.h5")
    (odd / "link-to-folder").symlink_to("../run")
    with socket.socket(socket.AF_UNIX) as listening:
        place = os.open(odd, os.O_RDONLY)  # a name of a socket is short: by way of the folder
        listening.bind(f"/proc/self/fd/{place}/socket")
        os.close(place)


def _is_one_object(outcome: Outcome) -> bool:
    try:
        return isinstance(json.loads(outcome.out), dict | list)
    except ValueError:
        return False
