"""The ratings of the published Latent Shift study give its published statistics."""

import json
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from study.analysis.report.analysis import analyse
from study.analysis.signed_rank import ZeroMethod, signed_rank

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "reference" / "gifsplanation"
EXPECTED = FOLDER / "expected.json"

pytestmark = pytest.mark.skipif(
    not EXPECTED.is_file(),
    reason="needs the published ratings in ../shared/reference/gifsplanation",
)

KINDS = {"TP": "true_positive", "FP": "false_positive", "all": "all"}


@pytest.fixture(scope="module")
def expected():
    return json.loads(EXPECTED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(FOLDER / "reader_study.csv")


@pytest.fixture(scope="module")
def analysis(table):
    return analyse(table)


def check(group, figures):
    """Compare every figure of one group of pairs."""
    got = {
        "n": group.n_pairs,
        "n_nonzero": group.rank_test.n_nonzero,
        "n_up": group.n_up,
        "n_down": group.n_down,
        "mean": group.mean,
        "sd_ddof0": group.sd_ddof0,
        "sd_ddof1": group.sd_ddof1,
        "W": group.rank_test.statistic,
        "p": group.rank_test.p_value,
        "rank_biserial": group.rank_biserial.value,
        "p_paired_t": group.paired_t.p_value,
    }
    wanted = {name: value for name, value in figures.items() if name != "paper"}
    assert got == pytest.approx(wanted, abs=1e-9, rel=1e-9)
    assert got["p"] == pytest.approx(wanted["p"], abs=0, rel=1e-9)


def group_of(analysis, key):
    """Return the group that a key such as ``confidence/TP/reader1/Mass`` names."""
    item, kind, *rest = key.split("/")
    reader = next((part.removeprefix("reader") for part in rest if part.startswith("reader")), None)
    finding = next((part for part in rest if not part.startswith("reader")), None)
    return analysis.difference(item, KINDS[kind], finding, reader)


@pytest.mark.parametrize(
    ("section", "n_groups"),
    [
        ("headline_pooled", 6),
        ("per_pathology", 24),
        ("per_reader", 8),
        ("per_reader_pathology", 48),
    ],
)
def test_every_published_group_is_met(analysis, expected, section, n_groups):
    assert len(expected[section]) == n_groups
    for key, figures in expected[section].items():
        check(group_of(analysis, key), figures)


@pytest.mark.parametrize("zero_method", ["wilcox", "pratt", "zsplit"])
@pytest.mark.parametrize("correction", [False, True])
def test_every_variant_of_the_signed_rank_test_is_met(
    analysis, expected, zero_method: ZeroMethod, correction
):
    name = "cc" if correction else "nocc"
    met = 0
    for item in analysis.items:
        frame = analysis.pairs_of(item).frame
        for short, kind in (("TP", "true_positive"), ("FP", "false_positive")):
            for side in ("two-sided", "greater"):
                test = signed_rank(
                    frame.loc[frame["correctness"] == kind, "difference"],
                    zero_method=zero_method,
                    correction=correction,
                    alternative=side,
                )
                wanted = expected["variants"][f"{item}/{short}/{zero_method}/{name}/{side}"]
                assert test.p_value == pytest.approx(wanted, rel=1e-9)
                met += 1
    assert met == 8


def test_the_options_of_the_test_reach_the_analysis(table, expected):
    analysis = analyse(table, zero_method="zsplit", correction=True)
    p_value = analysis.difference("confidence", "true_positive").rank_test.p_value
    wanted = expected["variants"]["confidence/TP/zsplit/cc/two-sided"]
    assert p_value == pytest.approx(wanted, rel=1e-9)


def test_averaging_over_readers_and_ignoring_the_pairing_give_the_expected_variants(
    analysis, expected
):
    for item in analysis.items:
        for short, kind in (("TP", "true_positive"), ("FP", "false_positive")):
            group = analysis.difference(item, kind)
            means = expected["variants"][f"{item}/{short}/case_mean_of_readers"]
            of_cases = group.signed_rank_of_cases
            assert (of_cases.value, of_cases.n_cases) == (means["W"], means["n"])
            assert of_cases.p_value == pytest.approx(means["p"], rel=1e-9)
            assert group.mean_difference.value == pytest.approx(means["mean"], abs=1e-9)
            assert group.mean_difference.p_value == pytest.approx(means["p_paired_t"], rel=1e-9)
            unpaired = expected["variants"][f"{item}/{short}/unpaired_mannwhitney_p"]
            assert group.unpaired.p_value == pytest.approx(unpaired, rel=1e-9)


def test_the_mean_has_the_expected_error_clustered_by_case(analysis, expected):
    for key, figures in expected["case_clustered_ols"].items():
        estimate = group_of(analysis, key).mean_difference
        reach = stats.t.ppf(0.975, estimate.df) * figures["se"]
        assert estimate.ci == pytest.approx(
            (figures["mean"] - reach, figures["mean"] + reach), abs=1e-9
        )


def test_ratings_are_distributed_as_expected(analysis, expected):
    for summary in analysis.rating_summaries:
        kind = next(short for short, name in KINDS.items() if name == summary.correctness)
        figures = expected["arm_means"][f"{summary.item}/{kind}/{summary.condition}"]
        assert summary.n == figures["n"]
        assert list(summary.counts) == figures["counts_1to5"]
        assert summary.mean == pytest.approx(figures["mean"], abs=1e-9)
        assert summary.sd_ddof1 == pytest.approx(figures["sd_ddof1"], abs=1e-9)


def test_the_ten_published_iou_give_the_expected_correlations(analysis, expected):
    """The reference regresses IoU on rating: R² is shared, and the slopes multiply to it."""
    met = 0
    for key, figures in expected["fig6b_partial_10_known_cases"].items():
        item, condition, column, finding = key.split("/")
        result = next(
            r
            for r in analysis.regressions
            if (r.item, r.condition, r.map_name) == (item, condition, column.removeprefix("iou_"))
            and r.finding == (None if finding == "both" else finding)
        )
        assert result.n_readings == figures["n"]
        assert result.r_squared.value == pytest.approx(figures["r"] ** 2, abs=1e-9)
        assert result.slope.value * figures["slope"] == pytest.approx(figures["r"] ** 2, abs=1e-9)
        met += 1
    assert met == 24


def test_the_headline_is_printed_as_published(analysis):
    text = analysis.to_text()
    assert (
        "true positives 0.1500 ± 0.9544 (SD, ddof 0), W 1233.5, p 0.010370 (n = 240 pairs, "
        "2 readers × 120 cases; zeros dropped, no continuity correction, normal approximation; "
        "pooled: treats readings as independent)"
    ) in text
    assert "false positives 0.0458 ± 1.0616 (SD, ddof 0), W 2822.5, p 0.579310" in text


def test_one_reader_made_the_whole_gain(analysis):
    first = analysis.difference("confidence", "true_positive", reader="1")
    second = analysis.difference("confidence", "true_positive", reader="2")
    assert round(first.rank_test.p_value, 2) == 0.76
    assert round(second.rank_test.p_value, 4) == 0.0006
    pooled = analysis.difference("confidence", "true_positive")
    low, high = pooled.mean_over_readers.ci
    assert low < 0 < high
