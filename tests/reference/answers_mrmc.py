"""Answers of the multi-reader multi-case analyses and of DeLong's comparison of two scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.analysis.estimate import AnalysisError
from study.analysis.mrmc.dbm import DbmAnalysis, dbm_analysis
from study.analysis.mrmc.merit import Covariance, Outcome, error_covariance, figures_of_merit
from study.analysis.mrmc.noninferiority import NonInferiority, non_inferiority
from study.analysis.mrmc.obuchowski_rockette import (
    Components,
    Contrast,
    Generalise,
    Test,
    components,
    difference,
    global_test,
    reader_difference,
    single_condition,
)
from study.analysis.mrmc.scores import ReaderScores, scores_of_table
from study.analysis.mrmc.sizing import cases_for_power, pilot_components
from study.analysis.mrmc.ustatistics import UStatistics, u_statistics
from study.analysis.power.sizing import mrmc_power
from study.analysis.roc import delong
from tests.reference.answers_delong import delong_answer, score_delong
from tests.reference.case import ReferenceCase

Array = NDArray[np.float64]
_NAMES = {
    "reader": ("reader", "readerID"),
    "case": ("case", "caseID", "case_id"),
    "treatment": ("treatment", "modalityID", "arm", "condition"),
    "rating": ("rating", "score"),
    "truth": ("truth",),
}
_COVARIANCES: dict[str, Covariance] = {
    "jackknife": "jackknife",
    "DeLong": "delong",
    "unbiased": "unbiased",
}
_TESTS: dict[str, Generalise] = {
    "RRRC": "readers and cases",
    "FRRC": "cases",
    "RRFC": "readers",
}


@dataclass(frozen=True, eq=False)
class _Study:
    """One figure of merit of one data set, with what was computed of it kept."""

    scores: ReaderScores
    outcome: Outcome
    gaps: ReaderScores | None

    @cached_property
    def theta(self) -> Array:
        return figures_of_merit(self.scores, self.outcome)

    @cached_property
    def _kept(self) -> dict[Covariance, Array]:
        return {}

    def covariance(self, method: Covariance) -> Array:
        if method not in self._kept:
            self._kept[method] = error_covariance(self.scores, self.outcome, method)
        return self._kept[method]

    def parts(self, method: Covariance = "jackknife") -> Components:
        return components(self.theta, self.covariance(method))

    @cached_property
    def dbm(self) -> DbmAnalysis:
        return dbm_analysis(self.scores, self.outcome)


def answers(case: ReferenceCase) -> Mapping[str, object]:
    """Return the answers to the checks that are known here."""
    if case.data is None:
        return {}
    asked = {check.id: check.recipe for check in case.checks}
    if not any(re.search(r"_RRRC|RRFC|iMRMC|delong_Z", name) for name in asked):
        return {}
    table = case.table()
    given: dict[str, object] = {}
    columns = _columns(case, table)
    if set(columns) >= set(_NAMES):
        given |= _mrmc_answers(case, table, columns, asked)
        given |= _reader_delong(table, columns, asked)
    else:
        given |= score_delong(table, asked)
    return given


def _columns(case: ReferenceCase, table: pd.DataFrame) -> dict[str, str]:
    """Return role → column, as told by the case or by the usual names."""
    found = {role: name for role, name in case.columns.items() if name in table.columns}
    for role, names in _NAMES.items():
        if role not in found:
            usual = next((name for name in names if name in table.columns), None)
            if usual:
                found[role] = usual
    if "truth" not in found and {"reader", "treatment"} <= set(found):
        found["truth"] = "truth"  # iMRMC tables hold it in rows
    return found


def _scores(table: pd.DataFrame, columns: Mapping[str, str], score: str) -> ReaderScores:
    reader, case = columns["reader"], columns["case"]
    if columns["truth"] not in table.columns:
        of_truth = table[reader] == "truth"
        labels = table[of_truth].set_index(case)[score]
        table = table[~of_truth].assign(**{columns["truth"]: table[~of_truth][case].map(labels)})
    return scores_of_table(
        table,
        score=score,
        truth=columns["truth"],
        reader=reader,
        case=case,
        condition=columns["treatment"],
    )


def _mrmc_answers(
    case: ReferenceCase,
    table: pd.DataFrame,
    columns: Mapping[str, str],
    asked: Mapping[str, str],
) -> dict[str, object]:
    whole = _scores(table, columns, columns["rating"])
    studies = {"": _Study(whole, "auc", _gaps(case, columns))}
    studies["auc_"] = studies[""]
    calls = next((name for name in ("call", "binary", "decision") if name in table.columns), None)
    if calls is not None:
        called = _scores(table, columns, calls)
        studies["sens_"] = _Study(called, "sensitivity", None)
        studies["spec_"] = _Study(called, "specificity", None)
    given: dict[str, object] = {}
    for name, recipe in asked.items():
        for prefix in sorted(studies, key=len, reverse=True):
            if not name.startswith(prefix):
                continue
            value = _answer(studies[prefix], name.removeprefix(prefix), recipe)
            if value is not None:
                given[name] = value
                break
    return given


def _gaps(case: ReferenceCase, columns: Mapping[str, str]) -> ReaderScores | None:
    """Return the second data set, with readings missing, that the setup names."""
    named = re.search(r"[\w.-]+\.csv", str(case.setup or ""))
    if named is None:
        return None
    table = case.table(named[0])
    own = _columns(ReferenceCase(case.id, case.folder, named[0], columns, None, ()), table)
    return _scores(table, own, own["rating"])


def _answer(study: _Study, name: str, recipe: str) -> object:
    for pattern, function in _HANDLERS:
        found = re.fullmatch(pattern, name)
        if found:
            try:
                return function(study, found, recipe)
            except AnalysisError:
                return None
    return None


def _reader_metric(study: _Study, found: re.Match[str], recipe: str) -> object:
    return {
        f"t{i + 1}_r{reader}": study.theta[i, j]
        for i in range(len(study.theta))
        for j, reader in enumerate(study.scores.readers)
    }


def _treatment_mean(study: _Study, found: re.Match[str], recipe: str) -> object:
    return {f"t{i + 1}": mean for i, mean in enumerate(study.theta.mean(axis=1))}


def _components(study: _Study, found: re.Match[str], recipe: str) -> object:
    parts = study.parts(_COVARIANCES[found[1]])
    return {
        "reader": parts.reader,
        "treatment:reader": parts.interaction,
        "Error": parts.error,
        "Cov1": parts.cov1,
        "Cov2": parts.cov2,
        "Cov3": parts.cov3,
    }


def _test(made: Test) -> dict[str, object]:
    if made.df2 is None:
        return {"X2": made.statistic, "p": made.p_value}
    return {"F": made.statistic, "df1": made.df1, "df2": made.df2, "p": made.p_value}


def _global(study: _Study, found: re.Match[str], recipe: str) -> object:
    method = _COVARIANCES[found[1] or "jackknife"]
    return _test(global_test(study.parts(method), _TESTS[found[2]]))


def _chi_square(study: _Study, found: re.Match[str], recipe: str) -> object:
    return _test(global_test(study.parts(), "cases", truncate=found[1] == "truncated"))


def _interval(made: Contrast) -> dict[str, object]:
    shown = {"se": made.standard_error, "df": made.df, "lo": made.ci[0], "hi": made.ci[1]}
    return {key: value for key, value in shown.items() if value is not None}


def _difference(study: _Study, found: re.Match[str], recipe: str) -> object:
    method = _COVARIANCES[found[1] or "jackknife"]
    pair = (int(found[3]) - 1, int(found[4]) - 1)
    made = difference(study.theta, study.parts(method), pair, _TESTS[found[2]])
    return {"est": made.value, **_interval(made), "p": made.p_value}


def _reader_difference(study: _Study, found: re.Match[str], recipe: str) -> object:
    if found[1] not in study.scores.readers:
        return None
    made = reader_difference(
        study.theta, study.covariance("jackknife"), study.scores.readers.index(found[1])
    )
    return {"est": made.value, "se": made.standard_error, "p": made.p_value}


def _single(study: _Study, found: re.Match[str], recipe: str) -> object:
    covariance = study.covariance(_COVARIANCES[found[1]])
    return _interval(single_condition(study.theta, covariance, int(found[2]) - 1))


def _margin(study: _Study, recipe: str) -> NonInferiority:
    made = difference(study.theta, study.parts(), (1, 0))
    stated = re.search(r"margin\s*=?\s*(0?\.\d+)", recipe)
    return non_inferiority(
        made.value, made.standard_error, made.df, margin=float(stated[1]) if stated else 0.05
    )


def _non_inferiority(study: _Study, found: re.Match[str], recipe: str) -> object:
    made = _margin(study, recipe)
    return {
        "diff": made.difference,
        "margin": made.margin,
        "t": made.statistic,
        "p_one_sided": made.p_value,
        "lower_one_sided_975": made.lower_limit,
    }


def _imrmc(study: _Study, found: re.Match[str], recipe: str) -> object:
    scores = study.gaps if found["gaps"] else study.scores
    if scores is None:
        return None
    made: UStatistics = u_statistics(scores, biased=found["kind"] == "MLEstat")
    if found["part"] == "_varA_varB":
        return list(made.variances)
    if found["part"] == "_var_diff":
        return made.variance
    return {
        "AUCA": made.aucs[0],
        "AUCB": made.aucs[1],
        "diff": made.difference,
        "var_diff": made.variance,
        "dfBDG": made.df,
        "pBDG": made.p_value,
        "lo": None if made.ci is None else made.ci[0],
        "hi": None if made.ci is None else made.ci[1],
        "pNormal": made.p_normal,
    }


def _nested(study: _Study, found: re.Match[str], recipe: str) -> object:
    axis = {"readers": "readers", "treatments": "conditions"}[found[1]]
    nested = _Study(study.scores.nested_in(axis), study.outcome, None)
    return _test(global_test(nested.parts()))


def _published(study: _Study, found: re.Match[str], recipe: str) -> object:
    name, parts = found[1], study.parts()
    random, fixed = difference(study.theta, parts), difference(study.theta, parts, (0, 1), "cases")
    one_of = re.fullmatch(r"(AUC|single)_t(\d+)", name)
    if one_of and one_of[1] == "AUC":
        return list(study.theta[int(one_of[2]) - 1])
    if one_of:
        one = single_condition(study.theta, study.covariance("jackknife"), int(one_of[2]) - 1)
        return [one.standard_error, *one.ci]
    test = global_test(parts)
    chi = global_test(parts, "cases", truncate=True)
    readers = global_test(parts, "readers")
    d = study.dbm
    listed: dict[str, list[object]] = {
        "AUC_means": list(study.theta.mean(axis=1)),
        "MS_T_R_TR": [parts.ms_condition, parts.ms_reader, parts.ms_interaction],
        "Cov1_2_3_Var": [parts.cov1, parts.cov2, parts.cov3, parts.error],
        "RRRC_F_df_p": [test.statistic, test.df2, test.p_value],
        "RRRC_diff_se_ci": [random.value, random.standard_error, *random.ci],
        "FRRC_X2_p": [chi.statistic, chi.p_value],
        "FRRC_diff_se_ci": [fixed.value, fixed.standard_error, *fixed.ci],
        "RRFC_F_p": [readers.statistic, readers.p_value],
        "DBM_components_R_C_TR_TC_RC_TRC": [
            d.reader,
            d.case,
            d.condition_reader,
            d.condition_case,
            d.reader_case,
            d.residual,
        ],
    }
    return listed.get(name)


def _dbm(study: _Study, found: re.Match[str], recipe: str) -> object:
    made = study.dbm.test
    return {"F": made.statistic, "df2": made.df2, "p": made.p_value}


def _power(study: _Study, found: re.Match[str], recipe: str) -> object:
    pilot = pilot_components(study.parts(), len(study.scores.cases))
    return mrmc_power(pilot, float(found[3]), int(found[1]), int(found[2])).power


def _cases(study: _Study, found: re.Match[str], recipe: str) -> object:
    pilot = pilot_components(study.parts(), len(study.scores.cases))
    readers, effect = int(found[1]), float(found[2])
    n_cases = cases_for_power(pilot, effect, readers)
    return {
        "KRRRC": n_cases,
        "powerRRRC": mrmc_power(pilot, effect, readers, n_cases).power,
    }


Handler = Callable[[_Study, "re.Match[str]", str], object]
_COV = "(?:(jackknife|DeLong|unbiased)_)?"
_HANDLERS: tuple[tuple[str, Handler], ...] = (
    (r"reader_metric", _reader_metric),
    (r"treatment_mean", _treatment_mean),
    (r"(jackknife|DeLong|unbiased)_components", _components),
    (rf"{_COV}(RRRC|FRRC|RRFC)_test", _global),
    (r"FRRC_X2_(truncated|untruncated)(?:_Iowa)?", _chi_square),
    (rf"{_COV}(RRRC|FRRC|RRFC)_diff_(\d)_minus_(\d)", _difference),
    (r"FRRC_reader(.+)_1_minus_2", _reader_difference),
    (r"(jackknife|DeLong|unbiased)_single_t(\d+)", _single),
    (r"noninferiority", _non_inferiority),
    (r"equivalence_TOST_p", lambda s, m, recipe: _margin(s, recipe).p_equivalence),
    (r"(?P<gaps>missing\d+_)?iMRMC_(?P<kind>Ustat|MLEstat)(?P<part>_varA_varB|_var_diff)?", _imrmc),
    (r"nested_cases_in_(readers|treatments)_test", _nested),
    (r"published_(.+)", _published),
    (r"RJafroc_DBM_RRRC", _dbm),
    (r"sizing_power_J(\d+)_K(\d+)_es(\d*\.\d+)", _power),
    (r"sizing_K_given_J(\d+)_es(\d*\.\d+)", _cases),
)


def _reader_delong(
    table: pd.DataFrame, columns: Mapping[str, str], asked: Mapping[str, str]
) -> dict[str, object]:
    """Answer ``delong_<reader>_<what>``: one reader's two conditions."""
    scores = _scores(table, columns, columns["rating"])
    given: dict[str, object] = {}
    for j, reader in enumerate(scores.readers):
        for token in (reader, f"reader{reader}"):
            prefix = f"delong_{token}_"
            wanted = [name for name in asked if name.startswith(prefix)]
            if wanted and len(scores.conditions) == 2:
                made = delong([scores.values[0, j], scores.values[1, j]], scores.truth)
                given |= {name: delong_answer(made, name.removeprefix(prefix)) for name in wanted}
    return given
