"""The settings of the evaluation protocol; saved with every result."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import ConfigDict, Field, field_validator

from contextssl_cli.plugin.options import UserValues

Metric = Literal["r2", "individual", "top1", "knn", "mrr", "context-labels"]
METRICS: tuple[Metric, ...] = get_args(Metric)
ActionProbe = Literal["linear", "mlp", "ridge", "ridge-cv"]
"""Trained by gradient (linear, mlp), or in closed form with a fixed penalty or a cross-validated one."""

Judged = Literal["test", "held-out"]
_FITTED: dict[Judged, str] = {"test": "the training split", "held-out": "what each run was trained on"}
_JUDGED: dict[Judged, str] = {
    "test": "the test split",
    "held-out": "the training objects that it held out; the test split was not read",
}


def place_of(name: str, judged_on: Judged) -> str:
    """The name of results on the test split, or of other results in the same folder."""
    return name if judged_on == "test" else f"{name}-{judged_on}"


class ProbeConfig(UserValues):
    """The paper's probes (section 4.2): Adam at 1e-3, 200 epochs for actions, 300 for labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    """Of views, contexts, the probes' first weights and their batches."""
    judged_on: Judged = "test"
    """The test split, or the training objects that the run held out: settings are chosen by the latter."""
    metrics: tuple[Metric, ...] = ("r2", "top1", "knn", "mrr")
    """Groups of metrics: R2 of relative actions and of individual latents, top-1 (and fairness), kNN, MRR and H@k
    (where objects have several views), and labels that depend on the context."""
    action_probes: tuple[ActionProbe, ...] = ("ridge",)
    """Probes of actions and latents in addition to the paper's, which is always used."""
    context_lengths: tuple[int, ...] = (0, 2, 14, 30, 126)
    """In tokens, two per pair; those that the model takes are used."""
    action_epochs: int = Field(default=200, ge=1)
    label_epochs: int = Field(default=300, ge=1)
    action_batch_size: int = Field(default=256, ge=1)
    label_batch_size: int = Field(default=256, ge=1)
    label_inputs: Literal["views", "samples"] = "views"
    """Read labels from transformed views, or from the samples as they are, whose own attributes the labels describe."""
    strong: bool = False
    """Read labels by scikit-learn's logistic regression too, as is always done where an attribute is sensitive."""
    views: int = Field(default=1, ge=1)
    """Pairs of views drawn of each sample; all serve labels and tests, action probes are fitted to the first."""
    lr: float = Field(default=1e-3, gt=0)
    """Of the probes of actions."""
    label_lr: float = Field(default=1e-3, gt=0)
    hidden: int = Field(default=1024, ge=1)
    """Width of the MLP probe's two hidden layers."""
    knn_neighbours: int = Field(default=200, ge=1)
    knn_temperature: float = Field(default=0.1, gt=0)

    @field_validator("context_lengths")
    @classmethod
    def _whole_pairs(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if not lengths or any(length < 0 or length % 2 for length in lengths):
            raise ValueError(f"{list(lengths)}: expected even numbers of tokens from 0 on, two for each pair")
        return tuple(sorted(set(lengths)))

    @property
    def fitted_to(self) -> str:
        """What probes are fitted to, and contexts drawn from, in words."""
        return _FITTED[self.judged_on]

    @property
    def splits(self) -> str:
        """What probes are fitted to and judged on, in words."""
        return f"fitted to {self.fitted_to} and judged on {_JUDGED[self.judged_on]}"

    def lengths(self, longest: int) -> tuple[int, ...]:
        """The context lengths that fit a model."""
        return tuple(length for length in self.context_lengths if length <= longest)
