"""Every analysis of the design on every kind of poor table: numbers with reasons, or a sentence."""

import math
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest

from study.analysis.design.calls import compare_calls
from study.analysis.design.discrimination import discrimination
from study.analysis.design.missing import missingness
from study.analysis.design.per_reader import per_reader
from study.analysis.design.period import design_effects
from study.analysis.design.primary import Declaration, primary_endpoint
from study.analysis.design.probability import against_probability
from study.analysis.design.rates import false_positive_rates
from study.analysis.design.reliance import reliance
from study.analysis.design.sham import beyond_placebo
from study.analysis.design.timing import reading_times
from study.analysis.estimate import AnalysisError, Estimate
from tests.support.simulated_readings import crossover

ITEM, CONTRAST = "confidence", ("B", "A")

ANALYSES = {
    "primary": lambda f: primary_endpoint(f, Declaration(ITEM, CONTRAST), mixed_models=False),
    "primary, models": lambda f: primary_endpoint(
        f,
        Declaration(
            ITEM, CONTRAST, population="readers like them", method="linear_mixed_model", margin=1.0
        ),
    ),
    "per reader": lambda f: per_reader(f, Declaration(ITEM, CONTRAST)),
    "period": lambda f: design_effects(f, ITEM, CONTRAST, ordinal=False),
    "timing": lambda f: reading_times(f, CONTRAST, pause_minutes=5),
    "missing": lambda f: missingness(f, ITEM, contrast=CONTRAST, subset="true_positive"),
    "reliance": lambda f: reliance(f, ITEM, unaided="A", aided="B", threshold=3),
    "probability": lambda f: against_probability(f, ITEM, CONTRAST),
    "discrimination": lambda f: discrimination(f, ITEM, CONTRAST, margin=0.1),
    "calls": lambda f: compare_calls(f, ITEM, CONTRAST, threshold=3, margin=0.1),
    "rates": lambda f: false_positive_rates(
        f, CONTRAST, count="value", margin_ratio=1.25, margin_difference=0.5
    ),
    "sham": lambda f: beyond_placebo(f, ITEM, explanation="B", sham="A"),
}


def likert(frame):
    return frame.assign(value=np.clip(np.rint(frame["value"] / 100 - 2), 1, 5))


def holes(frame):
    frame = frame.copy()
    frame.loc[frame.index[::3], "value"] = np.nan
    return frame


TABLES = {
    "one reader": lambda f: f[f["reader"] == "r1"],
    "one case": lambda f: f[f["case_id"] == "c001"],
    "two cases of two readers": lambda f: f[
        f["case_id"].isin(["c001", "c002"]) & f["reader"].isin(["r1", "r2"])
    ],
    "one reading": lambda f: f.iloc[:1],
    "all differences zero": lambda f: f.assign(
        value=f.groupby(["reader", "case_id"])["value"].transform("first")
    ),
    "a constant rater": lambda f: f.assign(value=f["value"].where(f["reader"] != "r1", 3.0)),
    "everybody constant": lambda f: f.assign(value=3.0),
    "all zero": lambda f: f.assign(value=0.0),
    "one class": lambda f: f.assign(correctness="true_positive"),
    "no correctness": lambda f: f.assign(correctness="(not given)"),
    "an empty condition": lambda f: f[f["condition"] == "A"],
    "missing cells": holes,
    "nothing rated": lambda f: f.assign(value=np.nan),
    "duplicates": lambda f: pd.concat([f, f.iloc[:3]], ignore_index=True),
    "no rows": lambda f: f.iloc[:0],
    "groups of readers": lambda f: f[f["reader"].isin(["r1", "r2"]) == (f["condition"] == "A")],
    "one session": lambda f: f.assign(session="1"),
    "no session, position, probability or time": lambda f: f.drop(
        columns=["session", "position", "probability", "reading_time_s"]
    ),
}


def estimates_in(result):
    """Yield every estimate of a record of results."""
    if isinstance(result, Estimate):
        yield result
    elif is_dataclass(result):
        for field in fields(result):
            yield from estimates_in(getattr(result, field.name))
    elif isinstance(result, tuple | list):
        for each in result:
            yield from estimates_in(each)


@pytest.fixture(scope="module")
def good():
    return likert(crossover(4, 8, effect=30.0, noise=80.0))


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize("analysis", sorted(ANALYSES))
def test_a_poor_table_gives_a_sentence_or_numbers_with_reasons(analysis, table, good):
    frame = TABLES[table](good)
    try:
        result = ANALYSES[analysis](frame)
    except AnalysisError as problem:
        text = str(problem)
        assert text.rstrip().endswith((".", ")"))
        assert "\n" not in text
        return
    for estimate in estimates_in(result):
        assert estimate.value is not None or len(estimate.note) > 10
        if estimate.value is not None and estimate.ci is None and estimate.p_value is None:
            assert estimate.note or "R²" in estimate.quantity
        for number in (estimate.value, estimate.p_value, estimate.df):
            assert number is None or not math.isnan(number)


def test_duplicates_are_refused_by_every_analysis(good):
    frame = TABLES["duplicates"](good)
    refused = []
    for name, analyse in ANALYSES.items():
        try:
            analyse(frame)
        except AnalysisError:
            refused.append(name)
    # Rows that say the same time twice do no harm; a missing one is missing once.
    assert set(ANALYSES) - set(refused) <= {"timing", "missing"}
