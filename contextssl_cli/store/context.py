"""The context: example pairs (x, action, y) from one environment, and their file (format: ``docs/formats.md``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from contextssl_cli.errors import CorruptFileError, InvalidInputError
from contextssl_cli.store import arrays as array_files
from contextssl_cli.store import hdf5
from contextssl_cli.store.kinds import OWN_KINDS, wrong_kind
from contextssl_cli.store.samples import Array

CONTEXT_KIND = "contextssl-context"
CONTEXT_VERSION = 1


@dataclass(frozen=True, eq=False, repr=False)  # arrays have no single truth value
class Context:
    """P example pairs from one environment.

    Attributes:
        x: (P, *shape) inputs; images are (height, width, channels), uint8 0..255 or float 0..1.
        y: (P, *shape) the inputs after the action.
        actions: (P, width) relative parameters by *active* action type; a type that is not named is zeroed,
            so the embedding becomes invariant to it. No block at all is the empty environment.
        changes: (G, 2, *shape) by zeroed action type: two views of an input that differ in this type alone, for
            ``adapt --guard``. The model does not read them.
        fingerprint: of the run that the context was made for, or empty.
        run: the folder of that run, or empty.

    Raises:
        InvalidInputError: on zero pairs, unequal lengths or shapes, NaN or infinite values, or if one of them is not
            a NumPy array.
    """

    x: Array
    y: Array
    actions: Mapping[str, Array] = field(default_factory=dict)
    fingerprint: str = ""
    run: str = ""
    changes: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        changes = {f"changes/{name}": views for name, views in self.changes.items()}
        arrays = {"x": self.x, "y": self.y, **self.actions, **changes}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise InvalidInputError(f"{name!r} of the context is a {type(array).__name__}, expected a NumPy array")
        if self.x.ndim < 2 or len(self.x) == 0:
            raise InvalidInputError(
                "a context needs at least one pair, and x of shape (pairs, *input shape); "
                f"x has the shape {self.x.shape}"
            )
        if self.x.shape != self.y.shape:
            raise InvalidInputError(f"x has the shape {self.x.shape} and y {self.y.shape}; they must be equal")
        for name, block in self.actions.items():
            if block.ndim != 2 or len(block) != len(self.x):
                raise InvalidInputError(
                    f"the action block {name!r} has the shape {block.shape}, expected "
                    f"({len(self.x)}, width): one row per pair"
                )
        for name, views in self.changes.items():
            if views.ndim < 3 or len(views) == 0 or views.shape[1:] != (2, *self.x.shape[1:]):
                raise InvalidInputError(
                    f"changes/{name} has the shape {views.shape}, expected (pairs, 2, {str(self.x.shape[1:])[1:-1]})"
                )
        for name, array in arrays.items():
            if array.dtype.kind not in "uif":
                raise InvalidInputError(f"{name!r} of the context has the type {array.dtype}, expected numbers")
            if not np.isfinite(array).all():
                raise InvalidInputError(f"{name!r} of the context holds NaN or infinite values")

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        types = ", ".join(self.environment) or "none"
        return f"<Context of {len(self)} pairs of the shape {self.x.shape[1:]}, actions: {types}>"

    @property
    def environment(self) -> tuple[str, ...]:
        """The active action types, in alphabetical order."""
        return tuple(sorted(self.actions))

    def take(self, pairs: int) -> Context:
        """The first ``pairs`` pairs."""
        blocks = {name: block[:pairs] for name, block in self.actions.items()}
        return replace(self, x=self.x[:pairs], y=self.y[:pairs], actions=blocks)

    def same_pairs(self, other: Context) -> bool:
        """Whether both have the same pairs and actions, and so show a model the same."""
        mine, theirs = ({"x": one.x, "y": one.y, **one.actions} for one in (self, other))
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)

    def save(self, path: Path) -> None:
        """Write the context file atomically."""
        with hdf5.create_file(Path(path), CONTEXT_KIND, CONTEXT_VERSION) as file:
            hdf5.set_text(file, "fingerprint", self.fingerprint)
            hdf5.set_text(file, "run", self.run)
            file.create_dataset("x", data=self.x)
            file.create_dataset("y", data=self.y)
            hdf5.write_group(file, "actions", self.actions)
            hdf5.write_group(file, "changes", self.changes)

    @classmethod
    def load(cls, path: Path) -> Context:
        """Read a context file.

        Raises:
            DataMissingError: if there is no such file.
            CorruptFileError: if it is damaged, foreign, too new, or its pairs are not valid.
        """
        path = Path(path)
        with hdf5.open_kind(path, CONTEXT_KIND, CONTEXT_VERSION) as file, hdf5.reading(path):
            parts = hdf5.read(file, "x", path), hdf5.read(file, "y", path), hdf5.read_group(file, "actions", path)
            changes = hdf5.read_group(file, "changes", path)
            origin = hdf5.text(path, file, "fingerprint", ""), hdf5.text(path, file, "run", "")
        with _named(path):
            return Context(*parts, *origin, changes)

    @classmethod
    def from_pairs(cls, path: Path, fingerprint: str = "", run: str = "") -> Context:
        """Read a user's own pairs: HDF5 or NPZ with ``x``, ``y`` and one array per action type.

        The blocks are in a group ``actions`` or have names that begin with ``actions/``; likewise for ``changes/``.

        Raises:
            DataMissingError: if there is no such file.
            CorruptFileError: if it cannot be read, or its pairs are not valid.
        """
        if Path(path).suffix.lower() in (".h5", ".hdf5") and hdf5.kind_of(path) in OWN_KINDS.keys() - {CONTEXT_KIND}:
            raise wrong_kind(Path(path), "a file of the arrays x, y and actions/<action type>")
        found = array_files.read_arrays(Path(path))
        missing = [name for name in ("x", "y") if name not in found]
        if missing:
            raise CorruptFileError(
                f"{path} has no array {missing[0]!r}; it holds {sorted(found)}, expected x, y and actions/<action type>"
            )
        blocks = {name.removeprefix("actions/"): found[name] for name in found if name.startswith("actions/")}
        changes = {name.removeprefix("changes/"): found[name] for name in found if name.startswith("changes/")}
        unknown = sorted(name for name in set(found) - {"x", "y"} if not name.startswith(("actions/", "changes/")))
        if unknown:
            raise CorruptFileError(
                f"{path} has an array {unknown[0]!r} that is not understood; expected x, y, actions/<action type> and "
                "changes/<action type>"
            )
        with _named(path):
            return Context(found["x"], found["y"], blocks, fingerprint, run, changes)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Around making a context from a file: the error about what is not valid names the file."""
    try:
        yield
    except InvalidInputError as error:
        raise CorruptFileError(f"{path}: {error}") from error
