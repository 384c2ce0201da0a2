"""The contract of every plugin; add tests of what is special about yours."""

from __future__ import annotations

from contextssl_cli.testing import check_action_type, check_plugin
from contextssl_skeleton.action import SkeletonAction


def test_plugin() -> None:
    check_plugin("contextssl_skeleton")


def test_action_type() -> None:
    check_action_type(SkeletonAction())
