"""The way through the commands: prepare, pretrain, probe, context create, adapt."""

from __future__ import annotations

from pathlib import Path

import pytest
from mimic3_tables import demo, made, write

from tests.places import built_in
from tests.walk import walk


def test_the_demo_goes_the_whole_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("gender")
    prepared, probed, adapted = walk(capsys, monkeypatch, tmp_path, "mimic3-gender", "--source", demo())
    assert "103 training and 25 test samples" in prepared.out
    assert "128 first intensive-care stays of 99 adults" in prepared.err
    for target in ("gender", "los3", "treatment", "mortality", "ethnicity", "insurance"):
        assert f'"{target}"' in probed.out
    assert "gender" in adapted.out


def test_all_tables_go_the_whole_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("attribute")
    source = write(made(40), tmp_path / "tables", compress=True, quote=True)
    _, probed, adapted = walk(capsys, monkeypatch, tmp_path, "mimic3-attribute", "--source", source)
    assert "treatment" in probed.out
    assert "attribute" in adapted.out


def test_tables_that_tell_of_no_treatment_go_the_whole_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built_in("gender")
    tables = made(40)
    for name in ("INPUTEVENTS_MV", "INPUTEVENTS_CV"):
        del tables[name]
    source = write(tables, tmp_path / "tables")
    prepared, probed, _ = walk(capsys, monkeypatch, tmp_path, "mimic3-gender", "--source", source)
    assert "task treatment: {'no': 0, 'yes': 0" in prepared.err
    assert "los3" in probed.out
