"""A whole report: every section in order, the slow ones last, with progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from study.analysis.estimate import AnalysisError
from study.analysis.report.effects import paired_section, primary_section, ratings_section
from study.analysis.report.material import Material
from study.analysis.report.models import ordinal_section, primary_models_section
from study.analysis.report.others import (
    agreement_section,
    localisation_section,
    multireader_section,
)
from study.analysis.report.sections import Section, lines_table
from study.analysis.report.studied import STUDIED

OnStep = Callable[[str, int, int], None]
Cancelled = Callable[[], bool]


class Stopped(AnalysisError):
    """A report that nobody waits for any longer."""


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that is reported.

    Parameters
    ----------
    material
        What it was made from.
    sections
        Its parts in the order in which they are read.
    """

    material: Material
    sections: tuple[Section, ...]

    @property
    def table(self) -> pd.DataFrame:
        """Every estimate, one row each, at full precision."""
        return lines_table(self.sections)

    @property
    def has_models(self) -> bool:
        """Whether the mixed models are in it."""
        return any(section.is_model for section in self.sections)

    def section(self, name: str) -> Section | None:
        """Return the section of that id, or ``None``."""
        return next((s for s in self.sections if s.id == name), None)


@dataclass(frozen=True)
class Step:
    """A section to be made: what it is called and how it is made."""

    id: str
    title: str
    make: Callable[[Material], Section]
    is_model: bool = False
    applies: Callable[[Material], bool] = lambda material: True


STEPS = (
    Step("primary", "Primary endpoint", primary_section),
    Step("ratings", "Ratings", ratings_section),
    Step("paired", "Paired differences", paired_section),
    Step("localisation", "Ratings and localisation", localisation_section),
    Step("agreement", "Agreement between readers", agreement_section),
    Step("multireader", "Telling present from absent findings", multireader_section),
    *(Step(one.id, one.title, one.section, applies=one.applies) for one in STUDIED),
)
"""The sections that take no mixed model, in the order in which they are read."""


def assemble(
    material: Material,
    *,
    models: bool = True,
    on_step: OnStep = lambda what, done, total: None,
    cancelled: Cancelled = lambda: False,
    before: Report | None = None,
) -> Report:
    """Make every section.

    A section that cannot be made says why; the others are not kept from being made.

    Parameters
    ----------
    material
        What the report is made from.
    models
        Whether to fit the mixed models, which take most of the time.
    on_step
        Called with what is made next, steps done, and steps in all.
    cancelled
        Asked before every step.
    before
        A report of the same material without models, whose sections are taken over.

    Raises
    ------
    Stopped
        If ``cancelled`` said so.
    """
    steps: tuple[Step, ...] = () if before is not None else STEPS
    if models:
        steps += (
            Step(
                "primary-models", "Primary endpoint by mixed models", primary_models_section, True
            ),
        )
        steps += tuple(
            Step(
                f"ordinal-{item}",
                f"Ordinal models: {item}",
                _model_of(item),
                is_model=True,
            )
            for item in material.analysis.items
        )
    steps = tuple(step for step in steps if step.applies(material))
    made = list(before.sections) if before is not None else []
    for done, step in enumerate(steps):
        if cancelled():
            raise Stopped("The report was stopped; ask for it again.")
        on_step(step.title, done, len(steps))
        made.append(_guarded(step, material))
    on_step("", len(steps), len(steps))
    return Report(material, _ordered(made))


def _model_of(item: str) -> Callable[[Material], Section]:
    return lambda material: ordinal_section(material, item)


def _guarded(step: Step, material: Material) -> Section:
    """Make a section; where its computation breaks down, the others are still wanted.

    Infinite values on the way are not warned about: an estimate refuses them by itself.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            section = step.make(material)
    except AnalysisError as problem:
        section = Section(step.id, step.title, f"Not estimated: {problem}")
    except (np.linalg.LinAlgError, ArithmeticError, ValueError):
        why = "the computation broke down; the data are too few or too alike for it."
        section = Section(step.id, step.title, f"Not estimated: {why}")
    return replace(section, is_model=step.is_model)


def _ordered(sections: list[Section]) -> tuple[Section, ...]:
    """Put the models behind the paired differences; they answer the same question."""
    models = [s for s in sections if s.is_model]
    others = [s for s in sections if not s.is_model]
    place = next((k + 1 for k, s in enumerate(others) if s.id == "paired"), len(others))
    return tuple([*others[:place], *models, *others[place:]])
