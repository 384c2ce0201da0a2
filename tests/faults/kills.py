"""Commands that are killed at any moment, and what the next command finds then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.bench import MEASURES, PICTURES, SWEEP, TABLE, TASK, TINY
from tests.faults.running import QUICK_PROBES, forked
from tests.faults.sandbox import Listing, Outcome, Sandbox, Verdict, changed, digest, faults_of

PROGRAM = """
import json, os, sys
left, number, root, ready = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] + "/", int(sys.argv[4])
seen = 0
CHANGES = {"os." + name for name in ("rename", "remove", "mkdir", "rmdir", "link", "symlink", "chmod", "truncate")}

def watch(event, args):
    global seen
    if event == "open":
        path, mode, flags = args
        if not isinstance(path, (str, bytes)) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event in CHANGES:
        path = args[0]
    else:
        return
    if os.path.abspath(os.fsdecode(path)).startswith(root):
        seen += 1
        if seen == left:
            os.kill(os.getpid(), number)

from contextssl_cli.cli.app import main
from contextssl_3diebench import diebench
from contextssl_cli.plugin.registry import registry

diebench.OBJECTS_PER_PART = 1
kind = type(registry().dataset("imagefolder"))
kind.probing = {**kind.probing, **json.loads(sys.argv[5])}
sys.addaudithook(watch)
os.write(ready, b"x")
try:
    main(sys.argv[6:])
finally:
    os.write(ready, str(seen).encode())
