"""Results are read back as they were written, and damage is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli.errors import CorruptFileError, DataMissingError
from contextssl_cli.evaluation.comparison import Comparison
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.evaluation.stored import read_result

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def values(name: str = "digits") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def test_a_result_comes_back() -> None:
    report = read_result(RESULTS / "adult.json")
    assert isinstance(report, ProbeReport)
    expected = values("adult")
    expected["results"] = [{"values": []} | row for row in expected["results"]]  # not kept in this file
    assert report.as_dict() == expected


def test_a_comparison_comes_back(tmp_path: Path) -> None:
    made = Comparison([ProbeReport.from_dict(values()), ProbeReport.from_dict(values())], [1.0, 2.0], [0.5, 1.5])
    (tmp_path / "comparison.json").write_text(json.dumps(made.as_dict()))
    found = read_result(tmp_path / "comparison.json")
    assert isinstance(found, Comparison)
    assert found.as_dict() == made.as_dict()


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda found: found.pop(key)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without("results"), "results"),
        (without("protocol"), "protocol"),
        (lambda found: found["results"][0].update(mean="much"), "results.0.mean"),
        (lambda found: found["results"][0].update(mean=float("nan")), "results.json"),
        (lambda found: found["protocol"].update(runs=[]), "protocol.runs"),
        (lambda found: found["protocol"]["runs"][0].update(steps="many"), "steps"),
        (lambda found: found["protocol"]["runs"][0].update(step=[1]), "step"),
        (lambda found: found["protocol"].update(probes=[]), "protocol.probes"),
        (lambda found: found["protocol"]["probes"].update(views="many"), "protocol.probes.views"),
        (lambda found: found["protocol"]["probes"].update(judged_on="all"), "protocol.probes.judged_on"),
        (lambda found: found["protocol"]["probes"].update(context_lengths=[3]), "protocol.probes.context_lengths"),
        (lambda found: found["protocol"]["probes"].update(probe=1), "protocol.probes.probe"),
        (lambda found: found.update(results=[*found["results"][:-1], 7]), "results."),
        (lambda found: found.update(results=[]), "r2.* rotation.* 0 tokens"),
        (lambda found: found.update(context_lengths=[0, 4]), "r2.* rotation.* 4 tokens"),
        (lambda found: found.update(reports=[]), "reports"),
    ],
)
def test_damage_is_told(tmp_path: Path, damage: Callable[[dict[str, Any]], object], words: str) -> None:
    found = values()
    damage(found)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(found))
    with pytest.raises(CorruptFileError, match=words) as told:
        read_result(path)
    assert str(path) in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_what_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"task": ')
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(CorruptFileError, match="not valid JSON"):
        read_result(tmp_path / "cut.json")
    with pytest.raises(CorruptFileError, match="expected a JSON object"):
        read_result(tmp_path / "list.json")
    with pytest.raises(DataMissingError):
        read_result(tmp_path / "none.json")


@pytest.mark.parametrize("key", ["folder", "fingerprint", "step", "steps", "config", "versions", "config.seed"])
def test_what_a_page_shows_of_a_run_is_there(key: str, tmp_path: Path) -> None:
    found = values()
    *groups, name = key.split(".")
    owner = found["protocol"]["runs"][0]
    for group in groups:
        owner = owner[group]
    owner.pop(name)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(found))
    with pytest.raises(CorruptFileError, match=key):
        read_result(path)


@pytest.mark.parametrize(
    ("key", "value"), [("seed", "first"), ("method", 7), ("equivariant", 5), ("equivariant", [None])]
)
def test_a_runs_settings_that_tables_show_are_checked(key: str, value: object, tmp_path: Path) -> None:
    found = values()
    found["protocol"]["runs"][0]["config"][key] = value
    path = tmp_path / "results.json"
    path.write_text(json.dumps(found))
    with pytest.raises(CorruptFileError, match=key):
        read_result(path)
