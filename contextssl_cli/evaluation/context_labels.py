"""Labels that depend on the context: the same view has another label in another environment.

In an environment, the label of a view is its class together with the bin of the latents of the *active* action types.
One linear probe serves all environments, so the embedding has to contain the environment. A prediction from the input
alone is right in one environment only, wherever the bins differ; `ceiling` is the best accuracy that this allows. The
paper has such a table for 3DIEBench. This definition is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

METRIC = "context_label_top1"
BINS = 2


def bins(fit: Mapping[str, Tensor], latents: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Two bins of each action type's latents, by action type: (N,).

    The column of the latent with the largest variance is divided at its mean on the training views.

    Args:
        fit: (M, width) absolute latents of training views by action type.
        latents: (N, width) of the views to be labelled.
    """
    found = {}
    for name, values in fit.items():
        column = int(values.var(dim=0).argmax())
        found[name] = (latents[name][:, column] > values[:, column].mean()).long()
    return found


def codes(environments: Sequence[tuple[str, ...]]) -> int:
    """The number of labels that every class is divided into."""
    return int(BINS ** max(len(environment) for environment in environments))


def labels(classes: Tensor, binned: Mapping[str, Tensor], environments: Sequence[tuple[str, ...]]) -> Tensor:
    """Labels in each of E environments, (E, N), -1 where the class is missing.

    Args:
        classes: (N,) indices, -1 where missing.
        binned: (N,) by action type.
        environments: the active action types.
    """
    rows = []
    for environment in environments:
        code = torch.zeros_like(classes)
        for name in environment:
            code = code * BINS + binned[name]
        rows.append(torch.where(classes < 0, classes, classes * codes(environments) + code))
    return torch.stack(rows)


def ceiling(wanted: Tensor) -> float:
    """The best accuracy without a context, if each sample gets its most frequent label of (E, N)."""
    agreeing = (wanted[:, None] == wanted[None]).sum(dim=1).amax(dim=0)  # (N,)
    return float(agreeing.double().mean() / len(wanted))
