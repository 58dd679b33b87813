"""Pictures of each condition, made before the first reading (NumPy side only).

What a reader sees is drawn here once, from the case set and the explanation archive, and written
as files; the reading page and the frame route only hand these files out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from data.case import Case
from data.manifest import CaseSet
from data.scratch import scratch_folder
from explainers.archive import ExplanationArchive, split_map_name
from pages.parts.display_files import (
    DisplayMissing,
    DisplayRecord,
    display_folder,
    picture_path,
    read_record,
    write_record,
)
from pages.parts.display_panels import Display, DisplayError, build_display
from pages.parts.display_pictures import is_whole
from study.allocation import Assignment
from study.folder import StudyFolder
from study.protocol import Condition, StudyProtocol

DRAWING_VERSION: Final = 2
"""Part of every display's digest; raised when the drawing changes."""

RANDOMISED_FOLDER: Final = "explanations-randomised"

Partners: TypeAlias = Mapping[tuple[str, str], str]
"""(case_id, finding) to the case whose explanation a sham shows, as ``sham_partners`` draws it."""


class Choice(Protocol):
    """A case with the finding it is read for."""

    @property
    def case_id(self) -> str:
        """The case."""

    @property
    def finding(self) -> str:
        """The finding."""


@dataclass(frozen=True)
class _Wanted:
    """A display that readers will see."""

    case_id: str
    finding: str
    condition: Condition
    shown_case_id: str = ""

    @property
    def explained(self) -> str:
        """The case whose explanation is shown."""
        return self.shown_case_id or self.case_id


def randomised_archive(folder: StudyFolder) -> ExplanationArchive:
    """Return the archive of what a network with reset weights was explained by, for shams."""
    return ExplanationArchive(folder.root / RANDOMISED_FOLDER)


