"""contextssl: representations that adapt their symmetries to the task, from a few example pairs.

The package follows the data's way: ``plugin`` -> ``store`` -> ``data`` -> ``model`` -> ``training`` ->
``evaluation`` -> ``adaptation`` -> ``report`` -> ``cli``. Each imports only what comes before it.

Attributes are imported on first use, so that ``contextssl --help`` loads neither torch nor h5py.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextssl_cli.adaptation.context_encoder import ContextEncoder
    from contextssl_cli.store.context import Context

__version__ = metadata.version("contextssl")
__all__ = ["Context", "ContextEncoder", "__version__"]

_LAZY = {
    "Context": "contextssl_cli.store.context",
    "ContextEncoder": "contextssl_cli.adaptation.context_encoder",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
