"""A case set of real films with planted findings: exact masks, and the untouched film beside them.

The findings are simulated (:mod:`data.planted.effects`); everything else on the film is real.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.case import DataError
from data.csvfile import write_sheet
from data.manifest import IMAGES_DIR, CaseEntry, CaseSet, Progress, write_cases
from data.planted.film_files import (
    LUNGS,
    PLANTER,
    RECEIPTS,
    Receipt,
    Task,
    complete_film,
    task_files,
)
from data.planted.recipe import MAX_SEVERITY, MIN_SEVERITY, PLANTABLE, check_finding
from data.reference import Reference, ReferenceSet, write_references
from data.workspace import CannotWrite

PARAMETERS_FILE = "parameters.csv"


class PlantingError(DataError):
    """A case set in which nothing can be planted."""


@dataclass(frozen=True)
class PlantingPlan:
    """What to plant.

    Parameters
    ----------
    findings
        Some of :data:`data.planted.recipe.PLANTABLE`; dealt in equal numbers within every split.
    severities
        Lowest and highest severity, drawn uniformly between them.
    copies
        Copies of every healthy film, each with another finding; at most one per finding.
    seed
        Draws findings, places, severities and outlines.
    limit
        How many healthy films to use; ``None`` takes all.
    skip_unusable
        Leave out films whose lung mask is missing or cannot be used, instead of stopping.
    called
        One name under which all of them stand in ``reference.csv``, such as that of a finding a
        classifier knows; ``""`` keeps their own. ``parameters.csv`` says what was planted.
    with_others
        Keep the films that show something, too, as they are; only with ``called``, which says what
        of theirs counts.

    Raises
    ------
    UnknownFinding
        If a finding cannot be planted.
    PlantingError
        If a number is out of range.
    """

    findings: tuple[str, ...] = PLANTABLE
    severities: tuple[float, float] = (0.3, 1.0)
    copies: int = 1
    seed: int = 0
    limit: int | None = None
    skip_unusable: bool = False
    called: str = ""
    with_others: bool = False

    def __post_init__(self) -> None:
        if self.called != self.called.strip() or self.called.lower() == LUNGS:
            raise PlantingError(f"Findings cannot be called {self.called!r}; give another name.")
        if self.with_others and not self.called:
            raise PlantingError(
                "Films with findings of their own stay only beside planted ones of the same name; "
                "give it with --call."
            )
        for finding in self.findings:
            check_finding(finding)
        if not self.findings or len(set(self.findings)) < len(self.findings):
            raise PlantingError("Name at least one finding to plant, each of them once.")
        low, high = self.severities
        if not MIN_SEVERITY <= low <= high <= MAX_SEVERITY:
            raise PlantingError(
                f"Severities run from {low:g} to {high:g}; expected {MIN_SEVERITY:g} ≤ low ≤ high "
                f"≤ {MAX_SEVERITY:g}."
            )
        if not 1 <= self.copies <= len(self.findings):
            raise PlantingError(
                f"{self.copies} copies of a film, each with another finding, but "
                f"{len(self.findings)} findings; expected 1 to {len(self.findings)} copies."
            )
        if self.limit is not None and self.limit < 1:
            raise PlantingError(f"The number of films is {self.limit}; expected at least 1.")


@dataclass(frozen=True)
class PlantReport:
    """What was written.

    Parameters
    ----------
    n_healthy, n_planted
        Untouched films, and films with a finding.
    not_healthy
        Films of the case set passed over because a finding is present or unknown.
    unusable
        Films left out, or findings that found no place, each with its reason.
    """

    n_healthy: int
    n_planted: int
    not_healthy: int
    unusable: tuple[str, ...]


def write_planted(
    cases: Path, out: Path, plan: PlantingPlan, *, on_progress: Progress | None = None
) -> PlantReport:
    """Write a case set of healthy real films and copies of them with planted findings.

    Films already complete are kept, so that an interrupted run goes on where it stopped. The
    layout is that of simulated films: ``cases.csv``, ``reference.csv``, ``parameters.csv``,
    ``images``, ``masks`` and ``counterfactuals``; a counterfactual is the base film's file, byte by
    byte. Patients and splits are those of the base films.

    Parameters
    ----------
    cases
        Case set with films that its reference standard calls free of every finding, and
        ``mask:lungs``.
    out
        Folder to create, or one that a former run began.
    plan
        What to plant.
    on_progress
        Called with (films done, films in all).

    Raises
    ------
    DataError
        If a table, film or mask cannot be read.
    PlantingError
        If no film is healthy, lung masks are missing or unusable, or a patient is in two splits.
    CannotWrite
        If ``out`` holds something else, or the disk refuses.
    """
    case_set, references = CaseSet.open(cases), ReferenceSet.open(cases)
    _check_splits(references)
    healthy, not_healthy = _healthy(case_set, references, plan)
    tasks = _tasks(case_set, references, healthy, plan)
    if plan.with_others:
        others = _others(case_set, references, plan, len(tasks))
        tasks, not_healthy = [*tasks, *others], not_healthy - len(others)
    receipts: dict[str, Receipt] = {}
    try:
        _prepare(cases, out)
        for done, task in enumerate(tasks, start=1):
            receipt = complete_film(cases, out, task)
            if receipt.no_lungs and not plan.skip_unusable:
                raise PlantingError(
                    f"{receipt.problem} Or leave such films out with --skip-unusable."
                )
            receipts[task.case_id] = receipt
            if on_progress is not None:
                on_progress(done, len(tasks))
        whole = [task for task in tasks if not receipts[task.case_id].problem]
        if not any(task.finding for task in whole):
            raise PlantingError(
                f"Nothing could be planted: {next(r.problem for r in receipts.values())}"
            )
        _write_tables(out, whole, receipts, plan)
    except OSError as error:
        raise CannotWrite(
            f"{out} cannot be written ({error.strerror or error}); what is complete is kept, run "
            "the same command again."
        ) from error
    problems = tuple(dict.fromkeys(r.problem for r in receipts.values() if r.problem))
    n_planted = sum(bool(task.finding) for task in whole)
    return PlantReport(len(whole) - n_planted, n_planted, not_healthy, problems)


def _check_splits(references: ReferenceSet) -> None:
    """Refuse a case set in which a patient stands on two sides of a split."""
    of_patient: dict[str, str] = {}
    for case_id in references:
        reference = references.get(case_id)
        known = of_patient.setdefault(reference.patient_id, reference.split)
        if known != reference.split:
            raise PlantingError(
                f"Patient {reference.patient_id!r} stands in two splits ({known or 'none'} and "
                f"{reference.split or 'none'}); put all films of a patient into one."
            )


def _healthy(
    case_set: CaseSet, references: ReferenceSet, plan: PlantingPlan
) -> tuple[list[str], int]:
    """Choose the films without any finding, and count the others."""
    free = [
        case_id
        for case_id in case_set
        if case_id in references and _is_free(references.get(case_id).findings)
    ]
    if not free:
        raise PlantingError(
            f"{references.root} has no film whose findings are all absent (0 in every "
            "finding:<Name> column of reference.csv); findings are planted into such films only."
        )
    bare = [case_id for case_id in free if LUNGS not in references.get(case_id).masks]
    if bare and not plan.skip_unusable:
        raise PlantingError(
            f"{len(bare)} of {len(free)} films without findings have no lung mask (mask:{LUNGS} in "
            f"reference.csv), {bare[0]!r} first; give them one, or leave such films out with "
            "--skip-unusable."
        )
    usable = [case_id for case_id in free if LUNGS in references.get(case_id).masks]
    if not usable:
        raise PlantingError(f"No film of {references.root} without findings has a lung mask.")
    order = np.random.default_rng([plan.seed, 0]).permutation(len(usable))
    chosen = sorted(order[: plan.limit])
    return [usable[i] for i in chosen], len(case_set) - len(free)


def _is_free(findings: Mapping[str, bool | None]) -> bool:
    return bool(findings) and all(value is False for value in findings.values())


def _tasks(
    case_set: CaseSet, references: ReferenceSet, healthy: Sequence[str], plan: PlantingPlan
) -> list[Task]:
    """Deal the findings out in turn, over the films of each split in shuffled order."""
    findings: dict[str, tuple[str, ...]] = {}
    rng = np.random.default_rng([plan.seed, 1])
    for split in sorted({references.get(case_id).split for case_id in healthy}):
        here = [case_id for case_id in healthy if references.get(case_id).split == split]
        for turn, index in enumerate(rng.permutation(len(here))):
            first = turn * plan.copies
            findings[here[index]] = tuple(
                plan.findings[(first + k) % len(plan.findings)] for k in range(plan.copies)
            )
    tasks: list[Task] = []
    for case_id in healthy:
        for finding in ("", *findings[case_id]):
            text = f"{plan.seed}:{case_id}:{finding}"
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            new_id = f"pl-{len(tasks):06d}"
            reference = references.get(case_id)
            tasks.append(
                Task(new_id, case_set.entry(case_id), reference, finding, seed, plan.severities)
            )
    return tasks


def _others(
    case_set: CaseSet, references: ReferenceSet, plan: PlantingPlan, first: int
) -> list[Task]:
    """Films that show the finding themselves and have a lung mask, to be kept as they are."""
    tasks: list[Task] = []
    for case_id in case_set:
        if case_id not in references:
            continue
        reference = references.get(case_id)
        if reference.findings.get(plan.called) and LUNGS in reference.masks:
            new_id = f"pl-{first + len(tasks):06d}"
            tasks.append(Task(new_id, case_set.entry(case_id), reference, "", 0, plan.severities))
    return tasks


def _prepare(cases: Path, out: Path) -> None:
    """Make the folders, and refuse one that somebody else filled."""
    if out.resolve() == cases.resolve():
        raise CannotWrite(f"{out} is the case set to plant into; choose another folder.")
    if out.exists() and (
        not out.is_dir() or (any(out.iterdir()) and not (out / RECEIPTS).is_dir())
    ):
        raise CannotWrite(f"{out} already exists and is not an empty folder; choose another one.")
    for folder in (IMAGES_DIR, "masks", "counterfactuals", RECEIPTS):
        (out / folder).mkdir(parents=True, exist_ok=True)


def _write_tables(
    out: Path, tasks: Sequence[Task], receipts: Mapping[str, Receipt], plan: PlantingPlan
) -> None:
    """Write the three tables, the list of cases last."""
    entries, references, rows = [], [], []
    for task in tasks:
        receipt = receipts[task.case_id]
        base = task.base
        image, lungs, *own = task_files(out, task)
        entries.append(
            CaseEntry(
                task.case_id,
                image.relative_to(out).as_posix(),
                base.modality,
                base.pixel_spacing_mm,
                base.rows,
                base.columns,
                receipt.sha256,
            )
        )
        masks, counterfactuals = {LUNGS: lungs}, {}
        if own:
            name = plan.called or task.finding
            masks[name], counterfactuals[name] = own
        references.append(
            Reference(
                task.case_id,
                task.reference.patient_id,
                *_origin(task, plan),
                task.reference.split,
                _present(task, plan),
                masks,
                counterfactuals,
                {**task.reference.attributes, "planted_into": base.case_id},
            )
        )
        rows.append(_parameter_row(task, receipt, plan))
    write_sheet(out / PARAMETERS_FILE, list(rows[0]), rows)
    write_references(out, references)
    write_cases(out, entries)


def _present(task: Task, plan: PlantingPlan) -> dict[str, bool | None]:
    """What the reference standard says of one film."""
    if plan.called:
        own = task.reference.findings.get(plan.called, False)
        return {plan.called: True if task.finding else own}
    return {finding: finding == task.finding for finding in plan.findings}


def _origin(task: Task, plan: PlantingPlan) -> tuple[str, str]:
    """Source of a film, and who established its reference."""
    reference = task.reference
    if not _is_free(reference.findings):
        return reference.source, reference.established_by
    renamed = f" ({', '.join(plan.findings)}, called {plan.called})" if plan.called else ""
    where = reference.source or "an unnamed collection"
    return f"{PLANTER}: simulated findings in real films of {where}{renamed}", "simulator"


def _parameter_row(task: Task, receipt: Receipt, plan: PlantingPlan) -> dict[str, object]:
    """One row of ``parameters.csv``; cells that mean nothing for the film are empty."""
    row: dict[str, object] = {
        "case_id": task.case_id,
        "planter": PLANTER,
        "base_case_id": task.base.case_id,
        "base_sha256": task.base.sha256,
        "finding": task.finding,
    }
    for finding in plan.findings:
        column = f"{finding.lower().replace(' ', '_')}_severity"
        row[column] = receipt.severity if finding == task.finding else 0.0
    for name in ("side", "lateral", "height", "angle_deg", "seed", "mask_px", "rim_px"):
        row[name] = getattr(receipt, name) if task.finding else None
    row["mean_change"] = round(receipt.mean_change, 5) if task.finding else None
    return row
