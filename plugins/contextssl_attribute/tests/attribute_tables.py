"""Small tables with an attribute of two or three categories, a column linked to it, and a number."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from contextssl_cli.plugin import Column, Schema
from tests.draws import seeded

LINKED = {"sex": {"female": {"husband": "wife"}, "male": {"wife": "husband"}}}


def schema(groups: tuple[str, ...] = ("female", "male"), **given: object) -> Schema:
    """Age, sex (the attribute), role (linked to it), town; the places of sex are 1 and on."""
    end = 1 + len(groups)
    columns = (
        Column(name="age", kind="numeric", start=0, stop=1),
        Column(name="sex", kind="categorical", start=1, stop=end, categories=groups, attribute="sex"),
        Column(
            name="role",
            kind="categorical",
            start=end,
            stop=end + 3,
            categories=("child", "husband", "wife"),
            linked=LINKED if groups[:2] == ("female", "male") else {},
        ),
        Column(name="town", kind="categorical", start=end + 3, stop=end + 5, categories=("a", "b")),
    )
    values = {"dataset": "people", "modality": "table", "shape": (end + 5,), "dtype": "float32", "columns": columns,
              "attributes": {"sex": groups}}  # fmt: skip
    return Schema(**(values | given))


def records(table: Schema, rows: list[tuple[float, str, str, str]]) -> Tensor:
    """Encoded records of (age, sex, role, town)."""
    age, *others = table.columns
    parts = [torch.tensor([[row[0]] for row in rows])]
    for number, column in enumerate(others, start=1):
        codes = torch.tensor([column.categories.index(str(row[number])) for row in rows])
        parts.append(F.one_hot(codes, len(column.categories)).float())
    assert age.start == 0
    return torch.cat(parts, dim=1)


def crowd(table: Schema, count: int, seed: int = 0) -> Tensor:
    """Random records, whose ages are whole numbers so that distances tie."""
    draw = seeded(seed)
    parts = [torch.randint(4, (count, 1), generator=draw).float()]
    for column in table.columns[1:]:
        codes = torch.randint(len(column.categories), (count,), generator=draw)
        parts.append(F.one_hot(codes, len(column.categories)).float())
    return torch.cat(parts, dim=1)


def decoded(table: Schema, inputs: Tensor) -> list[tuple[str, ...]]:
    """The categories of sex, role and town of every record."""
    names = [
        [column.categories[code] for code in inputs[:, column.start : column.stop].argmax(1).tolist()]
        for column in table.columns[1:]
    ]
    return list(zip(*names, strict=True))
