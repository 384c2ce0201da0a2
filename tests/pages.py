"""Reading an HTML page as a browser without a network would, and refusing what a browser would only tolerate."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "hr", "input"}
ADDRESSES = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}


@dataclass
class Table:
    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)

    def cell(self, column: str, *first: str) -> str:
        """The cell of the column in the only row that begins with these cells."""
        (row,) = [row for row in self.rows[1:] if tuple(row[: len(first)]) == first]
        return row[self.rows[0].index(column)]


class Page(HTMLParser):
    """The text of a page; its tables, ids, and every address that it names.

    Raises:
        AssertionError: if a tag does not close, an id stands twice, or something would be fetched.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.tables: list[Table] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"
        assert [name for name in self.references if name not in self.ids] == []

    def table(self, caption: str) -> Table:
        (found,) = [table for table in self.tables if table.caption == caption]
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append(Table())
        if tag == "tr":
            self.tables[-1].rows.append([])
        if tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            value = value or ""
            assert not name.startswith("on"), f"a script in {name}"
            if name == "id":
                assert value not in self.ids, f"the id {value} stands twice"
                self.ids.add(value)
            if name in ADDRESSES:
                assert value.startswith("#"), f"{tag} fetches {value}"
                self.references.append(value[1:])
            self._check_style(value)
            if "url(#" in value:
                self.references.append(value.split("url(#")[1].split(")")[0])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] == "style":
            self._check_style(data)
        if self.open and self.open[-1] == "caption":
            self.tables[-1].caption += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1].rows[-1][-1] += data

    @staticmethod
    def _check_style(text: str) -> None:
        assert "@import" not in text
        assert "url(" not in text.replace("url(#", "")
