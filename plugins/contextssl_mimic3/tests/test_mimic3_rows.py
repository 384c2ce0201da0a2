"""Which stays become rows, and in which split; counted here from the three tables alone, without the plugin."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from mimic3_tables import clock, column, demo, first_stays, inputs, labels, made, moment, prepared, read, write

from contextssl_cli.data.prepare import prepare
from contextssl_cli.plugin.registry import registry
from contextssl_cli.store.dataset import Store
from contextssl_mimic3 import blocks
from contextssl_mimic3.stays import TEST_SHARE, is_test
from contextssl_mimic3.tables import TABLES


def test_the_demo_has_one_row_for_each_adult_admission() -> None:
    tables = read(demo())
    expected = first_stays(tables)
    result = prepared(demo())
    assert len(expected) == 128
    assert len(inputs(result)) == len(expected)
    for samples in result.samples:
        test = samples.split == "test"
        patients = [row["SUBJECT_ID"] for row in expected if is_test(int(row["SUBJECT_ID"])) == test]
        assert len(samples.inputs) == len(patients)
        assert Counter(np.unique(samples.objects, return_counts=True)[1]) == Counter(Counter(patients).values())


def test_the_demo_labels_are_those_of_the_tables() -> None:
    tables = read(demo())
    died = {row["HADM_ID"]: row for row in tables["ADMISSIONS"] if row["HOSPITAL_EXPIRE_FLAG"] == "1"}
    long, short, deaths = 0, 0, 0
    for stay in first_stays(tables):
        hadm = stay["HADM_ID"]
        ended = min([stay["OUTTIME"], *([died[hadm]["DEATHTIME"]] if hadm in died else [])])
        if (moment(ended) - moment(stay["INTIME"])).total_seconds() <= 86_400:
            continue
        long += float(stay["LOS"]) > 3
        short += float(stay["LOS"]) <= 3
        deaths += hadm in died
    result = prepared(demo())
    assert Counter(labels(result, "los3")) == {1: long, 0: short, -1: 128 - long - short}
    assert Counter(labels(result, "mortality")) == {1: deaths, 0: long + short - deaths, -1: 128 - long - short}
    assert result.notes["task los3"]["left out: the stay ended before the prediction time"] == 128 - long - short


def test_made_tables_have_one_row_for_each_adult_admission(tmp_path: Path) -> None:
    tables = made()
    stays = len({row["HADM_ID"] for row in tables["ICUSTAYS"]})
    assert len(tables["ICUSTAYS"]) > stays  # some admissions have two
    assert (
        len(inputs(prepared(write(tables, tmp_path))))
        == len({stay["HADM_ID"]: stay for stay in first_stays(tables)})
        == stays
    )


def test_children_are_left_out_and_hidden_ages_are_ninety(tmp_path: Path) -> None:
    tables = made()
    admitted = {row["SUBJECT_ID"]: moment(row["ADMITTIME"]) for row in reversed(tables["ADMISSIONS"])}
    single = [subject for subject in admitted if int(subject) % 3 == 1]  # these were admitted once
    patients = {row["SUBJECT_ID"]: row for row in tables["PATIENTS"]}

    def born(subject: str, years: int, days: int = 0) -> None:
        first = admitted[subject].replace(hour=0, minute=0)
        patients[subject]["DOB"] = clock(first.replace(year=first.year - years) + timedelta(days=days))

    before = len(inputs(prepared(write(tables, tmp_path / "before"))))
    born(single[0], 18)  # the birthday itself
    born(single[1], 18, days=1)  # the day before it
    born(single[2], 300)
    result = prepared(write(tables, tmp_path / "after"))
    assert len(inputs(result)) == before - 1
    assert result.notes["admissions left out"] == {"younger than 18": 1}
    ages = column(result, "age (years, 90 for all above 89)").round()
    assert ages.min() == 18
    assert ages.max() == 90


def test_no_patient_is_in_both_splits(tmp_path: Path) -> None:
    train, test = prepared(write(made(), tmp_path)).samples
    assert not set(train.objects) & set(test.objects)
    assert max(np.unique(train.objects, return_counts=True)[1]) > 1  # some patients have several rows


def test_a_fifth_of_the_patients_is_in_the_test_split() -> None:
    share = np.mean([is_test(subject) for subject in range(46_520)])
    assert share == pytest.approx(TEST_SHARE, abs=0.01)


def test_the_split_of_a_patient_does_not_depend_on_the_others(tmp_path: Path) -> None:
    tables = made()
    some = {row["SUBJECT_ID"] for row in tables["PATIENTS"][:15]}
    fewer = {
        name: [row for row in rows if row.get("SUBJECT_ID", next(iter(some))) in some] for name, rows in tables.items()
    }
    for samples in prepared(write(fewer, tmp_path)).samples:
        chosen = [subject for subject in some if is_test(int(subject)) == (samples.split == "test")]
        assert len(np.unique(samples.objects)) == len(chosen)


def store(folder: Path, out: Path) -> Store:
    return prepare(registry().dataset("mimic3"), folder, out)


@pytest.mark.parametrize(
    "form", [{"compress": True}, {"quote": True}, {"capitals": False}, {"compress": True, "quote": True}], ids=str
)
def test_every_published_form_gives_the_same_store(form: dict[str, bool], tmp_path: Path) -> None:
    tables = made()
    plain = store(write(tables, tmp_path / "plain"), tmp_path / "plain.h5")
    other = store(write(tables, tmp_path / "other", **form), tmp_path / "other.h5")
    assert other.content_hash == plain.content_hash
    assert other.provenance["notes"] == plain.provenance["notes"]


def test_the_demo_in_capitals_and_compressed_gives_the_same_store(tmp_path: Path) -> None:
    tables = {name: rows for name, rows in read(demo()).items() if name in TABLES}
    write(tables, tmp_path / "full", compress=True, quote=True)
    plain = store(demo(), tmp_path / "plain.h5")
    assert store(tmp_path / "full", tmp_path / "full.h5").content_hash == plain.content_hash


def test_the_size_of_a_block_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(made(), tmp_path / "tables", compress=True)
    whole = store(folder, tmp_path / "whole.h5")
    monkeypatch.setattr(blocks, "BLOCK", 8000)
    assert store(folder, tmp_path / "blocks.h5").content_hash == whole.content_hash


def test_the_order_of_the_records_changes_nothing(tmp_path: Path) -> None:
    tables = made()
    ordered = store(write(tables, tmp_path / "ordered"), tmp_path / "ordered.h5")
    for rows in tables.values():
        rows.reverse()
    assert store(write(tables, tmp_path / "reversed"), tmp_path / "reversed.h5").content_hash == ordered.content_hash


def test_file_names_in_small_letters(tmp_path: Path) -> None:
    folder = write(made(), tmp_path / "tables")
    expected = inputs(prepared(folder))
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.lower()))
    assert np.array_equal(inputs(prepared(folder)), expected)


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    folder = write(made(), tmp_path / "tables")
    expected = inputs(prepared(folder))
    path = folder / "PATIENTS.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert np.array_equal(inputs(prepared(folder)), expected)
