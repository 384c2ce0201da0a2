"""Locks between processes. A lock ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from contextssl_cli import files
from contextssl_cli.errors import FileInUseError
from contextssl_cli.text import printable

_log = logging.getLogger(__name__)
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Without ENOSYS, for which filelock keeps the process number in the lock file instead."""


@contextlib.contextmanager
def locked(path: Path, subject: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``, which is removed at the end.

    Args:
        path: of the lock file, in a folder that exists.
        subject: the file or folder that the lock protects, for messages.
        wait: wait while another process holds the lock, and log that.

    Raises:
        FileInUseError: if another process holds the lock and ``wait`` is not set, or the file system has no locks.
        DataMissingError: if the lock file cannot be written.
    """
    lock = FileLock(path)
    try:
        _acquire(lock, subject, wait=wait)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise FileInUseError(
                f"{printable(subject)} cannot be locked ({error.strerror}): its file system has no locks; choose "
                "another folder with --out or CONTEXTSSL_HOME"
            ) from error
        raise files.write_error(path, error) from error
    try:
        yield
    finally:
        # Before the release: a process that waits for the removed file notices that and creates a new one.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def _acquire(lock: FileLock, subject: Path, *, wait: bool) -> None:
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        if not wait:
            raise FileInUseError(
                f"{printable(subject)} is in use: another process is writing it; wait until it has finished, or choose "
                "another --out"
            ) from error
        _log.warning("waiting: another process is writing %s", printable(subject))
        lock.acquire()
