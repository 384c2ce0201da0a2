"""Reading of regular files only, and atomic writing, so that a crash leaves the old file or none."""

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
from contextssl_cli.parsing import parse_json, parse_toml
from contextssl_cli.text import printable

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_ACCESS = {
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EROFS,
    errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ETXTBSY, errno.EBUSY, errno.EEXIST, errno.ENOTEMPTY, errno.EXDEV,
    errno.EINVAL, errno.ENOTCONN, errno.EHOSTDOWN,
}  # fmt: skip
_TOO_MANY = {errno.EMFILE, errno.ENFILE}
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


def check_input(path: Path, expected: str = "a file") -> Path:
    """Refuse a path that is not a regular file before it is opened: a FIFO would block, and a device might never end.

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
    except ValueError as error:  # a NUL in a name that was read from a file
        raise DataMissingError(f"{printable(path)} does not exist") from error
    if not stat.S_ISREG(mode):
        raise UnsafeFileError(f"{printable(path)} is {_KINDS[stat.S_IFMT(mode)]}, expected {expected}")
    return path


def check_source(path: Path, option: str = "--source") -> Path:
    """Refuse a source that is neither a folder nor a regular file.

    Raises:
        DataMissingError: if it does not exist or cannot be reached.
        UnsafeFileError: if it is a FIFO, a socket or a device.
    """
    try:
        return path if path.is_dir() else check_input(path, "a folder or a file")
    except ContextSSLError as error:
        raise type(error)(f"{option} {error}") from error


def check_output(path: Path, *inputs: Path | None) -> Path:
    """Refuse to overwrite an input, or anything but a regular file; a path that does not exist yet is accepted.

    Args:
        path: of a file that is about to be written.
        inputs: files that it is made from. A link to one of them is the same file.

    Raises:
        UsageError: if the path is a folder, a symbolic link, a FIFO, a socket or a device, or it is one of the inputs.
        DataMissingError: if it cannot be reached.
    """
    path = Path(path)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return path
    except OSError as error:
        raise write_error(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(
            f"{printable(path)} is {_KINDS[stat.S_IFMT(found.st_mode)]} and is not overwritten; choose another output"
        )
    for one in inputs:
        if one is not None and one.exists() and os.path.samestat(found, one.stat()):
            raise UsageError(f"{printable(path)} is the input {printable(one)}; choose another output file")
    return path


def folder_exists(folder: Path) -> bool:
    """Whether the folder of an output exists already.

    Raises:
        UsageError: if it is a symbolic link to nothing, in whose place no folder can be made.
    """
    if folder.exists():
        return True
    if folder.is_symlink():
        target = printable(str(folder.readlink()))
        raise UsageError(f"{printable(folder)} is a symbolic link to {target}, which does not exist; remove the link")
    return False


def check_name(path: Path) -> Path:
    """Refuse a path that is not UTF-8, before it is written into a file.

    Raises:
        UsageError: if it, or the folder that it is relative to, has another encoding.
    """
    try:
        os.path.abspath(path).encode()  # noqa: PTH100 - resolve would follow links
    except UnicodeEncodeError as error:
        raise UsageError(f"the name of {printable(path)}, or of a folder above it, is not UTF-8; rename it") from error
    return path


def read_bytes(path: Path, size: int = -1) -> bytes:
    """The contents of a regular file, or its first ``size`` bytes.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
    """
    try:
        with check_input(path).open("rb") as stream:
            return stream.read(size)
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


def read_error(path: Path, error: OSError) -> ContextSSLError:
    """The message for a failed read of ``path``."""
    return os_error(error, path, "read")


def os_error(error: OSError, path: Path | None = None, action: str = "use") -> ContextSSLError:
    """The error for a failed call to the operating system.

    Args:
        error: that it raised.
        path: of the call; by default the one that the error names.
        action: the verb for the message.

    Returns:
        A ``DataMissingError`` if the path is missing or access to it is denied; else, such as for a full disk or a
        device that fails, a plain ``ContextSSLError``.
    """
    named = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)]
    names = [path] if path is not None else [Path(os.fsdecode(name)) for name in named]
    where = " and ".join(map(printable, names)) or "a file"
    reason = printable(error.strerror or str(error))
    if isinstance(error, FileNotFoundError):
        return DataMissingError(f"{where} does not exist")
    if _is_full(error):
        return ContextSSLError(f"no space left for {where}; free some space or choose another folder")
    if error.errno in _TOO_MANY:
        return ContextSSLError(f"cannot {action} {where}: {reason}; raise the limit with ulimit -n")
    kind = DataMissingError if error.errno in _NO_ACCESS else ContextSSLError
    return kind(f"cannot {action} {where}: {reason}")


def _is_full(error: OSError) -> bool:
    # HDF5 and safetensors report the cause in the text only.
    return error.errno in _NO_SPACE or any(os.strerror(code) in str(error) for code in _NO_SPACE)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; on success flush it to the disk and rename it to ``path``.

    Raises:
        ContextSSLError: if the disk is full. Nothing is left behind.
        DataMissingError: if the folder is missing or may not be written to.
        UsageError: if ``path`` exists and is no regular file.
    """
    path = check_output(path)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        descriptor, name = tempfile.mkstemp(
            prefix=f".{path.name}.{_place()}-{os.getpid()}.", suffix=".partial", dir=path.parent
        )
    os.close(descriptor)
    temporary = Path(name)
    try:
        with writing_to(path):
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            flush(temporary)
            temporary.replace(path)
            flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Answer a failed write with the error that names ``path``."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> ContextSSLError:
    """The message for a failed write to ``path``."""
    advice = "choose another folder with --out or CONTEXTSSL_HOME"
    if _is_full(error):
        return ContextSSLError(
            f"no space left while writing {printable(path)}; nothing was saved; free some space or {advice}"
        )
    if error.errno in _NO_ACCESS or error.errno is None:
        return DataMissingError(f"cannot write {printable(path)}: {printable(error.strerror or str(error))}; {advice}")
    return os_error(error, path, "write")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically; a lone surrogate, which UTF-8 cannot hold, as its escape."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def append_text(path: Path, text: str) -> None:
    """Write ``text`` at the end of a regular file.

    Raises:
        ContextSSLError: if the disk is full; UsageError: if ``path`` is no regular file; DataMissingError: if it cannot
            be written to.
    """
    with writing_to(path), check_output(path).open("a", encoding="utf-8") as stream:
        stream.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, by the rules of ``parse_json``.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if it is not a JSON object.
    """
    try:
        value = parse_json(read_text(path))
    except ValueError as error:
        raise CorruptFileError(
            f"{printable(path)} is not valid JSON ({error}); it may be truncated or edited"
        ) from error
    if not isinstance(value, dict):
        raise CorruptFileError(f"{printable(path)} contains a {type(value).__name__}, expected a JSON object")
    return value


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
        CorruptFileError: if it is not TOML, or nested too deeply.
    """
    text = read_text(path)
    try:
        return parse_toml(text)
    except ValueError as error:
        raise CorruptFileError(f"{printable(path)} is not valid TOML: {error}") from error


def is_own_json(path: Path, *keys: str) -> bool:
    """Whether ``write_json`` wrote a file whose first keys are ``keys``; a damaged file is judged by its beginning."""
    try:
        text = read_text(path)
        value = parse_json(text)
    except CorruptFileError:
        return False
    except ValueError:
        return text.startswith(f"{{\n  {json.dumps(keys[0])}: ")
    return isinstance(value, dict) and all(key in value for key in keys)


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """The hexadecimal digest of a regular file's bytes.

    Raises:
        DataMissingError: if it does not exist or cannot be read.
        UnsafeFileError: if it is no regular file.
    """
    try:
        with check_input(path).open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError as error:
        raise read_error(path, error) from error


def flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Remove temporary files for ``path`` left by processes of this machine that were killed."""
    begun = re.compile(rf"\.{re.escape(path.name)}\.{_place()}-(\d+)\..*\.partial")
    for entry in os.scandir(path.parent):
        found = begun.fullmatch(entry.name)
        if found and not _is_alive(int(found[1])):
            Path(entry.path).unlink(missing_ok=True)


@functools.cache
def _place() -> str:
    """An identifier of the machine and, on Linux, of the container, within which process numbers are unique."""
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
