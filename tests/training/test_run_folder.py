"""A run's folder at every moment: begun, replaced, read while it is trained, and left by a kill."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from contextssl_cli import files
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, FileInUseError, UsageError
from contextssl_cli.evaluation.open_run import OpenRun
from contextssl_cli.training import checkpoint as checkpoints
from contextssl_cli.training import import_official
from contextssl_cli.training.checkpoint import MODEL_FILE, latest_checkpoint, of_newest
from contextssl_cli.training.run import CHECKPOINTS, Run, RunRecord, exclusive, holds_run
from contextssl_cli.training.runs import add_to_index, known_runs, new_run_folder, register
from contextssl_cli.training.weights import Weights, save_checkpoint
from tests import tiny
from tests.kills import kill_before_each_step

Save = Callable[[Run, int], None]


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTEXTSSL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def record(digits_run: Run) -> RunRecord:
    """Of a run that is to replace another."""
    return digits_run.record.model_copy(update={"created": "2030-01-01T00:00:00Z"})


@pytest.fixture
def old(digits_run: Run, own_home: Path, tmp_path: Path) -> Path:
    """A copy of a trained run, with what probes and a user have put there."""
    folder = Path(shutil.copytree(digits_run.folder, tmp_path / "run"))
    for name in ("probe", "cache", "letters"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "file").write_text(name)
    return folder


@pytest.fixture
def save(digits_run: Run) -> Save:
    """Save a checkpoint of other weights than the trained ones, without training them."""
    model = OpenRun(digits_run).model
    optimizer = torch.optim.Adam(model.parameters())

    def saved(run: Run, step: int) -> None:
        for parameter in model.parameters():
            parameter.data.fill_(step)
        run.save(model, optimizer, step, 20)
        register(run.folder)

    return saved


def restarted(folder: Path, record: RunRecord, save: Save) -> None:
    """What ``pretrain --force`` does, to the first checkpoint."""
    run = Run.create(folder, record, force=True)
    with run.writing():
        save(run, 10)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def copies(folder: Path) -> Iterator[Callable[[], None]]:
    """Put a folder back as it was."""
    kept = Path(shutil.copytree(folder, folder.with_name("kept")))

    def again() -> None:
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)

    yield again


@pytest.fixture
def put_back(old: Path) -> Iterator[Callable[[], None]]:
    yield from copies(old)


def check_replaced_or_whole(old: Path, before: dict[str, bytes], record: RunRecord) -> str:
    """Which of the two runs a folder holds. It must hold all of it, and load."""
    run = Run(old)
    OpenRun(run)
    if run.record != record:
        assert contents(old).items() >= before.items()
        return "old"
    assert run.reached() == (10, 20)
    assert run.fingerprint() not in before.values()
    assert not (old / "probe").exists()
    assert not run.metrics_log.lines()
    assert (old / "letters/file").read_text() == "letters"
    return "new"


def test_what_a_kill_after_the_last_checkpoint_left_is_settled(old: Path) -> None:
    (old / ".lock").touch()
    (old / CHECKPOINTS / ".step-00000010.removed").mkdir()
    Run(old).remove_leftovers()
    assert not (old / ".lock").exists()
    assert [path.name for path in (old / CHECKPOINTS).iterdir()] == ["step-00000020"]


def test_who_goes_on_with_a_run_removes_what_a_killed_trainer_left(old: Path) -> None:
    (old / CHECKPOINTS / ".step-00000010.removed").mkdir()
    with Run(old).writing():
        assert [path.name for path in (old / CHECKPOINTS).iterdir()] == ["step-00000020"]


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_an_import_that_was_killed_is_begun_again_by_the_same_command(
    every: int, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, schema = tmp_path / "imported", tiny.table_schema()
    monkeypatch.setattr(import_official, "load_official", lambda *_: (tiny.model(schema), schema, []))

    def imported() -> Run:
        return import_official.import_run(tmp_path / "official.pt", 2, tiny.SPACE, 16, 8, ((), ()), out)[0]

    for step in kill_before_each_step(lambda: imported(), every=every):
        if latest_checkpoint(out / CHECKPOINTS) is None:
            imported()
            assert {path.name for path in out.iterdir()} == {CHECKPOINTS, "run.json"}, step
        OpenRun(Run(out))
        shutil.rmtree(out)


@pytest.mark.parametrize("every", [19, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_step_of_a_replacement_leaves_the_old_run_or_the_new_one(
    every: int, old: Path, record: RunRecord, save: Save, put_back: Callable[[], None]
) -> None:
    before, found = contents(old), []
    for _ in kill_before_each_step(lambda: restarted(old, record, save), every=every):
        found.append(check_replaced_or_whole(old, before, record))
        restarted(old, record, save)  # the same command again
        assert check_replaced_or_whole(old, before, record) == "new"
        put_back()
    assert found == sorted(found, reverse=True)
    assert set(found) == {"old", "new"}


@pytest.mark.slow
def test_a_kill_while_a_killed_replacement_is_finished_leaves_the_new_run(
    old: Path, record: RunRecord, save: Save
) -> None:
    before = contents(old)
    for _ in kill_before_each_step(lambda: restarted(old, record, save)):
        if not (old / "run.json").exists():
            break
    assert holds_run(old)
    kept = Path(shutil.copytree(old, old.with_name("half")))
    for _ in kill_before_each_step(lambda: Run(old)):
        assert check_replaced_or_whole(old, before, record) == "new"
        shutil.rmtree(old)
        shutil.copytree(kept, old)


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_step_of_a_first_start_lets_the_same_command_or_resume_go_on(
    every: int, own_home: Path, record: RunRecord, save: Save, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "run"

    def started() -> None:
        run = Run(folder) if holds_run(folder) else Run.create(folder, record)
        with run.writing():
            save(run, 10)

    begun = 0
    for _ in kill_before_each_step(started, every=every):
        begun += holds_run(folder)
        Run.check_free(folder, force=holds_run(folder))
        started()
        assert Run(folder).reached() == (10, 20)
        assert {path.name for path in folder.iterdir()} == {"run.json", "checkpoint"}
        shutil.rmtree(folder.parent)
    assert begun


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_at_any_step_of_a_checkpoint_leaves_the_older_or_the_newer_one(
    every: int, old: Path, save: Save, put_back: Callable[[], None]
) -> None:
    reached = []
    for _ in kill_before_each_step(lambda: save(Run(old), 30), every=every):
        reached.append(Run(old).reached()[0])
        OpenRun(Run(old))
        save(Run(old), 30)
        assert [path.name for path in (old / "checkpoint").iterdir()] == ["step-00000030"]
        put_back()
    assert reached == sorted(reached)
    assert set(reached) == {20, 30}


def test_until_the_first_checkpoint_the_old_run_is_read_and_then_the_new_one(
    old: Path, record: RunRecord, save: Save
) -> None:
    before = contents(old)
    run = Run.create(old, record, force=True)
    with run.writing():
        run.metrics_log.append({"step": 1})
        assert contents(old).items() >= before.items()
        assert Run(old).record != record
        save(run, 10)
        assert Run(old).record == record
        run.metrics_log.append({"step": 11})
    assert [line["step"] for line in Run(old).metrics_log.lines()] == [1, 11]
    assert not list(old.glob(".*"))


def test_a_new_run_that_fails_before_its_first_checkpoint_leaves_the_old_one(old: Path, record: RunRecord) -> None:
    before = contents(old)
    run = Run.create(old, record, force=True)
    with pytest.raises(ContextSSLError, match="not finite"), run.writing():
        raise ContextSSLError("not finite")
    assert contents(old) == before
    with pytest.raises(FileInUseError), run.writing():
        pass


def test_a_run_that_was_replaced_while_it_was_open_is_not_mixed_with_the_new_one(
    old: Path, record: RunRecord, save: Save
) -> None:
    loaded, opened = Run(old), Run(old)
    weights = OpenRun(loaded).model.state_dict()
    fingerprint = loaded.fingerprint()
    restarted(old, record, save)
    for read in (opened.fingerprint, opened.reached, lambda: OpenRun(opened), lambda: opened.newest(Path)):
        with pytest.raises(FileInUseError):
            read()
    assert loaded.fingerprint() == fingerprint  # what it has read is still of one run
    assert {tuple(tensor.shape) for tensor in weights.values()}  # and in memory
    with pytest.raises(FileInUseError):
        OpenRun(loaded)


def values(model: torch.nn.Module) -> set[float]:
    return {value for parameter in model.parameters() for value in parameter.detach().unique().tolist()}


def test_weights_fingerprint_and_step_are_of_one_checkpoint_while_training_goes_on(old: Path, save: Save) -> None:
    reader = Run(old)
    assert reader.reached()[0] == 20
    save(Run(old), 30)
    opened = OpenRun(reader)
    assert values(opened.model) == {30.0}
    read = reader.fingerprint()
    save(Run(old), 40)
    assert (reader.fingerprint(), reader.reached()[0]) == (read, 30)
    assert (values(opened.model), opened.fingerprint) == ({30.0}, read)
    assert Run(old).fingerprint() != read


def linear(folder: Path, step: int) -> None:
    model = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(model.weight, step)
    save_checkpoint(folder, model, torch.optim.Adam(model.parameters()), step, 1000)


def test_a_reader_whose_checkpoint_is_removed_gets_the_newer_one(tmp_path: Path) -> None:
    linear(tmp_path, 10)
    tried = []

    def read(path: Path) -> Weights:
        tried.append(path.name)
        if len(tried) == 1:
            linear(tmp_path, 20)
        return Weights.read(path)

    found = of_newest(tmp_path, read)
    assert found is not None
    assert tried == ["step-00000010", "step-00000020"]
    assert (found.state.step, found.tensors["weight"].tolist()) == (20, [[20, 20]])
    assert found.state.fingerprint == files.file_hash(tmp_path / tried[1] / MODEL_FILE)


def test_a_listing_that_is_out_of_date_is_no_lack_of_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear(tmp_path, 20)
    listed, stale = checkpoints._checkpoints, iter([[tmp_path / "step-00000010"], []])
    monkeypatch.setattr(checkpoints, "_checkpoints", lambda folder: next(stale, None) or listed(folder))
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00000020"


def test_readers_of_a_run_in_training_always_find_whole_weights(tmp_path: Path) -> None:
    linear(tmp_path, 1)
    trainer = threading.Thread(target=lambda: [linear(tmp_path, step) for step in range(2, 40)])
    trainer.start()
    steps = []
    while trainer.is_alive():
        found = of_newest(tmp_path, Weights.read)
        assert found is not None
        assert found.tensors["weight"].tolist() == [[found.state.step, found.state.step]]
        steps.append(found.state.step)
    trainer.join()
    assert steps == sorted(steps)


@pytest.mark.parametrize("name", ["step-00000030 (copy)", "step-00000030-best", "step-30", "step-x"])
def test_a_copy_of_a_checkpoint_under_another_name_is_the_users(name: str, tmp_path: Path) -> None:
    linear(tmp_path, 10)
    shutil.copytree(tmp_path / "step-00000010", tmp_path / name)
    assert latest_checkpoint(tmp_path) == tmp_path / "step-00000010"
    linear(tmp_path, 20)
    assert {path.name for path in tmp_path.iterdir()} == {"step-00000020", name}


def test_a_complete_checkpoint_of_the_same_step_is_kept(tmp_path: Path) -> None:
    linear(tmp_path, 10)
    before = (tmp_path / "step-00000010").stat().st_ino
    linear(tmp_path, 10)
    assert (tmp_path / "step-00000010").stat().st_ino == before
    (tmp_path / "step-00000010" / "checkpoint.json").unlink()
    linear(tmp_path, 10)
    assert latest_checkpoint(tmp_path) is not None


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["cut off", "empty", "removed", "a FIFO"])
def test_a_damaged_checkpoint_is_an_error_and_no_other_run(name: str, damage: str, old: Path) -> None:
    path = Run(old).newest(Path) / name
    data = path.read_bytes()
    path.unlink()
    if damage == "a FIFO":
        os.mkfifo(path)
    elif damage != "removed":
        path.write_bytes(data[: len(data) // 2] if damage == "cut off" else b"")
    with pytest.raises((CorruptFileError, DataMissingError)) as raised:
        OpenRun(Run(old))
    lacks_checkpoint = name == "checkpoint.json" and damage in ("removed", "a FIFO")
    assert (name in str(raised.value)) != lacks_checkpoint


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_the_umask_decides_the_modes_of_all_files_and_folders(
    mask: int, own_home: Path, record: RunRecord, save: Save, tmp_path: Path
) -> None:
    before = os.umask(mask)
    try:
        run = Run.create(tmp_path / "run", record)
        with run.writing():
            save(run, 10)
    finally:
        os.umask(before)
    paths = [tmp_path / "run", *(tmp_path / "run").rglob("*"), own_home / "runs.txt"]
    assert len(paths) == 8
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~mask, path


@pytest.mark.parametrize("left", [[".lock"], [".run.json.1-2.x.partial"], [".new", ".lock"]])
def test_what_a_killed_start_leaves_is_no_run_and_in_nobodys_way(
    left: list[str], own_home: Path, record: RunRecord, tmp_path: Path
) -> None:
    for name in left:
        (tmp_path / "run" / name).mkdir(parents=True) if name == ".new" else None
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).touch() if name != ".new" else None
    with pytest.raises(DataMissingError):
        Run(tmp_path / "run")
    Run.check_free(tmp_path / "run", force=False)
    assert Run.create(tmp_path / "run", record).record == record


@pytest.mark.parametrize("name", ["photo.png", ".photo.partial", "run.json.partial", ".lock.txt"])
def test_a_folder_that_holds_anything_else_is_refused_and_left_alone(
    name: str, own_home: Path, record: RunRecord, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("mine")
    before = (tmp_path / "mine").stat().st_mtime_ns
    for force in (False, True):
        with pytest.raises(UsageError, match="mine"):
            Run.create(tmp_path / "mine", record, force=force)
    assert (contents(tmp_path / "mine"), (tmp_path / "mine").stat().st_mtime_ns) == ({name: b"mine"}, before)


def test_of_two_runs_begun_in_one_folder_at_once_one_is_trained(
    own_home: Path, record: RunRecord, digits_run: Run, save: Save, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    first = Run.create(folder, digits_run.record)
    with pytest.raises(UsageError, match="holds a run already"):
        Run.create(folder, record)
    second = Run.create(folder, record, force=True)
    with first.writing():
        with pytest.raises(FileInUseError), second.writing():
            pass
        with pytest.raises(FileInUseError):
            Run.create(folder, record, force=True)
        save(first, 10)
    assert Run(folder).record == digits_run.record
    both = [Run.create(folder, one, force=True) for one in (record, digits_run.record)]
    with pytest.raises(FileInUseError), both[0].writing():
        pass
    with both[1].writing():
        save(both[1], 10)
    assert Run(folder).record == digits_run.record


def test_a_run_is_locked_while_it_is_written_and_never_after(old: Path, record: RunRecord) -> None:
    with exclusive(old):
        for attempt in (lambda: Run.create(old, record, force=True), lambda: Run(old).writing().__enter__()):
            with pytest.raises(FileInUseError, match="run"):
                attempt()
        OpenRun(Run(old))  # reading needs no lock
    assert not (old / ".lock").exists()


def test_a_lock_that_cannot_be_made_is_said(old: Path, record: RunRecord) -> None:
    (old / ".lock").mkdir()
    with pytest.raises(DataMissingError, match=r"\.lock"):
        Run.create(old, record, force=True)
    assert contents(old).keys() >= {"run.json", "metrics.jsonl"}


def test_folders_of_runs_begun_in_one_second_differ(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.strftime", lambda *_: "20300101-000000")
    made = [new_run_folder("digits-color", 0) for _ in range(3)]
    assert [path.name for path in made] == [f"20300101-000000-seed0{end}" for end in ("", "-2", "-3")]
    assert all(path.is_dir() for path in made)


ODD = ["two\nlines", "quote\"'", "tab\t", os.fsdecode(b"\xff\xfe"), "ü", " leading and trailing "]


def test_runs_of_any_name_are_found_again(own_home: Path, digits_run: Run, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ODD]
    for folder in folders:
        shutil.copytree(digits_run.folder, folder)
        add_to_index(folder)
        add_to_index(folder)
    assert {run.folder for run in known_runs()} == set(folders)
    assert sum(map(bool, (own_home / "runs.txt").read_text().split("\n"))) == len(folders)


@pytest.mark.parametrize("damage", [b'"/cut/off', b"\xff\xff\x00", b"[" * 100_000, b"7", b'"a\\u0000b"', b'"\\ud800"'])
def test_a_damaged_line_of_the_index_costs_no_other(
    damage: bytes, own_home: Path, digits_run: Run, tmp_path: Path
) -> None:
    own_home.mkdir()
    (own_home / "runs.txt").write_bytes(b'"/gone"\n' + damage)
    add_to_index(digits_run.folder)
    assert [run.folder for run in known_runs()] == [digits_run.folder]


def test_an_index_that_is_no_file_is_an_error(own_home: Path) -> None:
    own_home.mkdir()
    os.mkfifo(own_home / "runs.txt")
    for use in (known_runs, lambda: add_to_index(own_home)):
        with pytest.raises(CorruptFileError, match=r"runs\.txt"):
            use()


def test_an_index_that_cannot_be_written_costs_no_checkpoint(
    old: Path, own_home: Path, save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    own_home.write_text("a file")
    save(Run(old), 30)
    assert Run(old).reached()[0] == 30
    assert str(own_home) in caplog.text


def test_appenders_at_once_lose_no_run(own_home: Path, digits_run: Run, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(40)]
    threads = [threading.Thread(target=add_to_index, args=[folder]) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (own_home / "runs.txt").read_text().split("\n")
    assert sorted(json.loads(line) for line in lines if line) == sorted(map(str, folders))


@pytest.mark.parametrize("line", ['{"step": 1', "[" * 100_000, '{"step": ' + "9" * 5000 + "}", "\x00\x01", "null", "7"])
def test_a_damaged_line_of_the_metrics_costs_no_other(line: str, old: Path) -> None:
    log = Run(old).metrics_log
    whole = log.lines()
    with log.path.open("a") as stream:
        stream.write(line)
    assert log.lines() == whole
    log.drop_after(20)
    log.append({"step": 21})
    assert log.lines() == [*whole, {"step": 21}]
