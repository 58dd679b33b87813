"""Answers of the ordinal, linear and count mixed models and of the estimating equations.

Which model a check means follows from its id and from the formulas in the recipes
(``clmm(rating ~ temp + contact + (1|judge))``); columns derived from others follow from the case's
description of its columns (``iou-0.5``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from study.analysis.estimate import Scope
from study.analysis.mixed.fixed_design import FixedDesign, fixed_design
from study.analysis.mixed.likelihood_ratio import compare
from study.analysis.mixed.random_effects import random_term
from study.analysis.ordinal.clm import ClmFit, fit_clm
from study.analysis.ordinal.clmm import ClmmFit, VarianceTerm, fit_clmm
from study.analysis.ordinal.cumulative import read_categories
from study.analysis.ordinal.predicted import odds_ratio
from study.analysis.ordinal.proportional import nominal_tests
from tests.reference.answers_mixed import mixed_answers
from tests.reference.case import ReferenceCase

_SCOPE = Scope("these readers", "descriptive", 1, 1)


@dataclass(frozen=True)
class Formula:
    """A model in words: response, fixed terms, (slopes, group) of random terms, link, nodes."""

    response: str
    fixed: tuple[str, ...]
    random: tuple[tuple[tuple[str, ...], str], ...] = ()
    link: str = "logit"
    points: int = 1


def answers(case: ReferenceCase) -> Mapping[str, object]:
    """Return the answers to the checks that are known here."""
    return {**_ordinal_answers(case), **mixed_answers(case)}


def parse_formula(text: str) -> Formula | None:
    """Read the first formula ``clm(y ~ a + b + (1 + a | g))`` of a text."""
    found = re.search(r"clmm?\((\w+) ~ (.*)", text)
    if not found:
        return None
    depth, rest = 1, found.group(2)
    inside = rest
    for position, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            inside = rest[:position]
            break
    fixed = re.sub(r"\([^)]*\|[^)]*\)", "", inside)
    names = tuple(name for name in re.split(r"[+\s]+", fixed) if name)
    return Formula(found.group(1), names, parse_random(inside))


def parse_random(text: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Read the random terms of a formula."""
    terms = []
    for left, group in re.findall(r"\(([^()|]*)\|\s*(\w+)\)", text):
        slopes = tuple(name for name in re.split(r"[+\s]+", left) if name not in ("", "1"))
        terms.append((slopes, group))
    return tuple(terms)


def _ordinal_answers(case: ReferenceCase) -> dict[str, object]:
    formulas = _formulas(case)
    if not formulas:
        return {}
    some = next(iter(formulas.values()))
    frame = _frame(case, some.response)
    given: dict[str, object] = {"n_used": len(frame)}
    fits: dict[str, ClmFit | ClmmFit] = {}
    for prefix, formula in formulas.items():
        fits[prefix] = _fit(frame, formula, case)
        given |= _of_fit(prefix, fits[prefix])
        asked = {check.id for check in case.checks}
        for term in formula.fixed:
            if f"{prefix}_LRT_{term}" in asked:
                rest = tuple(name for name in formula.fixed if name != term)
                test = compare(fits[prefix], _fit(frame, replace(formula, fixed=rest), case))
                given[f"{prefix}_LRT_{term}"] = test.statistic
                given[f"{prefix}_LRT_{term}_p"] = test.p_value
        if f"{prefix}_nominal_test_LRT" in asked:
            tests = nominal_tests(
                read_categories(frame[formula.response]), _design(frame, formula, case)
            )
            given[f"{prefix}_nominal_test_LRT"] = {t.term: t.test.statistic for t in tests}
            given[f"{prefix}_nominal_test_p"] = {t.term: t.test.p_value for t in tests}
    return given | _published(fits)


def _formulas(case: ReferenceCase) -> dict[str, Formula]:
    """Return the model of every prefix that has a log-likelihood among the checks."""
    models: dict[str, Formula] = {}
    base: Formula | None = None
    for check in case.checks:
        if not check.id.endswith("_logLik") or check.id.startswith("published"):
            continue
        prefix = check.id.removesuffix("_logLik")
        formula = parse_formula(check.recipe)
        if formula is None and base is not None:
            formula = _relative(prefix, check.recipe, base)
        if formula is None:
            continue
        nodes = re.search(r"agq(\d+)", prefix)
        if nodes:
            formula = replace(formula, points=int(nodes.group(1)))
        models[prefix] = formula
        if formula.random and base is None:
            base = formula
    return models


def _relative(prefix: str, recipe: str, base: Formula) -> Formula | None:
    """Return a model described by its difference from the first mixed model."""
    random = parse_random(recipe)
    if random:
        return replace(base, random=random)
    more = re.search(r"\+ (\w+)$", recipe)
    if more:
        return replace(base, fixed=(*base.fixed, more.group(1)))
    product = re.match(r"(\w+) x (\w+)", recipe)
    if product:
        a, b = product.groups()
        b = "iouc" if b == "iou" else b
        extra = (b,) if b not in base.fixed else ()
        return replace(base, fixed=(*base.fixed, *extra, f"{a}:{b}"))
    link = re.search(r"(probit|cloglog) link", recipe)
    if link:
        return replace(base, link=link.group(1))
    return base if "nAGQ" in recipe else None


