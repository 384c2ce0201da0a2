"""Kill an operation before each of its steps on the file system, in a process of its own."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any

_STEPS = ("chmod", "fsync", "mkdir", "open", "rename", "replace", "rmdir", "unlink")
_KILLED = 77


def kill_before_each_step(operation: Callable[[], object], *, every: int = 1) -> Iterator[int]:
    """Run the operation again and again, each time killed one step later than before.

    The caller looks at what the kill has left, and puts everything back, in the body of its loop.

    Args:
        operation: runs in a forked process, which ends by ``os._exit``: no ``finally`` is reached.
        every: leave out the steps between.

    Yields:
        The number of the step before which it was killed, until it is not killed any more.
    """
    number = 1
    while _run(operation, number) == _KILLED:
        yield number
        number += every


def _run(operation: Callable[[], object], number: int) -> int:
    process = os.fork()
    if process == 0:
        code = 1
        try:
            _die_before(number)
            operation()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in (0, _KILLED), f"the operation failed at step {number} without being killed"
    return code


def _die_before(number: int) -> None:
    done = 0

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if done == number:
                os._exit(_KILLED)
            return step(*arguments, **named)

        return run

    for module, names in ((os, _STEPS), (io, ("open",))):
        for name in names:
            setattr(module, name, counted(getattr(module, name)))
