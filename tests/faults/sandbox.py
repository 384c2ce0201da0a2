"""The folder that a case may touch, what is in it before and after, and what is wrong with an outcome."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

EXIT_CODES = {0, 1, 2, 3, 4, 5, 130}
HOME_CACHE = "home/cache"
"""May be deleted at any time, so any command may write there."""
_ERROR = re.compile(r"^error\[(E\d+)\]: ", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_MESSAGE = 2_100

Listing = dict[str, str]
"""By the path below the sandbox: kind, mode, size and digest."""


class Sandbox:
    """A folder with a home, a place for temporary files and a work folder, which begins every case alike.

    Args:
        base: holds the sandbox and the template that it is copied from.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = base / "sandbox"
        self.template = base / "template"
        self.work = self.root / "work"
        self.home = self.root / "home"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of every command: nothing of the user's, no network, one thread."""
        dead = "http://127.0.0.1:9"
        return {
            "CONTEXTSSL_HOME": str(self.home),
            "HOME": str(self.root / "user"),
            "TMPDIR": str(self.root / "tmp"),
            "MPLCONFIGDIR": str(self.base / "matplotlib"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.base / "torch"),
            "OMP_NUM_THREADS": "1",
            "POLARS_MAX_THREADS": "1",
            "http_proxy": dead,
            "https_proxy": dead,
        }

    def make(self) -> None:
        """An empty sandbox."""
        for name in ("work", "home", "user", "tmp"):
            (self.root / name).mkdir(parents=True)

    def keep_as_template(self) -> None:
        """Every case begins with what the sandbox holds now."""
        shutil.copytree(self.root, self.template, symlinks=True)

    def restore(self) -> None:
        """Forget what a case has done."""
        _make_writable(self.root)
        shutil.rmtree(self.root)
        shutil.copytree(self.template, self.root, symlinks=True)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Whatever is done meanwhile is forgotten."""
        kept = self.base / "aside"
        shutil.copytree(self.root, kept, symlinks=True)
        try:
            yield
        finally:
            shutil.rmtree(self.root)
            kept.rename(self.root)

    def listing(self) -> Listing:
        """Everything below the root."""
        return {str(path.relative_to(self.root)): _described(path) for path in _below(self.root)}


def changed(before: Listing, after: Listing, allowed: Iterable[str] = ()) -> list[str]:
    """The paths that were made, changed or removed, less those that are, or are below, an allowed one or the cache."""
    kept = (*allowed, HOME_CACHE)
    paths = (path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path))
    return [path for path in paths if not any(path == place or path.startswith(f"{place}/") for place in kept)]


@dataclass(frozen=True)
class Outcome:
    """What a command did: ``code`` is negative after a signal; ``left`` tells of processes that it left behind."""

    code: int
    out: str
    err: str
    timed_out: bool = False
    left: bool = False

    @property
    def error_codes(self) -> list[str]:
        """Of the messages on stderr."""
        return _ERROR.findall(self.err)


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Attributes:
        case: its name, as ``mutation:store:00012``.
        what: the case in words.
        outcome: in a few words, for the counts.
        faults: what is wrong with it; empty as a rule.
    """

    case: str
    what: str
    outcome: str
    faults: tuple[str, ...] = field(default=())


def faults_of(outcome: Outcome) -> list[str]:
    """What breaks the promises that hold for every command, whatever it was given."""
    found = []
    said = outcome.out + outcome.err
    if outcome.timed_out:
        return ["no end within the time limit"]
    if outcome.left:
        found.append("left a process behind")
    if outcome.code < 0:
        return [*found, f"ended by signal {-outcome.code}"]
    if outcome.code not in EXIT_CODES:
        found.append(f"exit code {outcome.code}")
    if "Traceback (most recent call last)" in said:
        found.append(f"a traceback: {said.rstrip().splitlines()[-1][:200]}")
    codes = outcome.error_codes
    if len(codes) != bool(outcome.code):
        found.append(f"exit code {outcome.code} with {len(codes)} error messages: {outcome.err[-200:]!r}")
    if "E101" in codes:
        found.append(f"an unexpected error of our own: {_message(outcome)}")
    message = _ERROR.split(outcome.err)[-1].rstrip("\n") if codes else ""
    if len(message.splitlines()) > 2 or len(message) > _LONGEST_MESSAGE:
        found.append(f"a message of {len(message.splitlines())} lines and {len(message)} characters: {message[:100]!r}")
    if raw := _CONTROL.search(said.replace("\r\n", "\n")):
        found.append(f"the control character {raw[0]!r} in the output")
    return found


def brief(outcome: Outcome) -> str:
    """The outcome for the counts."""
    return "done" if outcome.code == 0 else f"refused ({outcome.code})"


def digest(path: Path) -> str:
    """Of a file's bytes, or of all files below a folder; empty where there is nothing."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return (
        json.dumps([[str(p.relative_to(path)), digest(p)] for p in _below(path) if p.is_file()])
        if path.is_dir()
        else ""
    )


def _message(outcome: Outcome) -> str:
    return _ERROR.split(outcome.err)[-1].strip()[:200]


def _described(path: Path) -> str:
    found = path.lstat()
    kind, mode = stat.S_IFMT(found.st_mode), stat.S_IMODE(found.st_mode)
    content = ""
    if stat.S_ISLNK(kind):
        content = os.fspath(path.readlink())
    elif stat.S_ISREG(kind):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{kind:o} {mode:o} {content}"


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        for name in sorted(folders + names):
            yield Path(parent, name)


def _make_writable(folder: Path) -> None:
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755)
