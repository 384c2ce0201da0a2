"""Generators for the data of tests; the package's own streams are in ``contextssl_cli.data.random``."""

from __future__ import annotations

import numpy as np
from torch import Generator


def seeded(*numbers: int) -> Generator:
    """A CPU generator whose stream depends on the ``numbers``."""
    state = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    return Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))
