"""Ways to damage a file. Each takes a random generator and a path, changes the file, and says in words what it did."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
from PIL import Image, PngImagePlugin

from tests.small_images import picture

Mutator = Callable[[Random, Path], str]

HUGE = "9" * 5000
ODD_TEXTS = [
    "", " ", "\u00e9\u4e2d", "\x1b]0;x\x07\x1b[31m", "a\nerror[E400]: forged", "\u202eabc", "../../outside",
    "/etc/passwd",
    "a/b", ".", "x" * 70_000, "nan", "-inf", "None", "1e999", "=1+1", "'; DROP", "<script>alert(1)</script>",
    "{{7*7}}", "%s%n",
]  # fmt: skip
ODD_JSON = [
    "null", "true", "-1", "0", "1.5", "1e308", "1e999", "-0.0", "NaN", "-Infinity", "[]", "{}", '""', '"\\ud800"',
    "[[1], 2]",
    '{"a": {"b": 1}}', HUGE, "1" * 30, "9007199254740993", "[" * 3000 + "]" * 3000, "[" * 100_000 + "]" * 100_000,
    '{"a":' * 3000 + "1" + "}" * 3000, *map(json.dumps, ODD_TEXTS),
]  # fmt: skip
ODD_CELLS = [
    *ODD_TEXTS, "NaN", "-nan", "inf", "9007199254740993", "1e400", "0x10", "1_000", "12,5", '"', '""', '"open',
    "\x00", "\ufeff",
    "2024-02-30", "TRUE", HUGE, "x" * 140_000,
]  # fmt: skip


# --- bytes --------------------------------------------------------------------------------------------------------


def change_bytes(random: Random, path: Path) -> str:
    """Any file: flip, cut, insert, repeat, swap or zero some of its bytes."""
    data = bytearray(path.read_bytes())
    ways: list[Callable[[Random, bytearray], str]] = [
        _flip,
        _flip,
        _set,
        _cut,
        _insert,
        _repeat,
        _swap,
        _zero,
        _append,
        _empty,
    ]
    said = random.choice(ways)(random, data)
    path.write_bytes(data)
    return said


def _span(random: Random, data: bytearray, longest: int = 512) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.randrange(1, longest))


def _flip(random: Random, data: bytearray) -> str:
    for _ in range(random.choice([1, 1, 1, 8])):
        place = random.randrange(len(data))
        data[place] ^= 1 << random.randrange(8)
    return f"flip bits, last at {place} of {len(data)}"


def _set(random: Random, data: bytearray) -> str:
    place = random.randrange(len(data))
    data[place] = random.choice([0, 255, 127, 128, 10, 34])
    return f"set byte {place} of {len(data)} to {data[place]}"


def _cut(random: Random, data: bytearray) -> str:
    size = len(data)
    del data[random.choice([random.randrange(size), max(0, size - random.randrange(1, 20))]) :]
    return f"cut {size} bytes to {len(data)}"


def _insert(random: Random, data: bytearray) -> str:
    start, _ = _span(random, data)
    data[start:start] = random.randbytes(random.randrange(1, 64))
    return f"insert bytes at {start}"


def _repeat(random: Random, data: bytearray) -> str:
    start, stop = _span(random, data)
    data[stop:stop] = data[start:stop]
    return f"repeat bytes {start} to {stop}"


def _swap(random: Random, data: bytearray) -> str:
    size = min(256, len(data) // 2)
    first, second = sorted((random.randrange(len(data) - size + 1), random.randrange(len(data) - size + 1)))
    size = min(size, second - first)
    data[first : first + size], data[second : second + size] = data[second : second + size], data[first : first + size]
    return f"swap {size} bytes at {first} and {second}"


def _zero(random: Random, data: bytearray) -> str:
    start, stop = _span(random, data, 4096)
    data[start:stop] = bytes(stop - start)
    return f"zero bytes {start} to {stop}"


def _append(random: Random, data: bytearray) -> str:
    data += random.choice([b"\0" * 512, b"\n", b"garbage", bytes(data[: 1 << 16])])
    return "append bytes"


def _empty(random: Random, data: bytearray) -> str:
    data.clear()
    return "empty the file"


def replace_kind(random: Random, path: Path) -> str:
    """Any file: put another kind of thing in its place."""
    kind = random.choice(["folder", "fifo", "socket", "loop", "dangling", "zip", "pickle", "text", "png"])
    path.unlink()
    contents = {"zip": b"PK\x05\x06" + bytes(18), "pickle": pickle.dumps({"a": 1}), "text": b"hello\n", "png": _png()}
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, 0o140644)
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "dangling":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(contents[kind])
    return f"replace by a {kind}"


# --- JSON, TOML, CSV ----------------------------------------------------------------------------------------------


def change_json(random: Random, path: Path) -> str:
    """One value of a JSON file: another, none, twice, or one more."""
    said, text = _changed_json(random, path.read_text())
    path.write_text(text, errors="surrogatepass")
    return said


def change_json_line(random: Random, path: Path) -> str:
    """One value of one line of a JSON-lines file."""
    lines = path.read_text().splitlines()
    number = random.randrange(len(lines))
    said, lines[number] = _changed_json(random, lines[number])
    path.write_text("\n".join(lines) + "\n", errors="surrogatepass")
    return f"line {number}: {said}"


def change_json_attribute(random: Random, path: Path) -> str:
    """One value of the JSON that an HDF5 attribute holds."""
    with h5py.File(path, "a") as file:
        names = [name for name, value in file.attrs.items() if isinstance(value, str) and value.startswith("{")]
        if not names:
            return "nothing"
        name = random.choice(names)
        said, text = _changed_json(random, file.attrs[name])
        file.attrs[name] = text
    return f"attribute {name}: {said}"


_MARK = "mark of the mutation"


def _changed_json(random: Random, text: str) -> tuple[str, str]:
    """A value as text is put where a mark was, since json itself would refuse some of the values."""
    value = json.loads(text)
    places = list(_places(value))
    owner, key = random.choice(places)
    where = f"{key!r}"
    how = random.choice(["set", "set", "set", "drop", "add", "rename", "twice"])
    if how == "drop":
        del owner[key]
        return f"drop {where}", json.dumps(value, indent=2)
    odd = random.choice(ODD_JSON)
    if how == "set" or not isinstance(owner, dict):
        owner[key] = _MARK
        return f"set {where} to {odd[:40]}", json.dumps(value, indent=2).replace(f'"{_MARK}"', odd, 1)
    name = random.choice(["extra", "a.b", *ODD_TEXTS])
    if how == "add":
        owner[name] = _MARK
        return f"add {name[:30]!r}: {odd[:40]}", json.dumps(value, indent=2).replace(f'"{_MARK}"', odd, 1)
    if how == "rename":
        owner[name] = owner.pop(key)
        return f"rename {where} to {name[:30]!r}", json.dumps(value, indent=2)
    owner[_MARK] = 0
    return f"{where} twice", json.dumps(value, indent=2).replace(f'"{_MARK}": 0', f"{json.dumps(key)}: {odd}", 1)


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


def change_toml(random: Random, path: Path) -> str:
    """One line of a TOML file: another value, another key, twice, or none."""
    lines = path.read_text().splitlines()
    found = [number for number, line in enumerate(lines) if "=" in line and not line.startswith("#")]
    number = random.choice(found)
    key, _, value = lines[number].partition("=")
    odd = random.choice([*ODD_JSON, "1979-05-27", "inf", "nan", "0xff", "1_000", "'''x", "[[1]", "{a=1}"])
    how = random.choice(["value", "value", "value", "key", "twice", "drop", "line"])
    if how == "value":
        lines[number] = f"{key}= {odd}"
    elif how == "key":
        lines[number] = f"{random.choice(['extra', 'a.' * 3000 + 'b', '[t]', '', 'model.width'])} ={value}"
    elif how == "twice":
        lines.insert(number, lines[number])
    elif how == "drop":
        del lines[number]
    else:
        lines.insert(number, random.choice(ODD_TEXTS).replace("\n", " "))
    path.write_text("\n".join(lines) + "\n", errors="surrogatepass")
    return f"{how} at {key.strip()[:40]!r}: {odd[:40]}"


def change_csv(random: Random, path: Path) -> str:
    """A cell, a row, the header, the line ends or the encoding of a CSV file."""
    text = path.read_text()
    rows = text.splitlines(keepends=True)
    number = random.choice([0, random.randrange(len(rows)), random.randrange(len(rows))])
    how = random.choice(
        ["cell", "cell", "cell", "cell", "short", "long", "twice", "drop", "swap", "encoding", "ends", "column"]
    )
    odd = random.choice(ODD_CELLS)
    if how == "encoding":
        kind = random.choice(["utf-16", "utf-8-sig", "latin-1", "utf-7"])
        path.write_bytes((text + "\u00e9,\u00fc\n").encode(kind))
        return f"encode as {kind}"
    if how == "ends":
        end = random.choice(["\r\n", "\r", "\n\n", "\n \n", "\x0b\n"])
        path.write_text(text.replace("\n", end), newline="")
        return f"end lines with {end!r}"
    cells = rows[number].rstrip("\n").split(",")
    place = random.randrange(len(cells))
    if how == "cell":
        cells[place] = odd
    elif how == "short":
        cells.pop()
    elif how == "long":
        cells.append(odd)
    elif how == "swap":
        random.shuffle(cells)
    rows[number : number + 1] = {"twice": [rows[number]] * 2, "drop": []}.get(how, [",".join(cells) + "\n"])
    if how == "column":
        rows = [f"{line.rstrip()},{odd}\n" for line in rows]
    path.write_text("".join(rows), errors="surrogatepass")
    return f"line {number}, cell {place}: {how} {odd[:40]!r}"


def change_lines(random: Random, path: Path) -> str:
    """A line of a list of paths."""
    lines = path.read_text().splitlines()
    odd = random.choice(
        [*ODD_TEXTS, "/dev/zero", "/proc/self/mem", "/" + "a/" * 3000, "~/run", "\x00", lines[0] + "/../run"]
    )
    lines.insert(random.randrange(len(lines) + 1), odd)
    path.write_text("\n".join(lines) + "\n")
    return f"insert the line {odd[:40]!r}"


# --- HDF5 ---------------------------------------------------------------------------------------------------------


def change_hdf5(random: Random, path: Path) -> str:
    """An object of an HDF5 file: drop, rename, another type or shape, a link, storage elsewhere, an attribute."""
    secret = path.parent / "secret.bin"
    with h5py.File(path, "a") as file:
        names: list[str] = []
        file.visit(names.append)
        arrays = [name for name in names if isinstance(file.get(name), h5py.Dataset)]
        name = random.choice(arrays)
        how = random.choice(list(_HDF5))
        said = _HDF5[how](random, file, name, secret)
    return f"{how} {name} {said}".strip()


def _without(file: h5py.File, name: str) -> Any:
    values = file[name][()]
    del file[name]
    return values


def _drop(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    gone = name.partition("/")[0] if random.random() < 0.3 else name
    del file[gone]
    return ""


def _rename(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    to = random.choice(["extra", "a/b/c", f"{name}2", "\u00e9", "x" * 3000, "sp ace", "train/labels/new"])
    if to not in file:
        file.move(name, to)
    return f"to {to[:30]!r}"


def _retype(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    kind = random.choice(["i1", "u1", ">f4", "f8", "f2", "c8", "S3", "bool", ">i8", "vlen", "compound", "text"])
    values = _without(file, name)
    if kind == "vlen":
        file.create_dataset(name, (len(values),), h5py.vlen_dtype(np.int32))
    elif kind == "text":
        file[name] = np.array(["a"] * len(values), dtype=h5py.string_dtype())
    elif kind == "compound":
        file[name] = np.zeros(len(values), dtype=[("a", "i4"), ("b", "f4")])
    else:
        with np.errstate(all="ignore"):
            file[name] = np.asarray(values).astype(kind)
    return f"as {kind}"


def _reshape(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    values = np.asarray(_without(file, name))
    ways: dict[str, Callable[[], Any]] = {
        "flat": values.ravel, "one less": lambda: values[:-1], "none": lambda: values[:0],
        "one more axis": lambda: values[None],
        "a number": lambda: values.flat[0] if values.size else 0, "null": lambda: h5py.Empty("f4"),
        "turned": lambda: values.T,
        "twice": lambda: np.concatenate([values, values]),
    }  # fmt: skip
    way = random.choice(list(ways))
    file[name] = ways[way]()
    return way


def _huge(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    values = _without(file, name)
    rows = random.choice([1 << 20, 1 << 34, 1 << 50, (1 << 63) - 1])
    chunks = random.choice([None, (1, *values.shape[1:])]) if rows < 1 << 40 else (1, *values.shape[1:])
    try:
        file.create_dataset(name, (rows, *values.shape[1:]), values.dtype, chunks=chunks)
    except (ValueError, OSError) as error:
        return f"{rows} rows: refused by HDF5: {str(error)[:40]}"
    return f"{rows} rows"


def _link(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    del file[name]
    other = Path(file.filename).parent / "other.h5"
    with h5py.File(other, "w") as another:
        another["x"] = np.zeros((2, 2))
    links = [h5py.SoftLink("/nowhere"), h5py.SoftLink(f"/{name}"), h5py.SoftLink("/"), h5py.ExternalLink("other.h5",
    "/x"),
             h5py.ExternalLink("/dev/zero", "/"), h5py.ExternalLink("missing.h5", "/x")]  # fmt: skip
    number = random.randrange(len(links))
    file[name] = links[number]
    return f"kind {number}"


def _storage(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    values = _without(file, name)
    secret.write_bytes(b"secret" * 4096)
    elsewhere = random.choice([str(secret), "secret.bin", "/dev/zero"])
    file.create_dataset(name, values.shape, values.dtype, external=[(elsewhere, 0, h5py.h5f.UNLIMITED)])
    return f"in {Path(elsewhere).name}"


def _virtual(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    values = _without(file, name)
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(random.choice(["other.h5", "."]), "other", values.shape)
    file.create_virtual_dataset(name, layout)
    return ""


def _values(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    data = file[name]
    odd = random.choice([np.nan, np.inf, -1, -(2**31), 2**31 - 1, 255, 1.0000002, 1e30])
    values = np.array(data[()])
    if values.size == 0 or values.dtype.kind not in "iuf":
        return "nothing"
    with np.errstate(all="ignore"):
        values.flat[random.randrange(values.size)] = np.array([odd]).astype(values.dtype)[0]
    data[...] = values
    return f"to hold {odd}"


def _filtered(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    values = np.asarray(_without(file, name))
    if not values.shape or not values.size:
        return "nothing"
    how = random.choice([{"compression": "gzip"}, {"compression": "lzf"}, {"fletcher32": True}, {"shuffle": True}])
    file.create_dataset(name, data=values, chunks=True, **how)
    return str(how)


def _group(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    del file[name]
    file.create_group(name)
    return ""


def _attribute(random: Random, file: h5py.File, name: str, secret: Path) -> str:
    if not file.attrs:
        return "nothing"
    key = random.choice(list(file.attrs))
    odd: list[Any] = [
        0, -1, 99, 2**40, 1.5, np.nan, "", "text", b"bytes", np.array([1]), np.array(["a"], dtype="S1"), np.zeros(3),
        np.True_, h5py.Empty("f4"), "\x1b[31m", "x" * 60_000, np.bytes_("fixed"), "[" * 5000, file.ref, "{}", "null",
    ]  # fmt: skip
    number = random.randrange(len(odd) + 2)
    value = file.attrs[key]
    del file.attrs[key]
    if number == len(odd):  # the same, as some other tools write it
        file.attrs[key] = np.bytes_(value) if isinstance(value, str) else np.array([value])
    elif number < len(odd):
        file.attrs[key] = odd[number]
    return f"{key}: kind {number}"


_HDF5: dict[str, Callable[[Random, h5py.File, str, Path], str]] = {
    "drop": _drop, "rename": _rename, "retype": _retype, "reshape": _reshape, "huge": _huge, "link": _link,
    "external storage": _storage, "virtual": _virtual, "values": _values, "filter": _filtered, "group": _group,
    "attribute": _attribute, "another attribute": _attribute,
}  # fmt: skip


# --- arrays, tensors, pictures, archives --------------------------------------------------------------------------


def change_npy(random: Random, path: Path) -> str:
    """The header of a NumPy file, or the type of its array."""
    if path.suffix == ".npz":
        with np.load(path) as found:
            arrays = dict(found)
        name = random.choice(list(arrays))
        arrays[name], said = _odd_array(random, arrays[name])
        if random.random() < 0.2:
            arrays[random.choice(["extra", "../x", "x/y", "actions/none"])] = np.zeros(2)
        np.savez(path, **arrays)
        return f"{name}: {said}"
    if random.random() < 0.5:
        array, said = _odd_array(random, np.load(path))
        np.save(path, array)
        return said
    data = path.read_bytes()
    odd = random.choice([b"(99999999999,", b"(-1, 1, 1, 1)", b"()", b"((((((((", b"(1e9,)", b"(__import__('os'),"])
    path.write_bytes(re.sub(rb"\(\d+, ", lambda _: odd, data, count=1))
    return f"shape {odd!r}"


def _odd_array(random: Random, array: np.ndarray) -> tuple[np.ndarray, str]:
    kinds = [">u2", ">f4", "f2", "f8", "i8", "U1", "O", "c8", "M8[s]", "bool", "V4"]
    ways: dict[str, Callable[[], np.ndarray]] = {kind: lambda kind=kind: array.astype(kind) for kind in kinds}  # type: ignore[misc]
    ways |= {
        "no row": lambda: array[:0], "flat": array.ravel, "a number": lambda: np.array(1.0),
        "Fortran": lambda: np.asfortranarray(array),
        "above 1": lambda: np.full(array.shape, 1.0000002), "NaN": lambda: np.full(array.shape, np.nan),
        "records": lambda: np.zeros(3, dtype=[("a", "i4")]), "axes": lambda: np.zeros((1,) * 20),
    }  # fmt: skip
    way = random.choice(list(ways))
    try:
        with np.errstate(all="ignore"):
            return ways[way](), way
    except (TypeError, ValueError):
        return array, "nothing"


def change_tensors(random: Random, path: Path) -> str:
    """The header of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, rest = data[8 : 8 + length].decode(), data[8 + length :]
    if random.random() < 0.15:
        path.write_bytes(struct.pack("<Q", random.choice([0, 1, 2**40, 2**63, len(data)])) + data[8:])
        return "another length of the header"
    said, header = _changed_json(random, header)
    header = (
        json.dumps(json.loads(header)) if "twice" not in said and random.random() < 0.2 and _loads(header) else header
    )
    encoded = header.encode("utf-8", "surrogatepass")
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + rest)
    return said


