import numpy as np
import pandas as pd
import pytest

from study.analysis.estimate import AnalysisError
from study.analysis.mrmc.curves import mean_curves, reader_curves
from study.analysis.mrmc.scores import scores_of_table
from study.analysis.mrmc.summary import mrmc_of


def _table(readers=4, n=30, seed=0, effect=0.0, gaps=0.0):
    rng = np.random.default_rng(seed)
    case_effect = rng.normal(size=2 * n)
    rows = []
    for condition in ("A", "B"):
        for reader in range(readers):
            own = 0.3 * rng.normal()
            for case in range(2 * n):
                truth = case % 2
                lift = 1.3 + own + effect * (condition == "B")
                score = truth * lift + 0.7 * case_effect[case] + 0.7 * rng.normal()
                if rng.random() < gaps:
                    score = np.nan
                rows.append((f"R{reader + 1}", f"C{case}", condition, truth, score))
    names = ["reader", "case_id", "condition", "truth", "confidence"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(call=(table["confidence"] > 0.6).astype(float))


def _ask(table, **more):
    return mrmc_of(table, "confidence", "truth", ("B", "A"), **more)


def _all_estimates(made):
    listed = [made.difference, *made.alternatives, *made.by_condition]
    listed += [one.estimate for one in (*made.by_reader, *made.reader_differences)]
    return [*listed, *([made.non_inferiority] if made.non_inferiority else [])]


def test_the_difference_is_the_first_condition_minus_the_second():
    table = _table(effect=1.0)
    made = _ask(table)
    assert made.difference.value > 0 and made.by_condition[0].value > made.by_condition[1].value
    turned = mrmc_of(table, "confidence", "truth", ("A", "B"))
    assert turned.difference.value == pytest.approx(-made.difference.value)
    assert turned.difference.p_value == pytest.approx(made.difference.p_value)


def test_every_p_names_its_population():
    made = _ask(_table(effect=0.5), role="confirmatory")
    assert made.difference.population == "readers like them"
    assert made.difference.role == "confirmatory"
    kinds = [(one.population, one.role) for one in made.alternatives]
    assert ("these readers", "descriptive") in kinds
    assert all(role == "descriptive" for _, role in kinds)
    methods = " | ".join(one.method for one in (made.difference, *made.alternatives))
    for words in ("random readers and random cases", "fixed readers", "fixed cases", "U-stat"):
        assert words in methods
    assert {one.estimate.population for one in made.by_reader} == {"this reader"}


def test_dbm_gives_what_obuchowski_rockette_gives():
    table = _table(effect=0.4)
    a, b = _ask(table).difference, _ask(table, method="dbm").difference
    assert a.value == pytest.approx(b.value) and a.p_value == pytest.approx(b.p_value)
    assert a.ci == pytest.approx(b.ci)


def test_fixed_readers_can_be_asked_for():
    made = _ask(_table(effect=0.4), population="these readers")
    assert made.difference.population == "these readers" and made.difference.df is None
    with pytest.raises(AnalysisError, match="generalises to readers"):
        _ask(_table(), method="u-statistics", population="these readers")


def test_a_margin_gives_a_one_sided_test_that_agrees_with_the_interval():
    for effect in (-1.0, 0.0, 0.8):
        made = _ask(_table(effect=effect, n=60), margin=0.1).non_inferiority
        shown = made.ci[0] > -0.1
        assert (made.p_value < 0.025) == shown
        assert ("is shown" in made.note) == shown


def test_sensitivity_and_specificity_come_from_calls_or_a_threshold():
    table = _table()
    for outcome in ("sensitivity", "specificity"):
        called = mrmc_of(table, "call", "truth", ("B", "A"), outcome=outcome)
        by_threshold = _ask(table, outcome=outcome, threshold=0.6)
        assert called.difference.value == pytest.approx(by_threshold.difference.value)
        assert "Wilson" in called.by_reader[0].estimate.method
    with pytest.raises(AnalysisError, match="Name a threshold"):
        _ask(table, outcome="sensitivity")


def test_missing_readings_are_kept_by_the_jackknife_and_by_u_statistics():
    made = _ask(_table(gaps=0.1))
    assert made.n_missing > 0 and made.difference.value is not None
    assert made.difference.n_cases == 60
    assert any("readings are missing from the crossed" in note for note in made.notes)
    by_u = _ask(_table(gaps=0.1), method="u-statistics")
    assert by_u.difference.ci is not None
    crossed = _ask(_table(gaps=0.05), covariance="delong")
    assert crossed.difference.n_cases < 60
    assert any("that everybody read" in note for note in crossed.notes)
    refused = _ask(_table(gaps=0.1), method="dbm").difference
    assert refused.value is None and "fully crossed" in refused.note


def test_no_case_that_everybody_read_stops_the_covariances_that_need_one():
    table = _table()
    half = (table["reader"] == "R1") & (table["case_id"].str[1:].astype(int) >= 30)
    other = (table["reader"] == "R2") & (table["case_id"].str[1:].astype(int) < 30)
    with pytest.raises(AnalysisError, match="cases that everybody read"):
        _ask(table[~half & ~other], covariance="delong")
    assert _ask(table[~half & ~other]).difference.value is not None


def test_one_reader_is_told_what_can_be_said():
    made = _ask(_table(readers=1), margin=0.05)
    assert made.difference.value is None and "one reader" in made.difference.note
    assert made.non_inferiority.value is None
    fixed = [one for one in made.alternatives if one.population == "these readers"]
    assert fixed[0].value is not None and fixed[0].ci is not None


def test_perfect_readers_get_no_test_and_no_nan():
    table = _table()
    made = _ask(table.assign(confidence=table["truth"].astype(float)))
    for one in _all_estimates(made):
        assert one.value is None or np.isfinite(one.value)
    assert made.difference.value == 0 and made.difference.p_value is None
    assert "not above 0" in made.difference.note


def test_constant_scores_have_an_auc_of_one_half_and_no_test():
    made = _ask(_table().assign(confidence=50.0))
    assert [one.value for one in made.by_condition] == [0.5, 0.5]
    assert made.difference.value == 0 and made.difference.p_value is None


def test_a_reader_without_cases_of_one_kind_is_left_out_and_named():
    table = _table()
    gone = (table["reader"] == "R2") & (table["condition"] == "A") & (table["truth"] == 1)
    made = _ask(table[~gone])
    assert made.difference.n_readers == 3
    assert any("reader R2" in note for note in made.notes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t[t["truth"] == 1], "Every scored case is with the finding"),
        (lambda t: t[t["condition"] == "A"], "no reading under condition 'B'"),
        (lambda t: t.assign(confidence=np.nan), "holds no score"),
        (lambda t: t.assign(truth=2), "expected 0"),
        (lambda t: t.assign(truth=(np.arange(len(t)) // 7) % 2), "one reference standard per case"),
        (lambda t: pd.concat([t, t.head(1)]), "more than once"),
        (lambda t: t.drop(columns="truth"), "no column 'truth'"),
        (lambda t: t.assign(confidence="high"), "expected numbers"),
        (
            lambda t: t[(t["condition"] == "A") | (t["truth"] == 1)],
            "No reader scored the cases that auc needs",
        ),
    ],
)
def test_what_cannot_be_analysed_is_refused_with_a_sentence(change, sentence):
    with pytest.raises(AnalysisError, match=sentence):
        _ask(change(_table()))


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"population": "independent readings"}, "cannot speak for"),
        ({"method": "anova"}, "no method 'anova'"),
        ({"method": "u-statistics", "outcome": "sensitivity"}, "for the AUC"),
        ({"outcome": "accuracy"}, "no outcome 'accuracy'"),
        ({"covariance": "magic"}, "no covariance 'magic'"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(request_, sentence):
    with pytest.raises(AnalysisError, match=sentence):
        _ask(_table(), **request_)


def test_one_class_is_enough_for_sensitivity():
    table = _table()
    made = mrmc_of(table[table["truth"] == 1], "call", "truth", ("B", "A"), outcome="sensitivity")
    assert made.difference.value is not None


def test_curves_exist_for_every_reader_and_average_to_the_mean_auc():
    table = _table()
    scores = scores_of_table(table, score="confidence", truth="truth")
    curves = reader_curves(scores)
    assert len(curves) == 8
    made = _ask(table)
    by_condition = {
        name: one.value for name, one in zip(("B", "A"), made.by_condition, strict=True)
    }
    for mean in mean_curves(curves, points=5001):
        area = np.trapezoid(mean.true_positive_rate, mean.false_positive_rate)
        assert area == pytest.approx(by_condition[mean.condition], abs=2e-3)
