"""Sections about the design: order of reading, time, what is missing, reliance, probability, …

Each is one analysis of :mod:`study.analysis.design` for every item it applies to, turned into lines
by :func:`~study.analysis.report.sections.estimates_in`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from study.analysis.design.calls import compare_calls
from study.analysis.design.discrimination import discrimination
from study.analysis.design.missing import FlowStep, missingness
from study.analysis.design.per_reader import per_reader
from study.analysis.design.period import design_effects
from study.analysis.design.primary import primary_endpoint
from study.analysis.design.probability import against_probability
from study.analysis.design.reliance import reliance
from study.analysis.design.secondary import declared_family
from study.analysis.design.sham import beyond_placebo
from study.analysis.design.timing import reading_times
from study.analysis.estimate import AnalysisError
from study.analysis.rendering import short_p
from study.analysis.report.material import Material
from study.analysis.report.sections import Line, Section, estimates_in, joined


@dataclass(frozen=True)
class Studied:
    """One analysis of the design.

    Parameters
    ----------
    id, title, sentence
        Of its section.
    make
        Takes the material and an item (empty where it is about no item) and returns a record of
        results.
    per_item
        Whether it is made for every item.
    applies
        Whether the study has what it is about.
    """

    id: str
    title: str
    sentence: str
    make: Callable[[Material, str], Any]
    per_item: bool = True
    applies: Callable[[Material], bool] = lambda material: True

    def section(self, material: Material) -> Section:
        """Make the section; an item that cannot be analysed becomes a note."""
        items = material.analysis.ratings.items if self.per_item else ("",)
        lines: list[Line] = []
        notes: list[str] = []
        found: Any = None
        for item in items:
            prefix = f"{item}: " if item and len(items) > 1 else ""
            try:
                found = self.make(material, item)
            except AnalysisError as problem:
                notes.append(f"{prefix}{problem}")
                continue
            lines += [
                replace(line, item=line.item or item) for line in estimates_in(found, item=item)
            ]
            notes += [f"{prefix}{note}" for note in getattr(found, "notes", ())]
        sentence = getattr(found, "sentence", "") or self.sentence
        if not lines:
            sentence = f"Not estimated. {' '.join(notes[:1])}".strip()
        return Section(self.id, self.title, sentence, tuple(lines), joined(notes))


@dataclass(frozen=True)
class About:
    """Results with the words that they lack.

    Parameters
    ----------
    results
        Records of results.
    item, correctness, name
        What they are about; empty where the results say it.
    sentence, notes
        What the section says with them.
    """

    results: tuple[Any, ...]
    item: str = ""
    correctness: str = ""
    name: str = ""
    sentence: str = ""
    notes: tuple[str, ...] = ()


def _readers(material: Material, item: str) -> object:
    declared = material.declaration
    found = per_reader(material.frame, declared)
    without = tuple(
        About((one.estimate,), name=f"without reader {one.reader}") for one in found.without
    )
    return About(
        (found.by_reader, without),
        item=declared.item,
        correctness=declared.subset,
        sentence=found.sentence,
        notes=found.notes,
    )


def _period(material: Material, item: str) -> object:
    return design_effects(
        material.frame,
        item,
        material.analysis.contrast,
        ordinal=False,
        ci_level=material.analysis.choices.ci_level,
    )


def _timing(material: Material, item: str) -> object:
    found = reading_times(
        material.frame,
        material.analysis.contrast,
        pause_minutes=material.pause_minutes,
        ci_level=material.analysis.choices.ci_level,
    )
    return About((found,), notes=(f"Pauses: {found.rule}.".replace("..", "."), *found.notes))


def _missing(material: Material, item: str) -> object:
    analysis = material.analysis
    tables = material.tables or {}
    found = missingness(
        material.frame,
        analysis.primary.item,
        plan=tables.get("assignments"),
        reasons=tables.get("missing"),
        contrast=analysis.contrast,
        subset=analysis.primary.subset,
        ci_level=analysis.choices.ci_level,
    )
    return About((found,), notes=(*map(_flow_words, found.flow), *found.notes))


def _flow_words(step: FlowStep) -> str:
    """Say one box of the flow of readings."""
    lost = ", ".join(f"{n} {why}" for why, n in step.lost if n)
    left = f" (lost since the step before: {lost})" if lost else ""
    return (
        f"Flow: {step.label}: {step.n_readings} readings by {step.n_readers} readers of "
        f"{step.n_cases} cases{left}."
    )


def _probability(material: Material, item: str) -> object:
    return against_probability(
        material.frame,
        item,
        material.analysis.contrast,
        ci_level=material.analysis.choices.ci_level,
    )


def _discrimination(material: Material, item: str) -> object:
    found = discrimination(
        material.frame,
        item,
        material.analysis.contrast,
        ci_level=material.analysis.choices.ci_level,
    )
    return replace(found, mrmc=None)  # the multi-reader comparison has a section of its own


def _calls(material: Material, item: str) -> object:
    found = compare_calls(
        material.frame,
        item,
        material.analysis.contrast,
        threshold=material.high_rating(item),
        ci_level=material.analysis.choices.ci_level,
    )
    note = (
        f"A rating of {material.high_rating(item):g} or more, above the middle of the scale, is "
        "taken for agreeing; no margin of non-inferiority was declared."
    )
    return replace(found, mrmc=None, notes=(note, *found.notes))


def _secondary(material: Material, item: str) -> object:
    assert material.protocol is not None
    plan = material.protocol.analysis
    primary = primary_endpoint(material.frame, material.declaration, mixed_models=False)
    family = declared_family(material.frame, plan, primary)
    notes = tuple(
        f"{one.name} ({one.outcome}, {one.claim}): p adjusted for the gate "
        f"{short_p(one.p_adjusted)}; {'met' if one.met else 'not met'} at {plan.alpha:g} "
        f"({plan.gatekeeping.replace('_', ' ')})."
        for one in family.results
    )
    results = tuple(About((one.estimate,), name=one.name) for one in family.results)
    return About(results, sentence=family.sentence, notes=notes)


def _sham(material: Material, item: str) -> object:
    analysis = material.analysis
    assert material.sham is not None
    shown = [c for c in analysis.contrast if c not in (material.sham, material.unaided)]
    if not shown:
        raise AnalysisError("Neither condition of the contrast shows an explanation of the case.")
    return beyond_placebo(
        material.frame,
        item,
        explanation=shown[0],
        sham=material.sham,
        plain=material.unaided,
        subset=analysis.primary.subset,
        ci_level=analysis.choices.ci_level,
    )


def _reliance(material: Material, item: str) -> object:
    unaided, sham = material.unaided, material.sham
    aided = [c for c in material.analysis.contrast if c not in (unaided, sham)]
    if unaided is None or not aided:
        raise AnalysisError(
            "No condition shows the film alone: reliance needs answers without an explanation."
        )
    return reliance(
        material.frame,
        item,
        unaided=unaided,
        aided=aided[0],
        threshold=material.high_rating(item),
        sham=sham,
        ci_level=material.analysis.choices.ci_level,
    )


STUDIED: tuple[Studied, ...] = (
    Studied(
        "secondary",
        "Secondary endpoints",
        "In the declared order, behind the gate of the primary endpoint.",
        _secondary,
        per_item=False,
        applies=lambda m: m.protocol is not None and bool(m.protocol.analysis.secondary),
    ),
    Studied(
        "readers",
        "Each reader, and without each reader",
        "Each reader alone, and the primary endpoint without each reader in turn.",
        _readers,
        per_item=False,
    ),
    Studied(
        "discrimination",
        "Confidence of true against false positives",
        "AUC of the rating for true against false positives of the model, per condition.",
        _discrimination,
    ),
    Studied(
        "calls",
        "High ratings of false positives",
        "Share of false positives and true negatives that were not rated high (specificity).",
        _calls,
    ),
    Studied(
        "probability",
        "Ratings and the model's probability",
        "Do ratings and maps follow the model's probability?",
        _probability,
    ),
    Studied(
        "reliance",
        "Reliance on the model",
        "How answers changed from without to with an explanation.",
        _reliance,
        applies=lambda m: m.unaided is not None,
    ),
    Studied(
        "sham",
        "Beyond placebo",
        "The explanation against one that says nothing about the case.",
        _sham,
        applies=lambda m: m.sham is not None,
    ),
    Studied(
        "timing",
        "Time per case",
        "Ratios of geometric mean times; pauses are left out by the declared rule only.",
        _timing,
        per_item=False,
    ),
    Studied(
        "period",
        "Order of reading",
        "Period, sequence and carry-over are shown and never used to choose the analysis.",
        _period,
    ),
    Studied(
        "missing",
        "Missing readings",
        "Share of the expected readings without a rating.",
        _missing,
        per_item=False,
    ),
)
"""Analyses of the design in the order in which they are read."""
