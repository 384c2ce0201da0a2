"""Reading regular files alone, and writing them so that a crash leaves the old file or none."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import platform
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UnsafeFileError, UsageError
from contextssl_cli.text import printable

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


def check_input(path: Path, expected: str = "a file") -> Path:
    """Refuse a path that is no regular file, before it is opened: a FIFO would block, a device might never end.

    Args:
        path: of a file that is about to be read. A symbolic link to a regular file is one.
        expected: what the error asks for.

    Raises:
        DataMissingError: if the path does not exist or cannot be reached.
        UnsafeFileError: if it is a folder, a FIFO, a socket or a device.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise read_error(path, error) from error
    if not stat.S_ISREG(mode):
        raise UnsafeFileError(f"{printable(path)} is {_KINDS[stat.S_IFMT(mode)]}, expected {expected}")
    return path


def check_output(path: Path) -> Path:
    """Refuse to replace anything but a regular file; a path that does not exist yet is accepted.

    Raises:
        UsageError: if the path is a folder, a symbolic link, a FIFO, a socket or a device.
        DataMissingError: if it cannot be reached.
    """
    path = Path(path)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return path
    except OSError as error:
        raise write_error(path, error) from error
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"{printable(path)} is {_KINDS[stat.S_IFMT(mode)]} and is not replaced; choose another output file"
        )
    return path


def read_bytes(path: Path) -> bytes:
    """The contents of a regular file.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
    """
    try:
        return check_input(path).read_bytes()
    except OSError as error:
        raise read_error(path, error) from error


def read_text(path: Path) -> str:
    """The contents of a UTF-8 text file, without a byte-order mark.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if it is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptFileError(f"{printable(path)} is not UTF-8 text ({error}); save it as UTF-8") from error


def read_error(path: Path, error: OSError) -> DataMissingError:
    """The message for a failed read of ``path``."""
    if isinstance(error, FileNotFoundError):
        return DataMissingError(f"{printable(path)} does not exist")
    return DataMissingError(f"cannot read {printable(path)}: {error.strerror or error}")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and rename it to ``path``.

    Raises:
        ContextSSLError: if the disk is full. Nothing is left behind.
        DataMissingError: if the folder is missing or may not be written to.
        UsageError: if ``path`` exists and is no regular file.
    """
    path = check_output(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        descriptor, name = tempfile.mkstemp(
            prefix=f".{path.name}.{_place()}-{os.getpid()}.", suffix=".partial", dir=path.parent
        )
    except OSError as error:
        raise write_error(path, error) from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> ContextSSLError:
    """The message for a failed write to ``path``."""
    # HDF5 and safetensors report the cause in the text only.
    if error.errno in _NO_SPACE or any(os.strerror(code) in str(error) for code in _NO_SPACE):
        return ContextSSLError(
            f"no space left while writing {printable(path)}; nothing was kept: free some space or choose "
            "another place with --out or CONTEXTSSL_HOME"
        )
    reason = error.strerror or str(error)
    return DataMissingError(
        f"cannot write {printable(path)}: {reason}; choose another place with --out or CONTEXTSSL_HOME"
    )


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        CorruptFileError: if it is not a JSON object.
    """
    text = read_text(path)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(
            f"{printable(path)} is not valid JSON ({error}); it may have been cut off or edited"
        ) from error
    if not isinstance(value, dict):
        raise CorruptFileError(f"{printable(path)} holds a {type(value).__name__}, expected a JSON object")
    return value


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """The hexadecimal digest of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Remove what processes of this machine that were killed had begun to write to ``path``."""
    begun = re.compile(rf"\.{re.escape(path.name)}\.{_place()}-(\d+)\..*\.partial")
    for entry in os.scandir(path.parent):
        found = begun.fullmatch(entry.name)
        if found and not _is_alive(int(found[1])):
            Path(entry.path).unlink(missing_ok=True)


@functools.cache
def _place() -> str:
    """Where a process number means this process: the machine, and on Linux the container's own numbers."""
    try:
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{platform.node()} {numbers}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
