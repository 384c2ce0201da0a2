"""Data sets that are prepared in parts, by several processes. A killed preparation continues with the missing parts.

Each part is a small store of its own, next to the target, until all parts exist. Then they are joined in order.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path
from typing import Any

from contextssl_cli import paths
from contextssl_cli.cpus import cpu_count
from contextssl_cli.errors import ContextSSLError, CorruptFileError, UsageError
from contextssl_cli.plugin.guard import blamed
from contextssl_cli.store.part import holds_part, read_part, write_part
from contextssl_cli.store.samples import Samples
from contextssl_cli.store.schema import Schema
from contextssl_cli.text import printable

_Part = Callable[[], Samples]
Report = Callable[[int, int], None]
"""Called with the number of finished parts and the number of all parts."""
_OWN = re.compile(r"\d{6}\.h5|\.\d{6}\.h5\..*\.partial")
"""The files that a preparation creates in the folder of its parts."""


def parts_folder(path: Path) -> Path:
    """The folder with the parts of the store ``path``."""
    return path.parent / f".{path.name}.parts"


def make_parts(
    path: Path, schema: Schema, parts: Sequence[_Part], identity: Mapping[str, Any], report: Report
) -> Iterator[Samples]:
    """Prepare the missing parts, then yield all parts in order.

    Args:
        path: of the store.
        schema: the schema of the samples.
        parts: makers of the samples.
        identity: everything that the samples depend on; parts with another identity are prepared again.
        report: called after each part.

    Raises:
        ContextSSLError: if a part fails. The finished parts are kept.
        UsageError: if the folder of the parts is a symbolic link.
        CorruptFileError: if a finished part is damaged or was replaced. That part is removed.
    """
    folder = parts_folder(path)
    if folder.is_symlink():  # its target belongs to somebody else
        raise UsageError(f"{printable(folder)} is a symbolic link; remove it, or choose another output file")
    paths.make_folder(folder)
    depends_on = json.dumps([schema.model_dump(mode="json"), len(parts), dict(identity)], sort_keys=True)
    plan = hashlib.sha256(depends_on.encode()).hexdigest()
    numbers = range(len(parts))
    kept = [(folder / f"{number:06}.h5", f"{plan} {number}") for number in numbers]
    missing = [number for number in numbers if not holds_part(*kept[number])]
    done = len(parts) - len(missing)
    report(done, len(parts))
    with _pool(len(missing)) as pool:
        running = [pool.submit(_make, parts[number], schema, *kept[number]) for number in missing]
        try:
            for finished in as_completed(running):
                finished.result()
                done += 1
                report(done, len(parts))
        except BrokenProcessPool as error:
            raise ContextSSLError(
                "a process that prepared a part of the data was killed, perhaps for want of memory; finished parts are "
                "kept: run the same command again"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    for file, key in kept:
        try:
            samples = read_part(file, schema, key)
        except CorruptFileError as error:
            file.unlink(missing_ok=True)
            raise CorruptFileError(f"{error}; it has been removed: run the same command again") from error
        yield samples


def remove_parts(path: Path) -> None:
    """Remove the parts once the store holds them. Other files in their folder stay, and so does the folder then."""
    folder = parts_folder(path)
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            if _OWN.fullmatch(entry.name):
                entry.unlink()
        folder.rmdir()


def remove_joined_parts(path: Path) -> None:
    """Remove parts that the store ``path`` already holds, after a kill.

    Parts that are newer than the store belong to a preparation that will replace it.
    """
    with contextlib.suppress(OSError):
        written = [part.stat().st_mtime_ns for part in parts_folder(path).iterdir()]
        if all(time <= path.stat().st_mtime_ns for time in written):
            remove_parts(path)


def _pool(tasks: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork would copy locks that threads of this process hold.
    workers = max(1, min(tasks, cpu_count()))
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """End this worker when its parent ends: a killed preparation must not leave workers running."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for_end, args=(parent.sentinel,), daemon=True).start()


def _wait_for_end(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _make(part: _Part, schema: Schema, path: Path, key: str) -> None:
    with blamed("a part of the data"):  # only what can be pickled comes back from another process
        samples = part()
    write_part(path, schema, samples, key)
