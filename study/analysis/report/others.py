"""Sections about localisation, agreement between readers, and the multi-reader comparison."""

from __future__ import annotations

import math

import pandas as pd

from study.analysis.agreement.summary import Agreement, agreement_of
from study.analysis.design.iou import MapRelation, iou_relations
from study.analysis.estimate import AnalysisError, Estimate
from study.analysis.mrmc.summary import Mrmc, mrmc_of
from study.analysis.rendering import interval_of, short, short_p
from study.analysis.report.material import Material
from study.analysis.report.sections import Line, Section, estimates_in, joined
from study.analysis.report.truth import with_truth

_MOST_PAIRS = 15


def localisation_section(material: Material) -> Section:
    """Return ratings and IoU, either on the other, per map, condition and finding."""
    analysis = material.analysis
    title = "Ratings and localisation"
    if not any(r.n_readings for r in analysis.regressions):
        return Section(
            "localisation", title, "No rated reading has an IoU: ratings are not regressed on it."
        )
    lines: list[Line] = []
    notes: list[str] = []
    for item in analysis.items:
        try:
            found = iou_relations(
                analysis.ratings,
                item,
                analysis.contrast,
                ordinal=False,
                ci_level=analysis.choices.ci_level,
            )
        except AnalysisError as problem:
            notes.append(f"{item}: {problem}")
            continue
        for relation in found.maps:
            lines += _relation_lines(relation)
        for compared in found.comparisons:
            part = " and ".join(
                f"{c} ({m})" for c, m in zip(compared.contrast, compared.maps, strict=True)
            )
            for estimate in (compared.difference, compared.within, compared.between):
                lines.append(Line(item, "", part, estimate))
        notes += [f"{item}: {note}" for note in found.notes]
    sentence = (
        "Points of the rating per unit of IoU with the reference mask, of every map shown, and IoU "
        "on the rating as published; where a condition shows several maps, of each, of their mean "
        "and of the best."
    )
    return Section("localisation", title, sentence, tuple(lines), joined(notes))


def _relation_lines(relation: MapRelation) -> list[Line]:
    """Return the lines of one map; findings and other standard errors are not shown first."""
    where = f"condition {relation.condition} · {relation.map_name}"
    overall = relation.overall
    lines = [
        Line(overall.item, "", where, estimate)
        for estimate in (overall.slope, overall.r_squared, overall.spearman_of_cases)
    ]
    for estimate in (overall.intercept, overall.spearman, *relation.slopes):
        lines.append(Line(overall.item, "", where, estimate, False))
    for found in relation.by_finding:
        part = f"{where} · {found.finding}"
        for estimate in (found.slope, found.r_squared, found.spearman_of_cases):
            lines.append(Line(found.item, "", part, estimate, False))
    for found in relation.as_published:
        part = f"{where} · {found.finding or 'all findings'} · IoU on rating"
        lines.append(Line(found.item, "", part, found.slope, False))
    return lines


def agreement_section(material: Material) -> Section:
    """Return the agreement of the readers on every item under every condition."""
    frame = pd.concat([material.frame, material.analysis.ratings.repeats], ignore_index=True)
    lines: list[Line] = []
    notes: list[str] = []
    kappas: list[str] = []
    for item in material.analysis.ratings.items:
        for condition in material.analysis.conditions:
            if not ((frame["item"] == item) & (frame["condition"] == condition)).any():
                continue
            where = f"{item}, condition {condition}"
            try:
                found = agreement_of(
                    frame,
                    item,
                    condition,
                    material.scale(item),
                    ci_level=material.analysis.choices.ci_level,
                )
            except AnalysisError as problem:
                notes.append(f"{where}: {problem}")
                continue
            lines += _agreement_lines(found, condition)
            notes += [f"{where}: {note}" for note in found.notes]
            kappas += _kappa_words(found)
    sentence = (
        f"Agreement between readers: {'; '.join(kappas)}."
        if kappas
        else "Agreement between readers cannot be estimated."
    )
    return Section("agreement", "Agreement between readers", sentence, tuple(lines), joined(notes))


def _agreement_lines(found: Agreement, condition: str) -> list[Line]:
    part = f"condition {condition}"
    first = (*found.coefficients, *found.icc[:1], found.kendall)
    lines = [Line(found.item, "", part, e) for e in first]
    lines += [Line(found.item, "", part, e, False) for e in found.icc[1:]]
    shown = len(found.pairs) <= _MOST_PAIRS
    for pair in found.pairs:
        who = f"{part} · readers {pair.readers[0]} and {pair.readers[1]}"
        lines += [
            Line(found.item, "", who, line.estimate, shown and len(found.pairs) > 1)
            for line in estimates_in((pair.kappa, pair.limits))
        ]
    for line in estimates_in(found.intra, item=found.item):
        lines.append(Line(found.item, "", f"{part} · {line.part}", line.estimate, line.main))
    return lines


def _kappa_words(found: Agreement) -> list[str]:
    """Say the ordinal or interval alpha, which any design admits."""
    alphas = [e for e in found.coefficients if "alpha" in e.quantity.lower()]
    return [
        f"{e.quantity} {short(e.value)} ({interval_of(e)}) of {found.item} under {found.condition}"
        for e in alphas
        if e.value is not None
    ]


def multireader_section(material: Material) -> Section:
    """Compare the conditions by how well the ratings tell present from absent findings.

    Each item is taken as a score; the empirical AUC is compared by the analysis of Obuchowski and
    Rockette, or by U-statistics where readings are missing.
    """
    analysis = material.analysis
    lines: list[Line] = []
    notes: list[str] = []
    words: list[str] = []
    for item in analysis.items:
        rated = with_truth(material.frame, item)
        rated = rated[rated["condition"].isin(analysis.contrast)]
        if rated.empty:
            notes.append(f"{item}: the reference standard is not given.")
            continue
        try:
            found = mrmc_of(
                rated, "value", "truth", analysis.contrast, case="unit", alpha=analysis.alpha
            )
        except AnalysisError as problem:
            notes.append(f"{item}: {problem}")
            continue
        lines += _mrmc_lines(item, found)
        notes += [f"{item}: {note}" for note in found.notes]
        words.append(_difference_words(item, found.difference))
    title = "Telling present from absent findings (multi-reader multi-case)"
    sentence = f"{' '.join(words)}" if words else "No AUC can be compared; the notes say why."
    return Section("multireader", title, sentence, tuple(lines), joined(notes))


def _mrmc_lines(item: str, found: Mrmc) -> list[Line]:
    lines = [Line(item, "", "", found.difference)]
    lines += [Line(item, "", "", e) for e in found.alternatives]
    lines += (
        [
            Line(item, "", f"condition {condition}", e)
            for condition, e in zip(found.contrast, found.by_condition, strict=True)
        ]
        if len(found.by_condition) == 2
        else [Line(item, "", "", e) for e in found.by_condition]
    )
    for group in (found.by_reader, found.reader_differences):
        lines += estimates_in(group, item=item)
    return lines


def _difference_words(item: str, e: Estimate) -> str:
    if e.value is None or not math.isfinite(e.value):
        return f"AUC of {item}: not compared ({e.note.rstrip('.')})."
    return (
        f"Difference of the AUC of {item}: {short(e.value)} ({interval_of(e)}, p "
        f"{short_p(e.p_value)}; {e.population})."
    )
