"""Figures as inline SVG: unique ids, a title for screen readers, and the text colour of the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import Markup

from contextssl_cli.report.canvas import Figure, rendered
from contextssl_cli.text import printable_lines

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_INK = "#010203"  # replaced by the page's text colour, so that the figure follows a dark page
_STYLE = {
    "svg.fonttype": "none",  # text stays text, for screen readers and for search
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
}


@dataclass(frozen=True)
class Picture:
    """An ``svg`` element and the caption below it."""

    svg: Markup
    caption: str


def inline_svg(draw: Callable[[], Figure], prefix: str, title: str) -> Markup:
    """Draw a figure as an ``svg`` element.

    Args:
        draw: makes the figure.
        prefix: goes before every id and every reference to one. matplotlib numbers its ids from 1 in every figure, so
            two figures in a page would share clip paths.
        title: the text that a screen reader reads.
    """
    picture = rendered(draw, "svg", dict.fromkeys(("Date", "Creator", "Format", "Type")), _STYLE)
    root = ET.fromstring(picture)  # noqa: S314 - matplotlib wrote it, just now
    for element in root.iter():
        for name, value in element.attrib.items():
            element.set(name, _renamed(name, value, prefix))
    for definitions in root.findall(f"{{{_SVG}}}defs"):
        for rules in definitions.findall(f"{{{_SVG}}}style"):  # they would apply to the whole page
            definitions.remove(rules)
    root.attrib |= {"role": "img", "aria-labelledby": f"{prefix}title"}
    label = ET.Element(f"{{{_SVG}}}title", {"id": f"{prefix}title"})
    label.text = printable_lines(title)
    root.insert(0, label)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - the serialiser has escaped it


def _renamed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name in ("href", f"{{{_XLINK}}}href"):
        return value.replace("#", f"#{prefix}", 1)
    return re.sub(r"url\(#", f"url(#{prefix}", value).replace(_INK, "currentColor")
