"""Options that mean the same in every command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from contextssl_cli.errors import UsageError, suggestion


def option(flag: str, text: str, default: str = "", **how: Any) -> Any:
    """An option of Typer.

    Args:
        flag: the option and the name of its value, such as ``--out FILE``.
        text: its help.
        default: what an option means that has no value by default, for the help.
        how: other arguments of ``typer.Option``.
    """
    name, _, metavar = flag.partition(" ")
    shown = f"{text}  [default: {default}]" if default else text
    return typer.Option(name, metavar=metavar or None, help=shown, **how)


RunFolder = Annotated[
    Path | None,
    option("--run FOLDER", "Folder of the run.", "the newest run"),
]
FittingRun = Annotated[
    Path | None,
    option("--run FOLDER", "Folder of the run.", "the run that the context fits"),
]
Out = Annotated[
    Path | None,
    option("--out FOLDER", "Folder of the new run.", "FILE without its suffix"),
]
StoreFile = Annotated[
    Path | None,
    option("--store FILE", "Prepared store to train on.", "the store of the data set, prepared if it is missing"),
]
PresetName = Annotated[
    str | None,
    option("--preset NAME", "default, or paper for the paper's recipe.", "default"),
]
AnySetting = Annotated[
    list[str] | None,
    option("--set KEY=VALUE", "Any other setting (repeatable; --dry-run lists the keys)."),
]
Seed = Annotated[
    int,
    option("--seed N", "Seed of all random numbers.", min=0, envvar="CONTEXTSSL_SEED"),
]
Device = Annotated[str, option("--device NAME", "auto, cpu, cuda or mps.", envvar="CONTEXTSSL_DEVICE")]
Force = Annotated[bool, option("--force", "Overwrite an existing output of the same kind.")]
DryRun = Annotated[bool, option("--dry-run", "Print what would be done, and stop.")]
Json = Annotated[bool, option("--json", "Print one JSON object instead of text.")]
Metrics = Annotated[
    str | None,
    option(
        "--metrics NAMES",
        "Some of r2, individual, top1, knn, mrr and context-labels, separated by commas; or all.",
        "r2,top1,knn,mrr",
    ),
]
Probes = Annotated[
    str | None,
    option(
        "--probes NAMES",
        "Probes of actions in addition to the paper's: some of ridge, ridge-cv, linear and mlp, separated by commas; "
        "or none.",
        "ridge",
    ),
]
Lengths = Annotated[
    str | None,
    option("--lengths N,N,...", "Context lengths in tokens, two for each pair.", "0,2,14,30,126"),
]
JudgeOn = Annotated[
    Literal["test", "held-out"],
    option(
        "--judge-on", "Measure on the test split, or on the training objects that the run held out, to choose settings."
    ),
]

_Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Print more; -vv adds tracebacks.")
]
_Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only results and errors.")]


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


def _check_no_option_is_a_value(invocation: typer.Context) -> None:
    """Refuse an option of the command as the value of another, as in ``--out --dry-run``: the value was forgotten.

    Raises:
        UsageError: naming both.
    """
    parameters = invocation.command.params
    known = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    for parameter in parameters:
        value = invocation.params.get(parameter.name or "")
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, str | Path) and str(one).startswith("-") and str(one) in known:
                raise UsageError(f"{parameter.opts[0]} has the value {one}, which is an option; name a value before it")


def words(option: str, text: str | None, known: Sequence[str]) -> list[str] | None:
    """Split a list of words at its commas; ``none`` alone is the empty list.

    Raises:
        UsageError: if a word is unknown, or ``none`` is combined with others.
    """
    if text is None:
        return None
    found = [word.strip() for word in text.split(",")]
    for word in found:
        if word not in known:
            raise UsageError(f"{option} {text}: there is no {word!r}: {suggestion(word, known)}")
    if "none" in found and len(found) > 1:
        raise UsageError(f"{option} {text}: none cannot be combined with other names")
    return [word for word in found if word != "none"]


def _numbers(option: str, text: str, example: str) -> list[int]:
    """Split a list of whole numbers at its commas."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"{option} {text or '(empty)'}: expected whole numbers separated by commas, such as {example}"
        ) from error


def seeds(text: str) -> list[int]:
    """Parse ``--seeds``.

    Raises:
        UsageError: if a part is not a whole number of at least 0, or occurs twice.
    """
    from contextssl_cli.config.resolve import check_seeds

    found = _numbers("--seeds", text, "0,1,2")
    check_seeds(found)
    return found


def measures(metrics: str | None, probes: str | None, lengths: str | None, judge_on: str) -> dict[str, Any]:
    """Parse ``--metrics``, ``--probes``, ``--lengths`` and ``--judge-on``, leaving out options that were not given.

    Raises:
        UsageError: if a name is unknown or a number is not valid.
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
    """Add the options ``-q`` and ``-v`` to a command."""
    signature = inspect.signature(command, eval_str=True)
    own = next((name for name, one in signature.parameters.items() if one.annotation is typer.Context), None)

    @functools.wraps(command)
    def wrapped(*args: Any, verbose: int = 0, quiet: bool = False, **kwargs: Any) -> None:
        from contextssl_cli.report.terminal import terminal

        terminal.verbosity = -1 if quiet else verbose
        _check_no_option_is_a_value(kwargs[own] if own else kwargs.pop("invocation"))
        command(*args, **kwargs)

    added = [
        inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=_Verbose),
        inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Quiet),
    ]
    if own is None:  # typer gives a command one context
        added.append(inspect.Parameter("invocation", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
    parameters = [*signature.parameters.values(), *added]
    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped
