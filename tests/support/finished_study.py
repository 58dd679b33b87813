"""A study on disk with ratings, reference standard and predictions: all read, or some of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from study.folder import StudyFolder
from study.planted import PlantedEffect
from study.protocol import StudyProtocol
from study.simulate import simulate_readers
from tests.support.small_study import START, choices_of, make_small
from tests.support.tiny_study import accept_all, quick_accounts


def make_finished(root: Path, *, per_finding: int = 6, n_read: int | None = None) -> StudyFolder:
    """Freeze a small study and let simulated readers finish it.

    Parameters
    ----------
    root
        Directory of the study.
    per_finding
        Cases for each of two findings.
    n_read
        Instead: the first reader answers so many readings, all alike; nobody else reads.
    """
    folder = StudyFolder(root)
    folder.cases.mkdir(parents=True)
    folder.explanations.mkdir()
    small = make_small(root, per_finding=per_finding)
    reference, predictions, localisation = truth_of(small.store.protocol)
    if n_read is None:
        simulate_readers(
            small.store,
            reference,
            predictions,
            effect=PlantedEffect(),
            seed=3,
            start=START,
            localisation=localisation,
        )
    elif n_read:
        small.read(small.desk(), n_read)
    accept_all(quick_accounts(small.store), datetime.now(UTC))
    small.store.close()
    reference.assign(patient_id=reference["case_id"]).to_csv(
        folder.cases / "reference.csv", index=False, float_format="%.0f"
    )
    predictions.to_csv(folder.predictions, index=False)
    localisation.to_csv(folder.localisation, index=False)
    return folder


def truth_of(protocol: StudyProtocol) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return reference standard, predictions and IoU of the small study's cases."""
    choices = choices_of(protocol)
    reference = pd.DataFrame({"case_id": [c.case_id for c in choices]})
    for finding in protocol.cases.findings:
        reference[f"finding:{finding}"] = [
            (1.0 if c.stratum == "x" else 0.0) if c.finding == finding else float("nan")
            for c in choices
        ]
    predictions = pd.DataFrame(
        {
            "case_id": [c.case_id for c in choices],
            "finding": [c.finding for c in choices],
            "probability": [0.6 + 0.01 * n for n in range(len(choices))],
        }
    )
    true = [n for n, c in enumerate(choices) if c.stratum == "x"]
    localisation = pd.DataFrame(
        {
            "case_id": [choices[n].case_id for n in true],
            "finding": [choices[n].finding for n in true],
            "map": "input_gradients",
            "iou": [round(0.1 + 0.05 * k, 3) for k in range(len(true))],
        }
    )
    return reference, predictions, localisation
