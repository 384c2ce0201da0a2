"""Options that mean the same in every command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from contextssl_cli.errors import UsageError, suggestion

RunFolder = Annotated[
    Path | None, typer.Option("--run", help="Folder of the run; by default the newest.", show_default=False)
]
Out = Annotated[Path | None, typer.Option("--out", help="Where the result goes.", show_default=False)]
Source = Annotated[
    Path | None,
    typer.Option("--source", help="The source: a folder, or a file where the data set takes one.", show_default=False),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that is drawn.", envvar="CONTEXTSSL_SEED")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.", envvar="CONTEXTSSL_DEVICE")]
Force = Annotated[
    bool, typer.Option("--force", help="Replace an output of the same kind; nothing else is ever replaced.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        help="Of r2, individual, top1, knn, mrr, context-labels, separated by commas; or all. Default: "
        "r2,top1,knn,mrr, which are quick.",
    ),
]
Probes = Annotated[
    str | None,
    typer.Option(
        "--probes",
        help="Probes of actions in addition to the paper's: ridge, ridge-cv, linear or mlp, separated by commas; "
        "or none. Default: ridge.",
    ),
]
Lengths = Annotated[
    str | None,
    typer.Option("--lengths", help="Context lengths in tokens, separated by commas. Default: 0,2,14,30,126."),
]
JudgeOn = Annotated[
    Literal["test", "held-out"],
    typer.Option(
        "--judge-on",
        help="The test split; or the training objects that the run held out, by which settings may be chosen.",
    ),
]

_Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks.")]
_Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but results and errors.")]


def check_values(arguments: Sequence[str]) -> None:
    """Refuse empty values, which an unset variable of a shell leaves.

    Raises:
        UsageError: naming the option.
    """
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument.startswith("--") and argument.find("=") == len(argument) - 1:
            raise UsageError(f"{argument[:-1]} has an empty value; give it one, or leave the option out")
        if not argument:
            raise UsageError(
                f"{before} has an empty value; give it one, or leave the option out"
                if before.startswith("-")
                else "an argument is empty; give it a value, or leave it out"
            )


def words(option: str, text: str | None, known: Sequence[str]) -> list[str] | None:
    """The words of a list that is separated by commas; ``none`` alone is the empty one.

    Raises:
        UsageError: if a word is unknown, or ``none`` stands beside others.
    """
    if text is None:
        return None
    found = [word.strip() for word in text.split(",")]
    for word in found:
        if word not in known:
            raise UsageError(f"{option} {text}: there is no {word!r}: {suggestion(word, known)}")
    if "none" in found and len(found) > 1:
        raise UsageError(f"{option} {text}: none stands alone")
    return [word for word in found if word != "none"]


def _numbers(option: str, text: str, example: str) -> list[int]:
    """The whole numbers of a list that is separated by commas."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"{option} {text or '(empty)'}: expected whole numbers, separated by commas, as {example}"
        ) from error


def seeds(text: str) -> list[int]:
    """The seeds of ``--seeds``.

    Raises:
        UsageError: if a part is no whole number from 0 on, or stands there twice.
    """
    from contextssl_cli.config.resolve import check_seeds

    found = _numbers("--seeds", text, "0,1,2")
    check_seeds(found)
    return found


def measures(metrics: str | None, probes: str | None, lengths: str | None, judge_on: str) -> dict[str, Any]:
    """What ``--metrics``, ``--probes``, ``--lengths`` and ``--judge-on`` ask of a probe; only what was given.

    Raises:
        UsageError: if a word or a number is none.
    """
    from contextssl_cli.config.probe import METRICS, ActionProbe

    asked = {
        "metrics": words("--metrics", metrics, (*METRICS, "all")),
        "action_probes": words("--probes", probes, (*get_args(ActionProbe), "none")),
        "context_lengths": None if lengths is None else _numbers("--lengths", lengths, "0,2,14"),
        "judged_on": judge_on,
    }
    return {name: value for name, value in asked.items() if value is not None}


def with_verbosity(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``-q`` and ``-v``."""

    @functools.wraps(command)
    def wrapped(*args: Any, verbose: int = 0, quiet: bool = False, **kwargs: Any) -> None:
        from contextssl_cli.report.terminal import terminal

        terminal.verbosity = -1 if quiet else verbose
        command(*args, **kwargs)

    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=_Verbose),
        inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Quiet),
    ]
    parameters = [*signature.parameters.values(), *added]
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped
