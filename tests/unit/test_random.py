"""Random streams: one for each seed, purpose and count, and no other source of randomness in the package."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import contextssl_cli
from contextssl_cli.data.random import Purpose, integer_seed, seeded, seeded_numpy

COUNTS = [(), (0,), (1,), (2,), (12,), (1, 2), (1, 2, 0), (12, 0), (0, 12), (2**32,), (0, 1)]
"""Among them counts that are equal once zeros are appended, digits are joined, or numbers are cut to 32 bits."""
PACKAGE = Path(contextssl_cli.__file__).parent
OTHER = re.compile(r"default_rng\(|\bGenerator\(|RandomState\(|SeedSequence\(|random_state=(seed|\d)|\brandom\.seed\(")
"""Ways to make a generator, or to seed one by a number that serves another purpose too."""


def state(seed: int, purpose: Purpose, counts: tuple[int, ...]) -> bytes:
    return seeded(seed, purpose, *counts).get_state().numpy().tobytes()


def numpy_state(seed: int, purpose: Purpose, counts: tuple[int, ...]) -> bytes:
    return repr(seeded_numpy(seed, purpose, *counts).bit_generator.state).encode()


def number(seed: int, purpose: Purpose, counts: tuple[int, ...]) -> bytes:
    return str(integer_seed(seed, purpose, *counts)).encode()


@pytest.mark.parametrize("stream", [state, numpy_state, number])
def test_no_two_seeds_purposes_or_counts_share_a_stream(stream: Callable[..., bytes]) -> None:
    keys = list(itertools.product((0, 1, 2, 12, 2**32), Purpose, COUNTS))
    assert len({stream(*key) for key in keys}) == len(keys)


def test_a_stream_is_repeatable() -> None:
    assert state(3, Purpose.VIEWS, (7,)) == state(3, Purpose.VIEWS, (7,))
    assert 0 <= integer_seed(3, Purpose.FOLDS) < 2**32


def test_steps_of_a_training_have_streams_of_their_own() -> None:
    assert len({integer_seed(0, Purpose.VIEWS, step) for step in range(2000)}) == 2000


def test_the_package_makes_no_generator_elsewhere() -> None:
    templates = PACKAGE / "plugin" / "scaffolding" / "templates"  # of plugins, whose code is their authors'
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.is_relative_to(templates)]
    found = {
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if path != PACKAGE / "data" / "random.py" and OTHER.search(line)
    }
    assert found == set()
    assert OTHER.search((PACKAGE / "data" / "random.py").read_text(encoding="utf-8"))
