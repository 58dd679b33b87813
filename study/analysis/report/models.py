"""Sections with mixed models: the ordinal analysis of every item, and other models beside it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from study.analysis.design.primary import primary_endpoint
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.ordinal.models import OrdinalModels, ordinal_models
from study.analysis.ordinal.predicted import Prediction
from study.analysis.ordinal.sensitivity import ordinal_sensitivity
from study.analysis.rendering import interval_of, label_of, short, short_p
from study.analysis.report.material import Material
from study.analysis.report.sections import Line, Section, estimates_in, joined

TERMS = ("correctness", "session", "position", "finding", "condition:correctness")
"""Fixed effects beside the condition; those that a table cannot serve are left out with a note."""


def primary_models_section(material: Material) -> Section:
    """Return the primary endpoint, in its own cases, by the mixed models."""
    found = primary_endpoint(material.frame, material.declaration, mixed_models=True)
    declared = found.declaration
    cases = label_of(declared.subset)
    lines = tuple(Line(declared.item, cases, "", e) for e in found.sensitivity if _is_model(e))
    first, second = declared.contrast
    sentence = (
        f"The contrast of the primary endpoint ({declared.item}, {cases}, {first} − {second}) by "
        "models; beside the declared estimate, not in its place."
    )
    return Section(
        "primary-models", "Primary endpoint by mixed models", sentence, lines, found.notes, True
    )


def _is_model(estimate: Estimate) -> bool:
    return "mixed model" in estimate.method or "equations" in estimate.method


def ordinal_section(material: Material, item: str) -> Section:
    """Return the cumulative-link mixed models of one item and the models beside them.

    Parameters
    ----------
    material
        What the report is made from.
    item
        The item.
    """
    analysis = material.analysis
    title = f"Ordinal models: {item}"
    level = analysis.choices.ci_level
    frame = material.frame
    try:
        found = ordinal_models(frame, item, analysis.contrast, terms=TERMS, ci_level=level)
    except AnalysisError as problem:
        return Section(f"ordinal-{item}", title, f"Not estimated: {problem}", is_model=True)
    other, problems = _sensitivity(frame, item, analysis.contrast, level)
    lines = (
        *estimates_in(found.these_readers, item=item),
        *estimates_in(found.readers_like_them, item=item),
        *_shares(found),
        *estimates_in(found.standard_deviations, item=item),
        *(Line(item, "", "another model", e) for e in other),
        *estimates_in(found.terms, item=item, main=False),
        *estimates_in(found.proportional_odds, item=item, main=False),
    )
    return Section(
        f"ordinal-{item}",
        title,
        _sentence(found),
        tuple(replace(line, item=item) for line in lines),
        joined((*found.notes, *problems)),
        is_model=True,
    )


def _sensitivity(
    frame: pd.DataFrame, item: str, contrast: tuple[str, str], level: float
) -> tuple[tuple[Estimate, ...], tuple[str, ...]]:
    try:
        return ordinal_sensitivity(
            frame, item, contrast, terms=("correctness", "session"), ci_level=level
        ), ()
    except AnalysisError as problem:
        return (), (f"No other model was fitted: {problem}",)


def _sentence(found: OrdinalModels) -> str:
    """Say the condition effect for both populations, and that the second costs more."""
    parts = []
    for effect in (found.these_readers, found.readers_like_them):
        ratio = effect.odds_ratio
        if ratio.value is None:
            parts.append(f"not estimated for {ratio.population} ({ratio.note.rstrip('.')})")
        else:
            parts.append(
                f"{short(ratio.value)} ({interval_of(ratio)}, p "
                f"{short_p(effect.coefficient.p_value)}) for {ratio.population}"
            )
    first, second = found.contrast
    return (
        f"Over all cases, odds ratio of a higher rating of {found.item} under {first} compared to "
        f"{second}: "
        f"{'; '.join(parts)}."
    )


def _shares(found: OrdinalModels) -> tuple[Line, ...]:
    """Return the predicted share of every category as estimates."""
    lines = []
    scope = Scope("these readers", "descriptive", found.n_readers, found.n_cases)
    if found.n_readers == 1:
        scope = scope.with_population("this reader", "descriptive")
    for condition, prediction in found.shares:
        lines += [
            Line(found.item, "", f"condition {condition}", estimate)
            for estimate in _predicted(prediction, scope)
        ]
    return tuple(lines)


def _predicted(prediction: Prediction, scope: Scope) -> list[Estimate]:
    method = "predicted by the cumulative-link mixed model over readers and cases, delta method"
    made = [
        scope.estimate(
            f"predicted share rated {name}",
            float(share),
            ci=(float(low), float(high)),
            ci_level=prediction.ci_level,
            method=method,
        )
        for name, share, low, high in zip(
            prediction.names, prediction.probability, prediction.low, prediction.high, strict=True
        )
    ]
    made.append(
        scope.estimate(
            "predicted mean rating",
            prediction.mean,
            ci=(prediction.mean_low, prediction.mean_high),
            ci_level=prediction.ci_level,
            method=method,
        )
    )
    return made
