"""The data dictionary of an export, generated from the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias, get_args

import pandas as pd

from study.answering import SKIP_REASONS
from study.export_tables import NOT_READ
from study.items import NUMERIC_KINDS, Item
from study.profile import AiUse, DisplayGrade, Role
from study.protocol import StudyProtocol
from study.table import IOU_PREFIX
from study.viewer_log import KINDS


@dataclass(frozen=True)
class Entry:
    """What one column holds.

    Parameters
    ----------
    file, column
        Where it is found; ``value[<item>]`` and ``text[<item>]`` say what ``value`` and ``text``
        mean in the rows of an item.
    meaning, type, unit, allowed_values
        What it says and how it is written; empty where it has none.
    """

    file: str
    column: str
    meaning: str
    type: str
    unit: str
    allowed_values: str


_Row: TypeAlias = tuple[str, str, str, str, str]  # an entry without its file

_READER: _Row = ("reader", "Pseudonym of the reader", "text", "", "")
_SIMULATED: _Row = (
    "simulated", "Whether a simulated reader did it", "boolean", "", "True, False"
)  # fmt: skip


def codebook(protocol: StudyProtocol, maps: Sequence[str] = ()) -> pd.DataFrame:
    """Describe every column of every table of an export.

    Parameters
    ----------
    protocol
        The study.
    maps
        Names of the maps that have an IoU column.

    Returns
    -------
    DataFrame
        file, column, meaning, type, unit, allowed_values; one row for each column, and one for
        each item.
    """
    tables = {
        "ratings.csv": (*_ratings(protocol), *_items(protocol.items), *_maps(maps)),
        "assignments.csv": _assignments(protocol),
        "missing.csv": _missing(protocol),
        "profile.csv": _profile(),
        "events.csv": _events(),
        "closing.csv": (*_closing(protocol), *_items(protocol.closing)),
        "problems.csv": _problems(),
    }
    return pd.DataFrame(
        [asdict(Entry(file, *row)) for file, rows in tables.items() for row in rows]
    )


def _time(column: str, meaning: str) -> _Row:
    return (column, meaning, "time", "UTC", "ISO 8601")


def _assignment_id(meaning: str) -> _Row:
    return ("assignment_id", meaning, "text", "", "32 hexadecimal digits")


def _value(items: Iterable[Item]) -> tuple[_Row, ...]:
    listed = ", ".join(item.id for item in items)
    return (
        ("item", "Question that was answered", "text", "", listed),
        (
            "value",
            "Answer on the item's scale; empty for items without a scale",
            "integer",
            "points",
            "",
        ),
        (
            "text",
            "Any other answer: words, the id of an option, or JSON (ids of options, marks)",
            "text",
            "",
            "",
        ),
    )


def _conditions(protocol: StudyProtocol) -> str:
    return ", ".join(f"{c.id} ({c.label})" for c in protocol.conditions)


def _reading(protocol: StudyProtocol) -> tuple[_Row, ...]:
    """Return the columns that say which reading a row is about."""
    n_readings = protocol.cases.per_finding * len(protocol.cases.findings)
    if protocol.design.kind == "sequential":
        n_readings *= len(protocol.conditions)
    return (
        _assignment_id("The reading"),
        _READER,
        ("case_id", "The case; no patient identifier", "text", "", ""),
        (
            "finding",
            "Finding that the classifier claims",
            "text",
            "",
            ", ".join(protocol.cases.findings),
        ),
        ("condition", "What was shown with the case", "text", "", _conditions(protocol)),
        (
            "sham",
            "What stood in for the explanation of the case; empty for the explanation itself",
            "text",
            "",
            "other_case, randomised_model, empty",
        ),
        (
            "purpose",
            "Whether the reading belongs to the study or repeats one for intra-reader agreement",
            "text",
            "",
            "study, repeat",
        ),
        ("session", "Session of the reading", "integer", "", f"1 to {protocol.n_sessions}"),
        (
            "position",
            "Place within the reader's session: the order shown",
            "integer",
            "",
            f"1 to {n_readings}",
        ),
    )


def _ratings(protocol: StudyProtocol) -> tuple[_Row, ...]:
    return (
        ("study", "Study", "text", "", protocol.study.id),
        ("protocol_digest", "SHA-256 of the frozen protocol", "text", "", "64 hexadecimal digits"),
        *_reading(protocol),
        *_value(protocol.items),
        ("revision", "0 for the first answer, 1 for the first revision …", "integer", "", ">= 0"),
        ("reference", "Finding present by the reference standard", "integer", "", "1, 0, empty"),
        (
            "correctness",
            "Reference standard against prediction (probability > 0.5 claims the finding)",
            "text",
            "",
            "true_positive, false_positive, true_negative, false_negative, empty",
        ),
        ("probability", "The classifier's calibrated probability", "number", "", "0 to 1"),
        (
            "reading_time_s",
            "First display to first submission, by the server's clock",
            "number",
            "s",
            ">= 0",
        ),
        (
            "first_paint_ms",
            "Opening of the page to the first complete picture, by the browser's clock",
            "number",
            "ms",
            ">= 0, empty",
        ),
        (
            "active_s",
            "Time with the page in view and in use, by the browser's clock",
            "number",
            "s",
            ">= 0, empty",
        ),
        (
            "hidden_s",
            "Time with the page out of view, by the browser's clock",
            "number",
            "s",
            ">= 0, empty",
        ),
        _time("submitted_at", "Time of submission"),
        _SIMULATED,
        ("simulated_cases", "Whether the films are simulated", "boolean", "", "True, False"),
    )


def _items(items: Iterable[Item]) -> tuple[_Row, ...]:
    return tuple(
        (
            f"{'value' if item.kind in NUMERIC_KINDS else 'text'}[{item.id}]",
            item.question,
            _TYPES.get(item.kind, "text"),
            _UNITS.get(item.kind, ""),
            _allowed(item),
        )
        for item in items
    )


_TYPES = {
    "likert": "integer",
    "scale": "integer",
    "multi_choice": "JSON list",
    "point": "JSON list",
    "box": "JSON list",
}
_UNITS = {
    "likert": "points",
    "scale": "points",
    "point": "fraction of the film's width and height, from the upper left",
    "box": "fraction of the film's width and height, from the upper left",
}


def _allowed(item: Item) -> str:
    options = ", ".join(f"{option.id} ({option.label})" for option in item.options)
    words = {
        "text": f"at most {item.max_length} characters",
        "choice": f"one of {options}",
        "multi_choice": f"any of {options}",
        "point": f"at most {item.max_marks} of [x, y], each 0 to 1",
        "box": f"at most {item.max_marks} of [x0, y0, x1, y1], each 0 to 1",
    }
    scale = f"{item.lowest} ({item.low}) to {item.highest} ({item.high})"
    optional = "" if item.required else "; may be empty"
    asked = f"; asked in {', '.join(item.conditions)}" if item.conditions else ""
    if item.asked_if is not None:
        asked += f"; asked only if {item.asked_if.item} is {item.asked_if.equals}"
    return words.get(item.kind, scale) + optional + asked


def _maps(maps: Sequence[str]) -> tuple[_Row, ...]:
    return tuple(
        (
            IOU_PREFIX + name,
            f"Intersection over union of the map {name}, cut at the mask's area by rank, with the "
            "reference mask; empty without a mask and where a sham was shown",
            "number",
            "",
            "0 to 1",
        )
        for name in maps
    )


def _assignments(protocol: StudyProtocol) -> tuple[_Row, ...]:
    return (
        *_reading(protocol),
        (
            "shown_case_id",
            "Case whose explanation was shown; empty for the case itself",
            "text",
            "",
            "",
        ),
        _time("displayed_at", "First display; empty if not yet displayed"),
        _time("submitted_at", "Submission; empty if not yet read"),
        _time("skipped_at", "Skipping; empty if not skipped"),
    )


def _missing(protocol: StudyProtocol) -> tuple[_Row, ...]:
    reasons = ", ".join((*SKIP_REASONS, NOT_READ))
    return (
        *_reading(protocol),
        ("reason", "Why there is no rating", "text", "", reasons),
        ("comment", "What the reader said about skipping", "text", "", ""),
        _time("skipped_at", "Skipping; empty if not read"),
    )


def _profile() -> tuple[_Row, ...]:
    return (
        _READER,
        ("role", "What the reader is", "text", "", ", ".join(get_args(Role))),
        ("years_of_practice", "Years of practice", "integer", "years", "0 to 70"),
        ("subspecialty", "Subspecialty in the reader's words", "text", "", ""),
        (
            "prior_ai_use",
            "Use of image-reading software before",
            "text",
            "",
            ", ".join(get_args(AiUse)),
        ),
        ("display", "Kind of screen", "text", "", ", ".join(get_args(DisplayGrade))),
        (
            "attested",
            "Whether the reader confirmed the profile",
            "boolean",
            "",
            "True, empty without a profile",
        ),
        ("consent_version", "Version of the text consented to", "text", "", ""),
        _time("consented_at", "Consent; empty if none was asked"),
        _time("profile_at", "Profile"),
        _time("instructions_accepted_at", "Instructions accepted"),
        ("n_practised", "Practice cases answered", "integer", "", ">= 0"),
        _SIMULATED,
    )


def _events() -> tuple[_Row, ...]:
    return (
        _assignment_id("The reading"),
        _READER,
        ("at_ms", "Since the first complete picture, by the browser's clock", "number", "ms", ""),
        ("kind", "What was done in the viewer", "text", "", ", ".join(KINDS)),
        ("value", "E.g. the number of the frame; empty where there is none", "text", "", ""),
        _time("received_at", "Receipt by the server"),
        _SIMULATED,
    )


def _closing(protocol: StudyProtocol) -> tuple[_Row, ...]:
    return (
        _READER,
        ("condition", "What the answer is about", "text", "", _conditions(protocol)),
        *_value(protocol.closing),
        _time("answered_at", "Answer"),
        _SIMULATED,
    )


def _problems() -> tuple[_Row, ...]:
    return (
        _READER,
        _assignment_id("The reading it was reported in; empty outside of one"),
        ("text", "What the reader reported", "text", "", ""),
        _time("reported_at", "Report"),
        _SIMULATED,
    )
