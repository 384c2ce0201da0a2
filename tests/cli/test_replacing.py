"""What is never replaced: irregular files, files of another kind, and the input itself; and what is never read."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from contextssl_cli.store.context import Context
from contextssl_cli.store.dataset import STORE_KIND
from contextssl_cli.store.embeddings import EMBEDDINGS_KIND
from contextssl_cli.store.replace import is_kind
from tests.cli.conftest import TINY, Command, Made

PROBE = ["--metrics", "r2", "--probes", "none", "--lengths", "0,2"]
RESULT = json.dumps({"task": "t", "adaptation_gap": 1.0, "results": []}, indent=2)


def commands(made: Made, result: Path) -> dict[str, list[str | Path]]:
    """Every command that writes a file of its own name, but for the name."""
    return {
        "context create": ["context", "create", "--run", made.run, "--action", "color", "--force", "--out"],
        "adapt": ["adapt", "--context", made.context, "--run", made.run, "--out"],
        "prepare": ["prepare", "digits", "--force", "--out"],
        "report": ["report", result, "--out"],
        "pretrain": ["pretrain", "--plugin", "digits-color", *TINY, "--force", "--out"],
        "demo": ["demo", "--steps", "2", "--force", "--out"],
        "sweep": ["sweep", "--plugin", "digits-color", "--vary", "lr=0.1,0.2", "--out"],
        "plugins new": ["plugins", "new", "flowers", "--force", "--out"],
        "import-official": ["import-official", made.store, "--force", "--out"],
        "reproduce": ["reproduce", "figure3", "--out"],
    }


COMMANDS = ["context create", "adapt", "prepare", "report", "pretrain", "demo", "sweep", "plugins new",
            "import-official", "reproduce"]  # fmt: skip


@pytest.fixture
def result(made: Made, tmp_path: Path) -> Path:
    """A file of results, as far as the command line looks at it before it writes."""
    path = tmp_path / "results.json"
    path.write_text(RESULT)
    return path


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def link_to_a_file(path: Path) -> None:
    Path("target").write_text("mine")
    path.symlink_to("target")


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def device(path: Path) -> None:
    path.symlink_to("/dev/null")


KINDS: list[Callable[[Path], None]] = [fifo, unix_socket, link_to_a_file, device]


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_no_regular_file_is_not_replaced(
    fails: Command, made: Made, result: Path, name: str, make: Callable[[Path], None]
) -> None:
    out = Path("out.html" if name == "report" else "out.h5")
    make(out)
    before = out.lstat()
    outcome = fails(2, "out.", *commands(made, result)[name], out)
    assert outcome.error_code == "E200"
    assert stat.S_IFMT(out.lstat().st_mode) == stat.S_IFMT(before.st_mode)
    assert out.lstat().st_ino == before.st_ino
    assert not Path("target").exists() or Path("target").read_text() == "mine"


@pytest.mark.parametrize("name", ["context create", "adapt", "prepare", "report"])
def test_a_dangling_link_is_not_followed(fails: Command, made: Made, result: Path, name: str) -> None:
    out = Path("out.html" if name == "report" else "out.h5")
    dangling_link(out)
    fails(2, "link", *commands(made, result)[name], out)
    assert not Path("nowhere").exists()


@pytest.mark.parametrize("name", ["context create", "adapt", "prepare", "report"])
@pytest.mark.parametrize("held", ["text", "another kind", "HDF5 of another program"])
def test_a_file_of_another_kind_is_not_replaced(fails: Command, made: Made, result: Path, name: str, held: str) -> None:
    import h5py

    out = Path("out.html" if name == "report" else "out.h5")
    if held == "text":
        out.write_text("<!DOCTYPE html><p>mine")
    elif held == "another kind":
        out.write_bytes((made.store if name != "prepare" else made.context).read_bytes())
    else:
        with h5py.File(out, "w") as file:
            file["mine"] = 1
    before = out.read_bytes()
    assert fails(2, str(out), *commands(made, result)[name], out).error_code == "E200"
    assert out.read_bytes() == before


def test_files_of_the_same_kind_are_replaced_when_empty_whole_or_damaged(cli: Command, made: Made) -> None:
    whole = made.context.read_bytes()
    for held in (b"", whole, whole[: len(whole) // 2]):
        Path("out.h5").write_bytes(held)
        assert cli(*commands(made, made.context)["context create"], "out.h5").code == 0
        assert Context.load(Path("out.h5")).environment == ("color",)


def test_the_kind_of_a_damaged_file_is_read_off_its_first_bytes(made: Made, tmp_path: Path) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(made.store.read_bytes()[:10_000])
    assert is_kind(cut, STORE_KIND)
    assert not is_kind(cut, EMBEDDINGS_KIND)
    cut.write_bytes(made.store.read_bytes()[:100])
    assert not is_kind(cut, STORE_KIND)


def hard_link(path: Path) -> Path:
    os.link(path, "twin.h5")
    return Path("twin.h5")


def other_spelling(path: Path) -> Path:
    return Path("..") / Path.cwd().name / path


@pytest.mark.parametrize("twin", [lambda path: path, hard_link, other_spelling], ids=["same", "hard link", "spelling"])
def test_the_input_is_never_the_output(fails: Command, made: Made, twin: Callable[[Path], Path]) -> None:
    pairs = Path("pairs.h5")
    replace(Context.load(made.context), fingerprint="", run="").save(pairs)
    before = pairs.read_bytes()
    out = twin(pairs)
    fails(2, str(out), "context", "create", "--run", made.run, "--from-pairs", pairs, "--out", out, "--force")
    assert pairs.read_bytes() == before
    source = Path("x.h5")
    source.write_bytes(b"")  # an empty file may be replaced, unless it is the input
    if out != pairs:
        out.unlink()
        out = twin(source) if out.name != "pairs.h5" else other_spelling(source)
    else:
        out = source
    fails(2, str(out), "adapt", "--context", made.context, "--run", made.run, "--input", source, "--out", out)


@pytest.mark.parametrize(
    "name", ["results.json", "results.csv", "r2-by-context-length.svg", "mrr-by-context-length.png"]
)
def test_a_probe_replaces_results_of_probes_alone(fails: Command, made: Made, name: str) -> None:
    Path("out").mkdir()
    Path("out", name).write_text('{"parts": [], "name": "another command\'s"}')
    before = Path("out", name).read_bytes()
    fails(2, f"out/{name}", "probe", "--run", made.run, *PROBE, "--out", "out")
    assert Path("out", name).read_bytes() == before


@pytest.mark.parametrize("name", ["retrieval.png", "results.csv", "comparison.json"])
def test_an_irregular_file_among_the_names_of_results(fails: Command, made: Made, name: str) -> None:
    Path("out").mkdir()
    Path("out/results.json").write_text(RESULT)
    os.mkfifo(Path("out", name))
    flag = ["--retrieval"] if name == "retrieval.png" else ["--compare"] if name == "comparison.json" else []
    fails(2, name, "probe", "--run", made.run, *PROBE, *flag, "--out", "out")


@pytest.mark.parametrize("text", [RESULT, RESULT[:40], ""])
def test_an_older_result_is_replaced_even_if_it_is_cut_off(cli: Command, made: Made, text: str) -> None:
    Path("out").mkdir()
    Path("out/results.json").write_text(text)
    assert cli("probe", "--run", made.run, *PROBE, "--out", "out", "--dry-run").code == 0


@pytest.mark.parametrize("name", ["sweep.json", "sweep.csv", "sweep.png"])
def test_a_sweep_replaces_a_sweeps_files_alone(fails: Command, name: str) -> None:
    Path("out/runs").mkdir(parents=True)
    Path("out", name).write_text('{"mine": 1}')
    fails(2, f"out/{name}", "sweep", "--plugin", "digits-color", "--vary", "context_mask=0,0.5", "--out", "out",
          *TINY[:2], "--set", "batch_size=8", *TINY[4:])  # fmt: skip


@pytest.mark.parametrize("text", ['{"mine": 1}', "[1, 2]", "not JSON", '{"task": 1}'])
def test_a_folder_with_another_programs_run_json_is_no_run(fails: Command, text: str) -> None:
    Path("out/checkpoint").mkdir(parents=True)
    Path("out/run.json").write_text(text)
    Path("out/checkpoint/mine").write_text("mine")
    fails(2, "out exists and is not a run", "pretrain", "--plugin", "digits-color", *TINY, "--out", "out", "--force")
    assert Path("out/checkpoint/mine").read_text() == "mine"


@pytest.mark.parametrize("name", ["results.csv", "rotation.h5", "embeddings-color.h5", "run-seed0/run.json"])
def test_a_demo_replaces_a_demos_files_alone(fails: Command, made: Made, name: str) -> None:
    Path("out/run-seed1").mkdir(parents=True)
    Path("out/run-seed1/run.json").write_text("{}")
    Path("out", name).parent.mkdir(exist_ok=True)
    Path("out", name).write_text("mine")
    fails(2, str(Path(name).parent), "demo", "--steps", "2", "--out", "out", "--force")


def test_force_does_not_write_into_a_folder_that_is_no_plugin(fails: Command) -> None:
    Path("out").mkdir()
    Path("out/README.md").write_text("mine")
    fails(2, "out exists", "plugins", "new", "flowers", "--out", "out", "--force")
    Path("out/pyproject.toml").write_text('[project]\nname = "other"\n')
    fails(2, "out exists", "plugins", "new", "flowers", "--out", "out", "--force")


def test_a_report_replaces_a_report(cli: Command, made: Made) -> None:
    page = Path("page.html")
    for held in (None, "", "itself"):
        if held == "":
            page.write_text("")
        assert cli("report", made.run, "--out", page, "--dry-run").code == 0
        page.write_text('<!DOCTYPE html>\n<html>\n<head>\n<meta name="generator" content="contextssl 0.1">\n')


READERS = {
    "--config": ["pretrain", "--plugin", "digits-color", "--dry-run", "--config", "IN"],
    "info": ["info", "IN"],
    "report": ["report", "IN"],
    "import-official": ["import-official", "IN", "--out", "new"],
    "import-official --dry-run": ["import-official", "IN", "--out", "new", "--dry-run"],
    "--context": ["adapt", "--run", "RUN", "--context", "IN"],
    "context inspect": ["context", "inspect", "IN", "--run", "RUN"],
    "--input": ["adapt", "--run", "RUN", "--context", "CONTEXT", "--input", "IN"],
    "--from-pairs": ["context", "create", "--run", "RUN", "--from-pairs", "IN"],
    "prepare --source": ["prepare", "digits", "--source", "IN", "--out", "new.h5"],
    "prepare --dry-run": ["prepare", "digits", "--source", "IN", "--dry-run"],
    "reproduce --source": ["reproduce", "figure3", "--only", "digits", "--source", "digits=IN"],
    "--store": ["pretrain", "--plugin", "digits-color", *TINY, "--store", "IN", "--out", "new"],
}


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("fifo", ".h5"), ("fifo", ".npz"), ("socket", ".toml"), ("link to a device", ""), ("device", "")],
)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_is_not_read(fails: Command, made: Made, reader: str, kind: str, suffix: str) -> None:
    path = Path(f"in{suffix}")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        unix_socket(path)
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    else:
        path = Path("/dev/zero")
    names: dict[str, str | Path] = {"IN": path, "RUN": made.run, "CONTEXT": made.context, "digits=IN": f"digits={path}"}
    outcome = fails(4, str(path), *(names.get(word, word) for word in READERS[reader]))
    assert outcome.error_code == "E401"


def test_a_fifo_inside_a_folder_of_inputs_or_a_run_is_not_waited_for(fails: Command, made: Made, own_run: Path) -> None:
    Path("images").mkdir()
    os.mkfifo("images/a.png")
    outcome = fails(4, "a.png", "adapt", "--context", made.context, "--run", made.run, "--input", "images")
    assert outcome.error_code == "E401"
    (own_run / "run.json").unlink()
    os.mkfifo(own_run / "run.json")
    fails(3, "run.json", "info", own_run)


@pytest.mark.parametrize(
    "command",
    [
        ["pretrain", "--plugin", "digits-color", *TINY],
        ["pretrain", "--plugin", "digits-color", *TINY, "--dry-run"],
        ["sweep", "--plugin", "digits-color", "--vary", "context_mask=0,0.5", *TINY[:2]],
        ["reproduce", "mask-ablation"],
        ["demo"],
        ["probe", "--run", "RUN", *PROBE],
    ],
    ids=lambda words: " ".join(words[:1] + words[-1:]),
)
def test_a_link_to_nothing_is_no_folder_for_results(fails: Command, made: Made, command: list[str]) -> None:
    Path("out").symlink_to("nowhere")
    fails(2, ("out", "nowhere"), *[str(made.run) if word == "RUN" else word for word in command], "--out", "out")
    assert not Path("nowhere").exists()
