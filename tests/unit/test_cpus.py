"""The number of workers follows affinity and control groups."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from contextssl_cli import cpus
from contextssl_cli.cpus import cpu_count
from contextssl_cli.data import parts
from contextssl_cli.errors import UsageError
from contextssl_cli.store import images
from tests.small_images import encoded, picture

V2 = "/sys/fs/cgroup/cpu.max"
V1_QUOTA, V1_PERIOD = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"


def place(monkeypatch: pytest.MonkeyPatch, cpus: int, affinity: int, groups: Mapping[str, str]) -> None:
    """Pretend to be a process of a machine of so many CPUs."""
    exists, opened = os.path.exists, builtins.open

    def looks_there(path: Any) -> bool:
        return path in groups if str(path).startswith("/sys/fs/cgroup") else exists(path)

    def read(path: Any, *arguments: Any, **named: Any) -> Any:
        return io.StringIO(groups[path]) if path in groups else opened(path, *arguments, **named)

    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(os.path, "exists", looks_there)
    monkeypatch.setattr(builtins, "open", read)


@pytest.mark.parametrize(
    ("affinity", "groups", "expected"),
    [
        (64, {}, 64),
        (3, {}, 3),
        (1, {V2: "max 100000\n"}, 1),
        (64, {V2: "max 100000\n"}, 64),
        (64, {V2: "400000 100000\n"}, 4),
        (64, {V2: "150000 100000\n"}, 2),
        (64, {V2: "20000 100000\n"}, 1),
        (64, {V1_QUOTA: "-1\n", V1_PERIOD: "100000\n"}, 64),
        (64, {V1_QUOTA: "500000\n", V1_PERIOD: "100000\n"}, 5),
        (2, {V2: "400000 100000\n"}, 2),
    ],
)
def test_affinity_and_quotas_count(
    affinity: int, groups: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(monkeypatch, 64, affinity, groups)
    assert cpu_count() == expected


def test_the_user_can_ask_for_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, 64, 64, {})
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "7")
    assert cpu_count() == 7


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this platform")
def test_the_real_affinity_of_this_process() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cpu_count() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_processes_and_threads_follow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[int] = []

    class Recorded(ThreadPoolExecutor):
        def __init__(self, workers: int, *_: Any, **__: Any) -> None:
            asked.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(parts, "ProcessPoolExecutor", Recorded)
    monkeypatch.setattr(images, "ThreadPoolExecutor", Recorded)
    place(monkeypatch, 64, 64, {V2: "300000 100000\n"})
    parts._pool(40).shutdown()
    images.decode_all([encoded(picture(0, 8, 8))] * 200, 8, 8)
    assert asked == [3, 3]


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({"user.slice/job.scope": "200000 100000"}, 2),
        ({"user.slice": "300000 100000", "user.slice/job.scope": "max 100000"}, 3),
        ({"user.slice": "100000 100000", "user.slice/job.scope": "500000 100000"}, 1),
        ({"system.slice": "100000 100000"}, 64),
        ({}, 64),
    ],
)
def test_quotas_of_nested_groups_count(
    quotas: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place(monkeypatch, 64, 64, {})
    (tmp_path / "cgroup").write_text("4:memory:/elsewhere\n0::/user.slice/job.scope\n")
    for group, quota in quotas.items():
        (tmp_path / "limits" / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / "limits" / group / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(cpus, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cpus, "_LIMITS", tmp_path / "limits")
    assert cpu_count() == expected


def test_a_wish_that_is_no_number_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, 64, 64, {})
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "many")
    with pytest.raises(UsageError, match="LOKY_MAX_CPU_COUNT"):
        cpu_count()
