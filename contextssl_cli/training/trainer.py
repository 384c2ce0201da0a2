"""The training loop. Every draw depends on seed, purpose and step alone, so a resumed run repeats itself exactly."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from contextssl_cli.config.train import TrainConfig
from contextssl_cli.data.holdout import hold_out
from contextssl_cli.data.pairs import PairSource
from contextssl_cli.data.random import Purpose, integer_seed, seeded
from contextssl_cli.errors import ContextSSLError, Interrupted
from contextssl_cli.methods.base import Step, StepLoss
from contextssl_cli.methods.registry import method_of
from contextssl_cli.model.contextssl import ContextSSL, Environment
from contextssl_cli.model.encoders import EncoderModel
from contextssl_cli.plugin.task import Task
from contextssl_cli.store.dataset import Store
from contextssl_cli.training.checkpoint import latest_checkpoint
from contextssl_cli.training.log import main_losses
from contextssl_cli.training.monitor import Monitor
from contextssl_cli.training.progress import Clock, Progress, TrainingTime
from contextssl_cli.training.run import Run
from contextssl_cli.training.runs import register
from contextssl_cli.training.runtime import deferred_signals
from contextssl_cli.training.weights import Weights, load_optimizer, load_weights

_SCALE_SAMPLES = 4096
_LOG_EVERY = 10


class Trainer:
    """Trains one run from its newest checkpoint, or from the start, to its last step.

    Args:
        run: its folder.
        task: data set and action types.
        store: the prepared data.
        device: the device to train on.

    Raises:
        UsageError: if the data set is too small to hold objects out.
    """

    def __init__(self, run: Run, task: Task, store: Store, device: torch.device) -> None:
        self.run = run
        self.task = task
        self.device = device
        self.config: TrainConfig = run.record.config
        self.method = method_of(self.config)
        self.precision = _precision(self.config, device)
        self.train, self.held_out = hold_out(PairSource.of(task, store.schema, store.train), self.config)
        self.steps = self.config.total_steps(len(self.train))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(integer_seed(self.config.seed, Purpose.WEIGHTS))
            self.model: EncoderModel = self.method.build(self.config.model, store.schema, run.record.space).to(device)
        if self.config.model.standardise_actions:
            self._standardise()
        if task.dataset.modality == "image":
            self.model.encoder.to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(self.model, self.config)
        self.monitor = self._monitor() if isinstance(self.model, ContextSSL) else None
        self.step = 0
        self.before = TrainingTime()
        """Spent on the steps before this process began, when a run is resumed."""
        self.gap: float | None = None
        """The last measured adaptation gap on the held-out samples; None for a method without a context."""

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one; later metrics are dropped, to be written again."""
        found = latest_checkpoint(self.run.checkpoint_folder)
        if found is not None:
            weights = Weights.read(found)
            load_weights(weights, self.model)
            self.step = weights.state.step
            load_optimizer(found, self.optimizer, self._untouched())
        self.run.metrics_log.drop_after(self.step)
        self.before = self.run.training_time()

    def fit(self, report: Callable[[Progress], None]) -> None:
        """Train to the last step; ``report`` is called after every step.

        Raises:
            Interrupted: after SIGINT or SIGTERM, once the state is saved.
            ContextSSLError: if the loss is not finite, or the disk is full.
        """
        self.model.train()
        clock, first = Clock(self.before), self.step
        with deferred_signals() as stop:
            while self.step < self.steps:
                loss = self._train_step()
                self.step += 1
                self._after_step(loss, first, clock, report)
                if stop:
                    self._check_finite(loss)
                    self._save()
                    raise Interrupted(
                        f"interrupted after step {self.step} of {self.steps}; saved in {self.run.folder}. Go on "
                        f"with: {self.run.resume_command}"
                    )
        self.model.eval()

    @property
    def _world_begun(self) -> bool:
        """Whether the last step trained the world model."""
        return self.step - 1 >= self.config.world_start * self.steps

    def _untouched(self) -> frozenset[int]:
        """Positions of the parameters that no step has changed: the world model's before its start, and unused ones."""
        return frozenset(
            place
            for place, (name, _) in enumerate(self.model.named_parameters())
            if (name.startswith("instance.") and not self.config.instance_weight)
            or not (self._world_begun or name.startswith(("encoder.", "heads.")))
        )

    def _standardise(self) -> None:
        generator = seeded(self.config.seed, Purpose.UNITS)
        indices = torch.randint(len(self.train), (_SCALE_SAMPLES,), generator=generator)
        pairs, space = self.train.draw(indices, generator, augment=False), self.model.space
        parts = (space.assemble(part, space.names, len(pairs)) for part in (pairs.actions, pairs.second))
        self.model.standardise(*parts)

    def _monitor(self) -> Monitor:
        pairs = self.config.model.max_context // 2
        return Monitor(self.train, self.held_out, pairs, seeded(self.config.seed, Purpose.MONITOR))

    def _train_step(self) -> StepLoss:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * _schedule(self.step, self.steps, self.config.warmup)
        views = seeded(self.config.seed, Purpose.VIEWS, self.step)
        batch = self.train.draw(self._indices(), views, augment=True).to(self.device)
        penalise, world = (
            self.step >= start * self.steps for start in (self.config.invariance_start, self.config.world_start)
        )
        masks = seeded(self.config.seed, Purpose.MASKS, self.step)
        loss = self.method.loss(self.model, batch, Step(self._environments(), masks, self.precision, penalise, world))
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        if self.config.grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        self.optimizer.step()
        return loss

    def _indices(self) -> Tensor:
        """The samples of this step; each epoch has its own order."""
        size, count = self.config.batch_size, len(self.train)
        places = torch.arange(self.step * size, (self.step + 1) * size)
        parts = []
        for epoch in range(int(places[0]) // count, int(places[-1]) // count + 1):
            order = _epoch_order(self.config.seed, epoch, count)
            parts.append(order[places[places // count == epoch] % count])
        return torch.cat(parts)

    def _environments(self) -> tuple[Environment, ...]:
        environments = self.task.environments
        if self.config.environments_per_step == "all":
            return environments
        drawn = torch.randint(
            len(environments), (1,), generator=seeded(self.config.seed, Purpose.ENVIRONMENT, self.step)
        )
        return (environments[int(drawn)],)

    def _after_step(self, loss: StepLoss, first: int, clock: Clock, report: Callable[[Progress], None]) -> None:
        last = self.step == self.steps
        saving = last or self.step % self.config.checkpoint_every == 0
        logging = last or self.step % _LOG_EVERY == 0 or self.step == 1
        if saving or logging:  # reading a value waits for the device
            self._check_finite(loss)
        terms: dict[str, dict[str, float]] = {}
        line: dict[str, Any] = {}
        if logging:
            terms = {
                name: {environment: value.item() for environment, value in values.items()}
                for name, values in loss.terms.items()
            }
            line = {
                "total_loss": loss.total.item(),
                "terms": terms,
                "lr": self.optimizer.param_groups[0]["lr"],
            }
        due = last or (self._world_begun and self.step % self.config.monitor_every == 0)
        if self.monitor is not None and due:
            self.gap = self.monitor.gap(cast(ContextSSL, self.model))
            line["held_out_gap_ridge"] = self.gap
        rate = (self.step - first) / clock.elapsed
        if line:
            pace = {"pairs_per_second": round(rate * self.config.batch_size, 1), **vars(clock.spent())}
            self.run.metrics_log.append({"step": self.step, **line, **pace})
        if saving:
            self._save()
        report(Progress(self.step, self.steps, main_losses(terms), rate * self.config.batch_size,
                        (self.steps - self.step) / rate, self.gap, self._first_gap,
                        len(self.task.actions)))  # fmt: skip

    @property
    def _first_gap(self) -> int | None:
        """The step after which the adaptation gap is first measured; None for a method without a context."""
        if self.monitor is None:
            return None
        every, begin = self.config.monitor_every, math.ceil(self.config.world_start * self.steps) + 1
        return min(self.steps, -(-begin // every) * every)

    def _check_finite(self, loss: StepLoss) -> None:
        if not math.isfinite(loss.total.item()):
            raise ContextSSLError(
                f'the loss at step {self.step} is not finite; lower lr, or set precision = "float32". {self._kept()}'
            )

    def _kept(self) -> str:
        """The state of the run's folder after a failed training, as a sentence."""
        if self.run.replacing:
            return f"{self.run.folder} still holds the run that was to be replaced"
        if latest_checkpoint(self.run.checkpoint_folder) is None:
            return f"{self.run.folder} has no checkpoint yet"
        return f"The last checkpoint in {self.run.folder} is kept"

    def _save(self) -> None:
        self.run.save(self.model, self.optimizer, self.step, self.steps)
        register(self.run.folder)


@functools.lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=seeded(seed, Purpose.ORDER, epoch))


def _precision(config: TrainConfig, device: torch.device) -> torch.dtype:
    if config.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return torch.bfloat16 if config.precision == "bfloat16" else torch.float32


def _optimizer(model: EncoderModel, config: TrainConfig) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    betas = (0.9, config.beta2)
    return kind(model.parameters(), lr=config.lr, betas=betas, weight_decay=config.weight_decay, fused=True)


def _schedule(step: int, steps: int, warmup: float) -> float:
    """The factor of the learning rate: a linear rise over the fraction ``warmup`` of the steps, then a cosine to 0."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
