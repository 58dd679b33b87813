"""From long rows to means with intervals: the bootstrap draws patients, not films."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

POOLED = "all"
"""Name under which all findings of a case set are pooled."""

GROUP = ["classifier", "finding", "method", "quantity", "x"]
SUMMARY_COLUMNS = [*GROUP, "mean", "sd", "low", "high", "n_cases", "n_patients"]


def summarise(
    rows: pd.DataFrame, patients: Mapping[str, str], *, n_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Mean, standard deviation and 95 % interval of every quantity, per finding and pooled.

    Parameters
    ----------
    rows
        Long rows of a bench; values that are NaN are left out.
    patients
        Case to patient.
    n_resamples, seed
        Of the percentile bootstrap, which draws patients with replacement.

    Returns
    -------
    DataFrame
        Columns :data:`SUMMARY_COLUMNS`; the interval is NaN with a single patient.
    """
    known = rows[np.isfinite(rows["value"])]
    parts = [known]
    if known["finding"].nunique() > 1:
        parts.append(known.assign(finding=POOLED))
    if not len(known):
        return pd.DataFrame(columns=SUMMARY_COLUMNS)
    every = pd.concat(parts, ignore_index=True)
    every["patient"] = every["case_id"].map(patients)
    found = []
    for key, group in every.groupby(GROUP, dropna=False, sort=False):
        values = group["value"].to_numpy(float)
        codes = pd.factorize(group["patient"])[0]
        low, high = patient_interval(values, codes, n_resamples=n_resamples, seed=seed)
        sd = float(values.std(ddof=1)) if len(values) > 1 else np.nan
        n_patients = int(codes.max()) + 1
        found.append((*key, values.mean(), sd, low, high, group["case_id"].nunique(), n_patients))
    return pd.DataFrame(found, columns=SUMMARY_COLUMNS)


def patient_interval(
    values: NDArray[np.floating],
    patients: NDArray[np.integer],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % percentile interval of the mean of ``values`` (N,) when patients are drawn anew.

    Parameters
    ----------
    patients
        (N,), 0 … P − 1.
    """
    n_patients = int(patients.max()) + 1
    if n_patients < 2:
        return float("nan"), float("nan")
    sums = np.bincount(patients, values, n_patients)
    counts = np.bincount(patients, minlength=n_patients)
    drawn = np.random.default_rng(seed).integers(0, n_patients, (n_resamples, n_patients))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def share_interval(
    hits: NDArray[np.floating], patients: NDArray[np.integer]
) -> tuple[float, float]:
    """95 % interval of a share: Wilson 1927 with as many trials as the patients are worth.

    The variance between patients says how many independent trials the images stand for (Korn &
    Graubard 1998 do so for the exact interval), at most as many as there are images, and as many
    as patients where all images agree: a bootstrap would then claim that there is no doubt.

    Parameters
    ----------
    hits
        (N,), 0 or 1.
    patients
        (N,), 0 … P − 1.
    """
    n_patients = int(patients.max()) + 1
    if n_patients < 2:
        return float("nan"), float("nan")
    share, n = float(np.mean(hits)), float(n_patients)
    if 0 < share < 1:
        sums = np.bincount(patients, hits - share, n_patients)
        variance = float(sums @ sums) / len(hits) ** 2
        n = share * (1 - share) / max(variance, share * (1 - share) / len(hits))
    z = float(norm.ppf(0.975))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return float(max(centre - reach, 0.0)), float(min(centre + reach, 1.0))
