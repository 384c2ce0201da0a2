"""Public bug reports of similar tools, their situations built anew; ``docs/explanation/bug-reports.md`` is the log.

The number of a test is that of the report in the log.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from PIL import Image

from contextssl_cli import Context, ContextEncoder
from contextssl_cli.cli.app import run
from contextssl_cli.errors import ContextSSLError
from contextssl_cli.report.terminal import terminal
from contextssl_cli.store.dataset import Store
from tests import tiny
from tests.places import built_in

SIDE = 16
LOG = Path(__file__).parents[2] / "docs" / "explanation" / "bug-reports.md"


@dataclass(frozen=True)
class Outcome:
    """What a command did; ``error`` is the code that it printed, or empty."""

    code: int
    error: str
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def workplace(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; runs that a test makes are forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "verbosity", 0)
    index = home / "runs.txt"
    known = index.read_text() if index.exists() else ""
    yield tmp_path
    index.write_text(known)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command in this process."""

    def command(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        found = re.findall(r"^error\[(E\d+)\]: ", err, flags=re.MULTILINE)
        assert len(found) == (1 if code else 0), err
        return Outcome(code, "".join(found), out, err)

    return command


@pytest.fixture
def table(cli: Command, workplace: Path) -> Command:
    """Prepare a table from the bytes of a file; ``t.h5`` is its store."""
    built_in("table")

    def command(content: bytes, *flags: str, name: str = "t.csv") -> Outcome:
        (workplace / name).write_bytes(content)
        return cli("prepare", "table", "--source", name, "--out", "t.h5", *flags)

    return command


@pytest.fixture(scope="session")
def image_run(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    schema = tiny.image_schema(SIDE, SIDE)
    return tiny.untrained(schema, tmp_path_factory.mktemp("reports") / "images", encoder="convnet").folder


@pytest.fixture(scope="session")
def table_run(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.untrained(tiny.table_schema(), tmp_path_factory.mktemp("reports") / "table").folder


@pytest.fixture
def adapt(cli: Command, image_run: Path, workplace: Path) -> Command:
    """Embed a file or folder of images by a run that was not trained."""
    x = np.zeros((2, SIDE, SIDE, 3), np.float32)
    Context(x, x, {"turn": np.ones((2, 2))}).save(workplace / "context.h5")

    def command(source: str) -> Outcome:
        return cli("adapt", "--run", image_run, "--context", "context.h5", "--input", source, "--out", "e.h5")

    return command


def csv(*columns: Sequence[Any], header: str, end: str = "\n") -> bytes:
    """A table of these columns and a label ``y`` of two classes."""
    rows = zip(*columns, ["no", "yes"] * (len(columns[0]) // 2), strict=True)
    return end.join([f"{header},y", *(",".join(map(str, row)) for row in rows), ""]).encode()


def columns_of(store: str) -> dict[str, tuple[str, ...] | None]:
    """The columns that are learned from, with the categories of those that are no numbers."""
    schema = Store(Path(store)).schema
    return {column.name: column.categories if column.kind == "categorical" else None for column in schema.columns}


def pictures(count: int = 4) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **given: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **given)
    return stream.getvalue()


def photograph(**given: Any) -> bytes:
    return encoded(Image.fromarray(pictures(1)[0]), "JPEG", **given)


def folder_of(*files: tuple[str, bytes], name: str = "photos") -> Path:
    """A folder with these files; ``name`` is made where it is missing."""
    for path, data in files:
        target = Path(name) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return Path(name)


def in_two_classes(data: bytes, suffix: str) -> Path:
    return folder_of(*((f"{one}/{number}.{suffix}", data) for one in "ab" for number in range(2)))


def class_folders(*classes: str, images: int = 2) -> list[tuple[str, bytes]]:
    return [(f"{one}/{number}.png", encoded(Image.fromarray(pictures(1)[0]), "PNG"))
            for one in classes for number in range(images)]  # fmt: skip


def read_folder(source: Path, **asked: Any) -> tuple[tuple[str, ...], list[NDArray[Any]]]:
    """The classes that ``imagefolder`` finds, and its images."""
    built_in("imagefolder")
    from contextssl_cli.plugin.registry import registry

    dataset = registry().dataset("imagefolder")
    prepared = dataset.prepare(source, dataset.options(**({"size": SIDE} | asked)))
    images = [image for part in prepared.parts for image in np.asarray(part().inputs)]
    return prepared.schema.tasks.get("class", ()), images


def embedded(source: Path, run: Path) -> NDArray[np.uint8]:
    """The pixels that ``adapt --input`` reads from a folder."""
    from contextssl_cli.adaptation.inputs import read_inputs
    from contextssl_cli.data.rows import whole
    from contextssl_cli.data.tensors import to_array
    from contextssl_cli.training.run import Run

    schema = Run(run).record.schema_
    found: NDArray[np.uint8] = (
        (to_array(whole(read_inputs(source, schema).rows), schema) * 255).round().astype(np.uint8)
    )
    return found


AGES = [20 + number % 7 for number in range(40)]


# Tables


def test_01_a_country_called_na_is_counted_as_missing(table: Command) -> None:
    done = table(csv(AGES, ["NA", "DE", "FR", "IT"] * 10, header="age,country"), "--label", "y")
    assert done.code == 0
    assert columns_of("t.h5")["country"] == ("DE", "FR", "IT", "(missing)")
    assert "country 10" in done.err


def test_02_a_nul_in_a_cell_is_refused_with_its_line(table: Command) -> None:
    done = table(csv(["a\0b", "ab"] * 20, header="code"), "--label", "y")
    assert (done.code, done.error) == (4, "E400")
    assert "line 2" in done.err
    assert "\0" not in done.out + done.err


def test_03_lines_may_end_in_a_carriage_return(table: Command) -> None:
    assert table(csv(AGES, header="age", end="\r"), "--label", "y").code == 0
    content = Store(Path("t.h5")).train.inputs()
    assert table(csv(AGES, header="age"), "--label", "y", "--force").code == 0
    np.testing.assert_array_equal(Store(Path("t.h5")).train.inputs(), content)


@pytest.mark.parametrize("line", [b"sep=,\n", b"sep=;\n", b'"sep=,"\n'])
def test_04_a_line_that_names_the_separator_is_no_header(table: Command, line: bytes) -> None:
    done = table(line + csv(AGES, header="age"), "--label", "y")
    assert (done.code, done.error) == (4, "E400")


def test_05_the_index_that_pandas_writes_without_a_name_is_refused(table: Command) -> None:
    done = table(csv(range(40), AGES, header=",age"), "--label", "y")
    assert (done.code, done.error) == (4, "E400")


@pytest.mark.parametrize("name", ["__index_level_0__", "__index_level_12__"])
def test_06_the_index_that_pandas_hides_in_parquet_is_left_out(table: Command, name: str) -> None:
    stream = io.BytesIO()
    pl.DataFrame({"age": AGES, name: range(40), "y": ["a", "b"] * 20}).write_parquet(stream)
    done = table(stream.getvalue(), "--label", "y", name="t.parquet")
    assert done.code == 0
    assert list(columns_of("t.h5")) == ["age"]
    assert name in done.err
    assert table(stream.getvalue(), "--label", "y", "--id", name, "--force", name="t.parquet").code == 0


def other_kinds() -> dict[str, bytes]:
    text, archive, parquet = csv(AGES, header="age"), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("t.csv", text)
    pl.DataFrame({"age": AGES}).write_parquet(parquet)
    return {"gzip": gzip.compress(text), "ZIP": archive.getvalue(), "Parquet": parquet.getvalue()}


@pytest.mark.parametrize("kind", ["gzip", "ZIP", "Parquet"])
def test_07_a_file_of_another_kind_called_csv_is_named(table: Command, kind: str) -> None:
    done = table(other_kinds()[kind], "--label", "y")
    assert (done.code, done.error) == (4, "E400")
    assert kind in done.err


def test_08_people_called_inf_are_categories(table: Command) -> None:
    done = table(csv(["Inf", "Infinity", "Bob", "Eve"] * 10, header="name"), "--label", "y")
    assert done.code == 0
    assert columns_of("t.h5") == {"name": ("Bob", "Eve", "Inf", "Infinity")}


def test_09_codes_that_look_like_powers_of_ten_stay_as_they_are_spelt(table: Command) -> None:
    codes = [f"0047583311587E{590000 + number}" for number in range(36)] + ["1E3", "1000", "1e3", "01E3"]
    assert table(csv(codes, AGES, header="code,age"), "--label", "y", "--id", "code").code == 0
    few = ["1E3", "1000", "1e3", "01E3"] * 10
    assert table(csv(few, header="code"), "--label", "y", "--categorical", "code", "--force").code == 0
    assert set(columns_of("t.h5")["code"] or ()) == set(few)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_10_the_first_and_the_last_year_are_dates(table: Command, name: str) -> None:
    days = ["0001-01-01", "9999-12-31", "2020-02-29", "1970-01-01"] * 10
    content = csv(days, header="day")
    if name == "t.parquet":
        stream = io.BytesIO()
        pl.DataFrame({"day": [date.fromisoformat(day) for day in days], "y": ["no", "yes"] * 20}).write_parquet(stream)
        content = stream.getvalue()
    assert table(content, "--label", "y", "--split", "0.5", name=name).code == 0
    assert columns_of("t.h5") == {"day": None}
    (column,) = Store(Path("t.h5")).schema.columns
    decoded = np.unique(np.concatenate([part.inputs() for part in splits("t.h5")]) * column.std + column.mean)
    np.testing.assert_allclose(decoded, [-719162, 0, 18321, 2932896], atol=1)


def splits(path: str) -> tuple[Any, Any]:
    store = Store(Path(path))
    return store.train, store.test


def test_11_a_folder_of_partitions_is_not_taken_for_a_table(cli: Command, workplace: Path) -> None:
    built_in("table")
    for year in (2020, 2021):
        folder = workplace / "sales" / f"year={year}"
        folder.mkdir(parents=True)
        pl.DataFrame({"age": AGES}).write_parquet(folder / "part-0.parquet")
    done = cli("prepare", "table", "--source", "sales")
    assert (done.code, done.error) == (3, "E300")


# Arrays and HDF5


def hdf5(fill: Callable[[h5py.File], object], **given: Any) -> None:
    with h5py.File("x.h5", "w", **given) as file:
        fill(file)


def test_12_data_compressed_by_a_filter_that_is_not_here(adapt: Command) -> None:
    hdf5(lambda file: file.create_dataset("x", data=pictures(), chunks=(4, SIDE, SIDE, 3), compression="gzip"))
    raw = bytearray(Path("x.h5").read_bytes())
    place = raw.find(b"deflate\0") - 8  # of the filter's number in its message
    assert struct.unpack_from("<H", raw, place) == (1,)
    struct.pack_into("<H", raw, place, 32001)  # Blosc
    Path("x.h5").write_bytes(raw)
    done = adapt("x.h5")
    assert (done.code, done.error) == (4, "E401")
    assert "32001" in done.err


def test_13_a_file_whose_writer_was_killed_is_not_called_damaged(adapt: Command) -> None:
    program = (
        "import h5py, os\n"
        "file = h5py.File('x.h5', 'w', libver='latest')\n"
        "file.create_dataset('x', (4, 16, 16, 3), 'u1')\n"
        "file.swmr_mode = True\n"
        "file.flush()\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    done = adapt("x.h5")
    assert (done.code, done.error) == (3, "E301")


def test_14_a_dataset_without_a_dataspace_holds_nothing_to_embed(adapt: Command) -> None:
    hdf5(lambda file: file.create_dataset("x", data=h5py.Empty("f4")))
    done = adapt("x.h5")
    assert done.code == 4
    assert done.error in ("E400", "E401")


def test_15_a_pointer_of_git_lfs_is_no_hdf5(adapt: Command) -> None:
    Path("x.h5").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 9\n")
    done = adapt("x.h5")
    assert (done.code, done.error) == (4, "E400")


def test_16_an_archive_with_two_arrays_of_one_name_is_refused(adapt: Command) -> None:
    with zipfile.ZipFile("x.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for rows in (pictures(), pictures(2)):
            stream = io.BytesIO()
            np.save(stream, rows)
            archive.writestr("x.npy", stream.getvalue())
    done = adapt("x.npz")
    assert (done.code, done.error) == (4, "E400")


def test_17_axes_in_the_order_of_matlab_are_refused_by_their_shape(adapt: Command) -> None:
    hdf5(lambda file: file.create_dataset("x", data=pictures().T))
    done = adapt("x.h5")
    assert (done.code, done.error) == (4, "E400")
    assert "(16, 16, 4)" in done.err


def test_18_an_input_of_no_samples_is_refused(adapt: Command) -> None:
    hdf5(lambda file: file.create_dataset("x", data=pictures()[:0]))
    done = adapt("x.h5")
    assert (done.code, done.error) == (3, "E300")


def test_19_an_array_that_may_not_be_written_is_embedded_and_stays(table_run: Path, workplace: Path) -> None:
    rows = np.linspace(0, 1, 14, dtype=np.float32).reshape(2, 7)
    np.save(workplace / "rows.npy", rows)
    encoder = ContextEncoder.load(table_run, "cpu")
    expected = encoder.transform(rows.copy())
    rows.flags.writeable = False
    for given in (rows, np.load(workplace / "rows.npy", mmap_mode="r")):
        np.testing.assert_array_equal(encoder.transform(given), expected)  # a warning of torch would fail the test


# Images


def test_20_a_photograph_of_several_pictures_is_its_first(image_run: Path) -> None:
    first, second = (Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue"))
    data = encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
    folder = in_two_classes(data, "jpg")
    for image in [*read_folder(folder)[1], *embedded(folder, image_run)]:
        np.testing.assert_allclose(image.mean(axis=(0, 1)), [255, 0, 0], atol=3)


TURNED = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"  # orientation 6, big-endian
BROKEN = {
    "header twice": b"Exif\0\0Exif\0\0MM\0*\0\0\0\x08\0\x01" + TURNED + b"\0\0\0\0",
    "garbage": b"Exif\0\0garbage",
    "cut off": b"Exif\0\0MM\0*\0\0\0\x08\0\x09" + TURNED,
    "tag as text": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x02a\0\0\0\0\0\0\0",
    "directory far away": b"Exif\0\0II*\0\xff\xff\xff\xff",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_21_damaged_notes_of_a_camera_cost_no_image(fault: str, image_run: Path) -> None:
    data = photograph(exif=BROKEN[fault], quality=95)
    folder = in_two_classes(data, "jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow
        found = [*read_folder(folder)[1], *embedded(folder, image_run)]
    assert [image.shape for image in found] == [(SIDE, SIDE, 3)] * 8


def test_22_a_resolution_that_no_fraction_is_does_not_stop_the_turn(image_run: Path) -> None:
    resolution = b"\x01\x1a\0\x0a\0\0\0\x01\0\0\0\x26"  # a signed fraction, -1 / 0
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + TURNED + resolution + b"\0\0\0\0" + struct.pack(">ii", -1, 0)
    lying = np.zeros((SIDE, SIDE, 3), np.uint8)
    lying[:, : SIDE // 2] = 255  # white on the left; turned by 90 degrees clockwise it is on top
    data = encoded(Image.fromarray(lying), "JPEG", exif=exif, quality=95)
    folder = in_two_classes(data, "jpg")
    for image in [*read_folder(folder)[1], *embedded(folder, image_run)]:
        assert image[: SIDE // 2].mean() > 250
        assert image[SIDE // 2 :].mean() < 5


def test_23_sixteen_bits_do_not_become_white(image_run: Path) -> None:
    ramp = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
    data = encoded(Image.fromarray(ramp), "PNG")
    folder = in_two_classes(data, "png")
    for image in [*read_folder(folder)[1], *embedded(folder, image_run)]:
        np.testing.assert_allclose(image[..., 0], ramp / 257, atol=1)


def test_24_red_in_four_inks_stays_red(image_run: Path) -> None:
    data = encoded(Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data  # its inks are stored inverted
    folder = in_two_classes(data, "jpg")
    for image in [*read_folder(folder)[1], *embedded(folder, image_run)]:
        np.testing.assert_allclose(image.mean(axis=(0, 1)), [255, 0, 0], atol=3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_25_what_is_transparent_is_white(mode: str, image_run: Path) -> None:
    image = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0)).convert(mode)
    data = encoded(image, "PNG", **({"transparency": 0} if mode == "P" else {}))
    folder = in_two_classes(data, "png")
    for found in [*read_folder(folder)[1], *embedded(folder, image_run)]:
        np.testing.assert_array_equal(found, np.full((SIDE, SIDE, 3), 255))


def test_26_a_suffix_may_be_in_capitals(image_run: Path) -> None:
    names = ["1.JPG", "2.Jpeg", "3.jpg", "4.JPEG"]
    folder = folder_of(*((f"{one}/{name}", photograph()) for one in "ab" for name in names))
    assert len(read_folder(folder)[1]) == len(embedded(folder, image_run)) == 8


def test_27_a_class_without_images_is_named(workplace: Path) -> None:
    folder = folder_of(*class_folders("a", "b"))
    (folder / "empty").mkdir()
    with pytest.raises(ContextSSLError, match="empty") as caught:
        read_folder(folder)
    assert (caught.value.code, caught.value.exit_code) == ("E300", 3)


def test_28_classes_called_by_numbers_keep_their_names(workplace: Path) -> None:
    classes, images = read_folder(folder_of(*class_folders("1", "2", "10", "100")))
    assert sorted(classes, key=int) == ["1", "2", "10", "100"]
    assert len(images) == 8


def test_29_a_folder_that_is_called_like_an_image_is_a_folder(image_run: Path) -> None:
    folder = folder_of(*class_folders("a", "b"), *class_folders("a/forest.png"))
    assert len(read_folder(folder)[1]) == len(embedded(folder, image_run)) == 6


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><title>404</title>", b"version https://git-lfs.github.com", b""])
def test_30_what_is_no_image_is_named_or_left_out(content: bytes) -> None:
    folder = folder_of(*class_folders("a", "b"), ("a/broken.png", content))
    with pytest.raises(ContextSSLError, match=r"broken\.png") as caught:
        read_folder(folder)
    assert (caught.value.code, caught.value.exit_code) == ("E400", 4)
    assert len(read_folder(folder, skip_corrupt=True)[1]) == 4


def test_31_a_class_that_the_splits_write_with_other_code_points(workplace: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    found = class_folders(f"train/{composed}", "train/tea", f"test/{apart}", "test/tea")
    classes, images = read_folder(folder_of(*found))
    assert [unicodedata.normalize("NFC", name) for name in classes] == [composed, "tea"]
    assert len(images) == 8


# Command line and configuration


@pytest.mark.slow
def test_32_a_reader_that_has_had_enough_is_no_failure_with_a_traceback() -> None:
    program = f"{sys.executable} -c 'from contextssl_cli.cli.app import main; main()' plugins"
    words = ["bash", "-o", "pipefail", "-c", f"{program} | head -c 1"]
    done = subprocess.run(words, check=False, text=True, capture_output=True, timeout=120)
    assert len(done.stdout) == 1
    assert done.stderr == ""


def test_33_square_brackets_are_no_markup(table: Command, cli: Command) -> None:
    done = table(csv(AGES, header="[red]age[/]"), "--label", "y", name="[bold]t.csv")
    assert done.code == 0
    assert "[red]age[/]" in done.err
    missing = cli("info", "[/red].h5")
    assert (missing.code, missing.error) == (3, "E300")
    assert "[/red].h5" in missing.err


@pytest.mark.parametrize("line", ["steps = true", "lr = true", "seed = false", "[model]\nlayers = true"])
def test_34_a_truth_value_is_not_taken_for_a_number(cli: Command, workplace: Path, line: str) -> None:
    assert configured(cli, line).error == "E200"


@pytest.mark.parametrize("value", ["1e-3", "0.001", '"1e-3"', "1.0E-3"])
def test_35_every_spelling_of_a_rate_is_the_same_number(cli: Command, workplace: Path, value: str) -> None:
    done = configured(cli, f"lr = {value}")
    assert done.code == 0
    assert json.loads(done.out)["config"]["lr"] == 0.001


def test_36_a_byte_order_mark_before_the_settings_is_passed_over(cli: Command, workplace: Path) -> None:
    done = configured(cli, "\ufeffsteps = 5")
    assert done.code == 0
    assert json.loads(done.out)["config"]["steps"] == 5


def configured(cli: Command, text: str) -> Outcome:
    built_in("digits", "rotation")
    Path("settings.toml").write_text(text + "\n", encoding="utf-8")
    return cli(
        "pretrain", "--plugin", "digits-rotation", "--config", "settings.toml", "--out", "run", "--dry-run", "--json"
    )


def test_37_a_working_folder_that_was_removed_is_said(cli: Command, workplace: Path) -> None:
    (workplace / "gone").mkdir()
    os.chdir(workplace / "gone")
    (workplace / "gone").rmdir()
    try:
        done = cli("plugins")
    finally:
        os.chdir(workplace)
    assert (done.code, done.error) == (3, "E300")


@pytest.mark.parametrize("seed", [2**32, 2**64, 10**30])
def test_38_a_seed_of_any_size_is_a_seed_of_its_own(table: Command, seed: int) -> None:
    content = csv(range(40), header="n")
    drawn = []
    for one in (0, seed, seed % 2**32):
        assert table(content, "--label", "y", "--seed", str(one), "--force").code == 0
        drawn.append(Store(Path("t.h5")).test.inputs().tobytes())
    assert drawn[1] != drawn[0]
    assert (drawn[1] == drawn[2]) == (seed == seed % 2**32)


def test_39_an_empty_variable_is_not_set(table: Command, cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTEXTSSL_DEVICE", "CONTEXTSSL_SEED"):
        monkeypatch.setenv(name, "")
    assert table(csv(AGES, header="age"), "--label", "y").code == 0
    assert configured(cli, "steps = 5").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_40_an_output_that_lacks_the_characters_is_written_all_the_same(encoding: str, workplace: Path) -> None:
    def process(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", "from contextssl_cli.cli.app import main; main()", *arguments]
        given = {**os.environ, "PYTHONIOENCODING": encoding}
        return subprocess.run(words, check=False, capture_output=True, encoding=encoding, env=given, timeout=120)

    done = process("plugins")
    assert done.returncode == 0
    assert "digits" in done.stdout
    missing = process("info", "\u00e9\u4e2d.h5")
    assert missing.returncode == 3
    assert "error[E300]" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_41_a_tilde_that_the_shell_has_left_is_a_name(table: Command, workplace: Path) -> None:
    built_in("table")
    (workplace / "t.csv").write_bytes(csv(AGES, header="age"))
    done = run(["prepare", "table", "--source=t.csv", "--label=y", "--out=~/t.h5"])
    assert done == 0
    assert (workplace / "~" / "t.h5").is_file()


@pytest.mark.slow
def test_42_dollars_in_names_are_no_formula(table: Command, cli: Command) -> None:
    built_in("table", "attribute")
    content = csv(AGES, ["$m$^", "\\frac"] * 20, header="age,se$x_^$").replace(b",y\n", b",in$$come_{\n", 1)
    assert table(content, "--label", "in$$come_{", "--sensitive", "se$x_^$").code == 0
    small = [f"--set=model.{name}={value}" for name, value in (tiny.MODEL | {"block_size": 8}).items()]
    trained = cli("pretrain", "--plugin", "table-attribute", "--store", "t.h5", "--out", "run", "--steps", "1",
                  "--batch-size", "8", *small)  # fmt: skip
    assert trained.code == 0
    assert cli("probe", "--run", "run").code == 0
    assert cli("report", "run").code == 0
    assert "in$$come_{" in Path("run/report.html").read_text(encoding="utf-8")


def test_the_log_has_every_report_and_every_report_a_test() -> None:
    logged = re.findall(r"^\| (\d+) \|", LOG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tested = re.findall(r"^def test_(\d+)_", Path(__file__).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [int(number) for number in logged] == [int(number) for number in tested] == list(range(1, len(tested) + 1))
