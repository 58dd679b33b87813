"""Studies that never took place: a generator for calibration and planning.

The latent impression of reader j of case k under condition i is that of Roe and Metz (Acad Radiol
1997;4:298), put on a rating scale by cut points:

y_ijk = ±δ/2 + R_j + C_k + (RC)_jk + (τR)_ij + (τC)_ik + E_ijk  (+ period),

every term normal and independent, + under the first condition of the contrast; the rating is one
more than the number of cut points below y. Under δ = 0 the conditions can be exchanged, so the
differences are symmetric about 0 in the population of readers *and* cases. A test that speaks for
the readers at hand, or for the cases at hand, has another null: :data:`Held` makes it exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from study.analysis.estimate import AnalysisError

Array = NDArray[np.float64]
Ratings = NDArray[np.float32]
Held = Literal["nothing", "readers", "cases"]
"""Whose drawn terms are held fixed by the null: ``readers``: no effect in the mean rating of the
readers drawn, over cases like these; ``cases``: none in that of the cases drawn, over readers like
these; ``nothing``: none over readers and cases like these."""

CONTRAST = ("B", "A")
ITEM = "rating"
LARGEST = 50_000_000
"""Ratings up to which a batch of studies is drawn."""


@dataclass(frozen=True)
class StudyModel:
    """How a population of readers rates a population of cases, in units of the latent scale.

    Parameters
    ----------
    effect
        δ, first minus second condition.
    cuts
        Rising cut points between the ratings 1 … J.
    reader_sd, case_sd, reader_case_sd
        Standard deviations of R, C and RC.
    reader_condition_sd
        Standard deviation over readers of a reader's own effect: √2 times that of τR. It sets the
        floor that no number of cases can beat.
    case_condition_sd
        The same over cases.
    residual_sd
        Standard deviation of E, one term for each rating.
    period
        Shift of ratings in the second session; either condition comes first for half of the cases.
    missing
        Share of ratings that are missing at random.
    separation
        For studies of accuracy: latent distance between cases with and without the target
        condition, under the second condition; ``None``: one class of cases. With two classes half
        of the cases belong to either, and δ widens the distance instead of moving every rating.
    source
        Where the numbers come from.

    Raises
    ------
    AnalysisError
        If a number is not finite or out of range, or the cut points do not rise.
    """

    effect: float = 0.0
    cuts: tuple[float, ...] = (-1.2, -0.4, 0.4, 1.2)
    reader_sd: float = 0.3
    case_sd: float = 0.6
    reader_case_sd: float = 0.3
    reader_condition_sd: float = 0.2
    case_condition_sd: float = 0.2
    residual_sd: float = 0.6
    period: float = 0.0
    missing: float = 0.0
    separation: float | None = None
    source: str = "plain numbers for a five-point scale"

    def __post_init__(self) -> None:
        spreads = {
            "reader_sd": self.reader_sd,
            "case_sd": self.case_sd,
            "reader_case_sd": self.reader_case_sd,
            "reader_condition_sd": self.reader_condition_sd,
            "case_condition_sd": self.case_condition_sd,
            "residual_sd": self.residual_sd,
        }
        for name, value in spreads.items():
            if not (math.isfinite(value) and value >= 0):
                raise AnalysisError(f"{name} is {value}; expected a standard deviation, 0 or more.")
        if self.residual_sd == 0:
            raise AnalysisError("residual_sd is 0; ratings of a person are never without noise.")
        for name, value in {"effect": self.effect, "period": self.period}.items():
            if not math.isfinite(value):
                raise AnalysisError(f"{name} is {value}; expected a number of latent units.")
        if not 0 <= self.missing < 1:
            raise AnalysisError(f"missing is {self.missing}; expected a share from 0 to below 1.")
        if self.separation is not None and not math.isfinite(self.separation):
            raise AnalysisError(f"separation is {self.separation}; expected a number or None.")
        rising = all(a < b for a, b in zip(self.cuts, self.cuts[1:], strict=False))
        if not self.cuts or not rising or not all(math.isfinite(c) for c in self.cuts):
            raise AnalysisError(f"The cut points {self.cuts} do not rise; expected J − 1 in order.")

    @property
    def points(self) -> int:
        """Ratings run from 1 to this."""
        return len(self.cuts) + 1

    @property
    def marginal_sd(self) -> float:
        """Standard deviation of the latent impression under one condition."""
        return math.sqrt(
            self.reader_sd**2
            + self.case_sd**2
            + self.reader_case_sd**2
            + self.reader_condition_sd**2 / 2
            + self.case_condition_sd**2 / 2
            + self.residual_sd**2
        )

    def expected_difference(self) -> float:
        """Return the mean difference of the ratings, in points, over readers and cases."""
        places = np.array([self.effect / 2, -self.effect / 2])[:, None] - np.array(self.cuts)
        first, second = stats.norm.cdf(places / self.marginal_sd).sum(axis=1)
        return float(first - second)


PUBLISHED_CONFIDENCE = StudyModel(
    effect=0.2,
    cuts=(-1.64, -1.15, -0.86, -0.36),
    reader_sd=0.15,
    case_sd=0.77,
    reader_case_sd=0.44,
    reader_condition_sd=0.19,
    case_condition_sd=0.24,
    residual_sd=0.41,
    source=(
        "confidence in true positives, two readers of 120 cases in two conditions (Cohen et al., "
        "arXiv 2102.09475): cut points from the marginal shares, variances from polychoric "
        "correlations within and between readers and conditions, the reader's own effect from the "
        "difference between the two readers' gains (0.04 and 0.37); two readers hardly fix it"
    ),
)
"""The endpoint whose published p-value pooled two readers; most ratings are 5."""

PUBLISHED_FEATURE = StudyModel(
    effect=0.5,
    cuts=(-1.16, -0.56, 0.11, 0.86),
    reader_sd=0.15,
    case_sd=0.68,
    reader_case_sd=0.17,
    reader_condition_sd=0.1,
    case_condition_sd=0.66,
    residual_sd=0.5,
    source=(
        "correct feature in true positives of the same study; readers agree on which cases gain, "
        "so the effect varies over cases and little over readers"
    ),
)
"""The second item of the published study."""

TYPICAL = StudyModel(
    effect=0.3,
    source=(
        "round numbers between the two items of the published study, the readers' own effects as "
        "variable as the cases'"
    ),
)
"""A start where nothing is known."""

ACCURACY = StudyModel(
    effect=0.4,
    cuts=(-0.6, 0.1, 0.8, 1.5),
    reader_sd=0.25,
    case_sd=0.55,
    reader_case_sd=0.45,
    reader_condition_sd=0.15,
    case_condition_sd=0.45,
    residual_sd=0.6,
    separation=1.5,
    source="components of the size tabulated by Roe and Metz (1997), AUC about 0.85",
)
"""Confidence as a score that separates true from false positives."""

PRESETS: tuple[tuple[str, StudyModel], ...] = (
    ("published: confidence", PUBLISHED_CONFIDENCE),
    ("published: correct feature", PUBLISHED_FEATURE),
    ("typical five-point item", TYPICAL),
)
"""Names and models offered where a person chooses."""


@dataclass(frozen=True, eq=False)
class Studies:
    """A batch of simulated studies.

    Parameters
    ----------
    ratings
        Shape (S, 2, R, C): study, condition (first of the contrast first), reader, case; from 1 to
        J, nan where missing.
    second_session
        Shape (2, R, C): whether the reading belongs to the second session.
    positive
        Shape (C,): whether the case has the target condition; all true for one class of cases.
    """

    ratings: Ratings
    second_session: NDArray[np.bool_]
    positive: NDArray[np.bool_]

    @property
    def differences(self) -> Ratings:
        """Paired differences, first minus second condition, shape (S, R, C); nan where missing."""
        return self.ratings[:, 0] - self.ratings[:, 1]

    def table(self, study: int) -> pd.DataFrame:
        """Return one study as canonical ratings (:class:`study.analysis.columns.Ratings`).

        Parameters
        ----------
        study
            Its number in the batch, from 0.
        """
        values = self.ratings[study]
        condition, reader, case = np.unravel_index(np.arange(values.size), values.shape)
        table = pd.DataFrame(
            {
                "reader": np.char.add("R", (reader + 1).astype(str)),
                "case_id": np.char.add("C", (case + 1).astype(str)),
                "finding": "Finding",
                "condition": np.array(CONTRAST)[condition],
                "session": np.where(self.second_session.ravel(), "2", "1"),
                "correctness": np.where(self.positive, "true_positive", "false_positive")[case],
                "item": ITEM,
                "value": values.ravel().astype(float),
                "simulated": True,
            }
        )
        return table[table["value"].notna()].reset_index(drop=True)


def simulate_studies(
    model: StudyModel,
    n_readers: int,
    n_cases: int,
    n_studies: int,
    rng: np.random.Generator,
    *,
    held: Held = "nothing",
) -> Studies:
    """Simulate studies in which every reader reads every case under both conditions.

    Parameters
    ----------
    model
        The populations.
    n_readers, n_cases, n_studies
        Sizes R, C and S.
    rng
        Source of randomness.
    held
        With ``readers`` or ``cases`` the effect in points, over the ones drawn, is made exactly
        what the model's is over all of them (0 under no effect).

    Raises
    ------
    AnalysisError
        If there are fewer than one reader or two cases, too many ratings at once, or two classes
        of cases are to be held.
    """
    _check_size(model, n_readers, n_cases, n_studies, held)
    S, R, C = n_studies, n_readers, n_cases

    def draw(sd: float, *shape: int) -> Array:
        return sd * rng.standard_normal(shape)

    by_reader = draw(model.reader_sd, S, 1, R) + draw(model.reader_condition_sd, S, 2, R) / _ROOT
    by_case = draw(model.case_sd, S, 1, C) + draw(model.case_condition_sd, S, 2, C) / _ROOT
    sign = np.array([0.5, -0.5])[:, None]
    if model.separation is None:
        positive = np.ones(C, bool)
        by_case = by_case + sign * model.effect
    else:
        positive = np.arange(C) % 2 == 0
        distance = model.separation + np.array([model.effect, 0.0])[:, None]
        by_case = by_case + distance * positive
    if held == "readers":
        by_reader = by_reader + sign * _missing_shift(model, by_reader, held)[:, None, None]
    elif held == "cases":
        by_case = by_case + sign * _missing_shift(model, by_case, held)[:, None, None]
    latent = by_reader[:, :, :, None] + by_case[:, :, None, :]
    latent += draw(model.reader_case_sd, S, 1, R, C)
    latent += draw(model.residual_sd, S, 2, R, C)
    condition, reader, case = np.indices((2, R, C))
    second = (condition + reader + case // (2 if model.separation is not None else 1)) % 2 == 1
    latent += model.period * second
    ratings = (1 + np.searchsorted(model.cuts, latent)).astype(np.float32)
    if model.missing:
        ratings[rng.random(ratings.shape) < model.missing] = np.nan
    return Studies(ratings, second, positive)


_ROOT = math.sqrt(2)


def _missing_shift(model: StudyModel, terms: Array, held: Held) -> Array:
    """Return what must be added to δ so that the drawn ones show the model's effect in points.

    The expected rating given the drawn terms is 1 + Σ Φ((terms − cut) / sd), sd of everything that
    is not drawn; solved by secant steps for all studies at once.

    Parameters
    ----------
    model
        The populations.
    terms
        Shape (S, 2, n), latent means of the readers or cases drawn, the effect not yet in those of
        readers.
    held
        Which.
    """
    wanted = model.expected_difference()
    others = (
        model.case_sd**2 + model.case_condition_sd**2 / 2
        if held == "readers"
        else model.reader_sd**2 + model.reader_condition_sd**2 / 2
    )
    sd = math.sqrt(others + model.reader_case_sd**2 + model.residual_sd**2)
    base = model.effect if held == "readers" else 0.0
    cuts = np.array(model.cuts)

    def reached(shift: Array) -> Array:
        moved = terms + np.array([0.5, -0.5])[:, None] * (base + shift)[:, None, None]
        levels = special.ndtr((moved[..., None] - cuts) / sd).sum(axis=-1).mean(axis=-1)
        return np.asarray(levels[:, 0] - levels[:, 1] - wanted)

    old = np.zeros(len(terms))
    at_old = reached(old)
    slope = np.maximum(reached(old + 0.1) - at_old, 1e-6) / 0.1
    for _ in range(6):
        new = old - at_old / slope
        at_new = reached(new)
        moved = np.abs(new - old) > 1e-9
        slope = np.where(moved, (at_new - at_old) / np.where(moved, new - old, 1.0), slope)
        slope = np.maximum(slope, 1e-3)
        old, at_old = new, at_new
    return old


def _check_size(
    model: StudyModel, n_readers: int, n_cases: int, n_studies: int, held: Held
) -> None:
    if n_readers < 1 or n_cases < 2 or n_studies < 1:
        raise AnalysisError(
            f"{n_studies} studies of {n_readers} readers and {n_cases} cases cannot be simulated; "
            "expected at least one study, one reader and two cases."
        )
    n_ratings = 2 * n_readers * n_cases * n_studies
    if n_ratings > LARGEST:
        raise AnalysisError(
            f"{n_ratings:,} ratings at once are too many; simulate in batches of up to {LARGEST:,}."
        )
    if held != "nothing" and model.separation is not None:
        raise AnalysisError(
            "Readers or cases can be held only where cases form one class; leave separation out."
        )
