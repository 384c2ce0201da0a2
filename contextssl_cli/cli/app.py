"""The entry point: the application, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli.cli import adapt, context, demo, files, plugins, prepare, pretrain, probe, report, reproduce, sweep
from contextssl_cli.cli.memory import keep_freed_memory
from contextssl_cli.cli.options import check_values, with_verbosity
from contextssl_cli.errors import DataMissingError, Interrupted, UsageError

_HELP = """Contextual self-supervised learning.

Train one encoder. Afterwards a few example pairs, the context, decide which transformations its embedding follows
(equivariance) and which it ignores (invariance), without changing a weight.

To begin, run contextssl demo.
"""

INTERRUPTED = Interrupted.exit_code

app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None)
app.command("demo")(with_verbosity(demo.demo_main))
_OWN_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
app.command("prepare", context_settings=_OWN_OPTIONS)(with_verbosity(prepare.prepare_main))
app.command("pretrain")(with_verbosity(pretrain.pretrain_main))
app.command("probe")(with_verbosity(probe.probe_main))
app.command("report")(with_verbosity(report.report_main))
app.command("sweep")(with_verbosity(sweep.sweep_main))
app.command("reproduce")(with_verbosity(reproduce.reproduce_main))
context_app = typer.Typer(help="Create and inspect contexts.", no_args_is_help=True, rich_markup_mode=None)
context_app.command("create")(with_verbosity(context.create_main))
context_app.command("inspect")(with_verbosity(context.inspect_main))
app.add_typer(context_app, name="context")
app.command("adapt")(with_verbosity(adapt.adapt_main))
plugins_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
plugins_app.callback()(with_verbosity(plugins.plugins_main))
plugins_app.command("new")(with_verbosity(plugins.new_main))
plugins_app.command("check")(with_verbosity(plugins.check_main))
app.add_typer(plugins_app, name="plugins")
app.command("info")(with_verbosity(files.info_main))
app.command("import-official")(with_verbosity(files.import_official_main))


def _print_version(value: bool) -> None:
    if value:
        from contextssl_cli import __version__

        typer.echo(f"contextssl {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with one of the statuses in ``docs/errors.md``."""
    _open_streams()
    keep_freed_memory()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _open_streams() -> None:
    """Replace standard streams that the caller closed, since the next opened file would take their numbers.

    Characters that the encoding of a stream cannot represent are escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        if name != "stdin":
            getattr(sys, name).reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run one command; return its exit status."""
    from contextssl_cli.report.terminal import terminal

    terminal.listen()
    try:
        return _run(arguments)
    finally:
        terminal.settle()


def _run(arguments: list[str]) -> int:
    from contextssl_cli.report.terminal import terminal

    try:
        _check_working_folder()
        check_values(arguments)
        code = app(arguments, standalone_mode=False, prog_name="contextssl")
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the message is the help itself
            for line in error.format_message().splitlines():
                terminal.result(line)
            return 0
        message = " ".join(error.format_message().split())  # a list of choices has several lines
        message = message.replace(": Value error, ", ": ")  # words of a library behind typer
        terminal.error(UsageError.code, f"{message} (see contextssl --help)")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # typer takes it for Ctrl-D
            return _explain(error.__cause__, arguments)
        code = INTERRUPTED
    except BaseException as error:  # users get a message of one line even for our own mistakes
        answered = isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
        if answered or isinstance(error, BrokenPipeError):
            return 1  # the program that reads our output has ended; typer may have turned that into SystemExit
        if _is_completion(error):
            return 0
        return _explain(error, arguments)
    if code == INTERRUPTED:  # typer handles Ctrl-C itself, without a message
        terminal.error(Interrupted.code, "interrupted")
    return code if isinstance(code, int) else 0


def _is_completion(error: BaseException) -> bool:
    """Whether typer ended the process after printing or installing shell completion."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    ended_by = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return isinstance(error, SystemExit) and not error.code and ended_by in ("typer", "click")


def _check_working_folder() -> None:
    """Refuse to run in a removed folder, where the libraries of PyTorch end the process without a message."""
    try:
        Path.cwd()
    except OSError as error:
        raise DataMissingError(
            f"the current folder cannot be used ({error.strerror}); change to a folder that exists"
        ) from error


def _explain(cause: BaseException, arguments: list[str]) -> int:
    """Print an error; return its exit status."""
    from contextssl_cli.cli.faults import in_words
    from contextssl_cli.report.terminal import terminal

    error = in_words(cause, arguments)
    terminal.error(error.code, str(error))
    if terminal.verbosity >= 2:
        terminal.traceback(cause)
    return error.exit_code
