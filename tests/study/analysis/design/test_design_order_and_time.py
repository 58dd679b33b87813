import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.design.period import design_effects
from study.analysis.design.timing import reading_times
from study.analysis.estimate import AnalysisError
from tests.support.simulated_readings import crossover, likert

CONTRAST = ("B", "A")


def effects(frame, **change):
    return design_effects(frame, "confidence", CONTRAST, **{"ordinal": False} | change)


def covers(estimate, truth):
    return estimate.ci[0] < truth < estimate.ci[1]


def test_condition_period_and_learning_are_recovered_apart():
    found = effects(crossover(4, 60, effect=20.0, period=-30.0, learning=0.5, seed=6))
    for group in (found.within, found.linear):
        condition, session, position = group
        assert covers(condition, 20.0)
        assert covers(session, -30.0)
        assert covers(position, 50.0)  # per 100 places
    assert "carry-over" in found.carry_over[0].quantity
    assert covers(found.carry_over[0], 0.0)
    assert covers(found.learning[0], 0.0)


def test_carry_over_is_recovered_and_never_chooses_the_analysis():
    plain, carried = (
        effects(crossover(4, 80, effect=20.0, carry_over=extra, noise=10.0))
        for extra in (0.0, 150.0)
    )
    estimate = carried.carry_over[0]
    assert covers(estimate, 150.0)
    assert estimate.p_value < 0.001
    assert "Shown only" in estimate.note
    assert all("Shown only" in each.carry_over.note for each in carried.by_reader)
    assert [e.method for e in plain.linear] == [e.method for e in carried.linear]
    assert [e.method for e in plain.within] == [e.method for e in carried.within]


def test_each_reader_has_the_rank_tests_of_both_sequences():
    frame = crossover(2, 40, effect=60.0)
    found = effects(frame)
    first = found.by_reader[0]
    assert (first.n_first_then_second, first.n_second_then_first) == (20, 20)
    assert first.condition.p_value < 1e-4
    own = frame[frame["reader"] == "r1"]
    wide = own.pivot(index="case_id", columns="session", values="value")
    starts = own[own["session"] == "1"].set_index("case_id")["condition"].reindex(wide.index)
    d = wide["1"] - wide["2"]
    by_hand = stats.mannwhitneyu(
        d[starts == "B"], d[starts == "A"], use_continuity=False, method="asymptotic"
    )
    assert first.condition.p_value == pytest.approx(by_hand.pvalue)
    assert first.condition.population == "this reader"
    assert all(each.role == "warning" for each in found.over_readers)


def test_the_ordinal_models_have_the_same_terms():
    rng = np.random.default_rng(1)
    frame = crossover(3, 24, effect=40.0)
    frame["value"] = np.clip(np.rint(frame["value"] / 100 - 2 + rng.normal(0, 0.3)), 1, 5)
    found = effects(frame, ordinal=True)
    names = [effect.name for effect in found.ordinal]
    assert any("session" in name and "×" in name for name in names)
    assert any("position" in name and "×" in name for name in names)


def test_without_sessions_or_positions_it_is_said_what_cannot_be_known():
    frame = crossover(3, 20).drop(columns=["session", "position"])
    found = effects(frame)
    assert found.by_reader == found.carry_over == found.learning == ()
    assert any("sessions are not given" in note for note in found.notes)
    assert any("no learning" in note for note in found.notes)
    assert len(found.linear) == 1


def test_both_stages_of_a_sequential_reading_in_one_session_have_no_period():
    frame = crossover(3, 20).assign(session="1")
    found = effects(frame)
    assert found.by_reader == ()
    assert any("in 1 sessions" in note for note in found.notes)


def test_one_reader_in_one_sequence_gives_reasons_instead_of_numbers():
    frame = crossover(1, 20)
    frame["session"] = np.where(frame["condition"] == "A", "1", "2")
    found = effects(frame)
    assert any("one sequence" in note for note in found.notes)
    assert all(e.value is not None or e.note for e in found.carry_over)


def test_a_constant_rater_has_no_effects_of_order_and_says_why():
    frame = crossover(2, 10).assign(value=3.0)
    found = effects(frame)
    assert found.linear == ()
    assert any("cannot be fitted" in note for note in found.notes)
    assert all(e.ci is None and e.note for e in found.within)


def test_an_unknown_condition_is_named():
    with pytest.raises(AnalysisError, match="under condition 'C'"):
        design_effects(crossover(2, 10), "confidence", ("C", "A"))


# Reading times


