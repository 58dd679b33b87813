"""The ordinal analysis of one item: condition effect for these readers and for readers like them.

Two cumulative-link mixed models are fitted. With random intercepts of reader and case the condition
effect speaks for the readers of the study; with a condition slope that varies over readers it
speaks for readers like them. Every p-value names which of the two it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from study.analysis.estimate import AnalysisError, Estimate, Population, Role
from study.analysis.mixed.fixed_design import FixedDesign, fixed_design
from study.analysis.ordinal.clm import ClmFit
from study.analysis.ordinal.clmm import ClmmFit
from study.analysis.ordinal.cumulative import Categories, read_categories
from study.analysis.ordinal.effects import (
    CONDITION,
    Effect,
    Setting,
    condition_column,
    describe_effect,
    describe_standard_deviations,
    effect_for_readers_like_them,
    intercepts,
)
from study.analysis.ordinal.links import Array, LinkName
from study.analysis.ordinal.predicted import Prediction, predict
from study.analysis.ordinal.proportional import nominal_tests, odds_ratios_by_cut
from study.analysis.ordinal.table import OrdinalTable, ordinal_table


@dataclass(frozen=True)
class OrdinalModels:
    """The ordinal analysis of one item.

    Parameters
    ----------
    item, contrast
        The item and the two conditions, the first compared to the second.
    link
        The link.
    n_readings, n_readers, n_cases
        What entered.
    these_readers, readers_like_them
        The condition effect for either population, from models without interactions.
    terms
        The other fixed effects, for these readers; each interaction from a model of its own.
    standard_deviations
        Of the random coefficients, tested at their boundary.
    shares
        Pairs (condition, predicted shares of the categories) over the population of readers and
        cases, the other fixed effects at their means.
    proportional_odds
        Tests of equal effects at every cut, and the condition's odds ratio cut by cut.
    notes
        What cannot be estimated, or is at a boundary.
    """

    item: str
    contrast: tuple[str, str]
    link: LinkName
    n_readings: int
    n_readers: int
    n_cases: int
    these_readers: Effect
    readers_like_them: Effect
    terms: tuple[Effect, ...]
    standard_deviations: tuple[Estimate, ...]
    shares: tuple[tuple[str, Prediction], ...]
    proportional_odds: tuple[Estimate, ...]
    notes: tuple[str, ...]


def ordinal_models(
    table: pd.DataFrame,
    item: str,
    contrast: tuple[str, str],
    *,
    terms: Sequence[str] = (),
    link: LinkName = "logit",
    ci_level: float = 0.95,
    role: Role = "descriptive",
    population: Population = "readers like them",
) -> OrdinalModels:
    """Fit the ordinal models of one item.

    Parameters
    ----------
    table
        Canonical ratings (:class:`study.analysis.columns.Ratings`): reader, case_id, finding,
        condition, item, value, and the columns of ``terms``.
    item
        The item.
    contrast
        Two conditions; effects are those of the first compared to the second.
    terms
        Further fixed effects: ``correctness``, ``session``, ``position`` (per 100 readings),
        ``finding``, any other column, or interactions such as ``condition:session``.
    link
        ``logit`` (odds ratios), ``probit`` or ``cloglog``.
    ci_level
        In (0, 1).
    role
        ``confirmatory`` only for the declared primary endpoint.
    population
        The declared population, ``these readers`` or ``readers like them``: the role is that of its
        condition effect; everything else is descriptive.

    Returns
    -------
    OrdinalModels
        Effects that cannot be estimated have no value and a note that says why.

    Raises
    ------
    AnalysisError
        If a condition or the item does not occur, rows repeat, a rating is not whole, or the level
        is not in (0, 1).
    """
    if not 0 < ci_level < 1:
        raise AnalysisError(f"The confidence level is {ci_level}; expected one between 0 and 1.")
    data = ordinal_table(table, item=item, contrast=contrast, terms=terms)
    if data.frame["value"].nunique() < 2:
        return _nothing(data, link)
    setting = Setting(data, read_categories(data.frame["value"]), link, ci_level)
    main = [name for name in data.terms if ":" not in name]
    design = fixed_design(data.frame, (CONDITION, *main), {CONDITION: contrast[1]})
    notes = [*data.notes, *(f"{name} is not in the model: {why}." for name, why in design.left_out)]
    if not design.columns_of(CONDITION):
        raise AnalysisError(
            f"The conditions {contrast[0]} and {contrast[1]} cannot be told apart in the ratings "
            f"of {item!r} that are left; expected ratings under both."
        )
    plain = setting.fit(design, intercepts(data))
    sloped = setting.fit_slopes(design)
    for fit in (plain, sloped):
        notes += [note for note in (fit.notes if fit else ()) if note not in notes]
    effects = [describe_effect(setting, design, plain, name) for name in design.names]
    like_them = effect_for_readers_like_them(setting, design, sloped)
    if population == "readers like them":
        like_them = like_them.with_role(role, tested=False)
    else:
        effects[0] = effects[0].with_role(role, tested=True)
    crossed, doubts = _interactions(setting, design)
    return OrdinalModels(
        item=item,
        contrast=contrast,
        link=link,
        n_readings=len(data.frame),
        n_readers=data.n_readers,
        n_cases=data.n_cases,
        these_readers=effects[0],
        readers_like_them=like_them,
        terms=(*effects[1:], *crossed),
        standard_deviations=describe_standard_deviations(setting, design, plain, sloped),
        shares=_shares(setting, design, plain),
        proportional_odds=_proportional(setting, design),
        notes=(*notes, *doubts),
    )


def _interactions(setting: Setting, main: FixedDesign) -> tuple[list[Effect], list[str]]:
    """Fit each interaction in a model of its own, beside the main effects."""
    effects: list[Effect] = []
    notes: list[str] = []
    data = setting.table
    for term in (name for name in data.terms if ":" in name):
        names = tuple(dict.fromkeys((*main.terms, *term.split(":"), term)))
        design = fixed_design(data.frame, names, {CONDITION: data.contrast[1]})
        notes += [
            f"{data.label(name)} is not estimable: {why}."
            for name, why in design.left_out
            if ":" in name
        ]
        columns = design.columns_of(term)
        if not columns:
            continue
        fit = setting.fit(design, intercepts(data))
        notes += [note for note in fit.notes if term in note]
        effects += [describe_effect(setting, design, fit, design.names[k]) for k in columns]
    return effects, notes


def _shares(
    setting: Setting, design: FixedDesign, fit: ClmFit | ClmmFit
) -> tuple[tuple[str, Prediction], ...]:
    """Predict the categories of both conditions, everything else at its mean."""
    if any("not estimable" in note for note in fit.notes):
        return ()
    position = design.columns_of(CONDITION)[0]
    result = []
    for name, value in zip(setting.table.contrast, (1.0, 0.0), strict=True):
        row: Array = design.matrix.mean(axis=0)
        row[position] = value
        result.append((name, predict(fit, row, ci_level=setting.ci_level)))
    return tuple(result)


def _proportional(setting: Setting, design: FixedDesign) -> tuple[Estimate, ...]:
    """Return the nominal tests and the condition's odds ratios cut by cut."""
    scope = replace(setting.scope("independent readings"), role="warning")
    tests = [
        scope.estimate(
            f"equal effects of {found.term} at every cut, likelihood-ratio statistic",
            found.test.statistic,
            p_value=found.test.p_value,
            df=found.test.df,
            method=f"{found.test.method}; cumulative-link model, {setting.link}, no random effects",
            note="Takes readings for independent ones: p is too small where they are not.",
        )
        for found in nominal_tests(setting.categories, design, link=setting.link)
    ]
    data = setting.table
    if len(setting.categories.values) < 3 or setting.link != "logit" or data.n_cases < 2:
        return tuple(tests)
    name = condition_column(design)
    cuts = odds_ratios_by_cut(
        data.frame["value"],
        design.matrix,
        design.names,
        name,
        data.frame["case_id"],
        setting.scope(setting.own),
        ci_level=setting.ci_level,
    )
    label = data.label(name)
    return (
        *tests,
        *(replace(cut, quantity=cut.quantity.replace(f"of {name}", f"of {label}")) for cut in cuts),
    )


def _nothing(data: OrdinalTable, link: LinkName) -> OrdinalModels:
    """Return an analysis in which nothing can be estimated because every rating is the same."""
    value = data.frame["value"].iloc[0]
    why = f"All {len(data.frame)} ratings are {value:g}: no model can be fitted."
    categories = Categories(pd.factorize(data.frame["value"])[0], (float(value),), ())
    setting = Setting(data, categories, link, 0.95)
    label = data.label(f"{CONDITION}{data.contrast[0]}")
    populations: tuple[Population, ...] = (setting.own, "readers like them")
    effects = []
    for population in populations:
        missing = setting.scope(population).unavailable(
            label, method="cumulative-link mixed model", note=why
        )
        effects.append(Effect(label, missing, missing, missing))
    return OrdinalModels(
        item=data.item,
        contrast=data.contrast,
        link=link,
        n_readings=len(data.frame),
        n_readers=data.n_readers,
        n_cases=data.n_cases,
        these_readers=effects[0],
        readers_like_them=effects[1],
        terms=(),
        standard_deviations=(),
        shares=(),
        proportional_odds=(),
        notes=(*data.notes, why),
    )
