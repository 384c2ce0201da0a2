"""HDF5 files that refer outside themselves, declare what they cannot hold, or are written by other programs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from h5py import h5a, h5d, h5p, h5s, h5t

from contextssl_cli.adaptation.inputs import read_inputs
from contextssl_cli.data.rows import whole
from contextssl_cli.errors import CorruptFileError, DataMissingError, UnsafeFileError
from contextssl_cli.store import hdf5, untrusted
from contextssl_cli.store.arrays import ArrayFile, read_arrays
from contextssl_cli.store.context import Context
from contextssl_cli.store.dataset import Store
from contextssl_cli.store.embeddings import Embeddings
from contextssl_cli.store.part import read_part, write_part
from contextssl_cli.store.replace import is_kind
from tests import tiny
from tests.small_files import READ, ROWS, SCHEMA, WRITE
from tests.unit.test_store import samples

SECRET = b"root:x:0:0 the secret of another file\n" * 4


def external(file: h5py.File, name: str, secret: Path) -> None:
    file.create_dataset(name, (len(SECRET),), "u1", external=[(str(secret), 0, len(SECRET))])


def virtual(file: h5py.File, name: str, secret: Path) -> None:
    with h5py.File(secret.with_suffix(".h5"), "w") as source:
        source["x"] = np.frombuffer(SECRET, np.uint8)
    layout = h5py.VirtualLayout((len(SECRET),), "u1")
    layout[:] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "x", (len(SECRET),))
    file.create_virtual_dataset(name, layout)


def virtual_in_the_same_file(file: h5py.File, name: str, secret: Path) -> None:
    file["source"] = np.zeros(4)
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(".", "source", (4,))
    file.create_virtual_dataset(name, layout)


def growing_virtual(file: h5py.File, name: str, secret: Path) -> None:
    layout = h5py.VirtualLayout((4,), "u1", maxshape=(None,))
    layout[:] = h5py.VirtualSource(str(secret), "x", (4,))
    file.create_virtual_dataset(name, layout)


def linked(target: Any) -> Callable[[h5py.File, str, Path], None]:
    def link(file: h5py.File, name: str, secret: Path) -> None:
        file[name] = target

    return link


def external_link(file: h5py.File, name: str, secret: Path) -> None:
    file[name] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "/x")


def cycle(file: h5py.File, name: str, secret: Path) -> None:
    file.create_group(name)[name] = file["/"]


def second_name(file: h5py.File, name: str, secret: Path) -> None:
    file["original"] = np.zeros(4)
    file[name] = file["original"]


def named_type(file: h5py.File, name: str, secret: Path) -> None:
    file[name] = np.dtype("f4")


def filtered(code: int, *values: int) -> Callable[[h5py.File, str, Path], None]:
    def plugin(file: h5py.File, name: str, secret: Path) -> None:
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_chunk((4,))
        properties.set_filter(code, h5py.h5z.FLAG_OPTIONAL, values)
        h5d.create(file.id, name.encode(), h5t.NATIVE_UINT8, h5s.create_simple((4,)), properties)

    return plugin


def twice_compressed(file: h5py.File, name: str, secret: Path) -> None:
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_chunk((4,))
    properties.set_deflate(9)
    properties.set_deflate(9)
    h5d.create(file.id, name.encode(), h5t.NATIVE_UINT8, h5s.create_simple((4,)), properties)


def declared(shape: tuple[int, ...], **how: Any) -> Callable[[h5py.File, str, Path], None]:
    return lambda file, name, secret: file.create_dataset(name, shape, "f4", **how) and None


OUTSIDE: dict[str, Callable[[h5py.File, str, Path], None]] = {
    "external storage": external,
    "virtual": virtual,
    "virtual in the same file": virtual_in_the_same_file,
    "growing virtual": growing_virtual,
    "external link": external_link,
    "soft link": linked(h5py.SoftLink("/format")),
    "soft link that dangles": linked(h5py.SoftLink("/nowhere")),
    "soft link to itself": linked(h5py.SoftLink("/x")),
    "hard link to the root": cycle,
    "second name": second_name,
    "named type": named_type,
    "plugin filter": filtered(32015, 1),
    "scale-offset": filtered(6, *[0] * 20),
    "unknown filter": filtered(511),
    "two compressors": twice_compressed,
    "a terabyte": declared((2**38,), fillvalue=1),
    "more than 64 bits of bytes": declared((2**62, 1, 1), chunks=(1, 1, 1)),
    "a gzip bomb": declared((2**36,), chunks=(2**20,), compression="gzip"),
    "an LZF bomb": declared((2**36,), chunks=(2**20,), compression="lzf"),
    "one row in a chunk of a gigabyte": declared((1, 1), maxshape=(None, None), chunks=(2**14, 2**14)),
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_bytes(SECRET)
    return path


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_file_that_refers_outside_or_declares_too_much_is_refused(kind: str, tmp_path: Path, secret: Path) -> None:
    for name in ("x", "group/x"):
        path = tmp_path / f"{name.replace('/', '-')}.h5"
        with h5py.File(path, "w") as file:
            OUTSIDE[kind](file.require_group("group") if "/" in name else file, "x", secret)
        for read in (read_arrays, hdf5.kind_of, ArrayFile):
            with pytest.raises(UnsafeFileError, match=path.name):
                read(path)


@pytest.mark.parametrize("kind", ["external storage", "external link", "soft link", "a terabyte", "plugin filter"])
@pytest.mark.parametrize("reader", READ)
def test_no_reader_takes_a_member_of_its_own_file_from_outside(
    reader: str, kind: str, tmp_path: Path, secret: Path
) -> None:
    path = tmp_path / "file.h5"
    WRITE[reader](path)
    with h5py.File(path, "r+") as file:
        OUTSIDE[kind](file.require_group("labels"), "other", secret)
    with pytest.raises(UnsafeFileError, match="other"):
        READ[reader](path)


def test_a_part_is_checked_as_every_file(tmp_path: Path, secret: Path) -> None:
    path = tmp_path / "part.h5"
    write_part(path, tiny.table_schema((1, 1, 1)), samples("train"), "plan 0")
    with h5py.File(path, "r+") as file:
        del file["inputs"]
        external(file, "inputs", secret)
    with pytest.raises(UnsafeFileError, match="inputs"):
        read_part(path, tiny.table_schema((1, 1, 1)), "plan 0")


def test_a_link_of_a_user_s_own_class_is_refused(tmp_path: Path, secret: Path) -> None:
    path = tmp_path / "user.h5"
    with h5py.File(path, "w") as file:
        file["userlink"] = h5py.ExternalLink(str(secret), "/x")
    whole = bytearray(path.read_bytes())
    place = whole.index(b"userlink") - 2  # version, flags, type, length of the name, name
    assert whole[place] == 64
    whole[place] = 200
    path.write_bytes(whole)
    with pytest.raises(UnsafeFileError, match="userlink"):
        read_arrays(path)


def test_more_objects_than_a_file_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        for number in range(8):
            file[f"g/{number}"] = number
    read_arrays(path)
    monkeypatch.setattr(untrusted, "MOST_OBJECTS", 8)
    with pytest.raises(UnsafeFileError, match=r"many\.h5"):
        read_arrays(path)


@pytest.mark.parametrize("levels", [51, 60, 500])
def test_more_levels_than_a_file_may_have(levels: int, tmp_path: Path) -> None:
    path = tmp_path / "deep.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(4)
        file.create_group("/".join("a" * untrusted.MOST_LEVELS))
    assert ArrayFile(path).shape == (4,)
    with h5py.File(path, "a") as file:
        file.create_group("/".join("b" * levels))
    with pytest.raises(UnsafeFileError, match=r"deep\.h5.* 50 levels"):
        ArrayFile(path)


def test_no_more_is_read_than_the_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros((1000, 100)), compression="gzip")
    assert read_arrays(path)["x"].shape == (1000, 100)
    monkeypatch.setattr(untrusted, "_memory", lambda: 100_000)
    with pytest.raises(UnsafeFileError, match="/x"):
        read_arrays(path)
    with hdf5.open_plain(path) as file:  # by rows it still can be
        assert hdf5.read(file, "x", path, slice(5, 9)).shape == (4, 100)


@pytest.mark.parametrize(
    "how",
    [{}, {"chunks": (7, 3)}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf", "fletcher32": True}],
)
def test_what_users_write_is_read(how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(300, dtype=np.float32).reshape(100, 3)
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=512 if how else 0) as file:
        file.create_dataset("x", data=array, **how)
        file.create_dataset("flat", data=np.zeros((2_000, 2_000), np.uint8), compression="gzip")  # near gzip's limit
    monkeypatch.setattr(untrusted, "SPARSE", 0)
    np.testing.assert_array_equal(read_arrays(tmp_path / "x.h5")["x"], array)


def scalar(file: h5py.File, name: str) -> None:
    file[name] = 5


UNREADABLE: dict[str, Callable[[h5py.File, str], Any]] = {
    "text of variable length": lambda file, name: file.create_dataset(name, data=["a", "b"]),
    "numbers of variable length": lambda file, name: file.create_dataset(name, (2,), h5py.vlen_dtype(np.int32)),
    "references": lambda file, name: file.create_dataset(name, (2,), h5py.ref_dtype),
    "regions": lambda file, name: file.create_dataset(name, (2,), h5py.regionref_dtype),
    "records": lambda file, name: file.create_dataset(name, (2,), [("a", "f4"), ("b", "i4")]),
    "records of references": lambda file, name: file.create_dataset(name, (2,), [("a", h5py.ref_dtype)]),
    "opaque": lambda file, name: file.create_dataset(name, data=np.array([b"ab"], "V2")),
    "times": lambda file, name: file.create_dataset(name, (2,), h5py.opaque_dtype(np.dtype("M8[s]"))),
    "arrays in each place": lambda file, name: file.create_dataset(name, (2,), np.dtype(("f4", (3,)))),
    "no shape": lambda file, name: file.create_dataset(name, data=h5py.Empty("f4")),
    "complex numbers": lambda file, name: file.create_dataset(name, data=np.array([1j])),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_only_numbers_and_text_of_fixed_length_are_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        UNREADABLE[kind](file, "names")
        file["x"] = ROWS
    with pytest.raises(UnsafeFileError, match="names"):
        read_arrays(path)
    assert torch.equal(whole(read_inputs(path, SCHEMA).rows), torch.tensor(ROWS))  # the rest of the file is not read


def test_pickles_in_attributes_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "context.h5"
    WRITE["context"](path)
    with h5py.File(path, "r+") as file:
        for owner in (file, file["x"]):
            owner.attrs["pickled"] = np.void(b"cos\nsystem\n(S'touch executed'\ntR.")
        file.attrs["run"] = np.void(b"cos\nsystem\n(S'touch executed'\ntR.")
    with pytest.raises(CorruptFileError, match="'run'"):
        Context.load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("wrong", [None, 0, 2**64 - 16, 2**64 - 1, 2**40])
def test_texts_that_hdf5_would_look_for_for_ever_are_damage(wrong: int | None, tmp_path: Path) -> None:
    path = tmp_path / "context.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = KIND
    whole = bytearray(path.read_bytes())
    place = whole.index(b"GCOL") + 16 + (16 + 24 if wrong == 0 else 0) + 8  # the size of the text, or of the free rest
    assert int.from_bytes(whole[place : place + 8], "little") == (4096 - 16 - 40 if wrong == 0 else len(KIND))
    if wrong is not None:
        whole[place : place + 8] = wrong.to_bytes(8, "little")
    path.write_bytes(whole)
    with hdf5.open_plain(path) as file:
        if wrong is None:
            untrusted.check_heaps(path, file)
        else:  # before h5py reads the text, which might not end
            with pytest.raises(CorruptFileError, match=path.name):
                hdf5.text(path, file, "format")


def test_our_own_texts_are_under_a_checksum(tmp_path: Path) -> None:
    for kind, make in WRITE.items():
        make(tmp_path / f"{kind}.h5")
        assert b"GCOL" not in (tmp_path / f"{kind}.h5").read_bytes()


def padded(size: int, pad: int) -> h5t.TypeStringID:
    kind = h5t.C_S1.copy()
    kind.set_size(size)
    kind.set_strpad(pad)
    return kind


def attribute(file: h5py.File, name: str, value: Any) -> None:
    """Written as another program would."""
    if isinstance(value, tuple):
        text, pad = value
        kind = padded(len(text) + 5, pad)
        h5a.create(file.id, name.encode(), kind, h5s.create(h5s.SCALAR)).write(np.array(text, f"S{len(text) + 5}"))
    else:
        file.attrs[name] = value


KIND = "contextssl-context"
HEADERS: dict[str, dict[str, Any]] = {
    "text of fixed length": {"format": np.bytes_(KIND)},
    "text padded with spaces": {"format": (KIND, h5t.STR_SPACEPAD)},
    "text that ends with a null": {"format": (KIND, h5t.STR_NULLTERM)},
    "one text in an array": {"format": np.array([KIND], h5py.string_dtype())},
    "one text of fixed length in a matrix": {"format": np.array([[KIND.encode()]])},
    "one number in an array": {"version": np.array([1])},
    "a small unsigned number": {"version": np.uint8(1)},
    "a number of the other byte order": {"version": np.array(1, ">i8")},
    "a whole float": {"version": 1.0, "complete": 1.0},
    "flags of another type": {"complete": np.array([[1]], np.int16)},
    "bytes that are no UTF-8": {"run": np.bytes_(b"/runs/caf\xe9")},
}


@pytest.mark.parametrize("writer", HEADERS)
def test_attributes_are_read_as_other_programs_write_them(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "context.h5"
    with h5py.File(path, "w") as file:
        for name, value in ({"format": KIND, "version": 1} | HEADERS[writer]).items():
            attribute(file, name, value)
        file["x"], file["y"] = ROWS, ROWS
    found = Context.load(path)
    assert os.fsencode(found.run) == (b"/runs/caf\xe9" if "UTF-8" in writer else b"")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", True), ("version", np.nan), ("version", np.inf), ("version", 1.5), ("version", "1"),
        ("version", np.array([1, 1])), ("version", np.array([], int)), ("version", h5py.Empty("i4")),
        ("format", 7), ("format", np.array([KIND, KIND], h5py.string_dtype())), ("format", h5py.Empty("S3")),
        ("complete", np.array([False])), ("complete", 0.0), ("complete", "false"), ("run", 1), ("fingerprint", [1j]),
    ],
)  # fmt: skip
def test_attributes_of_another_meaning_are_refused(name: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "context.h5"
    WRITE["context"](path)
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    with pytest.raises(CorruptFileError, match=name[:6]):
        Context.load(path)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", ">u8", "<f2", ">f2", "i1", "f8"])
def test_any_numbers_of_any_byte_order_are_the_same_numbers(dtype: str, tmp_path: Path) -> None:
    rows = np.arange(12).reshape(4, 3)
    with h5py.File(tmp_path / "pairs.h5", "w") as file:
        file["x"], file["y"], file["actions/turn"] = (rows.astype(dtype) for _ in range(3))
    context = Context.from_pairs(tmp_path / "pairs.h5")
    for array in (context.x, context.y, context.actions["turn"]):
        assert array.dtype.isnative
        np.testing.assert_array_equal(array, rows)
    assert whole(read_inputs(tmp_path / "pairs.h5", SCHEMA).rows).tolist() == rows.tolist()


def test_an_array_without_axes_or_rows_is_no_context(tmp_path: Path) -> None:
    for number, array in enumerate((np.float32(5), np.zeros((0, 3)), np.zeros(0))):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file["x"], file["y"] = array, array
        with pytest.raises(CorruptFileError, match=rf"{number}\.h5"):
            Context.from_pairs(tmp_path / f"{number}.h5")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("embeddings", np.zeros(4)), ("embeddings", np.float32(1)), ("embeddings", np.array([b"a"] * 4)),
        ("labels/kind", np.zeros(3, int)), ("attributes/kind", np.int64(0)), ("names", np.array([b"a"])),
        ("names", np.arange(4)),
    ],
)  # fmt: skip
def test_embeddings_whose_parts_do_not_fit_are_corrupt(name: str, array: Any, tmp_path: Path) -> None:
    path = tmp_path / "embeddings.h5"
    WRITE["embeddings"](path)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = array
    with pytest.raises(CorruptFileError, match=r"embeddings\.h5"):
        Embeddings.load(path)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("train/inputs", np.zeros((4, 2), np.float32)), ("train/inputs", ROWS.astype(float)),
        ("test/inputs", np.float32(1)), ("train/labels/kind", np.zeros(3, int)), ("test/labels/kind", np.zeros(4)),
        ("train/objects", np.zeros((4, 1), int)),
    ],
)  # fmt: skip
def test_a_store_whose_arrays_do_not_fit_its_schema_is_corrupt(name: str, array: Any, tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    WRITE["store"](path)
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        file[name] = array
    with pytest.raises(CorruptFileError, match=name):
        Store(path)


@pytest.mark.parametrize("code", [2, -2, 2**40])
def test_a_class_that_the_schema_does_not_have_is_corrupt(code: int, tmp_path: Path) -> None:
    path = tmp_path / "store.h5"
    WRITE["store"](path)
    with h5py.File(path, "r+") as file:
        file["train/labels/kind"][1] = code
    with Store(path) as store, pytest.raises(CorruptFileError, match="kind"):
        store.train.labels("kind")


@pytest.mark.parametrize("ends", [[9, 3, 12], [3, 9, 10**9], [-5, 9, 12]])
def test_encoded_images_that_overlap_are_corrupt(ends: list[int], tmp_path: Path) -> None:
    from contextssl_cli.store.dataset import create_store
    from contextssl_cli.store.samples import Samples

    path = tmp_path / "store.h5"
    with create_store(path, tiny.image_schema(4, 4, storage="encoded"), {}) as writer:
        for split in ("train", "test"):
            writer.append(Samples(split, [b"abcd"] * 3))
    with h5py.File(path, "r+") as file:
        file["train/inputs"][:] = ends
    with Store(path) as store, pytest.raises(CorruptFileError, match=r"store\.h5"):
        store.train.encoded(np.arange(3))


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.h5")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.h5"))
        for path in (tmp_path / "fifo.h5", tmp_path / "socket.h5", Path("/dev/zero"), tmp_path):
            for read in (Context.load, Store, Embeddings.load, hdf5.kind_of):
                with pytest.raises(UnsafeFileError):
                    read(path)
    (tmp_path / "loop.h5").symlink_to(tmp_path / "loop.h5")
    with pytest.raises(DataMissingError):
        Context.load(tmp_path / "loop.h5")


def test_a_foreign_file_with_links_is_not_taken_for_ours(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = h5py.SoftLink("/y")
    assert not is_kind(tmp_path / "foreign.h5", KIND)
