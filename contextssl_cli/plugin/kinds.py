"""The two kinds of plugin: a data set, and an action type.

Neither imports torch when it is defined: methods that need it import it themselves, so that
``contextssl plugins`` stays quick.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from contextssl_cli.plugin.guard import Guarded, plugin_title
from contextssl_cli.plugin.options import Options, validated
from contextssl_cli.store.samples import Samples
from contextssl_cli.store.schema import Schema

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Prepared:
    """What a data set hands to the store: either ``samples`` or ``parts``.

    Attributes:
        schema: what the data set is.
        samples: batches, each of one split; read once, so a generator keeps memory bounded.
        parts: makers of batches, for a data set that takes long. They run in several processes, so they must be
            picklable (a ``functools.partial`` of a module's function) and should import no torch. Each batch is kept
            on disk until the store is whole: a preparation that was killed goes on with the parts that are missing.
        sources: digests of the source files by name, kept as provenance. With parts they also decide whether kept ones
            still fit.
        notes: facts that the user should know, such as what was left out; kept as provenance. They are read after
            the samples, so a generator may add to them.
    """

    schema: Schema
    samples: Iterable[Samples] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Callable[[], Samples]] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)


class ActionType(Guarded, ABC):
    """A kind of transformation whose parameters are known, such as a rotation or a change of sex.

    An *applied* action type draws its own parameters and transforms a batch of tensors. A *recorded* one belongs to
    a data set that ships several views of an object with their latents; it neither samples nor applies.

    Images reach an action type as (N, channels, height, width) float in [0, 1], tables as (N, features).
    """

    _kind = "action type"
    name: ClassVar[str]
    """Lower-case letters, digits and underscores; no hyphen, which separates names in ``pretrain --plugin``."""
    summary: ClassVar[str]
    """One line: the parameters and their units."""
    modality: ClassVar[str]
    recorded: ClassVar[bool] = False
    order: ClassVar[int] = 0
    """Where several applied action types meet, the lower order is applied first."""
    probe: ClassVar[Literal["linear", "mlp"]] = "linear"
    """The paper's probe for this action type (section 4.2: an MLP for rotation, linear for colour)."""
    options: ClassVar[type[Options]] = Options
    """What a user may choose; ``pretrain --set actions.<name>.<option>=<value>``, kept with the run."""
    chosen: Options = Options()
    """The options in force."""

    def configured(self, values: Mapping[str, Any]) -> Self:
        """This action type with other options.

        Raises:
            UsageError: if there is no such option, or a value does not fit.
        """
        changed = copy.copy(self)
        changed.chosen = validated(self.options, values, plugin_title(self))
        return changed

    @abstractmethod
    def width(self, schema: Schema) -> int:
        """Numbers in the action block."""

    def sample(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Latents of one view of each input: (N, latent width).

        Draw them from ``generator`` alone, on the CPU, so that a seed gives the same views everywhere.
        """
        raise NotImplementedError(f"the action type {self.name!r} is recorded and draws no parameters")

    def apply(self, inputs: Tensor, latents: Tensor, schema: Schema) -> Tensor:
        """Transform each input by its row of latents; the shape stays."""
        raise NotImplementedError(f"the action type {self.name!r} is recorded and transforms nothing")

    def partners(self, inputs: Tensor, schema: Schema) -> Tensor | None:
        """Which samples may be the second view of each sample, (N, K) row numbers; one of K is drawn for each pair.

        None, the default, makes both views from the same sample. Only a single applied action type may pair samples.
        """
        return None

    @abstractmethod
    def relative(self, first: Tensor, second: Tensor) -> Tensor:
        """The action that takes the first view to the second, (N, width).

        Where they are equal it is the identity: zero for a difference, (0, 0, 0, 1) for a quaternion.
        """

    def absolute(self, latents: Tensor) -> Tensor:
        """The latents in the action's own representation, (N, width): the target of the auxiliary predictor."""
        return latents


class Dataset(Guarded, ABC):
    """A source of samples, and how to train on it by default."""

    _kind = "data set"
    name: ClassVar[str]
    """Lower-case letters, digits and underscores."""
    summary: ClassVar[str]
    modality: ClassVar[str]
    licence: ClassVar[str]
    needs_source: ClassVar[bool] = True
    """False if ``prepare`` works without ``--source`` and without a network."""
    options: ClassVar[type[Options]] = Options
    """What a user may choose; each field is a flag of ``contextssl prepare <name>``."""
    trial: ClassVar[Mapping[str, Any]] = {}
    """Options that make a small store in seconds; the plugin contract prepares with them."""
    actions: ClassVar[tuple[ActionType, ...]] = ()
    """The data set's own action types, recorded ones among them; they shadow others of the same name."""
    training: ClassVar[Mapping[str, Any]] = {}
    """Defaults of the pretraining configuration (``contextssl_cli.config.train``)."""
    probing: ClassVar[Mapping[str, Any]] = {}
    """Defaults of the evaluation protocol (``contextssl_cli.config.probe``)."""

    @abstractmethod
    def prepare(self, source: Path | None, options: Any) -> Prepared:
        """Read the source.

        Args:
            source: a file or a folder; with None, download it or make it.
            options: an instance of ``self.options``.

        Raises:
            DataMissingError: if the source, or a part of it, is not there.
            CorruptFileError: if it is not what it should be.
        """

    def digests(self, source: Path, options: Any) -> Mapping[str, str] | None:
        """The ``sources`` of ``prepare``, for telling whether a source that was prepared has changed since.

        For data that a user may edit, where the digests cost less than reading them again. By default it is not looked
        at.

        Args:
            source: it exists.
            options: those that the store was made with.
        """
        return None

    def augment(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Random changes of a sample in training, before its two views are made: both share them; none by default.

        Mirroring belongs here: if each view were mirrored on its own, the position of a crop would lose its meaning.
        Views that are recorded are left as they are.
        """
        return inputs

    def augment_view(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Random changes of a view during training that no action describes; none by default."""
        return inputs
