"""Boxes and run-length masks of public collections, as masks of a case set.

Read are the published files as they are: the NIH ``BBox_List_2017.csv``, the RSNA pneumonia
``stage_2_train_labels.csv`` and the SIIM-ACR pneumothorax ``train-rle.csv``. All three speak of
films of 1024 × 1024 pixels; masks are drawn at the size of the film that a case set holds.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from data.case import DataError, slug
from data.csvfile import InvalidTable
from data.manifest import CaseEntry, CaseSet
from data.raster import Size, resize, write_png
from data.reference import REFERENCE_FILE, Reference, ReferenceSet, write_references
from data.scratch import scratch_folder

FRAME_PX = 1024
"""Rows and columns of the films that the published coordinates speak of."""

MASKS_DIR = "masks"


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the published film; x to the right, y down, from its corner."""

    x: float
    y: float
    width: float
    height: float

    def draw(self, size: Size) -> NDArray[np.bool_]:
        """Return the pixels of a film of ``size`` whose centre lies inside, at least one; bool."""
        rows = _covered(self.y, self.height, size[0])
        columns = _covered(self.x, self.width, size[1])
        return rows[:, None] & columns[None, :]


@dataclass(frozen=True)
class Runs:
    """Runs of pixels down the columns of the published film: (start, length), start from 0."""

    runs: tuple[tuple[int, int], ...]

    def draw(self, size: Size) -> NDArray[np.bool_]:
        """Return the pixels of a film of ``size`` covered by at least half, at least one; bool."""
        flat = np.zeros(FRAME_PX * FRAME_PX, bool)
        for start, length in self.runs:
            flat[start : start + length] = True
        full = flat.reshape(FRAME_PX, FRAME_PX).T
        if size == full.shape:
            return full
        covered = resize(full.astype(np.float32), size)
        return (covered > 0) & (covered >= min(0.5, float(covered.max())))


Mark: TypeAlias = Box | Runs


@dataclass(frozen=True)
class Marks:
    """What a file marks.

    Parameters
    ----------
    path
        The file.
    found
        Image (file name without folder and ending) and finding to its marks; an empty tuple
        where the file says that the finding is absent.
    """

    path: Path
    found: Mapping[tuple[str, str], tuple[Mark, ...]]

    def mask(self, image: str, finding: str, size: Size) -> NDArray[np.bool_] | None:
        """Draw all marks of a finding in an image as one mask, ``None`` where there is none."""
        marks = self.found.get((image, finding), ())
        if not marks:
            return None
        return np.logical_or.reduce([mark.draw(size) for mark in marks])


@dataclass(frozen=True)
class BoxReport:
    """What :func:`boxes_to_references` did: masks written, and images that no case came from."""

    n_masks: int
    n_absent: int
    unmatched: tuple[str, ...]


def read_nih(path: Path) -> Marks:
    """Read ``BBox_List_2017.csv``: image, finding, x, y, width, height below an odd header.

    Raises
    ------
    InvalidTable
        If the file cannot be read or a row is malformed; the row is named.
    """
    header, rows = _rows(path)
    if header[:2] != ["image index", "finding label"]:
        raise _not_this(path, "Image Index,Finding Label,Bbox [x,y,w,h]", header)
    found: dict[tuple[str, str], tuple[Mark, ...]] = {}
    for number, row in rows:
        if len(row) < 6 or not row[0] or not row[1]:
            raise InvalidTable(
                f"{path.name} row {number} has {sum(map(bool, row))} filled cells; expected image, "
                "finding, x, y, width and height."
            )
        key = (_stem(row[0]), row[1])
        found[key] = (*found.get(key, ()), _box(path, number, row[2:6]))
    return Marks(path, MappingProxyType(found))


def read_rsna(path: Path, finding: str = "Pneumonia") -> Marks:
    """Read ``stage_2_train_labels.csv``: a row per box, or one with Target 0 and no box.

    Raises
    ------
    InvalidTable
        If the file cannot be read or a row is malformed; the row is named.
    """
    header, rows = _rows(path)
    expected = ["patientid", "x", "y", "width", "height", "target"]
    if header != expected:
        raise _not_this(path, "patientId,x,y,width,height,Target", header)
    found: dict[tuple[str, str], tuple[Mark, ...]] = {}
    for number, row in rows:
        if len(row) != len(expected) or row[5] not in ("0", "1") or not row[0]:
            raise InvalidTable(
                f"{path.name} row {number} is {','.join(row)!r}; expected patientId, x, y, width, "
                "height and Target 0 or 1."
            )
        key = (_stem(row[0]), finding)
        boxes = found.setdefault(key, ())
        if row[5] == "1":
            found[key] = (*boxes, _box(path, number, row[1:5]))
        elif any(row[1:5]):
            raise InvalidTable(
                f"{path.name} row {number} has Target 0 and a box; expected empty cells there."
            )
    return Marks(path, MappingProxyType(found))


