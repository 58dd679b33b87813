"""Simulated readers, who complete a study with a planted effect.

They answer through :class:`study.session.ReadingDesk`, the same way as people, and every event of
theirs is marked simulated. :mod:`study.planted` says how they rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import pandas as pd

from study.allocation import Assignment
from study.errors import StudyError
from study.items import NUMERIC_KINDS, Item
from study.planted import (
    PlantedEffect,
    RatingModel,
    SimulatedReaders,
    planted_difference,
    simulated_table,
)
from study.protocol import StudyProtocol
from study.selection import positives
from study.simulated_reader import Habits, SimulatedReader, allowed_answer
from study.store import StudyStore

__all__ = [
    "Habits",
    "PlantedEffect",
    "RatingModel",
    "SimulatedReaders",
    "Simulation",
    "planted_difference",
    "simulate_readers",
    "simulated_table",
]

Progress = Callable[[int, int], None]
_CLASSES = ("true_positive", "false_positive")


@dataclass(frozen=True)
class Simulation:
    """What simulated readers did.

    Parameters
    ----------
    n_readers, n_readings, n_skipped
        Readers, and readings answered and skipped now.
    item, contrast
        Item that carries the effect, and the conditions between which it lies.
    planted_true_positive, planted_false_positive
        Exact expected difference in points for these readers.
    """

    n_readers: int
    n_readings: int
    n_skipped: int
    item: str
    contrast: tuple[str, str]
    planted_true_positive: float
    planted_false_positive: float


def simulate_readers(
    store: StudyStore,
    reference_table: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    effect: PlantedEffect,
    seed: int,
    start: datetime,
    model: RatingModel | None = None,
    localisation: pd.DataFrame | None = None,
    habits: Habits | None = None,
    on_progress: Progress | None = None,
) -> Simulation:
    """Let simulated readers do everything that is left to read.

    Parameters
    ----------
    store
        The study; no person may have read in it.
    reference_table, predictions, localisation
        As for :func:`study.table.long_table`.
    effect, model
        What is planted.
    seed
        Decides readers, cases and noise.
    start
        Simulated time of the first reading; the readers' clock runs from there.
    habits
        How often they skip, revise and pause; never, if not given.
    on_progress
        Called with readings done and in all.

    Raises
    ------
    StudyError
        If a person has already read in this study, or a case is not a positive of the classifier.
    """
    _refuse_people(store)
    protocol, rng = store.protocol, np.random.default_rng(seed)
    if protocol.design.kind == "review":
        raise StudyError(
            "Readers are simulated with an effect of the explanation, and a clinical review "
            "compares none; let an expert judge its cards."
        )
    model = model or RatingModel()
    mind = _Mind(store, positives_of(store, reference_table, predictions), effect, model, rng)
    if localisation is not None:
        mind.overlap = _overlap(protocol, localisation)
    counts = [sum(a.purpose != "practice" for a in store.assignments()), *_counts(store)]
    done = counts[1] + counts[2]
    for reader, reader_id in enumerate(store.reader_ids):
        way = SimulatedReader(
            store,
            reader_id,
            start,
            partial(mind.answers, reader),
            habits or Habits(),
            ratings_rng=rng,
            habits_rng=np.random.default_rng((seed, reader)),
        )
        for n_new in way.walk():
            done += n_new
            if n_new and on_progress is not None:
                on_progress(done, counts[0])
    submitted, skipped = _counts(store)
    planted = [
        planted_difference(
            effect, mind.readers, model=model, correctness=name, points=mind.primary_points
        )
        for name in _CLASSES
    ]
    return Simulation(
        len(store.reader_ids),
        submitted - counts[1],
        skipped - counts[2],
        protocol.analysis.primary,
        protocol.analysis.contrast,
        *planted,
    )


def positives_of(
    store: StudyStore, reference_table: pd.DataFrame, predictions: pd.DataFrame
) -> dict[tuple[str, str], str]:
    """Return the class of each (case_id, finding) that the study reads.

    Raises
    ------
    StudyError
        If one of them is neither a true nor a false positive by these tables.
    """
    plan = store.protocol.cases.model_copy(update={"minimum_margin": 0.0})
    table = positives(reference_table, predictions, plan)
    classes = {
        (str(case_id), str(finding)): str(correctness)
        for case_id, finding, correctness in zip(
            table["case_id"], table["finding"], table["correctness"], strict=True
        )
    }
    for assignment in store.assignments():
        if assignment.purpose == "practice":
            continue
        if (assignment.case_id, assignment.finding) not in classes:
            raise StudyError(
                f"Case {assignment.case_id!r} is no positive for {assignment.finding!r} by these "
                "tables; use the case set and predictions that the study was prepared with."
            )
    return classes


def _counts(store: StudyStore) -> tuple[int, int]:
    """Return how many readings are answered and skipped."""
    with store.reading() as view:
        return view.count("submitted"), view.count("skipped")


class _Mind:
    """What the simulated readers think of each case."""

    def __init__(
        self,
        store: StudyStore,
        classes: dict[tuple[str, str], str],
        effect: PlantedEffect,
        model: RatingModel,
        rng: np.random.Generator,
    ) -> None:
        self.protocol, self.classes = store.protocol, classes
        self.effect, self.model, self.rng = effect, model, rng
        self.readers = SimulatedReaders.draw(len(store.reader_ids), model, rng)
        self.overlap: dict[tuple[str, str, str], float] = {}
        self.primary_points = _points(self.protocol.item(self.protocol.analysis.primary))
        scales = [item.id for item in self.protocol.items if item.kind in NUMERIC_KINDS]
        pairs = sorted(
            {(a.case_id, a.finding) for a in store.assignments() if a.purpose != "practice"}
        )
        shape = (len(scales), len(pairs))
        self._scale = {name: n for n, name in enumerate(scales)}
        self._pair = {pair: n for n, pair in enumerate(pairs)}
        self._case = model.case_sd * rng.standard_normal(shape)
        self._case_condition = model.case_condition_sd * rng.standard_normal(shape)
        self._reader_case = model.reader_case_sd * rng.standard_normal(
            (len(store.reader_ids), *shape)
        )

    def answers(self, reader: int, assignment: Assignment) -> dict[str, object]:
        """Return the answers of one reading."""
        answers: dict[str, object] = {}
        for item in self.protocol.items_of(assignment.condition):
            if item.kind in NUMERIC_KINDS:
                latent = self._latent(reader, assignment, item.id)
                above = latent > self.model.thresholds(_points(item))
                answers[item.id] = item.lowest + int(above.sum())
            else:
                answers[item.id] = allowed_answer(item, self.rng)
        return answers

    def _latent(self, reader: int, assignment: Assignment, item_id: str) -> float:
        pair = (assignment.case_id, assignment.finding)
        place = (self._scale[item_id], self._pair[pair])
        correctness = self.classes[pair]
        latent = self.model.base(correctness) + self.readers.intercepts[reader]
        latent += self._case[place] + self._reader_case[(reader, *place)]
        primary = item_id == self.protocol.analysis.primary
        if assignment.condition == self.protocol.analysis.contrast[0]:
            latent += self.readers.condition_effects[reader] + self._case_condition[place]
            latent += self.effect.shift(correctness) if primary else 0.0
        if not primary:
            latent += self.effect.iou * self.overlap.get((*pair, assignment.condition), 0.0)
        return float(latent + self.model.noise_sd * self.rng.standard_normal())


def _points(item: Item) -> int:
    """Return the number of answers that a numeric item allows."""
    return item.highest - item.lowest + 1


def _refuse_people(store: StudyStore) -> None:
    for event in (*store.events("profile"), *store.events("displayed")):
        if not event.payload["simulated"]:
            raise StudyError(
                f"Reader {event.actor!r} has begun to read in this study; simulated readers must "
                "not mix with people. Simulate in a fresh copy of the study."
            )


def _overlap(
    protocol: StudyProtocol, localisation: pd.DataFrame
) -> dict[tuple[str, str, str], float]:
    """Return the mean IoU of the maps that each condition shows, by case, finding and condition.

    A sham shows no map of the case, so it has none.
    """
    overlap: dict[tuple[str, str, str], float] = {}
    for condition in protocol.conditions:
        if condition.sham is not None:
            continue
        shown: Sequence[str] = [p.method for p in condition.panels if p.show == "map" and p.method]
        rows = localisation[localisation["map"].isin(shown)]
        means = rows.groupby(["case_id", "finding"])["iou"].mean().dropna()
        for (case_id, finding), iou in means.items():
            overlap[str(case_id), str(finding), condition.id] = float(iou)
    return overlap
