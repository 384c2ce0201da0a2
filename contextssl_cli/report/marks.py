"""What tells results apart that share task, method and what it was told: settings, and what they were judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contextssl_cli.config.resolve import flat_settings
from contextssl_cli.config.train import OF_NO_MATTER
from contextssl_cli.evaluation.results import ProbeReport
from contextssl_cli.report.settings import describe


def marks(reports: Sequence[ProbeReport]) -> list[str]:
    """Of each report ``key value`` of the settings in which it differs from its like; empty where it has none.

    A sweep's points differ in what is varied, a reproduction's in what its recipe sets; seeds make no difference. One
    run may have been judged on the test split and on what it held out.
    """
    alike: dict[tuple[str, str, tuple[str, ...]], list[dict[str, Any]]] = {}
    settings = [
        flat_settings(report.protocol["runs"][0]["config"]) | {"judged on": report.judged_on} for report in reports
    ]
    for report, own in zip(reports, settings, strict=True):
        alike.setdefault((report.task, report.method, report.told), []).append(own)
    return [
        describe({key: value for key, value in own.items() if _differs(key, others)})
        for report, own in zip(reports, settings, strict=True)
        for others in [alike[report.task, report.method, report.told]]
    ]


def _differs(key: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    return key not in OF_NO_MATTER and any(one.get(key) != settings[0].get(key) for one in settings)
