"""The boundary to the code of plugins: every exception from there becomes an error of the plugin."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from contextssl_cli.errors import ContextSSLError, PluginError
from contextssl_cli.text import reason


class PluginCodeError(PluginError):
    """The code of a plugin raised an exception that is not an error of contextssl; it is the cause of this error."""


@contextmanager
def blamed(owner: str) -> Iterator[None]:
    """Turn what a plugin's code raises into a ``PluginCodeError``.

    Errors of contextssl, which plugins raise on purpose, pass unchanged. So do interruptions, memory errors, and errors
    of the system about a file.

    Args:
        owner: who is named, such as ``the data set 'flowers'``.

    Raises:
        PluginCodeError: in place of any other exception, those that are no ``Exception`` included.
    """
    try:
        yield
    except (ContextSSLError, KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise PluginCodeError(f"{owner} failed: {reason(error)}") from error


class Guarded:
    """Base of the plugin classes; every error in their methods and properties names the plugin."""

    _kind = "plugin"
    """The kind of plugin, for messages."""

    def __init_subclass__(cls, **how: Any) -> None:
        super().__init_subclass__(**how)
        if cls.__module__.partition(".")[0] == __name__.partition(".")[0]:
            return  # our own
        for name, value in list(vars(cls).items()):
            if not name.startswith("__"):
                _guard(cls, name, value)


def plugin_title(plugin: Any) -> str:
    """``the data set 'flowers'``; the class, if it has no name."""
    name = inspect.getattr_static(plugin, "name", None)  # a property may be what has failed
    return f"the {plugin._kind} {(name if isinstance(name, str) else type(plugin).__name__)!r}"


def _guard(cls: type, name: str, value: Any) -> None:
    if inspect.isfunction(value):
        setattr(cls, name, _wrapped(value))
    elif isinstance(value, property):
        get, put, drop = (part and _wrapped(part) for part in (value.fget, value.fset, value.fdel))
        setattr(cls, name, property(get, put, drop, value.__doc__))
    elif isinstance(value, functools.cached_property):
        value.func = _wrapped(value.func)


def _wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        with blamed(plugin_title(self)):
            return function(self, *args, **named)

    return call