def _frame(case: ReferenceCase, response: str) -> pd.DataFrame:
    """Return the rated rows with the derived columns of the case's description."""
    frame = case.table()
    frame = frame[frame[response].notna()].reset_index(drop=True)
    for name, words in case.columns.items():
        shift = re.search(r"(\w+)\s*-\s*(\d+(?:\.\d+)?)", words)
        if shift and shift.group(1) in frame and (name not in frame or shift.group(1) == name):
            frame[name] = frame[shift.group(1)] - float(shift.group(2))
    return frame


def _references(case: ReferenceCase) -> dict[str, str]:
    """Return the reference levels that the descriptions name (``A ref``, ``cold<warm``)."""
    result = {}
    for name, words in case.columns.items():
        found = re.match(r"(\w+) ref\b", words) or re.match(r"(\w+)<\w+", words)
        if found:
            result[name] = found.group(1)
    return result


def _design(frame: pd.DataFrame, formula: Formula, case: ReferenceCase) -> FixedDesign:
    references = {k: v for k, v in _references(case).items() if k in frame}
    return fixed_design(frame, formula.fixed, references)


def _fit(frame: pd.DataFrame, formula: Formula, case: ReferenceCase) -> ClmFit | ClmmFit:
    design = _design(frame, formula, case)
    categories = read_categories(frame[formula.response])
    if not formula.random:
        return fit_clm(categories, design.matrix, design.names, link=formula.link)
    terms = []
    for slopes, group in formula.random:
        inner = _design(frame, replace(formula, fixed=slopes), case).with_intercept()
        terms.append(random_term(group, frame[group], inner.matrix, inner.names))
    return fit_clmm(
        categories, design.matrix, design.names, terms, link=formula.link, points=formula.points
    )


def _of_fit(prefix: str, fit: ClmFit | ClmmFit) -> dict[str, object]:
    cuts = fit.categories.cuts
    given: dict[str, object] = {
        "logLik": fit.log_lik,
        "AIC": fit.aic,
        "thresholds": dict(zip(cuts, map(float, fit.thresholds), strict=True)),
        "se_thresholds": dict(zip(cuts, map(float, fit.threshold_errors), strict=True)),
    }
    for k, name in enumerate(fit.names):
        given[f"beta_{name}"] = float(fit.coefficients[k])
        given[f"se_{name}"] = float(fit.standard_errors[k])
        given[f"p_wald_{name}"] = float(fit.p_values[k])
        ratio = odds_ratio(replace(fit, link="logit"), name, _SCOPE)
        if ratio.ci is not None:
            given[f"OR_CI95_{name}"] = [ratio.value, *ratio.ci]
    named = {f"{prefix}_{key}": value for key, value in given.items()}
    if isinstance(fit, ClmmFit):
        for variance in fit.variances:
            named |= _of_variance(prefix, variance)
    return named


def _of_variance(prefix: str, term: VarianceTerm) -> dict[str, object]:
    sds = dict(zip(term.columns, map(float, term.sds), strict=True))
    modes = {
        f"{term.name}{a}": float(b) for a, b in zip(term.levels, term.modes[:, 0], strict=True)
    }
    return {
        f"{prefix}_sd_{term.name}": sds if len(sds) > 1 else float(term.sds[0]),
        f"{prefix}_corr_{term.name}": float(term.correlation[-1, 0]),
        f"{prefix.split('_')[0]}_ranef_{term.name}": modes,
    }


def _published(fits: Mapping[str, ClmFit | ClmmFit]) -> dict[str, object]:
    """Return the printed values of the vignettes: ``clmm`` alone means the Laplace fit."""
    given: dict[str, object] = {}
    for prefix, fit in fits.items():
        if prefix.endswith("crossed"):
            continue
        shorts = {prefix, prefix.removesuffix("_laplace")}
        for short in shorts:
            for k, name in enumerate(fit.names):
                beta, error = float(fit.coefficients[k]), float(fit.standard_errors[k])
                given[f"published_{short}_{name}"] = beta
                given[f"published_{short}_{name}_se"] = [beta, error]
            given[f"published_{short}_theta"] = [float(x) for x in fit.thresholds]
            given[f"published_{short}_logLik"] = fit.log_lik
        kind, _, how = prefix.partition("_")
        given[f"published_{kind}_logLik_{re.sub(r'[0-9]', '', how)}"] = fit.log_lik
        if isinstance(fit, ClmmFit):
            for term in fit.variances:
                given[f"published_{prefix}_var_{term.name}"] = float(term.sds[0]) ** 2
    return given
