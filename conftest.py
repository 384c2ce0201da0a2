"""What all tests share, those in ``tests/`` and those of each plugin: a home of their own, and one tiny trained run."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from contextssl_cli.data.prepare import prepare
from contextssl_cli.plugin.registry import registry
from contextssl_cli.plugin.task import Task, resolve_task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.run import Run
from tests import tiny
from tests.places import built_in

settings.register_profile("contextssl", deadline=None, derandomize=True)  # no test depends on the clock
settings.load_profile("contextssl")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names of tests are sent between processes: text that UTF-8 cannot hold is escaped."""
    if not isinstance(val, str):
        return None
    try:
        val.encode()
    except UnicodeEncodeError:
        return ascii(val)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """So are reports: what a test logs or prints may hold such text."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A ``CONTEXTSSL_HOME`` that ends with the tests; no other variable of the user's reaches them."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in list(os.environ):
            if variable.startswith("CONTEXTSSL_") and not variable.startswith(("CONTEXTSSL_PARITY", "CONTEXTSSL_DATA")):
                patch.delenv(variable)
        patch.setenv("CONTEXTSSL_HOME", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield folder


@pytest.fixture(scope="session")
def digits_task() -> Task:
    built_in("digits", "rotation", "color")
    return resolve_task("digits-rotation-color")


@pytest.fixture(scope="session")
def digits_store(home: Path) -> Store:
    built_in("digits")
    return prepare(registry().dataset("digits"))


@pytest.fixture(scope="session")
def digits_run(digits_task: Task, digits_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained for 20 steps; shared, so a test that writes into it copies it."""
    return tiny.trained(digits_task, digits_store, tmp_path_factory.mktemp("runs") / "digits")