"""
"""The command as a user starts it. It signals itself before it changes a file for the so-and-so-many-th time."""
PATIENCE = 300.0


@dataclass(frozen=True)
class Scenario:
    """A command that is killed.

    Attributes:
        command: its words.
        outputs: what it may write, below the sandbox.
        whole: a file or folder of the output, below the work folder, that is as before, absent or as it will be, at any
            moment.
        instead: the command that goes on, where the same one may refuse: ``pretrain --resume``.
        usable: a command that must succeed after the kill, because an old output was there.
    """

    command: list[str]
    outputs: tuple[str, ...]
    whole: tuple[str, ...] = ()
    instead: list[str] = field(default_factory=list)
    usable: list[str] = field(default_factory=list)


_PRETRAIN = ["pretrain", "--plugin", TASK, *TINY, "--set", "checkpoint_every=1"]
_AGAIN = ["pretrain", "--resume", "--device", "cpu", "--out"]
_IMPORT = ["import-official", "official.pt", "--heads", "2", "--block-size", "8", "--image-size", "32", "--out"]
SCENARIOS: dict[str, Scenario] = {
    "prepare": Scenario(["prepare", "table", "--source", "people.csv", *TABLE, "--out", "new.h5"], ("work/new.h5",),
    ("new.h5",)),
    "prepare --force": Scenario(
        ["prepare", "table", "--source", "people.csv", *TABLE, "--out", "people.h5", "--force"], ("work/people.h5",),
        ("people.h5",), usable=["info", "people.h5"],
    ),
    "prepare in parts": Scenario(
        ["prepare", "3diebench", "--source", "tree", "--size", "16", "--out", "new.h5"], ("work/new.h5",
        "work/.new.h5.parts"),
        ("new.h5",),
    ),
    "prepare in one part": Scenario(
        ["prepare", "imagefolder", *PICTURES, "--out", "new.h5"], ("work/new.h5", "work/.new.h5.parts"), ("new.h5",)
    ),
    "pretrain": Scenario([*_PRETRAIN, "--out", "new"], ("work/new", "home/runs.txt"), instead=[*_AGAIN, "new"]),
    "pretrain --resume": Scenario([*_AGAIN, "half"], ("work/half",), usable=["adapt", "--context", "rotation.h5",
    "--run", "half",
                                                                              "--out", "check.h5"]),
    "pretrain --force": Scenario(
        [*_PRETRAIN, "--out", "run", "--force"], ("work/run", "home/runs.txt"), instead=[*_AGAIN, "run"],
        usable=["adapt", "--context", "rotation.h5", "--run", "run", "--out", "check.h5"],
    ),
    "context create": Scenario(
        ["context", "create", "--run", "run", "--action", "color", "--out", "color.h5", "--force"], ("work/color.h5",),
        ("color.h5",), usable=["info", "color.h5"],
    ),
    "adapt": Scenario(
        ["adapt", "--context", "color.h5", "--run", "run", "--out", "embeddings.h5"], ("work/embeddings.h5",
        "work/run/cache"),
        ("embeddings.h5",), usable=["info", "embeddings.h5"],
    ),
    "probe": Scenario(
        ["probe", "--run", "run", *MEASURES], ("work/run/probe", "work/run/cache"), ("run/probe/results.json",
        "run/probe/results.csv"),
    ),
    "report": Scenario(
        ["report", "run", "--out", "page.html"], ("work/page.html", "work/run/probe", "work/run/cache"), ("page.html",)
    ),
    "sweep": Scenario([*SWEEP, "--vary", "context-mask=0,0.9", "--out", "new"], ("work/new", "home/runs.txt")),
    "import-official": Scenario([*_IMPORT, "new"], ("work/new", "home/runs.txt")),
    "import-official --force": Scenario(
        [*_IMPORT, "run", "--force"], ("work/run", "home/runs.txt"), usable=["info", "run"]
    ),
}  # fmt: skip
_CLOCKS = ("created", "pairs_per_second", "seconds", "processor_seconds")


@dataclass(frozen=True)
class Whole:
    """What a command leaves that nobody stops: its files, how often it changes one, and how long it takes."""

    files: Listing
    content: dict[str, str]
    changes: int
    seconds: float


def cases(count: int) -> list[str]:
    """The names of so many cases, the commands in turn."""
    names = list(SCENARIOS)
    return [f"kill:{names[number % len(names)]}:{number // len(names):05}" for number in range(count)]


def run(case: str, seed: int, sandbox: Sandbox) -> Verdict:
    """Kill a command, look at what is left, and run it again."""
    name = case.split(":")[1]
    scenario, random = SCENARIOS[name], Random(f"{seed} {case}")  # noqa: S311 - reproducible, no secret
    expected = _uninterrupted(sandbox, name)
    sandbox.restore()
    before, old = sandbox.listing(), _whole(sandbox, scenario)
    number = random.choice([signal.SIGKILL] * 4 + [signal.SIGTERM, signal.SIGINT])
    if random.random() < 0.6 and expected.changes:
        at = random.randrange(1, expected.changes + 1)
        what = f"{number.name} before change {at} of {expected.changes}"
        outcome = started(sandbox, scenario.command, number, at=at)
    else:
        share = random.random()
        what = f"{number.name} after {share:.3f} of its time"
        outcome = started(sandbox, scenario.command, number, after=share * expected.seconds)
    faults = _of_kill(outcome, number)
    faults += [
        f"after the kill: changed {path}"
        for path in changed(before, sandbox.listing(), _with_partial(scenario, sandbox))[:3]
    ]
    for path, found in _whole(sandbox, scenario).items():
        if found not in (old[path], "", expected.content[path]):
            faults.append(f"after the kill: {path} is neither the old nor the new one")
    if scenario.usable:
        with sandbox.aside():
            check = forked(sandbox, scenario.usable)
        if check.code:
            faults.append(f"after the kill: {' '.join(scenario.usable)}: {check.err.strip()[-200:]}")
    how, again = _go_on(sandbox, scenario)
    faults += [f"again: {fault}" for fault in faults_of(again)]
    differing = _compared(sandbox, expected)
    if again.code == 2 and not differing:  # it was done, and says that there is something
        how = "was done"
    elif again.code:
        faults.append(f"again: exit code {again.code}: {again.err.strip()[-300:]}")
    faults += differing
    return Verdict(case, f"contextssl {' '.join(scenario.command)}; {what}", how, tuple(faults))


def _uninterrupted(sandbox: Sandbox, name: str) -> Whole:
    if name not in _known:
        sandbox.restore()
        scenario = SCENARIOS[name]
        begun = time.monotonic()
        outcome = started(sandbox, scenario.command, signal.SIGKILL)
        if outcome.code:
            raise RuntimeError(
                f"{' '.join(scenario.command)}: exit code {outcome.code} without a kill\n{outcome.err[-3000:]}"
            )
        seconds = time.monotonic() - begun - outcome.waited
        _known[name] = Whole(_files(sandbox), _whole(sandbox, scenario), outcome.changes, seconds)
    return _known[name]


_known: dict[str, Whole] = {}


@dataclass(frozen=True)
class Started(Outcome):
    """Of a command that was started as a user does: how often it changed a file, how long Python took to begin."""

    changes: int = 0
    waited: float = 0


def started(sandbox: Sandbox, command: list[str], number: signal.Signals, *, at: int = 0, after: float = -1) -> Started:
    """Start a command and send it a signal: before its ``at``-th change of a file, or ``after`` seconds."""
    reading, writing = os.pipe()
    paths = [sandbox.base / "stdout", sandbox.base / "stderr"]
    begun = time.monotonic()
    given = [str(at), str(int(number)), str(sandbox.root), str(writing), json.dumps(QUICK_PROBES)]
    with paths[0].open("wb") as out, paths[1].open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *given, *command],
            cwd=sandbox.work, env=os.environ | sandbox.environment, stdout=out, stderr=err, pass_fds=[writing],
            start_new_session=True,
        )  # fmt: skip
    os.close(writing)
    os.read(reading, 1)
    waited, timed_out = time.monotonic() - begun, False
    try:
        if after >= 0:
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        timed_out = True
        process.kill()
        process.wait()
    left = _outlived(process.pid)
    changes = os.read(reading, 100) if not left else b""
    os.close(reading)
    text = [path.read_text(errors="surrogateescape") for path in paths]
    return Started(process.returncode, text[0], text[1], timed_out, left, int(changes or 0), waited)


def _outlived(group: int) -> bool:
    """Whether a process of the group is there half a minute after its leader; it is killed then."""
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return True


def _of_kill(outcome: Outcome, number: signal.Signals) -> list[str]:
    """A command may end by the signal, or in words; or it was done before."""
    if outcome.code == -number and not (outcome.left or outcome.timed_out):
        return ["a traceback"] if "Traceback" in outcome.err else []
    return faults_of(outcome)


def _go_on(sandbox: Sandbox, scenario: Scenario) -> tuple[str, Outcome]:
    """The same command; where it refuses, and there is one to go on with, that."""
    again = forked(sandbox, scenario.command, _small_parts)
    if again.code == 2 and scenario.instead and not faults_of(again):
        return "went on by --resume", forked(sandbox, scenario.instead)
    return "the same command again" if again.code == 0 else f"refused ({again.code})", again


def _small_parts() -> None:
    from tests.faults.bench import small_parts

    small_parts()


def _with_partial(scenario: Scenario, sandbox: Sandbox) -> list[str]:
    """The outputs, and what is written beside them until it is whole."""
    found = list(scenario.outputs)
    for output in scenario.outputs:
        place = (sandbox.root / output).parent
        found += [str(path.relative_to(sandbox.root)) for path in place.glob(f".{Path(output).name}.*")]
    return found


def _whole(sandbox: Sandbox, scenario: Scenario) -> dict[str, str]:
    return {path: digest(sandbox.work / path) for path in scenario.whole}


def _compared(sandbox: Sandbox, expected: Whole) -> list[str]:
    """What is there in the end, against what an uninterrupted command leaves."""
    found = _files(sandbox)
    faults = []
    for path in changed(expected.files, found):
        if path not in expected.files:
            faults.append(f"in the end: {path} is left behind")
        elif path not in found:
            faults.append(f"in the end: {path} is missing")
        else:
            faults.append(f"in the end: {path} differs from an uninterrupted one")
    return faults[:4]


def _files(sandbox: Sandbox) -> Listing:
    """The listing, with the time taken out of what tells it."""
    found = sandbox.listing()
    for path in found:
        name = Path(path).name
        if name in ("run.json", "metrics.jsonl", "runs.txt", "results.json", "sweep.json") or name.endswith(
            (".html", ".svg", ".png")
        ):
            found[path] = _timeless(sandbox.root / path)
    return found


def _timeless(path: Path) -> str:
    if path.suffix in (".html", ".svg", ".png"):
        return "a drawing"
    text = path.read_text()
    if path.name == "runs.txt":
        return json.dumps(sorted(set(text.splitlines())))
    values = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
    return json.dumps(_without_clocks(values), sort_keys=True)


def _without_clocks(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_clocks(inner) for key, inner in value.items() if key not in _CLOCKS}
    return [_without_clocks(inner) for inner in value] if isinstance(value, list) else value
