import dataclasses

import pytest

from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.errors import StudyError

SCOPE = Scope("these readers", "descriptive", 2, 10)


def test_an_estimate_carries_its_scope_and_its_interval():
    estimate = SCOPE.estimate("mean", 0.5, method="mean", ci=(0.1, 0.9), ci_level=0.95, df=9)
    assert (estimate.value, estimate.ci, estimate.ci_level, estimate.df) == (
        0.5,
        (0.1, 0.9),
        0.95,
        9.0,
    )
    assert (estimate.population, estimate.n_readers, estimate.n_cases) == ("these readers", 2, 10)


def test_an_estimate_cannot_be_changed():
    estimate = SCOPE.estimate("mean", 0.5, method="mean")
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.value = 1.0


def test_a_statistic_that_cannot_be_computed_says_why():
    estimate = SCOPE.unavailable("mean", method="mean", note="No pairs.")
    assert estimate.value is None
    assert estimate.note == "No pairs."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": float("nan")}, "nan"),
        ({"value": float("inf")}, "inf"),
        ({"value": None}, "no note"),
        ({"value": None, "note": "No pairs.", "ci": (0.0, 1.0), "ci_level": 0.95}, "no value"),
        ({"p_value": 1.2}, "p = 1.2"),
        ({"p_value": float("nan")}, "p = nan"),
        ({"df": 0.0}, "degrees of freedom"),
        ({"ci": (1.0, 0.0), "ci_level": 0.95}, "lower first"),
        ({"ci": (float("nan"), 0.0), "ci_level": 0.95}, "finite"),
        ({"ci": (0.0, 1.0)}, "level"),
        ({"ci": (0.0, 1.0), "ci_level": 95.0}, "between 0 and 1"),
        ({"population": "everybody"}, "everybody"),
        ({"role": "headline"}, "headline"),
        ({"quantity": ""}, "quantity"),
        ({"n_readers": -1}, "-1 readers"),
    ],
)
def test_an_estimate_that_contradicts_itself_is_refused(change, words):
    good = SCOPE.estimate("mean", 0.5, method="mean")
    with pytest.raises(AnalysisError, match=words):
        Estimate(**(dataclasses.asdict(good) | change))


def test_an_analysis_error_is_a_study_error():
    assert issubclass(AnalysisError, StudyError)
