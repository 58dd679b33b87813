"""Means with intervals: patients are drawn, not films."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from explainers.evaluation.bench import COLUMNS
from explainers.evaluation.summary import (
    POOLED,
    SUMMARY_COLUMNS,
    patient_interval,
    share_interval,
    summarise,
)

RANDOM = np.random.default_rng(3)


def rows_of(values, finding="Mass", method="m", x=np.nan):
    made = [(case, finding, "c", method, "iou", x, value) for case, value in values.items()]
    return pd.DataFrame(made, columns=list(COLUMNS))


def test_copies_of_a_film_do_not_narrow_the_interval():
    values = RANDOM.random(12)
    once = patient_interval(values, np.arange(12))
    many = patient_interval(np.repeat(values, 30), np.repeat(np.arange(12), 30))
    assert many == pytest.approx(once)
    by_film = patient_interval(np.repeat(values, 30), np.arange(360))
    assert by_film[1] - by_film[0] < 0.3 * (once[1] - once[0])


def test_two_patients_give_their_own_means_as_the_interval():
    """Each is drawn twice with probability 1/4, so that the bounds are the two means."""
    low, high = patient_interval(np.array([0.0, 0.2, 1.0]), np.array([0, 0, 1]))
    assert (low, high) == pytest.approx((0.1, 1.0))


def test_the_interval_of_many_patients_is_the_normal_one():
    values = RANDOM.standard_normal(400)
    low, high = patient_interval(values, np.arange(400), n_resamples=4000)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_a_patient_with_more_films_weighs_more():
    values, patients = np.array([0.0, 0.0, 0.0, 1.0]), np.array([0, 0, 0, 1])
    drawn = [patient_interval(values, patients, n_resamples=1, seed=each)[0] for each in range(40)]
    assert set(np.round(drawn, 6)) == {0.0, 0.25, 1.0}


def test_one_patient_has_no_interval():
    table = summarise(rows_of({"a": 0.2, "b": 0.4}), {"a": "p", "b": "p"})
    row = table.iloc[0]
    assert (row["mean"], row["n_cases"], row["n_patients"]) == (pytest.approx(0.3), 2, 1)
    assert row["sd"] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert np.isnan(row["low"]) and np.isnan(row["high"])


def test_one_film_has_no_standard_deviation():
    row = summarise(rows_of({"a": 0.2}), {"a": "p"}).iloc[0]
    assert row["mean"] == 0.2 and np.isnan(row["sd"])


def test_findings_are_pooled_where_there_are_several():
    patients = {"a": "p", "b": "q"}
    both = pd.concat([rows_of({"a": 0.0}), rows_of({"a": 0.5, "b": 1.0}, "Effusion")])
    table = summarise(both, patients).set_index("finding")
    assert list(table.index) == ["Mass", "Effusion", POOLED]
    assert table.loc[POOLED, "mean"] == pytest.approx(0.5)
    assert table.loc[POOLED, "n_cases"] == 2 and table.loc[POOLED, "n_patients"] == 2
    assert list(summarise(rows_of({"a": 0.0}), patients)["finding"]) == ["Mass"]


def test_curves_keep_their_places_and_methods_their_rows():
    values = {"a": 0.0, "b": 1.0}
    every = [rows_of(values, x=0.1), rows_of(values, x=0.2), rows_of(values, method="n")]
    table = summarise(pd.concat(every), {"a": "p", "b": "q"})
    assert table["x"].tolist() == pytest.approx([0.1, 0.2, np.nan], nan_ok=True)
    assert table["method"].tolist() == ["m", "m", "n"]


def test_undefined_values_are_left_out_and_counted_out():
    row = summarise(rows_of({"a": 0.2, "b": np.nan, "c": np.inf}), dict.fromkeys("abc", "p"))
    assert row["n_cases"].tolist() == [1] and row["mean"].tolist() == [0.2]


def test_no_numbers_give_an_empty_table():
    empty = summarise(rows_of({"a": np.nan}), {"a": "p"})
    assert list(empty.columns) == SUMMARY_COLUMNS and not len(empty)


def test_the_seed_decides_the_interval():
    values, patients = RANDOM.random(9), np.arange(9)
    assert patient_interval(values, patients, seed=1) == patient_interval(values, patients, seed=1)
    assert patient_interval(values, patients, seed=1) != patient_interval(values, patients, seed=2)


def test_a_share_of_unrelated_images_has_the_interval_of_wilson_and_never_no_doubt():
    low, high = share_interval(np.repeat([1.0, 0.0], [9, 1]), np.arange(10))
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-3)  # Wilson 1927, 9 of 10
    assert share_interval(np.zeros(10), np.arange(10)) == pytest.approx((0, 0.2775), abs=1e-4)
    assert np.isnan(share_interval(np.ones(4), np.zeros(4, int))).all()


def test_images_that_repeat_their_patients_widen_the_interval_of_a_share():
    once = np.repeat([1.0, 0.0], [15, 5])
    single = share_interval(once, np.arange(20))
    repeated = share_interval(np.repeat(once, 4), np.repeat(np.arange(20), 4))
    assert repeated == pytest.approx(single, abs=0.02)
    assert np.diff(share_interval(np.repeat(once, 4), np.arange(80)))[0] < 0.6 * np.diff(single)[0]
