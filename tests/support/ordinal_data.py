"""Small simulated reader studies with ordered ratings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Truth:
    """What a simulated study is made of; standard deviations on the logit scale."""

    effect: float = 0.8
    reader_sd: float = 0.5
    slope_sd: float = 0.0
    case_sd: float = 0.8
    cuts: tuple[float, ...] = (-1.5, -0.3, 0.9, 2.2)


def simulate_ratings(
    n_readers: int, n_cases: int, seed: int, truth: Truth | None = None
) -> pd.DataFrame:
    """Return canonical ratings of every reader, case and condition (A, B) of an item ``trust``."""
    truth = truth or Truth()
    rng = np.random.default_rng(seed)
    reader = np.repeat(np.arange(n_readers), 2 * n_cases)
    case = np.tile(np.repeat(np.arange(n_cases), 2), n_readers)
    shown = np.tile([0, 1], n_readers * n_cases)
    first = (case + reader) % 2
    slope = truth.effect + rng.normal(0, 1, n_readers) * truth.slope_sd
    eta = (
        rng.normal(0, 1, n_readers)[reader] * truth.reader_sd
        + rng.normal(0, 1, n_cases)[case] * truth.case_sd
        + slope[reader] * shown
        + rng.logistic(size=len(reader))
    )
    return pd.DataFrame(
        {
            "reader": [f"R{k + 1}" for k in reader],
            "case_id": [f"C{k + 1:03d}" for k in case],
            "finding": "effusion",
            "condition": np.where(shown == 1, "B", "A"),
            "session": np.where(first == shown, "1", "2"),
            "position": case + 1.0,
            "correctness": np.where(case % 3 == 0, "false_positive", "true_positive"),
            "item": "trust",
            "value": 1.0 + np.searchsorted(truth.cuts, eta),
        }
    )
