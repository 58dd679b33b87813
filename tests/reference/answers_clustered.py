"""Answers of the clustered signed-rank tests."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from study.analysis.clustered_rank import (
    cluster_sign_flip,
    datta_satten,
    rosner_glynn_lee,
    signed_rank_parts,
)
from study.analysis.estimate import Scope
from tests.reference.case import ReferenceCase

_SCOPE = Scope("these readers", "descriptive", 1, 1)


def answers(case: ReferenceCase) -> Mapping[str, object]:
    """Return the answers to the checks that are known here."""
    if not any(check.id.endswith("rgl_Z") for check in case.checks):
        return {}
    table = case.table()
    if {"reader", "case", "arm", "trust"} <= set(table.columns):
        wide = table.pivot(index=["reader", "case"], columns="arm", values="trust")
        pairs = (wide["B"] - wide["A"]).dropna()
        given: dict[str, object] = {}
        for name in ("case", "reader"):
            tests = _tests(pairs.to_numpy(float), pairs.index.get_level_values(name).to_numpy())
            given |= {f"by{name}_{check}": value for check, value in tests.items()}
        return given
    cluster, difference = table.columns[:2]
    complete = table.dropna()
    return _tests(complete[difference].to_numpy(float), complete[cluster].to_numpy())


def _tests(d: np.ndarray, clusters: np.ndarray) -> dict[str, object]:
    rgl, ds = rosner_glynn_lee(d, clusters), datta_satten(d, clusters)
    total, parts = signed_rank_parts(d, clusters)
    given: dict[str, object] = {
        "n_obs": rgl.n,
        "n_clusters": rgl.n_clusters,
        "n_zero": rgl.n_zero,
        "rgl_Z": rgl.z,
        "rgl_formula": rgl.weighting,
        "rgl_T": rgl.statistic,
        "rgl_VarT": rgl.variance,
        "ds_Z": ds.z,
        "ds_T": ds.statistic,
        "signed_rank_sum_T_unweighted": total,
        "simple_clusterrobust_Z": total / math.sqrt(float(parts @ parts)),
        "cluster_signflip_exact_p": cluster_sign_flip(d, clusters, _SCOPE, cluster="case").p_value,
    }
    for name, side in (("two.sided", "two-sided"), ("greater", "greater"), ("less", "less")):
        given[f"rgl_p_{name}"] = rgl.p_value(side)  # type: ignore[arg-type]
        given[f"ds_p_{name}"] = ds.p_value(side)  # type: ignore[arg-type]
    return given
