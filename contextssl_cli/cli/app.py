"""The entry point: the application, and one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from contextssl_cli.cli import adapt, context, demo, files, plugins, prepare, pretrain, probe, report, reproduce, sweep
from contextssl_cli.cli.memory import keep_freed_memory
from contextssl_cli.cli.options import check_values, with_verbosity
from contextssl_cli.errors import DataMissingError, Interrupted, UsageError

_HELP = """Contextual self-supervised learning: representations that adapt their symmetries to the task.

A run's embedding becomes equivariant to what a few example pairs show, and invariant to the rest; no weight changes.
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
context_app = typer.Typer(help="Make and inspect context files.", no_args_is_help=True, rich_markup_mode=None)
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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failure, 2 usage, 3 data, 4 file, 5 plugin, 130 interrupted."""
    _open_streams()
    keep_freed_memory()
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _open_streams() -> None:
    """Let streams that the caller has closed lead nowhere: the next file that is opened would take their place.

    What the encoding of a stream does not have is escaped.
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
    """Run one command; return its exit code."""
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
        code = app(arguments, standalone_mode=False)
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the message is the help itself
            for line in error.format_message().splitlines():
                terminal.note(line)
        else:
            message = " ".join(error.format_message().split())  # a list of choices has lines
            message = message.replace(": Value error, ", ": ")  # words of a library behind typer
            terminal.error(UsageError.code, f"{message} (contextssl --help explains the commands)")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort) as error:
        if isinstance(error.__cause__, EOFError):  # which typer takes for Ctrl-D
            return _explain(error.__cause__, arguments)
        code = INTERRUPTED
    except BaseException as error:  # a message of one line is owed to the user even for a mistake of ours
        answered = isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
        if answered or isinstance(error, BrokenPipeError):
            return 1  # the reader of a pipe had enough; typer may have answered with SystemExit
        return _explain(error, arguments)
    if code == INTERRUPTED:  # typer answers Ctrl-C by itself, and says nothing
        terminal.error(Interrupted.code, "interrupted")
    return code if isinstance(code, int) else 0


def _check_working_folder() -> None:
    """Refuse to run in a folder that was removed: the libraries of PyTorch end the process there, without a message."""
    try:
        Path.cwd()
    except OSError as error:
        raise DataMissingError(
            f"the working folder cannot be used ({error.strerror}); change to one that exists"
        ) from error


def _explain(cause: BaseException, arguments: list[str]) -> int:
    """Print what went wrong; return the exit code."""
    from contextssl_cli.cli.faults import in_words
    from contextssl_cli.report.terminal import terminal

    error = in_words(cause, arguments)
    terminal.error(error.code, str(error))
    if terminal.verbosity >= 2:
        terminal.traceback(cause)
    return error.exit_code
