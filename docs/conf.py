"""Sphinx configuration: ``sphinx-build -W docs docs/_build``."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

project = "contextssl"
author = "The contextssl developers"
copyright = "2026, The contextssl developers"
release = version = metadata.version("contextssl")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "example-plugin"]
nitpicky = True
# Names of other packages, and aliases that autodoc cannot tell from classes: no inventory is fetched, so that the docs
# build without a network.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(torch|numpy|np|nn|h5py|pydantic|sklearn|typer|rich|matplotlib|pluggy|polars|importlib|pathlib|collections|contextlib|posix|PIL|typing|abc|argparse|enum|fairlearn|markupsafe)\..*",
    ),
    (
        r"py:.*",
        r"(Tensor|Generator|Path|Any|NDArray|ArrayLike|Array|ClassCodes|Axes|Figure|Environment|Normalisation|EncoderName|MeasuredValues|Embed|Symmetry|Metric|ActionProbe|Judged|MethodName|InstanceObjective|TableName|TextIO|FrameType|Ge|Field|NoneType|Iterator|Self|types\..*)",
    ),
    # Type variables.
    (r"py:.*", r"contextssl_cli\.(plugin\.options\.Chosen|methods\.base\.Model|training\.checkpoint\.Result)"),
    (r"py:.*", r"contextssl_cli\..*\._[A-Za-z]+"),  # private bases
    (r"py:.*", r"[A-Z]|[0-9.]+"),  # the letters of shapes, as in (N, D)
    (r"py:.*", r"(annotated_types|FieldInfo|ConfigDict|dict|tuple|list|optional).*"),
]

html_theme = "furo"
html_title = "contextssl"
html_static_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {
    "members": True,
    "undoc-members": False,
    "show-inheritance": True,
    "ignore-module-all": True,
    "exclude-members": "model_config, model_post_init",
}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute that a class lists and annotates is described once


def _plain_attribute(docstring: GoogleDocstring) -> list[str]:
    """Keep the sentence below a field as it is: napoleon would take what stands before a colon for a type."""
    return list(docstring._consume_to_end())


def _escape_shapes(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape the star of ``(N, *shape)``, which is no emphasis."""
    lines[:] = [re.sub(r"(?<=, )\*(?=[a-z])", r"\\*", line) for line in lines]


def _short_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Leave out the signature of a pydantic model: it repeats every field, which are listed below it."""
    model = isinstance(obj, type) and issubclass(obj, BaseModel)
    return ("()" if model else signature), returned


def _links_of_plugin(app: Sphinx, path: Path, docname: str, content: list[str]) -> None:
    """Turn the links of a plugin's README, which stands in its folder, into those of the page that includes it."""
    if path.name != "README.md" or "plugins" not in path.parts:
        return
    content[0] = content[0].replace("](../../docs/", "](../")
    content[0] = re.sub(r"\]\(\.\./contextssl_(\w+)/README\.md", _page_of_plugin, content[0])


def _page_of_plugin(link: re.Match[str]) -> str:
    folder = next(f for f in ("datasets", "actions") if (Path(__file__).parent / f / f"{link[1]}.md").is_file())
    return f"](../{folder}/{link[1]}.md"


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("include-read", _links_of_plugin)
    GoogleDocstring._parse_attribute_docstring = _plain_attribute  # type: ignore[method-assign]
    app.connect("autodoc-process-docstring", _escape_shapes)
    app.connect("autodoc-process-signature", _short_signature)
