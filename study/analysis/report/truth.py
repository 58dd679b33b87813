"""The ratings of one item with the reference standard of their cases, one row per reading."""

from __future__ import annotations

import numpy as np
import pandas as pd

_PRESENT = ("true_positive", "false_negative")
_ABSENT = ("false_positive", "true_negative")


def with_truth(frame: pd.DataFrame, item: str) -> pd.DataFrame:
    """Return the rated readings of ``item`` whose reference standard is known.

    Parameters
    ----------
    frame
        Canonical ratings; the truth is taken from ``correctness``, and where that is not given
        from ``reference``.
    item
        The item.

    Returns
    -------
    DataFrame
        The rows with ``truth`` (1 finding present, 0 absent) and ``unit``, the case with its
        finding, which is what was read; of repeated readings the first session stays.
    """
    rated = frame[(frame["item"] == item) & frame["value"].notna()]
    truth = np.select(
        [rated["correctness"].isin(_PRESENT), rated["correctness"].isin(_ABSENT)], [1.0, 0.0],
        default=np.nan,
    )  # fmt: skip
    if "reference" in rated:
        truth = np.where(np.isnan(truth), rated["reference"].to_numpy(float), truth)
    unit = rated["case_id"].astype(str) + " · " + rated["finding"].astype(str)
    known = rated.assign(truth=truth, unit=unit)
    known = known[known["truth"].isin((0.0, 1.0))]
    if "session" in known:
        known = known.sort_values("session", kind="stable")
    return known.drop_duplicates(["reader", "unit", "condition"])
