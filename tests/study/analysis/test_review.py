"""Clinical review: shares, intervals and agreement, by closed forms and published numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from study.analysis.estimate import AnalysisError
from study.analysis.review import COLUMNS, analyse_review, panel_relevance, verdicts_of

Answer = tuple[str, int, str, str, str]


def table(rows: list[Answer]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def paper() -> pd.DataFrame:
    """One expert, ten dimensions of five films: 4 meaningful, 23 images relevant."""
    relevant = [5, 5, 5, 5, 3, 0, 0, 0, 0, 0]
    return table(
        [
            (
                "R1",
                d,
                f"d{d}-{n}",
                "yes" if d < 4 else "no",
                "yes" if n < relevant[d] else "no",
            )
            for d in range(10)
            for n in range(5)
        ]
    )


def test_the_numbers_of_the_paper_have_their_exact_interval() -> None:
    dimensions, images, _ = analyse_review(paper()).shares
    assert (dimensions.value, dimensions.n_cases) == (0.4, 10)
    # Clopper and Pearson's limits for 4 of 10, as in R: binom.test(4, 10).
    assert dimensions.ci == pytest.approx((0.1215523, 0.7376219), abs=1e-6)
    assert dimensions.population == "this reader"
    assert (images.value, images.n_cases) == (23 / 50, 50)
    assert "clustered" not in dimensions.method
    assert "dimension" in images.method


def test_images_of_a_dimension_that_are_all_alike_count_about_as_one() -> None:
    alike = table(
        [("R1", d, f"{d}-{n}", "no", "yes" if d < 4 else "no") for d in range(10) for n in range(5)]
    )
    _, images, _ = analyse_review(alike).shares
    dimensions = analyse_review(alike.assign(meaningful=alike["relevance"])).shares[0]
    assert images.ci is not None and dimensions.ci is not None
    # Korn and Graubard: n* = (p(1 − p)/V)(t_49/t_9)², here with V = p(1 − p)/9 · (49/49).
    assert images.ci[0] < dimensions.ci[0] and images.ci[1] > dimensions.ci[1]
    rng = np.random.default_rng(3)
    spread = alike.assign(relevance=rng.permutation(alike["relevance"].to_numpy()))
    narrower = analyse_review(spread).shares[1]
    assert narrower.ci is not None
    assert narrower.ci[1] - narrower.ci[0] < images.ci[1] - images.ci[0]


def test_without_any_relevant_image_the_interval_is_that_of_as_many_dimensions() -> None:
    none = table([("R1", d, f"{d}-{n}", "no", "no") for d in range(10) for n in range(5)])
    _, images, _ = analyse_review(none).shares
    # The upper limit for 0 of 10 is 1 − 0.025^(1/10).
    assert images.ci == pytest.approx((0.0, 1 - 0.025**0.1))


def test_a_dimension_is_meaningful_to_more_than_half_of_the_films_and_experts() -> None:
    rows = [("R1", 1, f"a{n}", "yes" if n < 3 else "no", "no") for n in range(5)]
    rows += [("R2", 1, f"a{n}", "yes" if n < 2 else "no", "no") for n in range(5)]
    (verdict,) = verdicts_of(table(rows))
    assert (verdict.n_films, verdict.n_experts, verdict.n_yes) == (5, 2, 1)
    assert not verdict.meaningful
    rows += [("R3", 1, f"a{n}", "yes", "no") for n in range(5)]
    assert verdicts_of(table(rows))[0].meaningful


def test_possible_counts_only_in_the_wider_share() -> None:
    rows = [("R1", d, f"{d}", "yes", "possible" if d else "yes") for d in range(4)]
    _, relevant, possible = analyse_review(table(rows)).shares
    assert (relevant.value, possible.value) == (0.25, 1.0)
    assert panel_relevance(["yes", "yes", "no"]) == "yes"
    assert panel_relevance(["yes", "possible"]) == "divided"
    assert panel_relevance([]) == ""


def test_experts_who_agree_on_everything_have_full_agreement() -> None:
    one = paper()
    both = pd.concat([one, one.assign(reader="R2")])
    analysis = analyse_review(both)
    assert [e.value for e in analysis.agreement] == pytest.approx([1.0] * 9)
    assert {e.population for e in analysis.shares} == {"these readers"}
    assert len(analysis.by_expert) == 6


def test_agreement_is_the_share_of_equal_answers_with_an_interval_over_dimensions() -> None:
    one = paper()
    other = one.assign(reader="R2")
    other.loc[other["dimension"] == 9, "meaningful"] = "yes"
    found = {e.quantity: e for e in analyse_review(pd.concat([one, other])).agreement}
    by_image = found["raw agreement on 'meaningful', by image"]
    assert by_image.value == pytest.approx(0.9)
    # The jackknife of a mean over ten equal clusters: s/√10 with s² of nine 1 and one 0.
    error = np.sqrt(0.1 / 10)
    assert by_image.ci is not None
    assert by_image.ci[0] == pytest.approx(0.9 - 2.262157 * error, abs=1e-5)
    assert by_image.df == 9


def test_one_expert_has_no_agreement_and_it_says_why() -> None:
    agreement = analyse_review(paper()).agreement
    assert {e.value for e in agreement} == {None}
    assert all("at least two" in e.note for e in agreement)


def test_experts_who_judged_different_cards_have_no_agreement_either() -> None:
    rows = [("R1", 1, "a", "yes", "no"), ("R2", 2, "b", "yes", "no")]
    values = [e.value for e in analyse_review(table(rows)).agreement]
    assert set(values) == {None}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "No card is judged yet"),
        ([("R1", 1, "a", "perhaps", "no")], "'perhaps' to 'meaningful' is none of no, yes"),
        ([("R1", 1, "a", "yes", "no")] * 2, "judged card a more than once"),
    ],
)
def test_what_cannot_be_counted_is_refused(rows: list[Answer], sentence: str) -> None:
    with pytest.raises(AnalysisError, match=sentence):
        analyse_review(table(rows))


def test_a_table_without_relevance_is_refused() -> None:
    with pytest.raises(AnalysisError, match="no column 'relevance'"):
        analyse_review(paper().drop(columns="relevance"))


@pytest.mark.slow
def test_the_interval_of_clustered_images_covers_the_share() -> None:
    rng, hits, n_studies = np.random.default_rng(11), 0, 120
    for _ in range(n_studies):
        shares = rng.beta(0.8, 1.2, size=10)  # mean 0.4
        relevant = rng.random((10, 5)) < shares[:, None]
        rows = [
            ("R1", d, f"{d}-{n}", "no", "yes" if relevant[d, n] else "no")
            for d in range(10)
            for n in range(5)
        ]
        ci = analyse_review(table(rows)).shares[1].ci
        assert ci is not None
        hits += ci[0] <= 0.4 <= ci[1]
    assert hits / n_studies >= 0.92