def read_siim(path: Path, finding: str = "Pneumothorax") -> Marks:
    """Read ``train-rle.csv``: pairs of pixels skipped since the last run and run length, or -1.

    Pixels are counted down the columns. Several rows of one image are drawn together.

    Raises
    ------
    InvalidTable
        If the file cannot be read, a row is malformed, or a run leaves the film.
    """
    header, rows = _rows(path)
    if header != ["imageid", "encodedpixels"]:
        raise _not_this(path, "ImageId,EncodedPixels", header)
    found: dict[tuple[str, str], tuple[Mark, ...]] = {}
    for number, row in rows:
        if len(row) != 2 or not row[0] or not row[1]:
            raise InvalidTable(f"{path.name} row {number}: expected an image and its run lengths.")
        key = (_stem(row[0]), finding)
        marks = found.setdefault(key, ())
        if row[1] != "-1":
            found[key] = (*marks, _runs(path, number, row[1]))
    return Marks(path, MappingProxyType(found))


READERS: Mapping[str, Callable[[Path], Marks]] = MappingProxyType(
    {"nih": read_nih, "rsna": read_rsna, "siim": read_siim}
)


def read_marks(kind: str, path: Path) -> Marks:
    """Read a file by the name of its collection: ``nih``, ``rsna`` or ``siim``."""
    if kind not in READERS:
        raise DataError(f"{kind!r} is no kind of boxes; choose from {', '.join(READERS)}.")
    return READERS[kind](path)


def boxes_to_references(
    marks: Marks, cases_dir: Path, names: Mapping[str, str] = MappingProxyType({})
) -> BoxReport:
    """Write marks into a case set, as masks at the films' size and as findings.

    A case is found by the file that it was imported from (its column ``source_file``), or by its
    case id. What a file marks is present; what it calls free of marks is absent; findings of
    images that it does not name stay as they are.

    New masks and the new table are written beside their places and moved there at the end, the
    table last: what stops before leaves the reference standard as it was.

    Parameters
    ----------
    marks
        As read.
    cases_dir
        A case set with a reference standard.
    names
        Finding of the file to its name in the case set, such as Infiltrate to Infiltration; others
        keep theirs.

    Raises
    ------
    DataError
        If no case came from any image of the file, several came from one, a film is not square, or
        ``names`` holds a finding that the file does not.
    OSError
        If the disk refuses.
    """
    cases, references = CaseSet.open(cases_dir), ReferenceSet.open(cases_dir)
    drawn = _renamed(marks, names)
    images = dict.fromkeys(image for image, _ in drawn.found)
    case_of = _case_of(references, images)
    matched = {image: case_of[image] for image in images if case_of.get(image) in cases}
    if not matched:
        raise DataError(
            f"None of the {len(images)} images of {marks.path.name} is among the {len(cases)} "
            "cases; import the films with their source names (--source-names)."
        )
    for case_id in matched.values():
        _check_square(cases.entry(case_id), marks.path)
    changed = {case_id: references.get(case_id) for case_id in references}
    written: dict[Path, Path] = {}
    n_absent = 0
    with scratch_folder(cases_dir, ".marking-") as scratch:
        for (image, finding), found in drawn.found.items():
            if image not in matched:
                continue
            before, entry = changed[matched[image]], cases.entry(matched[image])
            masks = {name: path for name, path in before.masks.items() if name != finding}
            mask = drawn.mask(image, finding, (entry.rows, entry.columns))
            if mask is None:
                n_absent += 1
            else:
                masks[finding] = cases_dir / MASKS_DIR / f"{entry.case_id}__{slug(finding)}.png"
                written[scratch / masks[finding].name] = masks[finding]
                write_png(scratch / masks[finding].name, mask)
            findings = {**before.findings, finding: bool(found)}
            changed[entry.case_id] = replace(before, findings=findings, masks=masks)
        write_references(scratch, _moved(changed.values(), cases_dir, scratch))
        (cases_dir / MASKS_DIR).mkdir(exist_ok=True)
        for fresh, path in written.items():
            os.replace(fresh, path)
        os.replace(scratch / REFERENCE_FILE, cases_dir / REFERENCE_FILE)
    return BoxReport(len(written), n_absent, tuple(each for each in images if each not in matched))


def _check_square(entry: CaseEntry, path: Path) -> None:
    if entry.rows != entry.columns:
        raise DataError(
            f"The film of case {entry.case_id!r} has {entry.rows} × {entry.columns} pixels, but "
            f"{path.name} speaks of square films; import the published ones, uncropped."
        )


