import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.report.analysis import analyse

FINDINGS = ("Cardiomegaly", "Mass")


def study_table(*, effect=1, n_cases=12, readers=("r1", "r2"), seed=0, **columns):
    """Return a complete crossover of two items in our own columns."""
    rng = np.random.default_rng(seed)
    rows = []
    for reader in readers:
        for c in range(n_cases):
            for k, condition in enumerate("AB"):
                for item in ("confidence", "correct_feature"):
                    value = int(np.clip(rng.integers(1, 5) + effect * k, 1, 5))
                    kind = "true_positive" if (c // 2) % 2 else "false_positive"
                    rows.append((reader, f"c{c}", FINDINGS[c % 2], condition, item, value, kind))
    names = ["reader", "case_id", "finding", "condition", "item", "value", "correctness"]
    return pd.DataFrame(rows, columns=names).assign(**columns)


def iou_of(table):
    """Return one IoU per case, for true positives only."""
    iou = table["case_id"].str[1:].astype(int) / 20
    return iou.where(table["correctness"] == "true_positive")


def test_one_difference_computed_by_hand():
    table = pd.DataFrame(
        {
            "reader": "r",
            "case": [1, 1, 2, 2, 3, 3, 4, 4],
            "arm": ["A", "B"] * 4,
            "rating": [2, 3, 2, 4, 3, 2, 1, 1],
        }
    )
    group = analyse(table).difference("rating", "all")
    assert (group.n_pairs, group.n_up, group.n_down, group.n_zero) == (4, 2, 1, 1)
    assert group.mean == 0.5
    assert group.sd_ddof0 == pytest.approx(np.sqrt(1.25))
    assert group.sd_ddof1 == pytest.approx(np.sqrt(5 / 3))
    assert group.rank_test.w_plus == 4.5  # ranks of 1, 2, −1: 1.5, 3, 1.5
    assert group.rank_biserial.value == pytest.approx(0.5)


def test_groups_are_pooled_by_finding_by_reader_and_by_both():
    analysis = analyse(study_table())
    pooled = analysis.difference("confidence", "all")
    assert pooled.n_pairs == 24
    for by in ({"finding": "Mass"}, {"reader": "r1"}):
        assert analysis.difference("confidence", "all", **by).n_pairs == 12
    assert analysis.difference("confidence", "all", "Mass", "r1").n_pairs == 6
    kinds = [
        analysis.difference("confidence", kind).n_pairs
        for kind in ("true_positive", "false_positive")
    ]
    assert sum(kinds) == 24
    assert analysis.difference("confidence", "true_negative") is None


def test_pooling_over_readers_is_a_warning_and_one_reader_is_not():
    analysis = analyse(study_table())
    pooled = analysis.difference("confidence", "all")
    assert (pooled.signed_rank.role, pooled.signed_rank.population) == (
        "warning",
        "independent readings",
    )
    assert "independent" in pooled.signed_rank.note
    assert pooled.mean_difference.population == "these readers"
    assert pooled.mean_over_readers.population == "readers like them"
    alone = analysis.difference("confidence", "all", reader="r1")
    assert (alone.signed_rank.role, alone.signed_rank.population) == ("descriptive", "this reader")


def test_exchanging_the_contrast_changes_the_sign():
    there = analyse(study_table()).primary.estimate
    back = analyse(study_table(), contrast=("A", "B")).primary.estimate
    assert back.value == -there.value
    assert back.p_value == there.p_value


def test_a_declared_primary_endpoint_is_confirmatory_and_stands_first():
    analysis = analyse(study_table(), primary="correct_feature", subset="false_positive")
    assert analysis.primary.estimate.role == "confirmatory"
    assert analysis.primary.estimate.n_cases == 6
    start = "Primary endpoint: correct_feature, false positives, B − A: "
    assert analysis.sentence.startswith(start)
    assert "these readers; 2 readers × 6 cases" in analysis.sentence


def test_without_a_declaration_nothing_is_confirmatory():
    analysis = analyse(study_table())
    assert analysis.primary.item == "confidence"
    assert analysis.primary.subset == "true_positive"
    assert analysis.primary.estimate.role == "descriptive"
    assert "No primary endpoint was declared" in analysis.sentence
    assert "confirmatory" not in analysis.to_json()


def test_the_declared_population_decides_the_interval():
    table = study_table()
    d = {}
    for population in ("these_readers", "readers_like_them"):
        primary = analyse(table, primary="confidence", population=population).primary
        d[population] = primary.estimate
        assert primary.estimate.role == "confirmatory"
    assert d["these_readers"].df == 5
    assert d["readers_like_them"].df == 1
    assert d["readers_like_them"].population == "readers like them"


def test_the_level_of_the_intervals_follows_alpha():
    estimate = analyse(study_table(), alpha=0.1).primary.estimate
    assert estimate.ci_level == pytest.approx(0.9)
    assert "90 % interval" in analyse(study_table(), alpha=0.1).sentence


def test_zero_handling_and_correction_reach_the_test_and_the_text():
    analysis = analyse(study_table(), zero_method="pratt", correction=True)
    d = analysis.pairs_of("confidence").frame["difference"]
    theirs = stats.wilcoxon(d, zero_method="pratt", correction=True, method="asymptotic")
    assert analysis.difference("confidence", "all").rank_test.p_value == theirs.pvalue
    assert "zeros ranked, then dropped (Pratt), continuity correction" in analysis.to_text()


def test_json_holds_every_number_at_full_precision_and_no_nan():
    table = study_table()
    analysis = analyse(table.assign(iou_m=iou_of(table)))
    document = json.loads(analysis.to_json())
    assert len(document["differences"]) == len(analysis.differences)
    assert document["differences"][0]["mean"] == analysis.differences[0].mean
    assert document["regressions"][0]["slope"]["value"] == analysis.regressions[0].slope.value
    assert document["contrast"] == ["B", "A"]


def test_tables_have_one_row_for_each_result():
    table = study_table()
    analysis = analyse(table.assign(iou_m=iou_of(table)))
    assert len(analysis.differences_table()) == len(analysis.differences)
    assert len(analysis.regressions_table()) == len(analysis.regressions) == 2 * 2 * 3
    ratings = analysis.ratings_table()
    assert (ratings.filter(like="n_rated_").sum(axis=1) == ratings["n"]).all()


def test_ratings_are_counted_by_condition():
    analysis = analyse(study_table())
    summary = next(s for s in analysis.rating_summaries if s.correctness == "all")
    frame = analysis.ratings.frame
    values = frame[(frame["item"] == summary.item) & (frame["condition"] == summary.condition)]
    assert summary.levels == (1, 2, 3, 4, 5)
    assert summary.counts == tuple(int((values["value"] == k).sum()) for k in range(1, 6))
    assert summary.mean == pytest.approx(values["value"].mean())


def test_text_shows_no_more_than_three_digits_outside_the_headline():
    text = analyse(study_table()).to_text()
    table = text[text.index("confidence by finding") : text.index("confidence by reader")]
    numbers = [word.strip("−<") for word in table.split() if "." in word and word[-1].isdigit()]
    assert numbers
    assert all(len(number.replace(".", "").lstrip("0")) <= 3 for number in numbers)


def test_missing_ratings_drop_their_pairs_and_are_counted():
    table = study_table()
    table.loc[0, "value"] = np.nan
    analysis = analyse(table)
    assert analysis.difference("confidence", "all").n_pairs == 23
    assert analysis.n_ratings == len(table) - 1
    assert any("1 ratings of 'confidence' under condition A" in note for note in analysis.notes)
    assert any("1 of 24 readings of 'confidence'" in note for note in analysis.notes)
    assert "2 readers and 12 cases" in analysis.to_text()


def test_simulated_ratings_are_marked_everywhere():
    table = study_table(simulated=True, simulated_cases=True)
    analysis = analyse(table)
    assert analysis.simulated
    assert "simulated readers and films" in analysis.sentence
    assert "simulated readers and films" in analysis.to_text().splitlines()[0]
    assert json.loads(analysis.to_json())["simulated"] is True
    assert analyse(study_table(simulated_cases=True)).provenance == "simulated films"
    assert analyse(study_table()).provenance == ""


def test_equal_ratings_everywhere_say_that_there_is_nothing_to_test():
    analysis = analyse(study_table().assign(value=3))
    group = analysis.difference("confidence", "all")
    assert (group.mean, group.sd_ddof0, group.n_zero) == (0, 0, 24)
    assert group.signed_rank.value is None
    assert group.paired_t.value is None
    assert "nothing to rank" in analysis.to_text()
    assert "without an interval" in analysis.sentence
    json.loads(analysis.to_json())


def test_a_single_pair_is_reported_without_an_interval():
    analysis = analyse(study_table(n_cases=1, readers=("r",)))
    group = analysis.difference("confidence", "all")
    assert (group.n_pairs, group.sd_ddof1, group.mean_difference.ci) == (1, None, None)
    assert "two cases" in analysis.sentence
    assert analysis.to_text()
    json.loads(analysis.to_json())


def test_an_item_without_pairs_is_noted_and_the_others_are_analysed():
    table = study_table()
    table = table[(table["item"] == "confidence") | (table["condition"] == "A")]
    others = study_table(readers=("s1", "s2"))
    others = others[(others["item"] == "correct_feature") & (others["condition"] == "B")]
    table = pd.concat([table, others])
    analysis = analyse(table)
    assert analysis.items == ("confidence",)
    assert any("No reader rated 'correct_feature'" in note for note in analysis.notes)
    with pytest.raises(AnalysisError, match="No reader rated 'correct_feature'"):
        analyse(table, primary="correct_feature")
    with pytest.raises(AnalysisError, match="no pairs of 'correct_feature'"):
        analysis.pairs_of("correct_feature")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"primary": "trust"}, "primary item 'trust' is not rated"),
        ({"subset": "true_negative"}, "subset 'true_negative'"),
        ({"alpha": 5}, "alpha is 5"),
        ({"population": "everybody"}, "'everybody'"),
        ({"zero_method": "drop"}, "'drop'"),
        ({"contrast": ("B", "C")}, "condition 'C'"),
        ({"contrast": ("B",)}, "not a pair"),
    ],
)
def test_an_impossible_request_is_refused_in_one_sentence(request_, words):
    with pytest.raises(AnalysisError, match=words):
        analyse(study_table(), **request_)


def test_only_one_condition_so_far_is_refused():
    with pytest.raises(AnalysisError, match="condition 'B'; the table has A"):
        analyse(study_table().query("condition == 'A'"))


def test_a_planted_effect_is_recovered():
    rng = np.random.default_rng(4)
    rows = [
        (r, f"c{c}", k, int(rng.integers(2, 4)) + (k == "B"))
        for r in ("r1", "r2")
        for c in range(100)
        for k in "AB"
    ]
    table = pd.DataFrame(rows, columns=["reader", "case_id", "condition", "value"])
    low, high = analyse(table).primary.estimate.ci
    assert low < 1 < high
    assert high - low < 0.3


def test_the_table_that_was_given_is_left_as_it_was():
    table = study_table()
    before = table.copy()
    analyse(table)
    pd.testing.assert_frame_equal(table, before)
