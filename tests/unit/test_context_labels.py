"""Labels that depend on the context, counted by hand."""

from __future__ import annotations

from collections import Counter

import torch

from contextssl_cli.evaluation import context_labels as labels
from tests.draws import seeded

TURN, TINT, NONE = ("turn",), ("tint",), ()


def test_bins_part_the_widest_column_at_its_mean() -> None:
    fit = {"turn": torch.tensor([[0.0, 0.0], [0.1, 10.0], [0.0, 2.0]])}  # the second column, at 4
    assert labels.bins(fit, {"turn": torch.tensor([[9.0, 3.9], [-9.0, 4.1]])})["turn"].tolist() == [0, 1]


def test_a_label_is_the_class_with_the_bin_of_the_active_type() -> None:
    classes, binned = (
        torch.tensor([0, 1, 2, -1]),
        {"turn": torch.tensor([0, 1, 1, 1]), "tint": torch.tensor([1, 0, 1, 0])},
    )
    found = labels.labels(classes, binned, (TURN, TINT))
    assert found.tolist() == [[0, 3, 5, -1], [1, 2, 5, -1]]
    assert labels.labels(classes, binned, (TURN, NONE)).tolist() == [[0, 3, 5, -1], [0, 2, 4, -1]]
    both = labels.labels(classes, binned, (("turn", "tint"), TURN))
    assert both.tolist() == [[1, 6, 11, -1], [0, 5, 9, -1]]
    assert labels.codes((("turn", "tint"), TURN)) == 4


def test_the_ceiling_is_what_a_table_of_inputs_would_reach() -> None:
    generator = seeded(3)
    wanted = torch.randint(3, (3, 50), generator=generator)
    best = [Counter(wanted[:, sample].tolist()).most_common(1)[0][1] for sample in range(50)]
    assert labels.ceiling(wanted) == sum(best) / 150


def test_labels_that_do_not_depend_on_the_context_have_no_ceiling_below_one() -> None:
    assert labels.ceiling(torch.tensor([[0, 3, 1], [0, 3, 1]])) == 1.0
