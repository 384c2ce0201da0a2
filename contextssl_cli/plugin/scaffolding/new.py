"""Creation of a plugin project that can be installed, trains, and passes the contract before any change.

``templates/`` contains the project under the name ``skeleton``: the common files, then those of each kind and modality.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Literal

from contextssl_cli.errors import ContextSSLError, UsageError
from contextssl_cli.files import check_output, read_toml, write_text
from contextssl_cli.plugin.registry import NAME, RESERVED, registry
from contextssl_cli.plugin.spec import GROUP

PluginKind = Literal["dataset", "action"]
Modality = Literal["image", "table"]

TEMPLATES = Path(__file__).parent / "templates"
_PLACEHOLDER = re.compile("contextssl-skeleton|Skeleton|skeleton")


def project_name(name: str) -> str:
    """What pip calls the plugin ``name``."""
    return f"{GROUP}-{re.sub('_+', '-', name).strip('-')}"


def write_skeleton(name: str, kind: PluginKind, modality: Modality, out: Path, *, force: bool = False) -> list[Path]:
    """Write the project of a new plugin.

    Args:
        name: of the data set or action type; the import package is ``contextssl_<name>``.
        kind: of the plugin.
        modality: what it works on.
        out: the folder to make.
        force: replace the files of a plugin of this name that ``write_skeleton`` wrote.

    Returns:
        The files written.

    Raises:
        UsageError: if the name does not fit or is taken, or the folder exists.
        DataMissingError: if the folder may not be written to.
    """
    check_new(name, out, force=force)
    made = {out / path: text for path, text in skeleton(name, kind, modality).items()}
    for path in made:
        check_output(path)
    for path, text in made.items():
        write_text(path, text)
    return list(made)


def check_new(name: str, out: Path, *, force: bool = False) -> None:
    """Whether a plugin of this name can be made in the folder ``out``; see `write_skeleton` for what is raised."""
    if not NAME.match(name):
        proposed = re.sub("[^a-z0-9_]+", "_", name.lower()).strip("_")
        hint = f"; write {proposed}" if NAME.match(proposed) else ""
        raise UsageError(f"{name!r} is not a valid name for a plugin; use a-z, 0-9 and _{hint}")
    if name in RESERVED:
        raise UsageError(f"the name {name!r} is reserved; choose another")
    owner = _owner(name, out)
    if owner:
        raise UsageError(f"the name {name!r} is taken by {owner}; choose another (contextssl plugins lists all)")
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not _is_project(name, out)):
        raise UsageError(f"{out} exists and is not the project of a plugin {name}; choose another --out")
    if not force:
        raise UsageError(f"{out} exists; choose another --out or add --force")


def skeleton(name: str, kind: PluginKind, modality: Modality) -> dict[Path, str]:
    """The files of a new plugin: their texts by path inside its folder."""
    camel = "".join(part.capitalize() for part in name.split("_"))
    words = {
        "contextssl-skeleton": project_name(name),
        "Skeleton": f"X{camel}" if camel[0].isdigit() else camel,  # a class name begins with a letter
        "skeleton": name,
    }

    def named(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: words[found.group()], text)

    files = {}
    for folder in (TEMPLATES / "common", TEMPLATES / kind, TEMPLATES / f"{kind}-{modality}"):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                files[Path(named(str(path.relative_to(folder))))] = named(path.read_text(encoding="utf-8"))
    return files


def _is_project(name: str, out: Path) -> bool:
    """Whether a folder holds a plugin of this name."""
    try:
        points = read_toml(out / "pyproject.toml")["project"]["entry-points"][GROUP]
    except (ContextSSLError, LookupError, TypeError):
        return False
    return f"{GROUP}_{name}" in points


def _owner(name: str, out: Path) -> str | None:
    """Who uses the name already; the plugin in ``out`` itself may be overwritten."""
    package = f"{GROUP}_{name}"
    found = importlib.util.find_spec(package)
    if found is not None and found.origin and Path(found.origin).resolve().is_relative_to(out.resolve()):
        return None
    for row in registry().rows:
        brought = [*(dataset.name for dataset in row.datasets), *(action.name for action in row.actions)]
        if row.name == package or name in brought:
            return f"the plugin {row.name} of {row.owner}"
    return f"the package {package}" if found is not None else None
