"""The contract of loading a plugin."""

from __future__ import annotations

import subprocess
import sys

from contextssl_cli.errors import PluginError
from contextssl_cli.testing.rules import require

_HEAVY = ("torch", "sklearn", "polars", "matplotlib", "torchvision")
_LOADER = """
import importlib, sys
module = importlib.import_module({module!r})
hooks = ("contextssl_datasets", "contextssl_action_types", "contextssl_recipes")
items = [item for hook in hooks for item in getattr(module, hook, list)()]
heavy = [name for name in {heavy!r} if name in sys.modules]
print(len(items), *heavy)
"""


def check_plugin(module: str) -> None:
    """Load a plugin in a fresh process and call its hooks, as ``contextssl plugins`` does.

    Args:
        module: the import package that the entry point names.

    Raises:
        PluginError: if it does not load, brings nothing, or imports a heavy package before it is used.
    """
    program = _LOADER.format(module=module, heavy=_HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise PluginError(f"{module} does not load: {reason}; python -c 'import {module}' shows where")
    count, *heavy = done.stdout.splitlines()[-1].split()
    kinds = "neither a data set nor an action type nor a recipe"
    require(count != "0", f"{module} brings {kinds}: implement a hook with @hookimpl")
    require(not heavy, f"{module} imports {', '.join(heavy)} when it is loaded: import it inside the methods")
