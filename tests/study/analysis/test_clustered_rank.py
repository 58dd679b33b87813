"""Clustered signed-rank tests against enumeration, each other, and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from study.analysis.clustered_rank import (
    cluster_sign_flip,
    datta_satten,
    rosner_glynn_lee,
    signed_rank_parts,
)
from study.analysis.estimate import AnalysisError, Scope

SCOPE = Scope("readers like them", "descriptive", 5, 8)


def _clustered(seed, sizes, shift=0.0):
    dice = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    values = dice.normal(size=len(sizes))[clusters] + dice.normal(size=len(clusters)) + shift
    return np.round(values, 2), clusters


def test_clusters_of_one_size_give_the_balanced_statistic():
    d, clusters = _clustered(0, [3] * 12)
    test = rosner_glynn_lee(d, clusters)
    total, parts = signed_rank_parts(d, clusters)
    assert test.weighting == "balanced"
    assert (test.statistic, test.variance) == pytest.approx((total, float(parts @ parts)))


def test_a_zero_makes_the_clusters_unbalanced():
    d, clusters = _clustered(0, [3] * 12)
    d[4] = 0
    test = rosner_glynn_lee(d, clusters)
    assert test.weighting == "unbalanced (ICC-weighted)"
    assert (test.n, test.n_zero, test.n_clusters) == (36, 1, 12)


def test_clusters_of_one_make_the_ordinary_signed_rank_test():
    d, _ = _clustered(2, [1] * 40)
    test = rosner_glynn_lee(d, np.arange(40))
    ranks = stats.rankdata(np.abs(d))
    z = (np.sign(d) @ ranks) / np.sqrt(ranks @ ranks)
    assert test.z == pytest.approx(z)
    assert datta_satten(d, np.arange(40)).z == pytest.approx(z, rel=0.05)


@pytest.mark.parametrize("form", [rosner_glynn_lee, datta_satten])
def test_exchanged_conditions_and_other_names_change_only_the_sign(form):
    d, clusters = _clustered(3, [2, 5, 1, 4, 3, 2, 2, 6])
    order = np.random.default_rng(0).permutation(len(d))
    names = np.array(list("hgfedcba"))[clusters]
    test, other = form(d, clusters), form(-d[order], names[order])
    assert other.z == pytest.approx(-test.z)
    assert other.p_value("greater") == pytest.approx(test.p_value("less"))


def test_the_sign_flip_p_value_is_the_share_of_all_patterns():
    d, clusters = _clustered(4, [2, 5, 1, 4, 3], shift=0.8)
    total, parts = signed_rank_parts(d, clusters)
    sums = [np.dot(parts, signs) for signs in itertools.product((-1, 1), repeat=5)]
    estimate = cluster_sign_flip(d, clusters, SCOPE, cluster="reader")
    assert estimate.value == total
    assert estimate.p_value == pytest.approx(np.mean(np.abs(sums) >= abs(total) - 1e-9))
    assert "no p-value below 0.0625" in estimate.note


def test_many_large_clusters_are_flipped_at_random_and_agree_with_the_normal():
    d, clusters = _clustered(5, [40] * 200, shift=0.15)
    estimate = cluster_sign_flip(np.round(d, 9), clusters, SCOPE, cluster="case")
    assert "random patterns" in estimate.method
    assert estimate.p_value == pytest.approx(rosner_glynn_lee(d, clusters).p_value(), abs=0.02)


def test_under_no_effect_the_tests_keep_their_level():
    rejected = np.zeros(2)
    for seed in range(400):
        d, clusters = _clustered(seed, [3, 4, 5, 2, 6] * 6)
        rejected += [
            rosner_glynn_lee(d, clusters).p_value() < 0.05,
            datta_satten(d, clusters).p_value() < 0.05,
        ]
    assert (rejected / 400 < 0.085).all() and (rejected / 400 > 0.02).all()


@pytest.mark.parametrize("form", [rosner_glynn_lee, datta_satten])
def test_what_cannot_be_tested_is_said(form):
    with pytest.raises(AnalysisError, match="one cluster"):
        form([1.0, 2.0], ["a", "a"])
    with pytest.raises(AnalysisError, match="All 2 differences are 0"):
        form([0.0, 0.0], ["a", "b"])
    assert cluster_sign_flip([0, 0], ["a", "b"], SCOPE, cluster="case").value is None
