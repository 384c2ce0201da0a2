"""Prepare a data set: run its plugin and write the store."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from contextssl_cli import files, paths
from contextssl_cli.data.parts import Report, make_parts, parts_folder, remove_joined_parts, remove_parts
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, PluginError, UsageError
from contextssl_cli.locks import locked
from contextssl_cli.plugin.guard import blamed, plugin_title
from contextssl_cli.plugin.kinds import Dataset, Prepared
from contextssl_cli.plugin.options import Options, validated
from contextssl_cli.store.dataset import STORE_KIND, Store, create_store
from contextssl_cli.store.hdf5 import check_not_in_use
from contextssl_cli.store.replace import check_replaceable, is_replaceable
from contextssl_cli.store.schema import Schema


def prepare(
    dataset: Dataset,
    source: Path | None = None,
    out: Path | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
    report: Report = lambda done, total: None,
) -> Store:
    """Write the store of a data set, or keep the existing one.

    One process at a time prepares a store. Another one waits, and then keeps the store if it fits the request.

    Args:
        dataset: the plugin.
        source: its source files; with None it makes or downloads them.
        out: path of the store; by default ``CONTEXTSSL_HOME/stores/<dataset>.h5``.
        options: the data set's own, by field.
        force: write the store again even if it exists.
        report: called after each part of a data set that is prepared in parts.

    Raises:
        UsageError: if ``out`` is another file, the store was prepared from another source or with other options, the
            source has changed since, or an option is unknown or wrong.
        DataMissingError, CorruptFileError: from the source.
        FileInUseError: if another program has the store open for writing.
    """
    path = files.check_output(out or paths.store_path(dataset.name), source)
    if source and source.exists():  # its own store may outlive it
        files.check_source(source)
    chosen = validated(dataset.options, options or {}, plugin_title(dataset))
    if force or not path.exists():
        _check_place(path, source)
        paths.make_folder(path.parent)
        with locked(_lock(path), path, wait=True):
            if force or not path.exists():  # else another process has prepared it meanwhile
                _check_place(path, source)
                _write(dataset, path, source, chosen, report)
                return Store(path)
    return _existing(dataset, path, source, chosen if options else None)


def _write(dataset: Dataset, path: Path, source: Path | None, chosen: Options, report: Report) -> None:
    prepared = _checked(dataset, dataset.prepare(source, chosen))
    provenance = {
        "sources": dict(prepared.sources),
        "source": str(source.resolve()) if source else None,
        "options": chosen.model_dump(mode="json"),
        "plugin": f"{type(dataset).__module__}:{type(dataset).__qualname__}",
        "licence": dataset.licence,
        "contextssl": metadata.version("contextssl"),
    }
    batches = prepared.samples
    if prepared.parts:
        identity = {key: provenance[key] for key in ("sources", "source", "options", "plugin", "contextssl")}
        batches = make_parts(path, prepared.schema, prepared.parts, identity, report)
    with create_store(path, prepared.schema, provenance) as writer, blamed(plugin_title(dataset)):
        for samples in batches:  # a generator of the plugin's
            writer.append(samples)
        provenance["notes"] = dict(prepared.notes)
    if prepared.parts:
        remove_parts(path)


def _checked(dataset: Dataset, prepared: Any) -> Prepared:
    """The result of a plugin's ``prepare``, if it has the declared types."""
    if not isinstance(prepared, Prepared):
        raise PluginError(f"{plugin_title(dataset)} failed: prepare gave {type(prepared).__name__}, expected Prepared")
    expected = {"schema": Schema, "sources": Mapping, "parts": Sequence, "notes": Mapping}
    for name, kind in expected.items():
        value = getattr(prepared, name)
        if not isinstance(value, kind):
            found = type(value).__name__
            raise PluginError(
                f"{plugin_title(dataset)} failed: {name} of Prepared is {found}, expected {kind.__name__}"
            )
    return prepared


def _check_place(path: Path, source: Path | None) -> None:
    """Refuse to overwrite a file that is no store, such as the source."""
    if source and path.exists() and path.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{path} is the source or a file in it; name another file with --out")
    check_replaceable(path, STORE_KIND, source)


def prepared_store(dataset: Dataset, path: Path | None = None) -> Store:
    """The store of a data set.

    Args:
        dataset: the plugin.
        path: a prepared store; by default the data set's own, which is prepared now if it needs no source.

    Raises:
        DataMissingError: if it has not been prepared.
        UsageError: if ``path`` is the store of another data set.
    """
    found = path or paths.store_path(dataset.name)
    if not found.exists() and (path or dataset.needs_source):
        source = " --source DIR" if dataset.needs_source else ""
        raise DataMissingError(
            f"{dataset.name} is not prepared ({found} is not there): run contextssl prepare {dataset.name}{source}"
        )
    if path is not None:
        files.check_input(path, "a store")
    return prepare(dataset, out=found)


def store_if_made(dataset: Dataset, path: Path | None = None) -> Store | None:
    """Like ``prepared_store``, for a plan: nothing is prepared, and the data set's own store may not exist yet.

    Raises:
        DataMissingError: if ``path`` does not exist.
        UsageError: if ``path`` is the store of another data set.
    """
    return prepared_store(dataset, path) if path or paths.store_path(dataset.name).exists() else None


def _tidy(path: Path) -> None:
    """Remove parts and the lock file that a preparation left when it was killed after writing its store."""
    if _lock(path).exists() or parts_folder(path).exists():
        with contextlib.suppress(ContextSSLError), locked(_lock(path), path):  # another process may hold it
            remove_joined_parts(path)


def _lock(path: Path) -> Path:
    return path.parent / f".{path.name}.lock"


def _existing(dataset: Dataset, path: Path, source: Path | None, asked: Options | None) -> Store:
    check_not_in_use(path)
    _tidy(path)
    try:
        store = Store(path)
    except (CorruptFileError, DataMissingError) as error:
        force = "prepare it again with --force, or " if is_replaceable(path, STORE_KIND) else ""
        raise type(error)(f"{error}; {force}name another file") from error
    if store.schema.dataset != dataset.name:
        raise UsageError(f"{path} is the store of {store.schema.dataset}, not of {dataset.name}; name another file")
    before = store.provenance.get("options", {})
    for name, value in (asked.model_dump(mode="json") if asked else {}).items():
        if before.get(name) != value:
            raise _differs(path, f"with {name} = {before.get(name)}")
    origin = store.provenance.get("source")
    if source and origin != str(source.resolve()):
        raise _differs(path, f"from {origin or 'no --source'}")
    if source and source.exists():
        found = dataset.digests(source, validated(dataset.options, before, plugin_title(dataset)))
        if found is not None and dict(found) != store.provenance.get("sources"):
            raise _differs(path, f"from {source} before that changed")
    return store


def _differs(path: Path, how: str) -> UsageError:
    return UsageError(f"{path} was prepared {how}; prepare it again with --force, or name another file")
