"""The analyses of the design on the published ratings, and on the reference cases."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import pandas as pd
import pytest

from study.analysis.columns import canonicalise
from study.analysis.design.discrimination import discrimination
from study.analysis.design.iou import iou_relations
from study.analysis.design.missing import missingness
from study.analysis.design.per_reader import per_reader
from study.analysis.design.period import design_effects
from study.analysis.design.primary import Declaration, primary_endpoint
from study.analysis.design.probability import against_probability
from study.analysis.design.rates import false_positive_rates
from study.analysis.design.reliance import reliance
from study.analysis.design.timing import reading_times
from study.analysis.estimate import AnalysisError, Estimate

REFERENCE = Path(__file__).resolve().parents[5] / "shared" / "reference"
PUBLISHED = REFERENCE / "gifsplanation"
STUDY = REFERENCE / "statistics" / "study1.csv"
DESIGN = REFERENCE / "statistics" / "I1_study1_design.json"
CONTRAST = ("B", "A")
KINDS = {"TP": "true_positive", "FP": "false_positive"}

needs_published = pytest.mark.skipif(
    not (PUBLISHED / "expected.json").is_file(),
    reason="needs the published ratings in ../shared/reference/gifsplanation",
)
needs_study = pytest.mark.skipif(
    not DESIGN.is_file(), reason="needs the reference cases in ../shared/reference/statistics"
)


@pytest.fixture(scope="module")
def published():
    return canonicalise(pd.read_csv(PUBLISHED / "reader_study.csv"))


@pytest.fixture(scope="module")
def expected():
    return json.loads((PUBLISHED / "expected.json").read_text(encoding="utf-8"))


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


@needs_published
def test_areas_of_true_against_false_positives_are_those_expected(published, expected):
    for item in published.items:
        found = discrimination(published.frame, item, CONTRAST)
        wanted = expected["tp_vs_fp_auc"]
        for condition, mean in zip(CONTRAST, found.by_condition, strict=True):
            assert mean.value == pytest.approx(wanted[f"{item}/{condition}/mean"], abs=1e-9)
        for reader, condition, area in found.by_reader:
            key = f"{item}/{condition}/reader{reader}"
            assert area.value == pytest.approx(wanted[key], abs=1e-9)
        change = wanted[f"{item}/deltaAUC_B-A"]
        assert found.difference.value == pytest.approx(change["est"], abs=1e-9)
        # The reference has a bootstrap over cases of 2000 draws.
        assert found.difference.ci == pytest.approx(change["ci95_case_bootstrap"], abs=0.006)


@needs_published
def test_correlations_with_the_probability_are_those_expected(published, expected):
    for item in published.items:
        found = against_probability(published.frame, item, CONTRAST)
        pooled = {(r.condition, r.correctness): r.pooled for r in found.ratings}
        for key, (rho, p_value) in expected["spearman_prediction_vs_rating"].items():
            name, condition, kind = key.split("/")
            if name == item:
                estimate = pooled[condition, KINDS[kind]]
                assert estimate.value == pytest.approx(rho, abs=1e-9)
                assert estimate.p_value == pytest.approx(p_value, rel=1e-6)


@needs_published
def test_agreement_with_the_model_is_the_share_of_high_ratings_expected(published, expected):
    found = reliance(published.frame, "confidence", unaided="A", aided="B", threshold=4)
    shares = {e.quantity: e.value for e in found.agreement}
    wanted = expected["fp_overconfidence_share_ge4"]
    for kind, words in (("TP", "right"), ("FP", "wrong")):
        for condition, stage in (("A", "unaided"), ("B", "aided")):
            got = shares[f"agreement with a {words} model, {stage}"]
            assert got == pytest.approx(wanted[f"{kind}/{condition}"], abs=1e-9)


@needs_published
def test_every_analysis_runs_on_the_published_ratings(published):
    frame, item = published.frame, "correct_feature"
    declared = Declaration("confidence", CONTRAST, "true_positive")
    primary = primary_endpoint(frame, declared)
    assert primary.estimate.value == pytest.approx(0.15)
    assert primary.sensitivity[-1].p_value == pytest.approx(0.010369663537075838)
    readers = per_reader(frame, declared)
    assert [r.mean_difference.value for r in readers.by_reader] == pytest.approx(
        [2 / 120, 34 / 120]
    )
    assert "depends on a single reader" in readers.sentence
    order = design_effects(frame, item, CONTRAST)
    assert order.within[1].value == pytest.approx(-0.30416666666666664)
    results = [
        primary,
        readers,
        order,
        missingness(frame, item, contrast=CONTRAST),
        iou_relations(published, item, CONTRAST),
    ]
    for estimate in estimates_in(results):
        assert estimate.value is not None or estimate.note
    assert sum(e.role == "confirmatory" for e in estimates_in(results)) == 1
    with pytest.raises(AnalysisError, match="reading_time_s"):
        reading_times(frame, CONTRAST, pause_minutes=10)


@pytest.fixture(scope="module")
def simulated():
    table = pd.read_csv(STUDY)
    answers = json.loads(DESIGN.read_text(encoding="utf-8"))
    return table, {check["id"]: check["expected"] for check in answers["checks"]}


@needs_study
def test_reading_times_are_those_of_lmertest(simulated):
    table, wanted = simulated
    frame = canonicalise(table.drop(columns="score"), {"value": "trust"}).frame
    found = reading_times(frame, CONTRAST, pause_minutes=None)
    ratio = [found.ratio.value, *found.ratio.ci]
    assert ratio == pytest.approx(wanted["time_GMR_B_CI95"], rel=1e-5)
    assert found.ratio.df == pytest.approx(wanted["time_lmer_df"]["B"], rel=1e-3)
    by_case = wanted["time_caselevel_GMR"]
    got = [found.ratio_of_cases.value, *found.ratio_of_cases.ci]
    assert got == pytest.approx([by_case["GMR"], by_case["lo"], by_case["hi"]], rel=1e-9)
    learning = wanted["time_learning_interaction"]
    assert found.learning[-1].p_value == pytest.approx(learning["p"], rel=1e-3)


@needs_study
def test_false_positive_rates_are_those_of_geepack(simulated):
    table, wanted = simulated
    names = {"arm": "condition", "case": "case_id", "period": "session"}
    frame = table.rename(columns=names).astype({"session": str})
    found = false_positive_rates(
        frame, CONTRAST, count="fp", margin_ratio=1.25, margin_difference=0.1
    )
    rate = wanted["fp_rate_ratio_NI"]
    got = [found.ratio.value, *found.ratio.ci, found.ratio_non_inferior.p_value]
    assert got == pytest.approx([rate[k] for k in ("RR", "lo", "hi", "p_NI_1.25")], rel=1e-5)
    by_case = wanted["fp_caselevel_rate_difference"]
    got = [found.difference.value, *found.difference.ci]
    assert got == pytest.approx([by_case["diff"], by_case["lo"], by_case["hi"]], rel=1e-9)
    at_margin = found.difference_non_inferior.p_value
    assert at_margin == pytest.approx(wanted["fp_rate_difference_NI_0.10"], rel=1e-9)
