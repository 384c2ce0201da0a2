"""MIMIC-III v1.4 (Johnson et al., Scientific Data 2016): intensive-care stays, gender as the sensitive attribute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contextssl_cli.errors import DataMissingError
from contextssl_cli.plugin import Dataset, Options, Prepared, Samples, Schema
from contextssl_mimic3 import features
from contextssl_mimic3.encoding import Feature, codes, encode
from contextssl_mimic3.events import VitalSigns
from contextssl_mimic3.labels import TASKS, Labels, Reasons, label, treated_stays
from contextssl_mimic3.source import Source, find_folder
from contextssl_mimic3.stays import WINDOW_HOURS, Stays, choose_stays

if TYPE_CHECKING:
    from torch import Generator, Tensor

CORRUPTION_RATE = 0.3


class Mimic3Options(Options):
    """What a user may choose."""

    demo: bool = Field(default=False, description="Download the open demo of 100 patients from PhysioNet.")


class Mimic3(Dataset):
    """One row per first intensive-care stay of an adult's admission; features of its first 24 hours."""

    name = "mimic3"
    summary = (
        "MIMIC-III v1.4, first intensive-care stays of adults; tasks: length of stay, treatment, mortality; "
        "--source, or --demo"
    )
    modality = "table"
    licence = "PhysioNet Credentialed Health Data License 1.5.0; the demo: ODbL 1.0"
    options = Mimic3Options
    training: ClassVar[dict[str, Any]] = {
        "steps": 1500,
        "invariance_weight": 1.0,
        "model": {"encoder": "mlp", "feature_dim": 64, "encoder_width": 256, "width": 64, "aux_hidden": 256},
    }
    probing: ClassVar[dict[str, Any]] = {
        "label_inputs": "samples",
        "action_batch_size": 512,
        "label_batch_size": 512,
    }

    def prepare(self, source: Path | None, options: Mimic3Options) -> Prepared:
        """Read the tables one after the other, each as a stream; only the rows of the data set stay in memory."""
        tables = Source(find_folder(source, demo=options.demo))
        stays = choose_stays(tables)
        training = ~stays.rows["test"].to_numpy()
        _check_splits(tables, training)
        charted = VitalSigns(stays)
        labels, reasons = label(tables, stays, treated_stays(tables, stays, charted))
        sensitive = features.sensitive(stays)
        known: list[Feature] = [
            *sensitive,
            *features.admission(stays),
            *features.histories(tables, stays),
            *features.prescriptions(tables, stays),
            *features.vital_signs(tables, charted),
            *features.laboratory(tables, stays),
        ]
        columns, inputs = encode(known, training)
        schema = Schema(
            dataset=self.name,
            modality=self.modality,
            shape=(inputs.shape[1],),
            dtype="float32",
            columns=columns,
            tasks=TASKS,
            attributes={feature.name: feature.known for feature in sensitive},
        )
        attributes = {feature.name: codes(feature, feature.known) for feature in sensitive}
        samples = list(_split(inputs, labels, attributes, stays, training))
        return Prepared(schema, samples, sources=tables.digests(), notes=_notes(tables, stays, labels, reasons))

    def augment_view(self, inputs: Tensor, schema: Schema, generator: Generator) -> Tensor:
        """Corrupt each view as SCARF does, so that aligning a pair is not trivial."""
        from contextssl_cli.data.augment import scarf_corruption

        return scarf_corruption(inputs, schema, CORRUPTION_RATE, generator)


def _check_splits(tables: Source, training: NDArray[np.bool_]) -> None:
    for split, there in (("training", training), ("test", ~training)):
        if not there.any():
            raise DataMissingError(
                f"{tables.folder} holds {len(training)} first intensive-care stays of adults, none of a patient of the "
                f"{split} split; a larger extract is needed"
            )


def _split(
    inputs: NDArray[np.float32],
    labels: Labels,
    attributes: dict[str, NDArray[np.int64]],
    stays: Stays,
    training: NDArray[np.bool_],
) -> Iterator[Samples]:
    # A patient with several admissions is one object, so that all of them are held out together.
    patients = np.unique(stays.rows["subject_id"].to_numpy(), return_inverse=True)[1]
    for split, rows in (("train", training), ("test", ~training)):
        yield Samples(
            split,
            inputs[rows],
            labels={task: values[rows] for task, values in labels.items()},
            attributes={name: values[rows] for name, values in attributes.items()},
            objects=patients[rows],
        )


def _notes(tables: Source, stays: Stays, labels: Labels, reasons: Reasons) -> dict[str, Any]:
    notes: dict[str, Any] = {
        "rows": f"{len(stays)} first intensive-care stays of {stays.rows['subject_id'].n_unique()} adults",
        "prediction time": f"{WINDOW_HOURS} hours after the stay began",
        "admissions left out": stays.left_out,
        "dates out of order": stays.examples,
        "tables left out": tables.left_out(),
        "tables that may be cut off": tables.maybe_cut_off(),
        "ICD-9 codes that were changed": {table: note for table, note in tables.codes.items() if note},
        "written again by another program": tables.rewritten(),
    }
    for task, values in labels.items():
        classes = {"no": int((values == 0).sum()), "yes": int((values == 1).sum())}
        notes[f"task {task}"] = classes | {f"left out: {reason}": count for reason, count in reasons[task].items()}
    return {name: value for name, value in notes.items() if value}
