"""The division into training and test split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from table_files import Made, people, prepared, written

from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, UsageError


def numbered(count: int = 100, **given: object) -> dict[str, object]:
    """Records whose age is their number."""
    return people(count, age=list(range(count)), **given)  # type: ignore[arg-type]


def ages(path: Path, part: str, **options: object) -> list[float]:
    return Made(path, **options).column("age", part)


@pytest.mark.parametrize("share", [None, "0.5", "0.07"])
def test_a_share_of_every_class_is_for_the_test(share: str | None, tmp_path: Path) -> None:
    income = ["high"] * 30 + ["low"] * 60 + [""] * 10
    path = written(tmp_path, numbered(income=income))
    table = Made(path, label=("income",), **({"split": share} if share else {}))
    counts = Counter(table.labels["test"]["income"])
    part = float(share or 0.2)
    assert counts == {key: round(part * n) for key, n in {"high": 30, "low": 60, None: 10}.items() if round(part * n)}
    assert sorted(table.column("age") + table.column("age", "test")) == list(range(100))


def test_the_seed_decides(tmp_path: Path) -> None:
    path = written(tmp_path, numbered())
    found = [tuple(ages(path, "test", label=("income",), seed=seed)) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert len(set(found[0])) == 20


def test_without_a_label_the_share_is_of_all(tmp_path: Path) -> None:
    assert len(ages(written(tmp_path, numbered()), "test")) == 20


def test_a_class_of_one_record_is_for_training(tmp_path: Path) -> None:
    table = Made(written(tmp_path, numbered(income=["rare"] + ["low", "high", "low"] * 33)), label=("income",))
    assert table.labels["train"]["income"].count("rare") == 1


def test_a_column_may_say_it(tmp_path: Path) -> None:
    path = written(tmp_path, numbered(part=[" Train", "TEST ", "train", "train"] * 25))
    assert ages(path, "test", split="part") == list(range(1, 100, 4))
    assert "part" not in Made(path, split="part").names


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (["train", "dev"], "line 3:.*'part' holds 'dev'"),
        (["train", ""], "line 3:.*'part' holds ''"),
        (["train", "train"], "'part' names one split"),
        (["test", "test"], "'part' names one split"),
    ],
)
def test_a_column_that_says_something_else(part: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match=words):
        prepared(written(tmp_path, people(part=part * 30)), split="part")


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ("part", "neither a column nor a share"),
        ("incme", "did you mean 'income'"),
        ("0", "a share between 0 and 1"),
        ("1.0", "a share between 0 and 1"),
        ("nan", "neither a column nor a share"),
        ("0.001", "60 records.*0.001"),
        ("0.999", "60 records.*0.999"),
    ],
)
def test_a_split_that_is_none(split: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        prepared(written(tmp_path, people()), split=split)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_folder_has_a_file_for_each(suffix: str, tmp_path: Path) -> None:
    columns = numbered()
    folder = tmp_path / "people"
    written(folder, {name: list(v)[:70] for name, v in columns.items()}, f"train{suffix}")
    reordered = {name: list(columns[name])[70:] for name in ("income", "age", "role", "sex")}  # type: ignore[call-overload]
    written(folder, reordered, f"test{suffix}")
    assert ages(folder, "train") == list(range(70))
    assert ages(folder, "test") == list(range(70, 100))
    assert set(prepared(folder).sources) == {f"train{suffix}", f"test{suffix}"}
    with pytest.raises(UsageError, match=r"--split 0\.3: the source has a file for each split"):
        prepared(folder, split="0.3")


def test_places_are_named_in_their_own_file(tmp_path: Path) -> None:
    written(tmp_path, people(x=[1] * 60), "train.csv")
    written(tmp_path, people(x=[1] * 59 + ["old"]), "test.csv")
    with pytest.raises(CorruptFileError, match=r"test\.csv, line 61: the column 'x' holds 'old'"):
        prepared(tmp_path)


@pytest.mark.parametrize(
    ("names", "kind", "words"),
    [
        ([], DataMissingError, "train.csv or train.parquet"),
        (["train.csv"], DataMissingError, "test.csv or test.parquet"),
        (["people.csv"], DataMissingError, "without train.csv"),
        (["train.csv", "test.csv", "test.parquet"], UsageError, "holds both test.csv and test.parquet"),
        (["train.csv", "test.parquet"], UsageError, "write both in one format"),
    ],
)
def test_a_folder_with_other_files(names: list[str], kind: type[ContextSSLError], words: str, tmp_path: Path) -> None:
    for name in names:
        written(tmp_path, people(), name)
    with pytest.raises(kind, match=words):
        prepared(tmp_path)


def test_files_with_other_columns(tmp_path: Path) -> None:
    written(tmp_path, people(), "train.csv")
    columns = people()
    written(tmp_path, {name: values for name, values in columns.items() if name != "role"}, "test.csv")
    with pytest.raises(CorruptFileError, match=r"test\.csv.*'role'.*train\.csv"):
        prepared(tmp_path)
    written(tmp_path, people(more=[1] * 60), "test.csv")
    with pytest.raises(CorruptFileError, match=r"train\.csv.*'more'.*test\.csv"):
        prepared(tmp_path)


def test_files_with_other_types(tmp_path: Path) -> None:
    written(tmp_path, people(x=[1] * 60), "train.parquet")
    written(tmp_path, people(x=["1"] * 60), "test.parquet")
    with pytest.raises(CorruptFileError, match=r"'x'.*Int64.*String"):
        prepared(tmp_path)


def test_batches_do_not_change_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, numbered())
    whole = Made(path).inputs
    monkeypatch.setattr("contextssl_table.table._ROWS", 9)
    parts = Made(path).inputs
    for split in ("train", "test"):
        assert len(parts[split]) > len(whole[split])
        assert np.array_equal(np.concatenate(parts[split]), np.concatenate(whole[split]))
