"""Escaping of names, so that columns, labels, attributes and action types can be names of HDF5 objects."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

_NOT_LITERAL = re.compile(r"[%/\x00-\x1f\x7f\ud800-\udfff]+|^\.(?=\.?$)")


def escaped(name: str) -> str:
    """Escape ``name`` for use as the name of an HDF5 object; ``unescaped`` reverses it.

    ``%``, ``/``, control characters and lone surrogates become ``%XX`` for each byte of their UTF-8 encoding, and so
    does the first dot of ``.`` and ``..``. The empty name becomes ``%``. All other names stay as they are.
    """
    return _NOT_LITERAL.sub(_percent, name) or "%"


def unescaped(name: str) -> str:
    """Reverse ``escaped``. Text that is not such an encoding, as in ``50%``, stays."""
    try:
        return "" if name == "%" else unquote(name, errors="surrogatepass")
    except UnicodeDecodeError:
        return name


def _percent(found: re.Match[str]) -> str:
    return "%2E" if found[0] == "." else quote(found[0], safe="", errors="surrogatepass")
