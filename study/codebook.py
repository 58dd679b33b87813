"""The data dictionary of an export, generated from the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from study.protocol import Item, StudyProtocol
from study.table import IOU_PREFIX


@dataclass(frozen=True)
class Entry:
    """What one column holds.

    Parameters
    ----------
    file, column
        Where it is found; ``value[<item>]`` says what ``value`` means in the rows of an item.
    meaning, type, unit, allowed_values
        What it says and how it is written; empty where it has none.
    """

    file: str
    column: str
    meaning: str
    type: str
    unit: str
    allowed_values: str


def codebook(protocol: StudyProtocol, maps: Sequence[str] = ()) -> pd.DataFrame:
    """Describe every column of ``ratings.csv`` and ``assignments.csv``.

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
    entries = [*_ratings(protocol), *_items(protocol), *_maps(maps), *_assignments(protocol)]
    return pd.DataFrame([asdict(entry) for entry in entries])


def _ratings(protocol: StudyProtocol) -> list[Entry]:
    items = ", ".join(item.id for item in protocol.items)
    rows = (
        ("study", "Study", "text", "", protocol.study.id),
        ("protocol_digest", "SHA-256 of the frozen protocol", "text", "", "64 hexadecimal digits"),
        *_design(protocol),
        ("item", "Question that was answered", "text", "", items),
        ("value", "Answer on the item's scale; empty for free text", "integer", "points", ""),
        ("text", "Answer in free text; empty for scales", "text", "", ""),
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
            "First display to submission, by the server's clock",
            "number",
            "s",
            ">= 0",
        ),
        ("submitted_at", "Time of submission", "time", "UTC", "ISO 8601"),
        ("simulated", "Whether a simulated reader answered", "boolean", "", "True, False"),
        ("simulated_cases", "Whether the films are simulated", "boolean", "", "True, False"),
    )
    return [Entry("ratings.csv", *row) for row in rows]


def _design(protocol: StudyProtocol) -> list[tuple[str, str, str, str, str]]:
    conditions = ", ".join(f"{c.id} ({c.label})" for c in protocol.conditions)
    n_readings = protocol.cases.per_finding * len(protocol.cases.findings)
    return [
        ("assignment_id", "The reading", "text", "", "16 hexadecimal digits"),
        ("reader", "Pseudonym of the reader", "text", "", ""),
        ("case_id", "The case; no patient identifier", "text", "", ""),
        (
            "finding",
            "Finding that the classifier claims",
            "text",
            "",
            ", ".join(protocol.cases.findings),
        ),
        ("condition", "What was shown with the case", "text", "", conditions),
        ("session", "Session of the reading", "integer", "", f"1 to {protocol.design.sessions}"),
        ("position", "Place within the reader's session", "integer", "", f"1 to {n_readings}"),
    ]


def _items(protocol: StudyProtocol) -> list[Entry]:
    return [
        Entry(
            "ratings.csv",
            f"{'value' if item.kind == 'likert' else 'text'}[{item.id}]",
            item.question,
            "integer" if item.kind == "likert" else "text",
            "points" if item.kind == "likert" else "",
            _allowed(item),
        )
        for item in protocol.items
    ]


def _allowed(item: Item) -> str:
    optional = "" if item.required else "; may be empty"
    if item.kind == "text":
        return f"at most {item.max_length} characters{optional}"
    return f"1 ({item.low}) to {item.points} ({item.high}){optional}"


def _maps(maps: Sequence[str]) -> list[Entry]:
    return [
        Entry(
            "ratings.csv",
            IOU_PREFIX + name,
            f"Intersection over union of the map {name}, cut at the mask's area by rank, with the "
            "reference mask; empty without a mask",
            "number",
            "",
            "0 to 1",
        )
        for name in maps
    ]


def _assignments(protocol: StudyProtocol) -> list[Entry]:
    rows = (
        *_design(protocol),
        ("displayed_at", "First display; empty if not yet displayed", "time", "UTC", "ISO 8601"),
        ("submitted_at", "Submission; empty if not yet read", "time", "UTC", "ISO 8601"),
    )
    return [Entry("assignments.csv", *row) for row in rows]
