"""Plugins: data sets and action types, built in or from other packages.

Authors of plugins import what they need from here; ``docs/plugins.md`` is the guide.
"""

from contextssl_cli.plugin.kinds import ActionType, Dataset, Prepared
from contextssl_cli.plugin.options import Options
from contextssl_cli.plugin.spec import hookimpl
from contextssl_cli.store.samples import Samples
from contextssl_cli.store.schema import Column, Schema

__all__ = ["ActionType", "Column", "Dataset", "Options", "Prepared", "Samples", "Schema", "hookimpl"]
