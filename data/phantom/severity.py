"""A continuous severity of heart failure and a simulated log-BNP for simulated films.

Seah et al. regress the logarithm of B-type natriuretic peptide (BNP) from chest films. Simulated
patients have no blood; here what a film shows of heart failure drives a number with the same scale
and threshold. **Every value is simulated and says nothing about a laboratory result.**

    severity  s = 0.40 · heart + 0.35 · congestion + 0.25 · effusion             (0 to about 1)
    ln BNP      = 2.9 + 7 · s + 0.7 · e,  e ~ N(0, 1) from the film's own seed   (BNP in ng/L)
    target      = ln(BNP) / 10, so that the threshold of 100 ng/L is 0.4605 and 10 ng/L 0.2303

``heart`` is the cardiothoracic ratio as drawn, 0 at 0.42 and 1 at 0.62, between 0 and 1.2. The
constants are chosen, not fitted to patients: on the simulator's ordinary population about two in
five films lie above the threshold, the median is near 70 ng/L and the 95th percentile near
700 ng/L. The noise stands for everything that a film does not show; because of it nobody who
knows s exactly does better than an area under the ROC curve of about 0.91.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from data.phantom.parameters import FilmParameters

THRESHOLD_NG_L = 100.0
"""BNP above which heart failure is likely (Seah et al.)."""

CUTOFF_NG_L = 10.0
"""BNP at which the paper's search for a healthy film stops."""

NOISE_SD = 0.7
"""Standard deviation of ln BNP that no film shows."""

INTERCEPT, SLOPE = 2.9, 7.0
HEART_WEIGHT, CONGESTION_WEIGHT, EFFUSION_WEIGHT = 0.40, 0.35, 0.25
HEART_START, HEART_SPAN, HEART_LIMIT = 0.42, 0.20, 1.2

_STREAM = 0xB29  # sets this noise apart from the film's own


@dataclass(frozen=True)
class HeartFailure:
    """What the simulator says about one film; simulated, every one of them.

    Parameters
    ----------
    severity
        s, from 0 to about 1: what the film shows.
    log_bnp
        Natural logarithm of the simulated BNP in ng/L, noise included.
    """

    severity: float
    log_bnp: float

    @property
    def bnp_ng_l(self) -> float:
        """Simulated BNP in ng/L."""
        return math.exp(self.log_bnp)

    @property
    def target(self) -> float:
        """ln(BNP)/10, what a regressor learns."""
        return self.log_bnp / 10

    @property
    def is_positive(self) -> bool:
        """Whether the simulated BNP is above 100 ng/L."""
        return self.log_bnp > math.log(THRESHOLD_NG_L)


def target_of(bnp_ng_l: float) -> float:
    """ln(BNP)/10 of a BNP in ng/L: 0.4605 of 100, 0.2303 of 10.

    Raises
    ------
    ValueError
        If the BNP is not above 0.
    """
    if not bnp_ng_l > 0:
        raise ValueError(f"A BNP is above 0 ng/L; got {bnp_ng_l}.")
    return math.log(bnp_ng_l) / 10


def heart_failure_severity(parameters: FilmParameters) -> float:
    """s, the part of heart failure that the film shows; see the module's formula."""
    excess = (parameters.heart_ratio - HEART_START) / HEART_SPAN
    heart = min(max(excess, 0.0), HEART_LIMIT)
    return (
        HEART_WEIGHT * heart
        + CONGESTION_WEIGHT * parameters.congestion
        + EFFUSION_WEIGHT * parameters.effusion_severity
    )


def simulate_heart_failure(parameters: FilmParameters) -> HeartFailure:
    """Severity and simulated log-BNP of a film.

    The noise derives from ``film_seed`` alone: a film and its counterfactual without a finding
    share it, so that their difference is what the finding contributes.
    """
    severity = heart_failure_severity(parameters)
    noise = np.random.default_rng([parameters.film_seed, _STREAM]).normal()
    return HeartFailure(severity, INTERCEPT + SLOPE * severity + NOISE_SD * float(noise))
