"""Pictures of each condition, made before the first reading (NumPy side only).

What a reader sees is drawn here once, from the case set and the explanation archive, and written
as PNG files; the reading page and the frame route only hand these files out.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data.case import Case
from data.manifest import CaseSet
from data.raster import quantise
from data.scratch import scratch_folder
from explainers.archive import ExplanationArchive
from explainers.overlay import overlay_rgba
from explainers.record import Counterfactual
from pages.parts.display_files import (
    DisplayMissing,
    DisplayRecord,
    PanelRecord,
    display_folder,
    picture_path,
    read_record,
    write_record,
)
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import Condition, Panel, StudyProtocol

DRAWING_VERSION: Final = 1
PNG_END: Final = b"IEND\xaeB`\x82"  # type and checksum of the last chunk of every PNG
"""Part of every display's digest; raised when the drawing below changes."""


class DisplayError(StudyError):
    """Pictures that cannot be made as the protocol asks."""


class Choice(Protocol):
    """A case with the finding it is read for."""

    @property
    def case_id(self) -> str:
        """The case."""

    @property
    def finding(self) -> str:
        """The finding."""


@dataclass(frozen=True)
class Display:
    """The pictures of a case in a condition.

    Parameters
    ----------
    record
        Captions, kinds, counts.
    pictures
        For each panel of ``record`` its PNG files, in slider order.
    """

    record: DisplayRecord
    pictures: tuple[tuple[bytes, ...], ...]


