"""Ranks of views against plain Python."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from contextssl_cli.evaluation.ranking import members_of, ranks, summary
from tests.draws import seeded

OBJECTS = torch.tensor([7, 3, 7, 5, 3, 7, 5])


def test_every_object_has_its_samples_and_no_other() -> None:
    members, row = members_of(OBJECTS)
    assert members.shape == (3, 3)
    for sample, place in enumerate(row.tolist()):
        mates = [other for other in range(7) if OBJECTS[other] == OBJECTS[sample]]
        assert [int(m) for m in members[place] if m >= 0] == mates


def test_ranks_are_those_of_sorting_by_cosine_similarity() -> None:
    generator = seeded(2)
    gallery = F.normalize(torch.randn(7, 5, generator=generator), dim=1)
    predicted = F.normalize(torch.randn(7, 5, generator=generator), dim=1)
    target = torch.tensor([2, 4, 5, 6, 1, 0, 3])
    members, row = members_of(OBJECTS)
    found = ranks(predicted, gallery, members[row], target)
    for query in range(7):
        views = [view for view in range(7) if OBJECTS[view] == OBJECTS[query]]
        order = sorted(views, key=lambda view: -float(predicted[query] @ gallery[view]))
        assert found[query] == 1 + order.index(int(target[query]))


def test_views_that_are_all_alike_share_the_middle_rank() -> None:
    alike = F.normalize(torch.ones(5, 4), dim=1)
    found = ranks(alike[:1], alike, torch.arange(5)[None], torch.tensor([3]))
    assert found.tolist() == [3.0]


def test_padding_is_no_candidate() -> None:
    gallery = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), dim=1)
    found = ranks(gallery[:1], gallery, torch.tensor([[1, -1, -1]]), torch.tensor([1]))  # row 0 would come first
    assert found.tolist() == [1.0]


def test_summary_of_known_ranks() -> None:
    found = summary(torch.tensor([1.0, 2.0, 4.0, 6.0]).double())
    assert found["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 6) / 4)
    assert (found["h@1"], found["h@5"], found["h@10"]) == (0.25, 0.75, 1.0)
