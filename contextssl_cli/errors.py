"""The errors that a user can meet, each with an exit status and a stable code; ``docs/errors.md`` lists them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydantic


class ContextSSLError(Exception):
    """Base of all errors that are shown to a user as one message without a traceback.

    The message names the file or value, what was expected, and what to do.
    """

    exit_code = 1
    code = "E100"
    """Printed before the message. It does not change when the wording does."""


class UnexpectedError(ContextSSLError):
    """A fault of contextssl itself; the log file named in the message has the traceback."""

    code = "E101"


class UsageError(ContextSSLError):
    """A name, option or value is wrong."""

    exit_code = 2
    code = "E200"


class InvalidInputError(UsageError, ValueError):
    """An array that a Python program passed cannot be used; the same values in a file are a ``CorruptFileError``.

    It is also a ``ValueError``, which tools of scikit-learn expect.
    """

    code = "E201"


class DataMissingError(ContextSSLError):
    """Data that a command needs does not exist, or access to it is denied."""

    exit_code = 3
    code = "E300"


class FileInUseError(DataMissingError):
    """Another process has locked the file, or its file system has no locks."""

    code = "E301"


class CorruptFileError(ContextSSLError):
    """A file is damaged, of another kind, too new, or does not fit the other files."""

    exit_code = 4
    code = "E400"


class UnsafeFileError(CorruptFileError):
    """A file refers to data outside itself, declares more than this machine can hold, or is not a regular file."""

    code = "E401"


class PluginError(ContextSSLError):
    """A plugin could not be loaded or broke its contract."""

    exit_code = 5
    code = "E500"


class Interrupted(ContextSSLError):  # noqa: N818 - an interruption is not an error
    """The user stopped a run; its state has been saved."""

    exit_code = 130
    code = "E130"


_EXPECTED = {
    "tuple_type": """expected a list, such as ["a", "b"]""",
    "list_type": """expected a list, such as ["a", "b"]""",
    "dict_type": "expected a table, such as {a = 1}",
}
"""Messages in terms of TOML instead of pydantic's, which are in terms of Python."""


def invalid_value(error: pydantic.ValidationError, owner: str = "") -> str:
    """Describe the first invalid value as ``OWNER KEY: what was expected``, leaving out empty parts.

    An unknown key comes before a missing one, which it may misspell.
    """
    found = error.errors()
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    where = " ".join(filter(None, [owner, ".".join(map(str, first["loc"]))]))
    message = _EXPECTED.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def suggestion(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt ``name``: the closest known name, or the first twenty known names."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"known: {', '.join(names[:20])}{more}" if names else "none are known"
