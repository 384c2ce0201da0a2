"""Commands in a process of their own: forked, so that nothing is imported again, or started as a user starts them."""

from __future__ import annotations

import errno
import faulthandler
import importlib
import os
import pkgutil
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import contextssl_cli
from tests.faults.sandbox import Outcome, Sandbox

MEMORY = 3 << 30
"""Bytes of address space that a command may take beyond those of the process that it is forked from."""
PROCESSOR_SECONDS = 60
PATIENCE = 20.0
"""Seconds without any work, for what waits; twenty times as many by the clock, for what works now and then."""
LARGEST_FILE = 1 << 30
QUICK_PROBES = {"action_epochs": 1, "label_epochs": 1, "hidden": 8, "views": 1, "context_lengths": (0, 2)}
_UNEXPECTED = 99  # an exit code of no command: the harness itself failed, or an exception left the command line


def get_ready() -> None:
    """Import everything once, make probes short and the parts of a data set in this process."""
    import torch

    from contextssl_cli.data import parts
    from contextssl_cli.plugin.registry import registry

    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(contextssl_cli.__path__, "contextssl_cli."):
        if ".templates" not in module.name:
            importlib.import_module(module.name)
    for name in ("fairlearn.metrics", "matplotlib.backends.backend_agg", "sklearn.linear_model", "PIL.Image"):
        importlib.import_module(name)
    shorten_probes(registry())
    parts.ProcessPoolExecutor = _in_process  # type: ignore[misc,assignment]


def shorten_probes(found: Any) -> None:
    """One epoch of small probes for every data set."""
    for name in ("3diebench", "adult", "cifar10", "digits", "imagefolder", "mimic3", "table"):
        kind = type(found.dataset(name))
        kind.probing = {**kind.probing, **QUICK_PROBES}


def forked(
    sandbox: Sandbox, arguments: Sequence[str], prepared: Callable[[], object] = lambda: None, **variables: str
) -> Outcome:
    """Run one command in a fork of this process, under limits of time and memory.

    Args:
        sandbox: where it runs.
        arguments: of ``contextssl``.
        prepared: called in the fork before the command.
        variables: of the environment, in addition to the sandbox's.
    """
    out, err = sandbox.base / "stdout", sandbox.base / "stderr"
    child = os.fork()
    if child == 0:
        _run_in_fork(sandbox, arguments, prepared, variables, out, err)
    code, timed_out = _wait(child, PATIENCE)
    left = _end_group(child)
    return Outcome(code, _text(out), _text(err), timed_out or code == -signal.SIGXCPU, left)


def _run_in_fork(
    sandbox: Sandbox, arguments: Sequence[str], prepared: Callable[[], object], variables: dict[str, str], out: Path,
    err: Path,
) -> NoReturn:  # fmt: skip
    code = _UNEXPECTED
    try:
        os.setsid()
        faulthandler.disable()  # pytest's, which would report a crash that is asked for
        os.chdir(sandbox.work)
        os.environ.update(variables)
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="strict", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1)
        _limit()
        _cut_network()
        prepared()
        from contextssl_cli.cli.app import run

        code = run(list(arguments))
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _limit() -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _cut_network() -> None:
    """Whatever a command would download, it cannot."""

    def refuse(self: socket.socket, address: Any) -> None:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    socket.socket.connect = refuse  # type: ignore[method-assign]


def _in_process(workers: int, *_: Any, **__: Any) -> ThreadPoolExecutor:
    """In place of the processes that make parts, which would import everything again."""
    return ThreadPoolExecutor(1)


def _wait(child: int, patience: float) -> tuple[int, bool]:
    """The exit code, negative after a signal; and whether the child had to be killed, since it did nothing any more."""
    handle = os.pidfd_open(child)
    idle, worked, begun = 0.0, -1, time.monotonic()
    try:
        while not (ended := select.select([handle], [], [], min(1.0, patience))[0]):
            before, worked = worked, _processor_time(child)
            idle = idle + 1 if worked == before else 0
            if idle > patience or time.monotonic() - begun > 20 * patience:
                os.killpg(child, signal.SIGKILL)
                break
        _, status = os.waitpid(child, 0)
    finally:
        os.close(handle)
    return os.waitstatus_to_exitcode(status), not ended


def _processor_time(child: int) -> int:
    """Clock ticks that a process has worked; its turn may be long in coming, but while it works they rise."""
    try:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return -1
    return int(fields[11]) + int(fields[12]) if fields[0] != "R" else time.monotonic_ns()


def _end_group(leader: int) -> bool:
    """Kill what is left of a process group; whether there was anything."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""


@contextmanager
def variables_of(sandbox: Sandbox) -> Iterator[None]:
    """This process's environment is the sandbox's, for the forks."""
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("CONTEXTSSL_", "XDG_")):
            del os.environ[name]
    os.environ.update(sandbox.environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
