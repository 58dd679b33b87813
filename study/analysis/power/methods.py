"""The tests whose power is simulated: whom each speaks for, and whether it may be confirmatory.

A test is ``confirmatory`` only if it keeps its level in simulated studies in which readers and
cases vary (docs: calibration). For readers like these that takes a method in which cases vary too:
a t test over readers holds the study's cases fixed and rejects far too often once others are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from study.analysis.estimate import AnalysisError, Population, Role
from study.analysis.power import batch_tests, model_tests
from study.analysis.power.studies import Held, Studies

Array = NDArray[np.float64]
Cases = Literal["like the study's", "of the study"]


@dataclass(frozen=True)
class Method:
    """A test of the paired effect.

    Parameters
    ----------
    id
        Short name.
    label
        In words.
    population, cases
        Whom it speaks for.
    null
        What must be held fixed for its own null hypothesis, see
        :data:`study.analysis.power.studies.Held`.
    role
        ``confirmatory`` only if its rejections under its own null stay within 5 % (docs:
        calibration); ``descriptive`` if that holds for the cases of the study alone, or has not
        been shown; ``warning`` if it rejects more often.
    slow
        Whether every study needs the fit of a mixed model.
    test
        Gives p-values of a batch, shape (S,).
    """

    id: str
    label: str
    population: Population
    cases: Cases
    null: Held
    role: Role
    slow: bool
    test: Callable[[Studies], Array]

    @property
    def speaks_for(self) -> str:
        """Readers and cases that a rejection is about, in words."""
        if self.population == "independent readings":
            return "nobody: takes all readings for independent ones"
        return f"{self.population}, cases {self.cases}"


def _differences(test: Callable[[Array], Array]) -> Callable[[Studies], Array]:
    return lambda studies: test(studies.differences.astype(float))


def _column(test: Callable[[Studies], Array], k: int) -> Callable[[Studies], Array]:
    return lambda studies: test(studies)[:, k]


METHODS: tuple[Method, ...] = (
    Method(
        "mean_readers_cases",
        "mean difference, random readers and cases",
        "readers like them",
        "like the study's",
        "nothing",
        "confirmatory",
        False,
        _differences(batch_tests.mean_over_readers_and_cases),
    ),
    Method(
        "mean_by_case",
        "mean difference clustered by case (CR1, t)",
        "these readers",
        "like the study's",
        "readers",
        "confirmatory",
        False,
        _differences(batch_tests.mean_by_case),
    ),
    Method(
        "signed_rank_by_case",
        "signed rank clustered by case (Rosner–Glynn–Lee)",
        "these readers",
        "like the study's",
        "readers",
        "confirmatory",
        False,
        _differences(lambda d: batch_tests.clustered_signed_rank(d, "case")),
    ),
    Method(
        "signed_rank_case_means",
        "signed rank of the cases' means",
        "these readers",
        "like the study's",
        "readers",
        "confirmatory",
        False,
        _differences(batch_tests.signed_rank_of_case_means),
    ),
    Method(
        "mean_over_readers",
        "mean over readers (t, readers − 1 df)",
        "readers like them",
        "of the study",
        "cases",
        "descriptive",
        False,
        _differences(batch_tests.mean_over_readers),
    ),
    Method(
        "reader_sign_flip",
        "exact sign flip of whole readers",
        "readers like them",
        "of the study",
        "cases",
        "descriptive",
        False,
        _differences(batch_tests.reader_sign_flip),
    ),
    Method(
        "signed_rank_by_reader",
        "signed rank clustered by reader, normal approximation",
        "readers like them",
        "of the study",
        "cases",
        "descriptive",
        False,
        _differences(lambda d: batch_tests.clustered_signed_rank(d, "reader")),
    ),
    Method(
        "pooled_signed_rank",
        "signed rank of all pairs pooled",
        "independent readings",
        "like the study's",
        "nothing",
        "warning",
        False,
        _differences(batch_tests.pooled_signed_rank),
    ),
    Method(
        "linear_mixed",
        "linear mixed model, slopes over readers and cases (Satterthwaite)",
        "readers like them",
        "like the study's",
        "nothing",
        "descriptive",
        True,
        _column(model_tests.linear_slope_test, 0),
    ),
    Method(
        "ordinal_crossed",
        "ordinal mixed model, slopes over readers and cases (t)",
        "readers like them",
        "like the study's",
        "nothing",
        "descriptive",
        True,
        _column(model_tests.ordinal_crossed_test, 0),
    ),
    Method(
        "ordinal_slope",
        "ordinal mixed model, slope over readers (t)",
        "readers like them",
        "of the study",
        "cases",
        "descriptive",
        True,
        _column(model_tests.ordinal_slope_tests, 0),
    ),
    Method(
        "ordinal_intercepts",
        "ordinal mixed model, intercepts alone (Wald z)",
        "these readers",
        "like the study's",
        "readers",
        "warning",
        True,
        _column(model_tests.ordinal_intercept_test, 0),
    ),
)
"""Paired tests, those offered as confirmatory first."""

ACCURACY_METHODS: tuple[Method, ...] = (
    Method(
        "auc",
        "difference of AUCs (Obuchowski–Rockette, variances not below 0)",
        "readers like them",
        "like the study's",
        "nothing",
        "confirmatory",
        False,
        _column(model_tests.auc_test, 0),
    ),
    Method(
        "auc_published",
        "difference of AUCs (Obuchowski–Rockette, Hillis' degrees of freedom)",
        "readers like them",
        "like the study's",
        "nothing",
        "descriptive",
        False,
        _column(model_tests.auc_test, 1),
    ),
)
"""For models with two classes of cases."""


def method_of(name: str) -> Method:
    """Return the method with this id.

    Raises
    ------
    AnalysisError
        If there is none.
    """
    for method in (*METHODS, *ACCURACY_METHODS):
        if method.id == name:
            return method
    raise AnalysisError(
        f"There is no method {name!r}; expected one of {', '.join(m.id for m in METHODS)}."
    )