def test_a_ratio_of_times_is_recovered_for_both_populations():
    frame = crossover(5, 60, log_ratio=np.log(0.8), seed=8)
    found = reading_times(frame, CONTRAST, pause_minutes=None)
    for each in (
        found.ratio,
        found.ratio_of_cases,
        found.ratio_over_readers,
        found.ratio_random_readers,
    ):
        assert covers(each, 0.8)
    assert found.ratio.population == found.ratio_of_cases.population == "these readers"
    assert found.ratio_over_readers.population == "readers like them"
    assert len(found.by_reader) == 5


def test_the_ratio_of_cases_is_the_paired_t_of_mean_log_times():
    frame = crossover(3, 12, seed=2)
    found = reading_times(frame, CONTRAST, pause_minutes=None)
    logs = frame.assign(t=np.log(frame["reading_time_s"]))
    wide = logs.pivot_table(index="case_id", columns="condition", values="t")
    by_hand = stats.ttest_rel(wide["B"], wide["A"])
    assert found.ratio_of_cases.p_value == pytest.approx(by_hand.pvalue)
    limits = np.exp(by_hand.confidence_interval())
    assert found.ratio_of_cases.ci == pytest.approx(tuple(limits))


def test_pauses_are_left_out_by_the_rule_and_counted():
    frame = crossover(3, 20)
    frame.loc[frame.index[:2], "reading_time_s"] = 3600.0
    frame.loc[frame.index[2], "reading_time_s"] = 0.0
    frame.loc[frame.index[3], "reading_time_s"] = np.nan
    all_kept = reading_times(frame, CONTRAST, pause_minutes=None)
    cut = reading_times(frame, CONTRAST, pause_minutes=10)
    assert sum(each.n_pauses for each in all_kept.removed) == 0
    assert sum(each.n_pauses for each in cut.removed) == 2
    assert sum(each.n_not_positive for each in cut.removed) == 1
    assert sum(each.n_missing for each in cut.removed) == 1
    assert all(each.longest_kept_s < 600 for each in cut.removed)
    assert "10 minutes" in cut.rule
    assert "No reading was left out" in all_kept.rule


def test_items_share_one_time_and_do_not_count_twice():
    frame = crossover(3, 20)
    twice = pd.concat([frame, frame.assign(item="feature")], ignore_index=True)
    once = reading_times(frame, CONTRAST, pause_minutes=None)
    assert reading_times(twice, CONTRAST, pause_minutes=None).ratio == once.ratio
    twice.loc[len(frame), "reading_time_s"] = 1.0
    with pytest.raises(AnalysisError, match="2 different times of one reading"):
        reading_times(twice, CONTRAST, pause_minutes=None)


@pytest.mark.parametrize(
    ("change", "minutes", "words"),
    [
        (lambda f: f.drop(columns="reading_time_s"), None, "needs the columns reading_time_s"),
        (lambda f: f[f["condition"] == "A"], None, "no reading under condition 'B'"),
        (lambda f: f.assign(reading_time_s=np.nan), None, "no time left under condition 'B'"),
        (lambda f: f, -1, "expected a number above 0"),
    ],
)
def test_times_that_cannot_be_compared_are_refused(change, minutes, words):
    with pytest.raises(AnalysisError, match=words):
        reading_times(change(crossover(2, 8)), CONTRAST, pause_minutes=minutes)


def test_one_reader_has_a_ratio_and_none_for_readers_like_them():
    found = reading_times(crossover(1, 20), CONTRAST, pause_minutes=None)
    assert found.ratio_of_cases.population == "this reader"
    for each in (found.ratio_over_readers, found.ratio_random_readers):
        assert each.value is None
        assert "One reader" in each.note


def test_equal_times_have_a_ratio_of_one_without_an_interval():
    found = reading_times(crossover(2, 8).assign(reading_time_s=20.0), CONTRAST, pause_minutes=None)
    assert (found.ratio_of_cases.value, found.ratio_of_cases.ci) == (1.0, None)
    assert found.ratio.value is None
    assert found.ratio.note


def test_groups_of_readers_have_no_paired_ratio():
    frame = crossover(4, 10)
    groups = frame["reader"].isin(["r1", "r2"]) == (frame["condition"] == "A")
    found = reading_times(frame[groups], CONTRAST, pause_minutes=None)
    assert found.ratio_over_readers.value is None
    assert any("no paired ratio" in note for note in found.notes)


def test_ratings_without_times_are_refused():
    frame = likert({"A": [[1, 2]], "B": [[2, 3]]})
    with pytest.raises(AnalysisError, match="reading_time_s"):
        reading_times(frame, CONTRAST, pause_minutes=None)
