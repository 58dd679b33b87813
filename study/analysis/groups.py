"""Rows that belong together: numbered, and averaged."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


def group_codes(*labels: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """Number the combinations of labels from 0 in order of appearance.

    Parameters
    ----------
    labels
        One or more arrays of shape (n,).

    Returns
    -------
    tuple
        The number of each row's group, shape (n,), and the number of groups.
    """
    codes = pd.factorize(np.asarray(labels[0]))[0]
    for more in labels[1:]:
        further, names = pd.factorize(np.asarray(more))
        codes = pd.factorize(codes * len(names) + further)[0]
    return codes, int(codes.max()) + 1 if len(codes) else 0


def group_means(values: ArrayLike, codes: NDArray[np.intp], n_groups: int) -> NDArray[np.float64]:
    """Return the mean of the values of each group, shape (groups,)."""
    totals = np.bincount(codes, np.asarray(values, dtype=float), n_groups)
    return totals / np.bincount(codes, minlength=n_groups)
