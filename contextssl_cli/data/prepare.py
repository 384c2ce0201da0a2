"""Prepare a data set: run its plugin and write the store."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from contextssl_cli import paths
from contextssl_cli.errors import ContextSSLError, CorruptFileError, DataMissingError, PluginError, UsageError
from contextssl_cli.plugin.kinds import Dataset
from contextssl_cli.store.dataset import Store, create_store


def prepare(dataset: Dataset, source: Path | None = None, out: Path | None = None, *, force: bool = False) -> Store:
    """Write the store of a data set, or keep the one that is there.

    Args:
        dataset: the plugin.
        source: its source files; with None it makes or downloads them.
        out: where the store is to stand; by default ``CONTEXTSSL_HOME/stores/<dataset>.h5``.
        force: write it again even if it is there.

    Raises:
        UsageError: if another file stands at ``out``.
        DataMissingError, CorruptFileError: from the source.
    """
    path = out or paths.store_path(dataset.name)
    if path.exists() and not force:
        return _existing(dataset, path)
    try:
        prepared = dataset.prepare(source)
    except (ContextSSLError, KeyboardInterrupt):
        raise
    except Exception as error:  # a stranger's code may raise anything
        raise PluginError(f"the data set {dataset.name!r} failed: {type(error).__name__}: {error}") from error
    provenance = {
        "sources": dict(prepared.sources),
        "source": str(source.resolve()) if source else None,
        "plugin": f"{type(dataset).__module__}:{type(dataset).__qualname__}",
        "licence": dataset.licence,
        "contextssl": metadata.version("contextssl"),
    }
    with create_store(path, prepared.schema, provenance) as writer:
        for samples in prepared.samples:
            writer.append(samples)
    return Store(path)


def prepared_store(dataset: Dataset, path: Path | None = None) -> Store:
    """The store of a data set.

    Args:
        dataset: the plugin.
        path: a prepared store; by default the data set's own, which is made now if it needs no source.

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
    return prepare(dataset, out=found)


def _existing(dataset: Dataset, path: Path) -> Store:
    try:
        store = Store(path)
    except (CorruptFileError, DataMissingError) as error:
        raise type(error)(f"{error}; prepare it again with --force, or name another file") from error
    if store.schema.dataset != dataset.name:
        raise UsageError(f"{path} is the store of {store.schema.dataset}, not of {dataset.name}; name another file")
    return store