def write_displays(
    study_dir: Path,
    protocol: StudyProtocol,
    choices: Iterable[Choice],
    partners: Partners = MappingProxyType({}),
    practice: Sequence[Choice] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Draw every display of a study that is not there yet.

    Parameters
    ----------
    study_dir
        The study's directory, with ``cases/`` and ``explanations/`` in place.
    protocol
        Says which panels each condition has.
    choices
        Cases with findings (choices or assignments, of which those of practice are passed over);
        repeats are drawn once.
    partners
        For conditions whose sham is another case.
    practice
        The cases of ``protocol.practice``, in its order; each is drawn in its own condition only.
    on_progress
        Called with (displays done, displays in all).

    Returns
    -------
    int
        Number of displays drawn now; those already there from the same sources are left alone.

    Raises
    ------
    DataError, ExplainerError
        If a case or an explanation is missing or damaged.
    DisplayError
        If the cases of a condition have different numbers of frames or sizes of maps, a sham has
        no partner, or the disk refuses.
    """
    folder = StudyFolder(study_dir)
    wanted = list(_wanted(protocol, choices, partners, practice))
    painter = _Painter(folder)
    shapes: dict[str, _Shape] = {}
    drawn = 0
    for done, each in enumerate(wanted, start=1):
        record, fresh = painter.paint(each)
        drawn += fresh
        _same_shapes(shapes, each, record)
        if on_progress is not None:
            on_progress(done, len(wanted))
    return drawn


def _wanted(
    protocol: StudyProtocol,
    choices: Iterable[Choice],
    partners: Partners,
    practice: Sequence[Choice],
) -> Iterator[_Wanted]:
    """Yield the displays of the study, those of a case one after another, then of practice."""
    pairs = {
        (choice.case_id, choice.finding)
        for choice in choices
        if not (isinstance(choice, Assignment) and choice.purpose == "practice")
    }
    for case_id, finding in sorted(pairs):
        for condition in protocol.conditions:
            shown = ""
            if condition.sham == "other_case":
                shown = partners.get((case_id, finding), "")
                if shown in ("", case_id):
                    raise DisplayError(
                        f"Condition {condition.id!r} shows the explanation of another case, but "
                        f"case {case_id!r} has no partner for {finding!r}; pass those of "
                        "sham_partners."
                    )
            yield _Wanted(case_id, finding, condition, shown)
    if len(practice) != len(protocol.practice):
        raise DisplayError(
            f"{len(practice)} practice cases are given; the protocol has "
            f"{len(protocol.practice)}. Pass those of select_practice."
        )
    for plan, choice in zip(protocol.practice, practice, strict=True):
        yield _Wanted(choice.case_id, choice.finding, protocol.condition(plan.condition))


class _Painter:
    """Draws the displays of one study and writes them; keeps the film that it read last."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._cases = CaseSet.open(folder.cases)
        self._archive = ExplanationArchive(folder.explanations)
        self._randomised = randomised_archive(folder)
        self._probabilities = predicted_probabilities(self._archive)
        self._last: Case | None = None

    def paint(self, wanted: _Wanted) -> tuple[DisplayRecord, bool]:
        """Return the record of a display, and whether it had to be drawn."""
        condition = wanted.condition
        target = display_folder(self._folder.displays, wanted.case_id, wanted.finding, condition.id)
        is_random = condition.sham == "randomised_model"
        archive = self._randomised if is_random else self._archive
        probability = self._probability(wanted)
        digest = self._digest(wanted, archive, probability)
        record = _present(target, digest)
        if record is not None:
            return record, False
        display = build_display(
            self._case(wanted.case_id),
            wanted.finding,
            condition,
            archive,
            probability,
            digest,
            shown_case_id=wanted.shown_case_id,
            size_from=self._archive if is_random else None,
        )
        write_display(target, display)
        return display.record, True

    def _case(self, case_id: str) -> Case:
        if self._last is None or self._last.case_id != case_id:
            self._last = self._cases.load(case_id)
        return self._last

    def _probability(self, wanted: _Wanted) -> float:
        try:
            return self._probabilities[wanted.case_id, wanted.finding]
        except KeyError:
            raise DisplayError(
                f"There is no prediction of {wanted.finding!r} for case {wanted.case_id!r} in the "
                "archive; run `counterlight explain` for this case set."
            ) from None

    def _digest(self, wanted: _Wanted, archive: ExplanationArchive, probability: float) -> str:
        """Return a digest of everything that decides what the pictures look like."""
        sources = []
        for panel in wanted.condition.panels:
            if panel.method is not None:
                method = split_map_name(panel.method)[0]
                for each in dict.fromkeys((archive, self._archive)):
                    made = each.provenance(wanted.explained, wanted.finding, method)
                    sources.append(made.digest)
        decisive = {
            "drawing": DRAWING_VERSION,
            "image": self._cases.entry(wanted.case_id).sha256,
            "panels": [panel.model_dump() for panel in wanted.condition.panels],
            "sources": sources,
            "probability": probability,
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def write_display(target: Path, display: Display) -> None:
    """Write a display whole or not at all.

    Raises
    ------
    DisplayError
        If the disk refuses; what was there before is kept.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target.parent, ".writing-") as scratch:
            fresh = scratch / "fresh"
            for number, pictures in enumerate(display.pictures):
                (fresh / f"panel{number}").mkdir(parents=True)
                bits = display.record.panels[number].bits
                for frame, picture in enumerate(pictures):
                    picture_path(fresh, number, frame, bits).write_bytes(picture)
            write_record(fresh, display.record)
            if target.exists():
                os.replace(target, scratch / "replaced")
            os.replace(fresh, target)
    except OSError as error:
        raise DisplayError(
            f"The pictures could not be written to {target}: {error.strerror or error}. "
            "Free some space, then prepare the study again; what was finished is kept."
        ) from error


def predicted_probabilities(archive: ExplanationArchive) -> dict[tuple[str, str], float]:
    """Return the calibrated probability of every (case identifier, finding) in the archive."""
    table = archive.predictions()
    columns = (table["case_id"], table["finding"], table["probability"])
    return {(case, finding): float(p) for case, finding, p in zip(*columns, strict=True)}


def _present(target: Path, digest: str) -> DisplayRecord | None:
    """Return the record of a display that is there, whole and from the same sources."""
    try:
        record = read_record(target)
        pictures_are_whole = all(
            is_whole(
                picture_path(target, number, frame, panel.bits).read_bytes(),
                panel.bits,
                panel.width,
                panel.height,
            )
            for number, panel in enumerate(record.panels)
            for frame in range(panel.n_frames)
        )
    except (DisplayMissing, OSError):
        return None
    return record if pictures_are_whole and record.digest == digest else None


_Shape: TypeAlias = tuple[tuple[int, int, tuple[int, int] | None], ...]


def _same_shapes(shapes: dict[str, _Shape], wanted: _Wanted, record: DisplayRecord) -> None:
    """Refuse unequal numbers or sizes of pictures, by which a reader could tell cases apart.

    Films and frames laid on them have the size of the film, which is seen anyway.
    """
    condition, found = wanted.condition, []
    if any(panel.note and panel.kind == "toggles" for panel in record.panels):
        return  # says itself, in words, that nothing can be switched on this film
    # Which factors are switched, and so how many, is a matter of the finding, which is told.
    switched = any(panel.kind == "toggles" for panel in record.panels)
    key = f"{condition.id}/{wanted.finding}" if switched else condition.id
    for number, panel in enumerate(record.panels):
        shown = condition.panels[number] if number < len(condition.panels) else None
        own_grid = shown is not None and (shown.show == "map" or shown.frames == "decoded")
        size = (panel.width, panel.height) if own_grid else None
        found.append((panel.n_frames, panel.origin, size))
    shape = tuple(found)
    if shapes.setdefault(key, shape) != shape:
        counts, others = ([n for n, _, _ in s] for s in (shape, shapes[key]))
        what = f"{counts} pictures where others have {others}"
        if counts == others:
            what = "pictures of another size, or with the film at another place, than others"
        raise DisplayError(
            f"Case {wanted.case_id!r} has {what} in condition {condition.id!r}; explain all cases "
            "with the same parameters."
        )
