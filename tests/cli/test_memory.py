"""The switch of the C library is found where there is glibc, and missed by nobody elsewhere."""

from __future__ import annotations

import ctypes
import platform

import pytest

from contextssl_cli.cli.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_takes_both_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ctypes.CDLL(None)
    answers: list[int] = []

    class Watched:
        @staticmethod
        def mallopt(name: int, value: int) -> None:
            answers.append(library.mallopt(name, value))

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Watched)
    keep_freed_memory()
    assert answers == [1, 1]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_freed_memory()
