"""The canonical files in every form that they come in; a cut one is found."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from contextssl_adult.adult import COLUMNS, Adult, read_records
from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_cli.plugin import Options
from tests.places import real_data

RECORDS = """\
25, Private, 226802, 11th, 7, Never-married, Machine-op-inspct, Own-child, Black, Male, 0, 0, 40, United-States, <=50K
38, ?, 89814, HS-grad, 9, Married-civ-spouse, ?, Husband, White, Male, 0, 0, 50, United-States, >50K
44, Private, 160323, Some-college, 10, Divorced, Sales, Wife, Other, Female, 7688, 0, 40, United-States, >50K
"""
COMMENT = "|1x3 Cross validator\n"


def with_dots(text: str) -> str:
    return text.replace("K\n", "K.\n")


FORMS: dict[str, Callable[[str], str]] = {
    "published training": lambda text: text + "\n",
    "published test": lambda text: COMMENT + with_dots(text) + "\n",
    "test without the comment": with_dots,
    "training with the comment": lambda text: COMMENT + text,
    "test without full stops": lambda text: COMMENT + text,
    "blanks behind the full stops": lambda text: text.replace("K\n", "K. \n"),
    "a header": lambda text: ",".join(COLUMNS) + "\n" + text,
    "a header with blanks and capitals": lambda text: ", ".join(COLUMNS).replace("-", "_").title() + "\n" + text,
    "another name of the label": lambda text: ",".join([*COLUMNS[:-1], "salary"]) + "\n" + text,
    "numbers as header": lambda text: ",".join(map(str, range(15))) + "\n" + text,
    "comment and header": lambda text: COMMENT + ",".join(COLUMNS) + "\n" + with_dots(text),
    "a comment at the end": lambda text: text + "| end of the file\n",
    "Windows": lambda text: (COMMENT + with_dots(text)).replace("\n", "\r\n") + "\r\n\r\n",
    "old Macintosh": lambda text: text.replace("\n", "\r"),
    "a byte-order mark": lambda text: "\ufeff" + COMMENT + with_dots(text),
    "no last line break": lambda text: text.rstrip("\n"),
    "no blanks": lambda text: text.replace(", ", ","),
    "quoted": lambda text: "".join('"' + line.replace(", ", '","') + '"\n' for line in text.splitlines()),
    "decimal numbers": lambda text: text.replace(", 40, ", ", 40.0, "),
    "blank lines": lambda text: text.replace("\n", "\n\n   \n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_records(form: str, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text(RECORDS)
    path = tmp_path / "adult.data"
    path.write_bytes(FORMS[form](RECORDS).encode())
    expected = read_records(tmp_path / "plain")
    assert len(expected) == 3
    assert expected["income"].to_list() == ["<=50K", ">50K", ">50K"]
    assert read_records(path).equals(expected)


REFUSED: dict[str, bytes] = {
    "columns in another order": (",".join(sorted(COLUMNS)) + "\n" + RECORDS).encode(),
    "a header in the middle": (RECORDS + ",".join(COLUMNS) + "\n").encode(),
    "an index column": "".join(f"{row},{line}\n" for row, line in enumerate(RECORDS.splitlines())).encode(),
    "cut within a line": RECORDS[:-40].encode(),
    "semicolons": RECORDS.replace(",", ";").encode(),
    "UTF-16": RECORDS.encode("utf-16"),
    "no UTF-8": RECORDS.encode() + b"\xff\n",
    "a comment alone": COMMENT.encode(),
    "nothing": b"",
    "a huge cell": RECORDS.replace("Private", "x" * 200_000).encode(),
    "a quotation mark that nothing closes": RECORDS.replace("Private", '"Private', 1).encode(),
    "a NUL": RECORDS.replace("25", "2\x005").encode(),
    "no number": RECORDS.replace("25", "inf").encode(),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_read_is_named(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "adult.data"
    path.write_bytes(REFUSED[fault])
    with pytest.raises(CorruptFileError, match=r"adult\.data"):
        read_records(path)


@pytest.fixture
def adult(tmp_path: Path) -> Path:
    """A copy of the canonical files, to be damaged."""
    for path in real_data("adult").glob("adult.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", ["adult.data", "adult.test"])
def test_the_records_are_counted(adult: Path, name: str) -> None:
    path = adult / name
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-500]))
    with pytest.raises(CorruptFileError, match=rf"{name} holds \d+,\d+ records, expected the \d+,\d+"):
        Adult().prepare(adult, Options())


def test_the_comment_of_the_test_file_may_be_missing(adult: Path) -> None:
    path = adult / "adult.test"
    expected = read_records(path)
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    assert read_records(path).equals(expected)
    assert len(expected) == 16_281


@pytest.mark.parametrize("name", ["adult.data", "adult.test"])
def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    for each in ("adult.data", "adult.test"):
        (tmp_path / each).write_text(RECORDS)
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(UnsafeFileError, match=name):
        Adult().prepare(tmp_path, Options())


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("/dev/zero", UnsafeFileError), ("fifo", UnsafeFileError), ("file", DataMissingError),
        ("absent", DataMissingError), ("x" * 300, DataMissingError),
    ],
)  # fmt: skip
def test_a_source_that_is_no_folder(tmp_path: Path, source: str, error: type[Exception]) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    with pytest.raises(error, match=f"--source .*{source}"):
        Adult().prepare(tmp_path / source, Options())
