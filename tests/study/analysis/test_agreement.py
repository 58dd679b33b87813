import numpy as np
import pandas as pd
import pytest

from study.analysis.agreement.summary import agreement_of
from study.analysis.estimate import AnalysisError

SCALE = range(1, 6)


def _table(n=40, readers=3, sessions=1, conditions=("A", "B"), seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for condition in conditions:
        for case in range(n):
            level = rng.normal()
            for reader in range(readers):
                for session in range(sessions):
                    value = float(np.clip(round(3 + level + 0.7 * rng.normal()), 1, 5))
                    rows.append(
                        (f"R{reader + 1}", f"C{case}", condition, session + 1, "trust", value)
                    )
    names = ["reader", "case_id", "condition", "session", "item", "value"]
    return pd.DataFrame(rows, columns=names)


def test_all_coefficients_come_with_interval_counts_and_population():
    made = agreement_of(_table(), "trust", "A", SCALE)
    assert made.n_readers == 3 and made.n_units == 40 and len(made.pairs) == 3
    quantities = [one.quantity for one in made.estimates]
    assert "Krippendorff's alpha (ordinal)" in quantities and "ICC(3,k)" in quantities
    for one in made.estimates:
        assert one.value is not None
        assert one.ci is not None or one.quantity == "Kendall's W"
        assert one.n_readers == 3 and one.n_cases == 40
    populations = {one.quantity: one.population for one in made.icc}
    assert populations["ICC(2,1)"] == "readers like them"
    assert populations["ICC(3,1)"] == "these readers"


def test_agreement_is_within_a_condition_only():
    table = _table()
    alone = agreement_of(table[table["condition"] == "A"], "trust", "A", SCALE)
    assert agreement_of(table, "trust", "A", SCALE) == alone


def test_missing_ratings_are_counted_and_reml_is_added():
    table = _table()
    table.loc[[0, 17, 33], "value"] = np.nan
    made = agreement_of(table, "trust", "A", SCALE)
    assert made.n_missing == 3 and made.n_complete == 37
    assert made.icc[-1].quantity == "ICC(2,1) by REML"
    assert any("3 of 120 ratings are missing" in note for note in made.notes)


def test_one_reader_is_told_that_nothing_can_be_compared():
    made = agreement_of(_table(readers=1), "trust", "A", SCALE)
    assert all(one.value is None and one.note for one in made.estimates)
    assert any("Only reader R1" in note for note in made.notes)
    assert made.pairs == ()


def test_a_constant_reader_is_named():
    table = _table()
    table.loc[table["reader"] == "R2", "value"] = 3.0
    made = agreement_of(table, "trust", "A", SCALE)
    assert any("Reader R2 gave 3 throughout" in note for note in made.notes)
    for one in made.estimates:
        assert one.value is None or np.isfinite(one.value)


def test_all_readers_constant_gives_sentences_and_no_numbers_that_are_not():
    table = _table()
    table["value"] = 4.0
    made = agreement_of(table, "trust", "A", SCALE)
    by_name = {one.quantity: one for one in made.estimates}
    assert by_name["raw agreement"].value == 1
    assert by_name["Krippendorff's alpha (ordinal)"].value is None
    assert by_name["ICC(2,1)"].value is None
    assert all(pair.kappa is not None and pair.kappa.value is None for pair in made.pairs)


def test_repeats_are_compared_within_readers_and_kept_out_between_them():
    made = agreement_of(_table(sessions=2), "trust", "A", SCALE)
    assert [one.reader for one in made.intra] == ["R1", "R2", "R3"]
    for one in made.intra:
        assert one.occasions == ("1", "2") and one.n_units == 40
        assert one.kappa.population == "this reader" and one.kappa.value > 0.3
        assert one.limits is not None and one.icc.value is not None
    assert made.n_units == 40 and any("repeat an earlier one" in note for note in made.notes)


def test_a_continuous_measurement_gets_icc_and_limits():
    table = _table()
    table["value"] = table["value"] * 20 + np.random.default_rng(0).normal(size=len(table))
    made = agreement_of(table, "trust", "A")
    assert [one.quantity for one in made.coefficients] == ["Krippendorff's alpha (interval)"]
    assert all(pair.limits is not None and pair.kappa is None for pair in made.pairs)


def test_findings_of_one_case_are_units_of_their_own():
    table = _table()
    both = pd.concat([table.assign(finding="Edema"), table.assign(finding="Effusion")])
    made = agreement_of(both, "trust", "A", SCALE)
    assert made.n_units == 80 and made.estimates[0].n_cases == 40


@pytest.mark.parametrize(
    ("change", "request_", "sentence"),
    [
        ({}, ("trust", "C"), "no condition 'C'"),
        ({}, ("clarity", "A"), "no item 'clarity'"),
        ({"value": np.nan}, ("trust", "A"), "has no rating under condition A"),
        ({"value": 9.0}, ("trust", "A"), "A rating is 9"),
        ({"value": 2.5}, ("trust", "A"), "A rating is 2.5"),
        ({"case_id": "C1"}, ("trust", "A"), "more than once"),
    ],
)
def test_what_cannot_be_analysed_is_refused_with_a_sentence(change, request_, sentence):
    with pytest.raises(AnalysisError, match=sentence):
        agreement_of(_table().assign(**change), *request_, SCALE)
