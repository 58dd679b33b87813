"""Answers of DeLong's comparison of two scores, for :mod:`tests.reference.answers_mrmc`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from study.analysis.roc import DeLong, compare_aucs, delong


def score_delong(table: pd.DataFrame, asked: Mapping[str, str]) -> dict[str, object]:
    """Answer ``<score>_<score>_<what>``: two columns of a wide table."""
    if "truth" not in table.columns:
        return {}
    names = [str(name) for name in table.columns if name != "truth"]
    given: dict[str, object] = {}
    for first in names:
        for second in names:
            prefix = f"{first}_{second}_"
            wanted = [name for name in asked if name.startswith(prefix)]
            if wanted:
                made = delong([table[first], table[second]], table["truth"])
                given |= {name: delong_answer(made, name.removeprefix(prefix)) for name in wanted}
    listed = re.findall(r"\w+", asked.get("published_auc", ""))
    ordered = [name for name in listed if name in names]
    if ordered:
        aucs = delong([table[name] for name in ordered], table["truth"]).aucs
        given["published_auc"] = list(aucs)
    return given


def delong_answer(made: DeLong, what: str) -> Any:
    """Return one of the answers about two scores; ``None`` for an unknown one."""
    compared = compare_aucs(made)
    if what == "auc":
        return list(made.aucs)
    if what == "var":
        return list(np.diag(made.covariance))
    if what == "cov":
        return made.covariance[0, 1]
    if what == "delong_Z_p":
        return {"Z": compared.z, "p": compared.p_value}
    if what == "diff_CI95":
        return [compared.difference, compared.standard_error, *compared.ci]
    if what == "ci_auc1":
        reach = stats.norm.ppf(0.975) * np.sqrt(made.covariance[0, 0])
        auc = made.aucs[0]
        return [max(0.0, auc - reach), auc, min(1.0, auc + reach)]
    return None
