"""Conversion of any exception into an error with a message for the user."""

from __future__ import annotations

import ast
import contextlib
import errno
import os
import platform
import re
import shlex
import tempfile
import time
import traceback
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from contextssl_cli import files, paths
from contextssl_cli.errors import ContextSSLError, PluginError, UnexpectedError
from contextssl_cli.text import printable_lines, reason

KEPT = 20
"""Log files; older ones are removed."""

_PACKAGES = ("contextssl", "torch", "torchvision", "numpy", "h5py", "pydantic", "scikit-learn", "matplotlib", "typer")
_LOOP = re.compile(r"Symlink loop from (['\"].*['\"])", re.DOTALL)
_NO_MEMORY = re.compile("out of memory|not enough memory|(can't|cannot|unable to) allocate", re.IGNORECASE)


def in_words(error: BaseException, arguments: Sequence[str]) -> ContextSSLError:
    """Convert any exception into an error with a message for the user.

    Args:
        error: as it reached the command line.
        arguments: of the command.

    Returns:
        The error itself if it is a ``ContextSSLError``; for an error of the system, a message that names the file; for
        an error in the code of a plugin, a ``PluginError``; otherwise an ``UnexpectedError``, which names a log file.
    """
    if isinstance(error, ContextSSLError):
        return _documented(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))):
        return ContextSSLError(
            "there is not enough memory; close other programs, or use a smaller batch, model or data set"
        )
    if isinstance(error, RuntimeError) and (loop := _LOOP.match(str(error))):  # of Path.resolve, until Python 3.12
        error = OSError(errno.ELOOP, os.strerror(errno.ELOOP), ast.literal_eval(loop[1]))
    if isinstance(error, OSError) and error.filename is not None:
        return files.os_error(error)
    plugin = _plugin_of(error)
    if plugin:
        return PluginError(f"the plugin {plugin} failed: {reason(error)}")
    if isinstance(error, OSError):
        return files.os_error(error)
    log = _write_log(error, arguments)
    what = "something is nested too deeply" if isinstance(error, RecursionError) else reason(error)
    advice = f"please report it with the log file {log}" if log else "no log could be written; -vv prints the traceback"
    return UnexpectedError(f"contextssl failed unexpectedly: {what}; {advice}")


def _documented(error: ContextSSLError) -> ContextSSLError:
    """The error itself; a subclass defined by a plugin, whose codes may be wrong, becomes our class."""
    kind = next(kind for kind in type(error).__mro__ if _is_ours(kind.__module__))
    return error if kind is type(error) else kind(reason(error))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "contextssl_cli"


def _plugin_of(error: BaseException) -> str:
    """The plugin whose code raised an error, or an empty string if it was ours.

    The innermost frame of a plugin or of contextssl decides, so an error in a library belongs to its caller.
    """
    known: dict[str, str] = {}
    for point in metadata.entry_points(group="contextssl"):
        with contextlib.suppress(Exception):  # one that is broken itself must not hide the others
            known[point.module.partition(".")[0]] = point.name
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if _is_ours(module):
            return ""
        if package in known:
            return known[package]
    return ""


def _write_log(error: BaseException, arguments: Sequence[str]) -> Path | None:
    """Write a log file with the traceback, the command and versions; return None if that fails.

    It has nothing from the environment, which may contain secrets.
    """
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    parts = [
        f"command: {shlex.join(['contextssl', *arguments])}",
        f"time: {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}",
        *(f"{name}: {version}" for name, version in versions.items()),
        "",
    ]
    try:
        parts += traceback.format_exception(error)
    except Exception:
        parts += [*traceback.format_tb(error.__traceback__), reason(error)]
    try:
        folder = paths.cache() / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=time.strftime("error-%Y%m%d-%H%M%S-"), suffix=".log", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(printable_lines("\n".join(parts)) + "\n")
        for older in sorted(folder.glob("error-*.log"))[:-KEPT]:
            older.unlink(missing_ok=True)
    except (OSError, RuntimeError, ContextSSLError):
        return None
    return Path(name)
