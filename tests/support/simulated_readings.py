"""Readings of a simulated crossover, as a canonical table of ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from study.analysis.columns import canonicalise


def crossover(
    n_readers: int = 4,
    n_cases: int = 40,
    *,
    effect: float = 0.0,
    period: float = 0.0,
    carry_over: float = 0.0,
    learning: float = 0.0,
    log_ratio: float = 0.0,
    points: int = 1000,
    noise: float = 30.0,
    seed: int = 1,
) -> pd.DataFrame:
    """Simulate ratings of a 0–1000 scale (fine, so that effects are recovered) and times.

    Parameters
    ----------
    n_readers, n_cases
        Readers and cases; every second case is a true positive.
    effect, period, carry_over
        Of condition B, of session 2, and of B in session 2, in points.
    learning
        Points per place in the session.
    log_ratio
        Of the reading time of B to A.
    points
        Highest rating.
    noise
        Standard deviation of the error.
    seed
        Of the generator.
    """
    dice = np.random.default_rng(seed)
    of_case, of_reader = dice.normal(0, 60, n_cases), dice.normal(0, 30, n_readers)
    rows = []
    for r in range(n_readers):
        for session in (1, 2):
            places = dice.permutation(n_cases) + 1
            for c in range(n_cases):
                is_b = ((c // 2 + r) % 2 == 0) == (session == 1)
                second = session == 2
                mean = 500 + of_case[c] + of_reader[r] + effect * is_b + period * second
                mean += carry_over * (is_b and second) + learning * places[c]
                rows.append(
                    {
                        "reader": f"r{r + 1}",
                        "case_id": f"c{c + 1:03}",
                        "finding": "Mass",
                        "condition": "B" if is_b else "A",
                        "session": str(session),
                        "position": int(places[c]),
                        "item": "confidence",
                        "value": int(np.clip(round(mean + dice.normal(0, noise)), 0, points)),
                        "correctness": "true_positive" if c % 2 else "false_positive",
                        "probability": 0.5 + 0.4 * c / n_cases,
                        "reading_time_s": float(np.exp(3 + log_ratio * is_b + dice.normal(0, 0.2))),
                    }
                )
    return canonicalise(pd.DataFrame(rows)).frame


def likert(
    values: dict[str, list[list[float]]], *, correctness: list[str] | None = None
) -> pd.DataFrame:
    """Return ratings given as condition → readers × cases; NaN for a missing one."""
    rows = [
        {
            "reader": f"r{r + 1}",
            "case_id": f"c{c + 1}",
            "finding": "Mass",
            "condition": condition,
            "item": "confidence",
            "value": value,
            "correctness": "true_positive" if correctness is None else correctness[c],
        }
        for condition, readers in values.items()
        for r, cases in enumerate(readers)
        for c, value in enumerate(cases)
    ]
    return canonicalise(pd.DataFrame(rows)).frame
