"""Runs the rules of the contract: it stops at the first broken rule, or collects the result of each."""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import contextssl_cli
from contextssl_cli.errors import ContextSSLError
from contextssl_cli.plugin.guard import PluginCodeError
from contextssl_cli.text import reason

_CORE = Path(contextssl_cli.__file__).parent

Result = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Finding:
    """The result of one rule.

    Attributes:
        subject: the object of the check, such as ``action type mirror``.
        rule: the rule's name.
        result: ``ok``, ``failed`` or ``skipped``.
        text: one line with the fault and its remedy; empty for ``ok``.
    """

    subject: str
    rule: str
    result: Result
    text: str = ""


class Checks:
    """The rules of a run and their results.

    Args:
        keep_going: collect broken rules as findings; otherwise the first error is raised.
    """

    def __init__(self, *, keep_going: bool = False) -> None:
        self.keep_going = keep_going
        self.findings: list[Finding] = []

    def rule(self, subject: str, name: str) -> Rule:
        """The context in which a rule is checked; an exception inside breaks the rule."""
        return Rule(self, subject, name)

    def skip(self, subject: str, name: str, why: str) -> None:
        """Record a rule that cannot be checked."""
        self.findings.append(Finding(subject, name, "skipped", why))


class Rule(contextlib.AbstractContextManager[None, bool]):
    """A rule while it is checked; see ``Checks.rule``."""

    def __init__(self, checks: Checks, subject: str, name: str) -> None:
        self._checks, self._subject, self._name = checks, subject, name

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if error is not None and not (self._checks.keep_going and isinstance(error, Exception)):
            return False
        finding = Finding(self._subject, self._name, "failed" if error else "ok", _explained(error) if error else "")
        self._checks.findings.append(finding)
        return True


def _explained(error: BaseException) -> str:
    """One line for an error; an error in the author's code is named with its place."""
    if isinstance(error, PluginCodeError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ContextSSLError):
        return " ".join(str(error).split())
    return f"it raises {reason(error)}; fix {_place(error)}"


def _place(error: BaseException) -> str:
    """The last line of the author's folder in the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not Path(frame.filename).is_relative_to(_CORE)] or frames
    folder = Path(theirs[0].filename).parent
    last = [frame for frame in theirs if Path(frame.filename).is_relative_to(folder)][-1]
    return f"{Path(last.filename).name}, line {last.lineno}"