def _renamed(marks: Marks, names: Mapping[str, str]) -> Marks:
    """Give findings the names of the case set; what falls together is drawn together."""
    known = dict.fromkeys(finding for _, finding in marks.found)
    for name in names:
        if name not in known:
            raise DataError(
                f"{marks.path.name} holds no finding {name!r}; it holds {', '.join(known)}."
            )
    found: dict[tuple[str, str], tuple[Mark, ...]] = {}
    for (image, finding), drawn in marks.found.items():
        key = (image, names.get(finding, finding))
        found[key] = (*found.get(key, ()), *drawn)
    return Marks(marks.path, found)


def _case_of(references: ReferenceSet, images: Iterable[str]) -> Mapping[str, str]:
    """Return image to case: by the file that a case was imported from, else by its identifier."""
    by_source: dict[str, list[str]] = {}
    for case_id in references:
        source = references.get(case_id).attributes.get("source_file")
        if source:
            by_source.setdefault(_stem(source), []).append(case_id)
    for image in images:
        if len(by_source.get(image, ())) > 1:
            raise DataError(
                f"The cases {', '.join(by_source[image])} all come from a file {image!r}; expected "
                "one case for each image. Leave out the others."
            )
    by_id = {case_id: case_id for case_id in references}
    return by_id | {image: ids[0] for image, ids in by_source.items()}


def _moved(references: Iterable[Reference], root: Path, other: Path) -> list[Reference]:
    """Return references whose files lie below another folder, as the table writes them."""
    return [
        replace(
            each,
            masks={name: other / path.relative_to(root) for name, path in each.masks.items()},
            counterfactuals={
                name: other / path.relative_to(root) for name, path in each.counterfactuals.items()
            },
        )
        for each in references
    ]


def _covered(start: float, length: float, n_px: int) -> NDArray[np.bool_]:
    scale = n_px / FRAME_PX
    centres = np.arange(n_px) + 0.5
    inside = (centres >= start * scale) & (centres < (start + length) * scale)
    if not inside.any():
        inside[min(int((start + length / 2) * scale), n_px - 1)] = True
    return inside


def _box(path: Path, number: int, cells: list[str]) -> Box:
    try:
        x, y, width, height = (float(cell) for cell in cells)
    except ValueError as error:
        raise InvalidTable(
            f"{path.name} row {number}: {','.join(cells)!r} is no box; expected four numbers x, y, "
            "width, height."
        ) from error
    inside = x >= 0 and y >= 0 and x < FRAME_PX and y < FRAME_PX
    # Published boxes run over the edge by rounding; more than a pixel is another frame.
    fits = x + width <= FRAME_PX + 1 and y + height <= FRAME_PX + 1
    if not (inside and fits and width > 0 and height > 0):
        raise InvalidTable(
            f"{path.name} row {number}: the box {x:g}, {y:g}, {width:g}, {height:g} does not lie "
            f"in a film of {FRAME_PX} × {FRAME_PX} pixels; the coordinates are those of the "
            "published films."
        )
    return Box(x, y, width, height)


def _runs(path: Path, number: int, text: str) -> Runs:
    try:
        numbers = [int(word) for word in text.split()]
    except ValueError as error:
        raise InvalidTable(
            f"{path.name} row {number}: the run lengths are not whole numbers; expected pairs of "
            "offset and length, or -1."
        ) from error
    if len(numbers) % 2 or min(numbers) < 0:
        raise InvalidTable(
            f"{path.name} row {number} has {len(numbers)} run-length numbers; expected pairs of "
            "offset and length, none negative, or -1 alone."
        )
    place, runs = 0, []
    for skip, length in zip(numbers[::2], numbers[1::2], strict=True):
        place += skip
        runs.append((place, length))
        place += length
    if place > FRAME_PX * FRAME_PX:
        raise InvalidTable(
            f"{path.name} row {number}: the runs end at pixel {place}, beyond a film of "
            f"{FRAME_PX} × {FRAME_PX}; expected offsets relative to the end of the last run."
        )
    return Runs(tuple(runs))


def _rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header in lower case and the numbered rows, stripped; empty rows are left out."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidTable(f"{path} cannot be read ({error}); expected a CSV file.") from error
    try:
        lines = [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(text))]
    except csv.Error as error:
        raise InvalidTable(f"{path} is no CSV file ({error}).") from error
    rows = [(number, line) for number, line in enumerate(lines, start=1) if any(line)]
    if len(rows) < 2:
        raise InvalidTable(f"{path} lists no image; expected a header and at least one row.")
    return [cell.lower() for cell in rows[0][1]], rows[1:]


def _not_this(path: Path, expected: str, header: list[str]) -> InvalidTable:
    return InvalidTable(
        f"{path} begins with {','.join(header)!r}; expected the header {expected!r} of the "
        "published file."
    )


def _stem(name: str) -> str:
    """Return a file name without folder and image ending; identifiers may hold dots."""
    base = name.replace("\\", "/").rpartition("/")[2]
    head, dot, tail = base.rpartition(".")
    return head if dot and tail.lower() in ("png", "jpg", "jpeg", "dcm", "tif", "tiff") else base
