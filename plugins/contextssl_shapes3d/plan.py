"""Which objects there are, and what each of them is."""

from __future__ import annotations

from dataclasses import dataclass

from contextssl_shapes3d.families import FAMILIES

TEST_SHARE = 5


@dataclass(frozen=True)
class Plan:
    """What a data set is made of; every object follows from it and its own number alone."""

    objects: int
    views: int
    size: int
    seed: int

    @property
    def splits(self) -> dict[str, range]:
        """Object numbers by split: the last fifth are test data, so no object is in both."""
        test = max(1, self.objects // TEST_SHARE)
        return {"train": range(self.objects - test), "test": range(self.objects - test, self.objects)}

    def label(self, number: int) -> int:
        """The class of an object: the families take turns."""
        return number % len(FAMILIES)

    def family(self, number: int) -> str:
        """The name of an object's class."""
        return list(FAMILIES)[self.label(number)]
