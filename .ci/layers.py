"""Check which part of the code may import which, with import-linter.

The layers are declared once, in ``[tool.importlinter]`` of ``pyproject.toml``; ``lint-imports`` alone checks those. The
other contracts follow from that list and from the plugins, which are the entry points of the same file. So neither a
new layer nor a new plugin has to be declared a second time.

    python .ci/layers.py
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORE = "contextssl_cli"
TESTING = "testing"
"""The contract for plugins: the one layer above ``data`` that they import, in their tests."""
RESERVED = {"h5py": "store", "jinja2": "report", "matplotlib": "report", "rich": "report", "typer": "cli"}
"""Libraries that a single layer may import."""


def configuration() -> dict[str, Any]:
    """The options of import-linter, with the contracts that ``pyproject.toml`` does not spell out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared: dict[str, Any] = project["tool"]["importlinter"]
    plugins = sorted(module.partition(".")[0] for module in project["project"]["entry-points"]["contextssl"].values())
    layers = declared["contracts"][0]["layers"]
    above = [layer for layer in layers[: layers.index("data")] if layer != TESTING]
    derived = [
        _forbidden("The core imports no plugin", [CORE], plugins),
        {"name": "Plugins do not import one another", "type": "independence", "modules": plugins},
        _forbidden("Plugins import nothing above the data layer", plugins, _core(above)),
    ]
    for layer in sorted(set(RESERVED.values())):
        libraries = [library for library, owner in RESERVED.items() if owner == layer]
        others = _core(other for other in layers if other != layer)
        contract = _forbidden(f"Only {layer} imports {', '.join(libraries)}", others, libraries)
        derived.append(contract | {"allow_indirect_imports": True})
    return declared | {
        "root_packages": [CORE, *plugins],
        "include_external_packages": True,
        "contracts": [*declared["contracts"], *derived],
    }


def _forbidden(name: str, sources: list[str], targets: list[str]) -> dict[str, Any]:
    return {"name": name, "type": "forbidden", "source_modules": sources, "forbidden_modules": targets}


def _core(layers: Iterable[str]) -> list[str]:
    return [f"{CORE}.{layer}" for layer in layers]


def as_toml(options: dict[str, Any]) -> str:
    """The options as the text of a ``pyproject.toml``. Their strings, booleans and lists are written alike in JSON."""
    tables = [("[tool.importlinter]", {key: value for key, value in options.items() if key != "contracts"})]
    tables += [("[[tool.importlinter.contracts]]", contract) for contract in options["contracts"]]
    lines = [(head, *(f"{key} = {json.dumps(value)}" for key, value in table.items())) for head, table in tables]
    return "\n\n".join("\n".join(table) for table in lines) + "\n"


def main() -> int:
    """Check all contracts; return the exit status."""
    from importlinter.cli import lint_imports

    os.chdir(ROOT)  # import-linter imports the core from here
    sys.path.insert(0, str(ROOT / "plugins"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pyproject.toml"
        path.write_text(as_toml(configuration()), encoding="utf-8")
        return lint_imports(config_filename=str(path))


if __name__ == "__main__":
    sys.exit(main())
