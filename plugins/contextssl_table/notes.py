"""What was found in a table and what became of it, for the user."""

from __future__ import annotations

from contextssl_cli.text import printable

_LONGEST = 40  # characters


def cut(text: str) -> str:
    """A value of the table as a message shows it: harmless to print, and only the beginning of a long one."""
    return printable(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}...")


def shown(value: object) -> str:
    """A value of the table in quotation marks, as a message shows it."""
    return cut(repr(value))


class Notes:
    """Facts by heading, in the order of the headings below; `prepare` prints them and the store keeps them."""

    HEADINGS = (
        "numbers",
        "dates, as days since 1970-01-01",
        "categories",
        "columns left out",
        "records without a value",
        "values that only the test split has",
        "labels",
        "labels that are missing",
    )

    def __init__(self) -> None:
        self._facts: dict[str, list[str]] = {heading: [] for heading in self.HEADINGS}

    def add(self, heading: str, fact: str) -> None:
        """Note a fact under one of the headings; names and values of the table in it are made harmless to print."""
        self._facts[heading].append(printable(fact))

    def as_dict(self) -> dict[str, str]:
        """One line of text by heading, of those that have any."""
        return {heading: ", ".join(facts) for heading, facts in self._facts.items() if facts}