def write_displays(
    study_dir: Path,
    protocol: StudyProtocol,
    choices: Iterable[Choice],
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
        Cases with findings (choices or assignments); repeats are drawn once.
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
        If the cases of a condition have different numbers of frames, or the disk refuses.
    """
    folder = StudyFolder(study_dir)
    cases, archive = CaseSet.open(folder.cases), ExplanationArchive(folder.explanations)
    probabilities = predicted_probabilities(archive)
    pairs = sorted({(choice.case_id, choice.finding) for choice in choices})
    total, done, drawn = len(pairs) * len(protocol.conditions), 0, 0
    shapes: dict[str, tuple[int, ...]] = {}
    for case_id, finding in pairs:
        case = None
        for condition in protocol.conditions:
            target = display_folder(folder.displays, case_id, finding, condition.id)
            probability = _probability(probabilities, case_id, finding)
            digest = _digest(cases, archive, case_id, finding, condition, probability)
            record = _present(target, digest)
            if record is None:
                case = case or cases.load(case_id)
                display = build_display(case, finding, condition, archive, probability, digest)
                write_display(target, display)
                record, drawn = display.record, drawn + 1
            _same_counts(shapes, condition, record, case_id)
            done += 1
            if on_progress is not None:
                on_progress(done, total)
    return drawn


def build_display(
    case: Case,
    finding: str,
    condition: Condition,
    archive: ExplanationArchive,
    probability: float,
    digest: str = "",
) -> Display:
    """Draw the panels of one condition.

    Parameters
    ----------
    case
        The film, at its own resolution.
    finding
        The finding explained.
    condition
        Names the panels.
    archive
        Holds the explanations.
    probability
        The classifier's calibrated probability, in [0, 1].
    digest
        Kept in the record.

    Raises
    ------
    ExplainerError
        If an explanation is missing or damaged.
    """
    panels = [draw_panel(panel, case, finding, archive) for panel in condition.panels]
    films = [number for number, (record, _) in enumerate(panels) if record.kind == "film"]
    if not films and any(record.kind == "map" for record, _ in panels):
        films = [len(panels)]
        panels.append((PanelRecord("", "film", 1, hidden=True), (grey_png(case.image),)))
    records = tuple(
        PanelRecord(record.title, "map", 1, under=films[0]) if record.kind == "map" else record
        for record, _ in panels
    )
    return Display(
        DisplayRecord(records, round(float(probability), 4), _aspect(case), digest),
        tuple(pictures for _, pictures in panels),
    )


def draw_panel(
    panel: Panel, case: Case, finding: str, archive: ExplanationArchive
) -> tuple[PanelRecord, tuple[bytes, ...]]:
    """Draw one panel of a condition."""
    if panel.show == "film" or panel.method is None:
        return PanelRecord(panel.title, "film", 1), (grey_png(case.image),)
    if panel.show == "map":
        values = archive.load_map(case.case_id, finding, panel.method)
        return PanelRecord(panel.title, "map", 1), (map_png(values),)
    film = archive.load(case.case_id, finding, panel.method)
    if not isinstance(film, Counterfactual):
        raise DisplayError(
            f"{panel.method!r} makes a single map, not a moving film; "
            "use show = 'map' for it in the protocol."
        )
    pictures = tuple(grey_png(frame) for frame in film.frames)
    return PanelRecord(panel.title, "frames", len(pictures), origin=film.origin), pictures


def grey_png(image: NDArray[np.floating]) -> bytes:
    """Encode a grey image (H, W) in [0, 1] as 8-bit PNG without metadata."""
    return _png(quantise(image, 8))


def map_png(values: NDArray[np.floating]) -> bytes:
    """Encode a map (H, W) as a transparent colour PNG: |values|, strong where large."""
    return rgba_png(overlay_rgba(np.abs(values)))


def rgba_png(picture: NDArray[np.uint8]) -> bytes:
    """Encode a picture (H, W, 4) as PNG without metadata."""
    return _png(picture)


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
                for frame, picture in enumerate(pictures):
                    picture_path(fresh, number, frame).write_bytes(picture)
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


def _probability(table: dict[tuple[str, str], float], case_id: str, finding: str) -> float:
    try:
        return table[case_id, finding]
    except KeyError:
        raise DisplayError(
            f"There is no prediction of {finding!r} for case {case_id!r} in the archive; "
            "run `counterlight explain` for this case set."
        ) from None


def _digest(
    cases: CaseSet,
    archive: ExplanationArchive,
    case_id: str,
    finding: str,
    condition: Condition,
    probability: float,
) -> str:
    """Return a digest of everything that decides what the pictures look like."""
    sources = []
    for panel in condition.panels:
        if panel.method is not None:
            method = _archived_method(archive, case_id, finding, panel.method)
            sources.append(archive.provenance(case_id, finding, method).digest)
    decisive = {
        "drawing": DRAWING_VERSION,
        "image": cases.entry(case_id).sha256,
        "panels": [panel.model_dump() for panel in condition.panels],
        "sources": sources,
        "probability": probability,
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _archived_method(archive: ExplanationArchive, case_id: str, finding: str, name: str) -> str:
    """Return the method whose record a map name (``"latent_shift-max"``) is drawn from."""
    if "-" in name and not archive.has(case_id, finding, name):
        return name.rpartition("-")[0]
    return name


def _present(target: Path, digest: str) -> DisplayRecord | None:
    """Return the record of a display that is there, whole and from the same sources."""
    try:
        record = read_record(target)
    except DisplayMissing:
        return None
    whole = all(
        _is_whole(picture_path(target, number, frame))
        for number, panel in enumerate(record.panels)
        for frame in range(panel.n_frames)
    )
    return record if whole and record.digest == digest else None


def _is_whole(picture: Path) -> bool:
    """Say whether a PNG of ours is there and not cut off."""
    try:
        return picture.read_bytes().endswith(PNG_END)
    except OSError:
        return False


def _same_counts(
    shapes: dict[str, tuple[int, ...]], condition: Condition, record: DisplayRecord, case_id: str
) -> None:
    """Refuse unequal numbers of frames, by which a reader could tell cases apart."""
    counts = tuple(panel.n_frames for panel in record.panels)
    if shapes.setdefault(condition.id, counts) != counts:
        raise DisplayError(
            f"Case {case_id!r} has {counts} pictures in condition {condition.id!r} where others "
            f"have {shapes[condition.id]}; explain all cases with the same number of frames."
        )


def _aspect(case: Case) -> float:
    """Return width over height of the film on screen, pixels being what they are."""
    rows, columns = case.image.shape
    row_mm, column_mm = case.pixel_spacing_mm or (1.0, 1.0)
    return round(columns * column_mm / (rows * row_mm), 5)


def _png(samples: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(stream, format="PNG", compress_level=6)
    return stream.getvalue()
