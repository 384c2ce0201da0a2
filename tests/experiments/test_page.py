"""The page of an experiment, made of a result file in ``docs``."""

from __future__ import annotations

import json
from pathlib import Path

from contextssl_cli.experiments.page import studies_text

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def test_a_probe_stands_once_behind_all_of_its_columns() -> None:
    results = json.loads((RESULTS / "table1-mrr.json").read_text(encoding="utf-8"))
    [line] = [line for line in studies_text(results).splitlines() if line.startswith("By: ")]
    told = [part.split(": ") for part in line.removeprefix("By: ").removesuffix(".").split("; ")]
    assert [columns for columns, _ in told] == ["MRR, H@1, H@5, H@10"] * 3
    cells = [cell for row in results["parts"][0]["tables"][0]["rows"] for cell in row["cells"] if cell]
    assert {probe for _, probe in told} == {cell["probe"] for cell in cells}


def test_a_table_of_one_probe_names_it_alone() -> None:
    results = json.loads((RESULTS / "fairness-adult.json").read_text(encoding="utf-8"))
    lines = [line for line in studies_text(results).splitlines() if line.startswith("By: ")]
    fair = [table for table in results["parts"][0]["tables"] if table["name"] == "fairness"]
    probes = {cell["probe"] for table in fair for row in table["rows"] for cell in row["cells"] if cell}
    assert len(probes) == 2
    assert {f"By: {probe}." for probe in probes} <= set(lines)
