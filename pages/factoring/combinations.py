"""Saved combinations: one file each, written once. Nothing is changed; what is deleted is followed
by a version that says so.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from data.scratch import replacing
from study.errors import StudyError
from study.export import guarded
from study.folder import StudyFolder

FORMAT: Final = "counterlight-combination/1"
MOST_NAME: Final = 80
_ID: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class SavedDimension:
    """One moved dimension.

    Parameters
    ----------
    dimension
        Index into S.
    title
        What its card was called.
    at
        Position in [-1, 1].
    own, value
        The film's value and the one it was moved to.
    """

    dimension: int
    title: str
    at: float
    own: float
    value: float


@dataclass(frozen=True)
class SavedPrediction:
    """A finding's probabilities, calibrated: of the film, of its reconstruction, and moved."""

    finding: str
    film: float
    reconstruction: float
    moved: float


@dataclass(frozen=True)
class Combination:
    """What was saved.

    Parameters
    ----------
    combination_id
        16 hexadecimal digits.
    name
        Given by whoever saved it.
    case_id, film_digest
        The film.
    finding
        What was looked at.
    dimensions, predictions
        What was moved, and what came of it.
    factors_digest, generator_digest, classifier_digest
        What it was made with.
    saved_at, saved_by
        When (ISO 8601, UTC) and by whom.
    supersedes
        Identifier of the version before; empty for the first.
    deleted
        Whether this version takes the one before away.
    """

    combination_id: str
    name: str
    case_id: str
    film_digest: str
    finding: str
    dimensions: tuple[SavedDimension, ...]
    predictions: tuple[SavedPrediction, ...]
    factors_digest: str
    generator_digest: str
    classifier_digest: str
    saved_at: str
    saved_by: str
    supersedes: str = ""
    deleted: bool = False


@dataclass(frozen=True)
class Saved:
    """What a folder holds: combinations, latest first, and how many files cannot be read."""

    combinations: tuple[Combination, ...]
    n_damaged: int = 0


def combinations_folder(folder: StudyFolder) -> Path:
    """Return where a study keeps its combinations."""
    return folder.root / "combinations"


def save(root: Path, combination: Combination) -> Path:
    """Write a combination, whole or not at all, and return its file.

    Raises
    ------
    StudyError
        If it has no name or an odd identifier, is there already, or the disk refuses.
    """
    if not combination.name.strip():
        raise StudyError("A combination needs a name to be found by; type one and save again.")
    if _ID.fullmatch(combination.combination_id) is None:
        raise StudyError(
            f"The identifier is {combination.combination_id!r}; expected 16 hexadecimal digits."
        )
    path = root / f"{combination.combination_id}.json"
    if path.exists():
        raise StudyError(f"{path.name} is there already; save under a new identifier.")
    try:
        with replacing(path) as fresh:
            fresh.write_text(as_json([combination]), encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"The combination could not be saved: {error.strerror or error}. Make room, or have "
            "the study's folder made writable, and save again."
        ) from error
    return path


def delete(root: Path, combination: Combination, new_id: str, at: str, by: str) -> Path:
    """Take a combination away by a new version that says so; its file stays.

    Raises
    ------
    StudyError
        As :func:`save`.
    """
    gone = replace(
        combination,
        combination_id=new_id,
        supersedes=combination.combination_id,
        deleted=True,
        saved_at=at,
        saved_by=by,
    )
    return save(root, gone)


def saved(root: Path) -> Saved:
    """Return the combinations that are not superseded, latest first."""
    found, n_damaged = [], 0
    for path in sorted(root.glob("*.json")):
        if _ID.fullmatch(path.stem) is None:
            continue
        read = _read(path)
        if read is None:
            n_damaged += 1
        else:
            found.append(read)
    gone = {each.supersedes for each in found}
    current = [each for each in found if each.combination_id not in gone and not each.deleted]
    current.sort(key=lambda each: (each.saved_at, each.combination_id), reverse=True)
    return Saved(tuple(current), n_damaged)


def as_json(combinations: Sequence[Combination]) -> str:
    """Return combinations as JSON: one as an object, several as a list of them."""
    rows = [{"format": FORMAT, **asdict(each)} for each in combinations]
    content = rows[0] if len(rows) == 1 else rows
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(combinations: Iterable[Combination]) -> str:
    """Return combinations as CSV, a row for each moved dimension and for each finding.

    ``before`` and ``after`` are the dimension's value, or the probability of reconstruction and
    moved film; numbers at full precision.
    """
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    same = ("combination_id", "name", "case_id", "finding", "saved_at", "saved_by")
    digests = ("film_digest", "factors_digest", "generator_digest", "classifier_digest")
    table.writerow([*same, "quantity", "of", "position", "before", "after", *digests])
    for each in combinations:
        head = [guarded(getattr(each, name)) for name in same]
        tail = [getattr(each, name) for name in digests]
        for moved in each.dimensions:
            what = ["dimension", moved.dimension, repr(moved.at), repr(moved.own)]
            table.writerow([*head, *what, repr(moved.value), *tail])
        for seen in each.predictions:
            what = ["probability", guarded(seen.finding), "", repr(seen.reconstruction)]
            table.writerow([*head, *what, repr(seen.moved), *tail])
    return stream.getvalue()


def _read(path: Path) -> Combination | None:
    """Read one file; ``None`` if it is damaged or of another format."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT or content["combination_id"] != path.stem:
            return None
        dimensions = tuple(SavedDimension(**each) for each in content.pop("dimensions"))
        predictions = tuple(SavedPrediction(**each) for each in content.pop("predictions"))
        found = Combination(**content, dimensions=dimensions, predictions=predictions)
        return found if _is_sound(found) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_sound(found: Combination) -> bool:
    datetime.fromisoformat(found.saved_at)
    texts = [getattr(found, each.name) for each in fields(found) if each.type == "str"]
    texts += [each.title for each in found.dimensions]
    texts += [each.finding for each in found.predictions]
    numbers: list[Any] = [n for each in found.dimensions for n in (each.at, each.own, each.value)]
    numbers += [
        n for each in found.predictions for n in (each.film, each.reconstruction, each.moved)
    ]
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
        and all(
            isinstance(each.dimension, int) and each.dimension >= 0 for each in found.dimensions
        )
        and isinstance(found.deleted, bool)
    )