def _loads(text: str) -> bool:
    try:
        json.dumps(json.loads(text))
    except (ValueError, RecursionError):
        return False
    return True


def change_torch(random: Random, path: Path) -> str:
    """Another object in a PyTorch file."""
    import torch

    tensors = torch.load(path, weights_only=True)
    name = random.choice(list(tensors))
    odd: dict[str, Any] = {
        "an integer": 3, "half": tensors[name].half(), "no axis": torch.zeros(()),
        "huge": torch.zeros(1).expand(1 << 40),
        "NaN": torch.full_like(tensors[name], float("nan")) if tensors[name].is_floating_point() else 0,
        "sparse": torch.eye(2).to_sparse(),
        "complex": torch.zeros(2, dtype=torch.complex64), "quantised": torch.zeros(2, dtype=torch.int8),
        "nested": {"a": 1},
    }  # fmt: skip
    way = random.choice([*odd, "rename", "drop", "a list", "a number for a name", "a pickle"])
    if way == "rename":
        tensors[
            random.choice(["enc.extra", "module.x", "\x1b[31m", "predictor.transformer.h.99999999999.ln_1.weight"])
        ] = tensors.pop(name)
    elif way == "drop":
        del tensors[name]
    elif way == "a number for a name":
        tensors[7] = tensors.pop(name)
    elif way == "a pickle":
        path.write_bytes((path.parent / "evil.pt").read_bytes())
        return way
    elif way in odd:
        tensors[name] = odd[way]
    torch.save([tensors] if way == "a list" else tensors, path)
    return f"{name}: {way}"


