"""Ratings with a planted effect, whose size on the rating scale is known exactly.

The latent impression of reader i of case j under condition c is

    y = base(correctness) + u_i + v_j + w_ij + c · (shift(correctness) + a_i + b_j) + e

with c = 1 under the first condition of the contrast and 0 under the second, and the rating is one
more than the number of thresholds below y. All random terms are normal, so that for given readers
(u_i, a_i) the expected rating is 1 + Σ_k Φ((mean − τ_k) / sd), and the planted difference is exact
for these readers and cases like these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from study.errors import StudyError

_MANY_POINTS = 11


@dataclass(frozen=True)
class PlantedEffect:
    """Latent shift between the two conditions of the contrast, in units of the latent scale.

    Parameters
    ----------
    true_positive, false_positive
        Shift of the primary item on true and on false positives.
    iou
        Latent gain per unit of IoU of the maps shown, on the other Likert items; 0 for none.

    Raises
    ------
    StudyError
        If a number is not finite.
    """

    true_positive: float = 0.4
    false_positive: float = 0.0
    iou: float = 0.0

    def __post_init__(self) -> None:
        for value in (self.true_positive, self.false_positive, self.iou):
            if not math.isfinite(value):
                raise StudyError(f"A planted effect of {value} is no number; give a finite one.")

    def shift(self, correctness: str) -> float:
        """Return the shift for cases of this class."""
        return self.true_positive if correctness == "true_positive" else self.false_positive


@dataclass(frozen=True)
class RatingModel:
    """How simulated readers rate.

    Parameters
    ----------
    true_positive, false_positive
        Mean latent impression under the second condition of the contrast.
    spread
        Distance between neighbouring thresholds, which lie symmetrically about 0; on a scale of
        more than 11 points a third of the distance between its lowest and highest threshold.
    reader_sd, case_sd, reader_case_sd
        Standard deviations of u, v and w.
    reader_condition_sd, case_condition_sd
        Standard deviations of a and b.
    noise_sd
        Standard deviation of e.
    """

    true_positive: float = 0.5
    false_positive: float = -0.3
    spread: float = 0.9
    reader_sd: float = 0.3
    case_sd: float = 0.7
    reader_case_sd: float = 0.3
    reader_condition_sd: float = 0.1
    case_condition_sd: float = 0.3
    noise_sd: float = 0.7

    def thresholds(self, points: int) -> NDArray[np.float64]:
        """Return the thresholds of a scale: shape (points - 1,), rising.

        A scale of more than 11 points covers what one of 5 points covers, more finely.
        """
        spread = self.spread if points <= _MANY_POINTS else self.spread * 3 / (points - 2)
        return spread * (np.arange(points - 1, dtype=np.float64) - (points - 2) / 2)

    def base(self, correctness: str) -> float:
        """Return the mean latent impression of cases of this class."""
        return self.true_positive if correctness == "true_positive" else self.false_positive

    def expected_rating(self, mean: float, *, shifted: bool, points: int) -> float:
        """Return the exact expected rating of a reader whose latent mean is ``mean``.

        Parameters
        ----------
        mean
            Latent mean, reader terms included.
        shifted
            Whether under the first condition of the contrast, where b_j adds variance.
        points
            Number of points of the scale.

        Returns
        -------
        float
            In [1, points].
        """
        variance = self.case_sd**2 + self.reader_case_sd**2 + self.noise_sd**2
        variance += self.case_condition_sd**2 if shifted else 0.0
        z = (mean - self.thresholds(points)) / np.sqrt(variance)
        return float(1 + stats.norm.cdf(z).sum())


@dataclass(frozen=True)
class SimulatedReaders:
    """The readers' own terms, held fixed.

    Parameters
    ----------
    intercepts
        u_i, one for each reader.
    condition_effects
        a_i, one for each reader.
    """

    intercepts: tuple[float, ...]
    condition_effects: tuple[float, ...]

    @classmethod
    def spread_evenly(cls, n_readers: int, model: RatingModel) -> SimulatedReaders:
        """Return readers at the quantiles of their distribution: the same in every study."""
        z = stats.norm.ppf((np.arange(n_readers) + 0.5) / n_readers)
        return cls(tuple(model.reader_sd * z), tuple(model.reader_condition_sd * np.roll(z, 1)))

    @classmethod
    def draw(cls, n_readers: int, model: RatingModel, rng: np.random.Generator) -> SimulatedReaders:
        """Draw readers at random."""
        u, a = rng.standard_normal((2, n_readers))
        return cls(tuple(model.reader_sd * u), tuple(model.reader_condition_sd * a))


def planted_difference(
    effect: PlantedEffect,
    readers: SimulatedReaders,
    *,
    model: RatingModel | None = None,
    correctness: str = "true_positive",
    points: int = 5,
) -> float:
    """Return the exact expected difference in rating, first minus second condition.

    Parameters
    ----------
    effect, readers, model
        What is planted, and in whom.
    correctness
        Class of the cases.
    points
        Number of points of the scale.

    Returns
    -------
    float
        Mean over these readers of the expectation over cases and noise, in points.
    """
    model = model or RatingModel()
    differences = []
    for u, a in zip(readers.intercepts, readers.condition_effects, strict=True):
        second = model.base(correctness) + u
        first = second + effect.shift(correctness) + a
        differences.append(
            model.expected_rating(first, shifted=True, points=points)
            - model.expected_rating(second, shifted=False, points=points)
        )
    return float(np.mean(differences))


def simulated_table(
    n_readers: int,
    n_cases: int,
    effect: PlantedEffect,
    *,
    rng: np.random.Generator,
    model: RatingModel | None = None,
    readers: SimulatedReaders | None = None,
    correctness: str = "true_positive",
    points: int = 5,
) -> pd.DataFrame:
    """Simulate the ratings of one item, every reader reading every case in both conditions.

    Parameters
    ----------
    n_readers, n_cases
        Size of the study.
    effect, model, readers
        What is planted; readers are spread evenly if not given.
    rng
        Source of randomness.
    correctness
        Class of all cases.
    points
        Number of points of the scale.

    Returns
    -------
    DataFrame
        Long table, n_readers × n_cases × 2 rows: study, reader, case_id, finding, condition
        (``"B"`` first, ``"A"`` second of the contrast), item, value, correctness, simulated.
    """
    model = model or RatingModel()
    readers = readers or SimulatedReaders.spread_evenly(n_readers, model)
    shape = (n_readers, n_cases)
    u = np.asarray(readers.intercepts)[:, None]  # (R, 1)
    a = np.asarray(readers.condition_effects)[:, None]  # (R, 1)
    v = model.case_sd * rng.standard_normal(n_cases)  # (C,)
    b = model.case_condition_sd * rng.standard_normal(n_cases)  # (C,)
    w = model.reader_case_sd * rng.standard_normal(shape)  # (R, C)
    noise = model.noise_sd * rng.standard_normal((2, *shape))  # (2, R, C)
    second = model.base(correctness) + u + v + w
    latent = np.stack([second + effect.shift(correctness) + a + b, second]) + noise  # (2, R, C)
    values = 1 + (latent[..., None] > model.thresholds(points)).sum(axis=-1)
    condition, reader, case = np.unravel_index(np.arange(values.size), values.shape)
    return pd.DataFrame(
        {
            "study": "simulated",
            "reader": np.char.add("R", (reader + 1).astype(str)),
            "case_id": np.char.add("C", (case + 1).astype(str)),
            "finding": "Finding",
            "condition": np.array(["B", "A"])[condition],
            "item": "confidence",
            "value": values.ravel().astype(np.float64),
            "correctness": correctness,
            "simulated": True,
        }
    )
