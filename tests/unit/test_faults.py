"""Exceptions that nobody has put into words: one message with a code, and a log for those that are ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from contextssl_cli import paths
from contextssl_cli.cli import app, faults
from contextssl_cli.cli.faults import in_words
from contextssl_cli.errors import PluginError, UsageError
from contextssl_cli.text import printable


class Silent(Exception):  # noqa: N818 - a stranger's
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Panic(BaseException):
    """As the Rust extensions' of pyo3."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("contextssl_cli.adaptation.describe.describe", fail)


def logs(home: Path) -> list[Path]:
    return sorted((home / "cache" / "logs").glob("*"))


@pytest.mark.parametrize(
    "error",
    [TypeError("\x1b[2J"), Silent(), Panic("rust"), SystemExit(0), GeneratorExit(), RecursionError(), EOFError()],
)
def test_a_mistake_of_ours_is_one_coded_line_and_a_log(
    error: BaseException, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    failing(monkeypatch, error)
    assert app.run(["info", "odd\x1bname"]) == 1
    err = capsys.readouterr().err
    (line,) = filter(None, err.splitlines())
    assert line.startswith("error[E101]: ")
    (log,) = logs(home)
    assert str(log) in line
    text = log.read_text()
    for part in ("Traceback", "contextssl info", "torch: ", "python: ", type(error).__name__):
        assert part in text
    assert "hunter2" not in text
    assert "\x1b" not in text


def test_only_the_newest_logs_are_kept_and_no_two_share_a_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "KEPT", 2)
    found = [in_words(raised(KeyError(number)), []) for number in range(4)]
    assert len({str(error) for error in found}) == 4
    assert len(logs(home)) == 2


@pytest.mark.parametrize("place", ["/proc/none", "file", "~nobody-is-called-so/x"])
def test_a_log_that_cannot_be_written_changes_no_code(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    monkeypatch.setenv("CONTEXTSSL_HOME", place)
    failing(monkeypatch, ValueError("x"))
    assert app.run(["info", "x"]) == 1
    assert capsys.readouterr().err.startswith("error[E101]: ")


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
     RuntimeError("CUDA out of memory. Tried to allocate")],
)  # fmt: skip
def test_a_want_of_memory_is_no_mistake(error: Exception, home: Path) -> None:
    found = in_words(raised(error), [])
    assert (found.code, found.exit_code) == ("E100", 1)
    assert "memory" in str(found)
    assert logs(home) == []


def from_plugin(code: str) -> Callable[[], None]:
    """A function of a built-in plugin's package."""
    scope: dict[str, object] = {"__name__": "contextssl_digits.made_up"}
    exec(compile(f"def call():\n    {code}", "made_up.py", "exec"), scope)  # noqa: S102 - our own text  # noqa: S102 - a module without a file
    call = scope["call"]
    assert callable(call)
    return call


@pytest.mark.parametrize("code", ["raise SystemExit(0)", "import json; json.loads('{')", "1 / 0", "raise OSError('x')"])
def test_what_a_plugins_code_raises_anywhere_is_the_plugins(code: str, home: Path) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any
        from_plugin(code)()
    found = in_words(caught.value, [])
    assert isinstance(found, PluginError)
    assert "contextssl_digits" in str(found)
    assert logs(home) == []


def test_a_mistake_of_ours_below_a_plugin_is_ours(home: Path) -> None:
    with pytest.raises(TypeError) as caught:
        from_plugin("from contextssl_cli.parsing import parse_json; parse_json(5)")()
    assert in_words(caught.value, []).code == "E101"


def test_our_own_errors_pass() -> None:
    error = UsageError("x")
    assert in_words(error, []) is error


NO_ACCESS = ["EACCES", "EPERM", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EROFS", "ESTALE", "ETXTBSY", "ENOENT", "ENODEV"]
FAILING = ["EIO", "ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "ENOLCK", "ETIMEDOUT", "EAGAIN"]


@pytest.mark.parametrize("name", [*NO_ACCESS, *FAILING])
def test_whatever_the_system_refuses_names_the_path_and_the_reason(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    number = getattr(errno, name)
    failing(monkeypatch, OSError(number, os.strerror(number), "/data/fi\x1ble.h5"))
    code, wanted = (3, "E300") if name in NO_ACCESS else (1, "E100")
    assert app.run(["info", "x"]) == code
    err = capsys.readouterr().err
    assert err.startswith(f"error[{wanted}]: ")
    assert r"/data/fi\x1ble.h5" in err
    assert "Errno" not in err
    assert len(err.splitlines()) == 1
    assert logs(home) == []


def test_both_paths_of_a_refused_renaming_are_named() -> None:
    found = in_words(raised(OSError(errno.EXDEV, "Invalid cross-device link", "one.h5", None, "two.h5")), [])
    assert "one.h5" in str(found)
    assert "two.h5" in str(found)


def test_the_cache_is_the_place_of_logs(home: Path) -> None:
    assert faults.in_words(raised(ValueError("x")), ["info"]).code == "E101"
    assert logs(home)[0].parent == paths.cache() / "logs"


class OddError(PluginError):
    """As a plugin may derive it, with codes of its own."""

    code = "\x1b[31m"
    exit_code = 77


class MuteError(UsageError):
    """Whose text ends the process."""

    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(("error", "kind"), [(OddError("why"), PluginError), (MuteError("why"), UsageError)])
def test_a_subclass_of_a_plugin_has_our_codes(
    error: Exception,
    kind: type[PluginError],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failing(monkeypatch, error)
    assert app.run(["info", "x"]) == kind.exit_code
    (line,) = filter(None, capsys.readouterr().err.splitlines())
    assert line.startswith(f"error[{kind.code}]: {type(error).__name__}: ")


def test_a_broken_entry_point_does_not_hide_who_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("broken", "!!!", "contextssl"), EntryPoint("stranger", "stranger_of_the_test", "contextssl")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: points)
    names: dict[str, object] = {"__name__": "stranger_of_the_test"}
    exec("def fail():\n    raise ValueError('x')", names)  # noqa: S102 - a module without a file
    with pytest.raises(ValueError, match="x") as caught:
        names["fail"]()  # type: ignore[operator]
    found = in_words(caught.value, [])
    assert (found.code, "stranger" in str(found)) == ("E500", True)


@pytest.mark.parametrize("name", ["plain", "it's", 'a "b"', "line\nbreak"])
def test_a_loop_of_links_is_a_file_that_cannot_be_used(name: str, tmp_path: Path) -> None:
    link = tmp_path / name
    link.symlink_to(link)
    try:
        link.resolve(strict=True)
    except (RuntimeError, OSError) as error:  # the one until Python 3.12, the other from 3.13 on
        told = in_words(error, [])
    assert (told.code, told.exit_code) == ("E300", 3)
    assert printable(name) in str(told)