def change_picture(random: Random, path: Path) -> str:
    """A picture that is odd in another way than by its bytes."""
    ways: dict[str, Callable[[], bytes]] = {
        "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n",
        "text chunk": lambda: _png(text="x" * (5 << 20)), "bomb": lambda: _huge_png(60_000),
        "one pixel high": lambda: _png(size=(3000, 1)),
        "other format": lambda: _as(random.choice(["PPM", "TGA", "PCX", "ICO", "SGI", "DDS", "XBM", "IM", "MSP",
        "PDF"])),
        "16 bit": lambda: _of(Image.fromarray(np.full((9, 9), 60_000, np.uint16))),
        "palette": lambda: _of(picture(1).convert("P")),
        "CMYK": lambda: _as("TIFF", "CMYK"), "alpha": lambda: _of(picture(1).convert("RGBA")),
        "1 bit": lambda: _of(picture(1).convert("1")),
        "animated": _animated, "EXIF": _exif, "no pixel": lambda: _huge_png(0),
    }  # fmt: skip
    way = random.choice(list(ways))
    path.write_bytes(ways[way]())
    return way


def _of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _png(text: str = "", size: tuple[int, int] = (16, 16)) -> bytes:
    notes = PngImagePlugin.PngInfo()
    if text:
        notes.add_text("comment", text, zip=True)
    return _of(picture(1).resize(size), pnginfo=notes)


