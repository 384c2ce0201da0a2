"""The change of the attribute that a table calls ``gender``."""

from __future__ import annotations

from contextssl_cli.plugin.attribute import AttributeChange


class Gender(AttributeChange):
    """The action type ``attribute``, bound to the attribute of this name."""

    name = "gender"
    summary = "change of the attribute gender between the records of a pair; one number: -1, 0 or 1"