def _as(kind: str, mode: str = "RGB") -> bytes:
    mode = {"XBM": "1", "MSP": "1"}.get(kind, mode)
    return _of(picture(1).convert(mode), kind)


def _huge_png(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b"")]
    parts = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _animated() -> bytes:
    return _of(picture(1), "GIF", save_all=True, append_images=[picture(n) for n in range(2, 6)])


def _exif() -> bytes:
    notes = Image.Exif()
    notes[0x0112] = 6
    notes[0x010E] = "\x1b[31m" * 100
    return _of(picture(1), "JPEG", exif=notes)


def change_archive(random: Random, path: Path) -> str:
    """A member of a tar archive: another name, kind or size."""
    mode = "gz" if path.suffix == ".gz" else ""
    with tarfile.open(path) as archive:
        members = [(member, archive.extractfile(member).read()) for member in archive if member.isfile()]  # type: ignore[union-attr]
    number = random.randrange(len(members))
    member, data = members[number]
    way = random.choice(["name", "name", "link", "device", "size", "twice", "drop", "empty", "other", "big", "sparse"])
    if way == "name":
        member.name = random.choice(
            ["../../outside", "/outside", "a\x1b[31m", "x" * 5000, "", "a/../../b", "test/no/x.png", "\udcff"]
        )
    elif way in ("link", "device"):
        member.type = random.choice([tarfile.SYMTYPE, tarfile.LNKTYPE]) if way == "link" else tarfile.CHRTYPE
        member.linkname, data = "/etc/passwd", b""
    elif way == "twice":
        members.insert(number, (member, data))
    elif way == "drop":
        del members[number]
    elif way == "empty":
        data = b""
    elif way == "other":
        data = random.choice([b"text", _huge_png(60_000), pickle.dumps([1]), _png()])
    elif way == "big":
        data = bytes(100 << 20)
    if way != "drop":
        members[number] = (member, data)
    with tarfile.open(path, f"w:{mode}", errors="surrogateescape", **({"compresslevel": 1} if mode else {})) as archive:  # type: ignore[call-overload]
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    if way == "size" and not mode:
        raw = bytearray(path.read_bytes())
        raw[124:135] = random.choice(
            [b"77777777777", b"00000000001", b"-0000000001", b"\x80\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"]
        )
        path.write_bytes(raw)
    return f"member {number}: {way}"
