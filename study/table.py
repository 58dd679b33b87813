"""The long table: one row for each answer, with what is known about its case.

It joins ratings with the reference standard, so no reading page may import it.
"""

from __future__ import annotations

import pandas as pd

from study.errors import StudyError
from study.items import NUMERIC_KINDS
from study.rating import to_text
from study.selection import OPERATING_POINT, REFERENCE_PREFIX
from study.store import StudyStore

IOU_PREFIX = "iou_"
COLUMNS = (
    "study",
    "protocol_digest",
    "assignment_id",
    "reader",
    "case_id",
    "finding",
    "condition",
    "sham",
    "purpose",
    "session",
    "position",
    "item",
    "value",
    "text",
    "revision",
    "reference",
    "correctness",
    "probability",
    "reading_time_s",
    "first_paint_ms",
    "active_s",
    "hidden_s",
    "submitted_at",
    "simulated",
    "simulated_cases",
)
_TIMINGS = (  # column, what the browser calls it, unit of the browser's number
    ("first_paint_ms", "first_paint_ms", 1.0),
    ("active_s", "active_ms", 0.001),
    ("hidden_s", "hidden_ms", 0.001),
)
_CORRECTNESS = {
    (1.0, True): "true_positive",
    (0.0, True): "false_positive",
    (0.0, False): "true_negative",
    (1.0, False): "false_negative",
}


def long_table(
    store: StudyStore,
    reference_table: pd.DataFrame,
    predictions: pd.DataFrame,
    localisation: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Join every rating with its reading, its case and its explanation.

    Parameters
    ----------
    store
        The study's record; superseded answers and practice are left out.
    reference_table
        ``case_id`` and ``finding:<Name>`` columns (1 present, 0 absent, missing unknown).
    predictions
        ``case_id``, ``finding``, ``probability``.
    localisation
        ``case_id``, ``finding``, ``map``, ``iou``; optional.

    Returns
    -------
    DataFrame
        The columns of :data:`COLUMNS` and one ``iou_<map>`` for each map; one row for each item of
        each reading. ``value`` is the number on a scale (float, missing for other items and for
        items left out), ``text`` the answer to any other item (several options and marks as JSON);
        ``sham`` names what was shown instead of the case's explanation and is missing elsewhere, in
        which case the IoU of the case's maps is left out; ``purpose`` is ``"study"`` or
        ``"repeat"``; ``reference`` is 1, 0 or missing; ``correctness`` compares it with
        probability > 0.5 and is missing where either is unknown; ``first_paint_ms``, ``active_s``
        and ``hidden_s`` are what the reader's browser measured, missing where it did not.

    Raises
    ------
    StudyError
        If a rated case is in neither table, or a table lacks a column.
    """
    rows = _answers(store)
    rows = rows.merge(_truth(reference_table), on=["case_id", "finding"], how="left")
    rows = rows.merge(_probabilities(predictions), on=["case_id", "finding"], how="left")
    _check_known(rows, reference_table)
    claimed = rows["probability"] > OPERATING_POINT
    known = rows["reference"].notna() & rows["probability"].notna()
    rows["correctness"] = [
        _CORRECTNESS[reference, positive] if is_known else None
        for reference, positive, is_known in zip(rows["reference"], claimed, known, strict=True)
    ]
    table = rows[list(COLUMNS)]
    if localisation is not None and len(localisation):
        table = table.merge(_overlap(localisation), on=["case_id", "finding"], how="left")
        maps = [name for name in table.columns if str(name).startswith(IOU_PREFIX)]
        # What a sham shows is not the map that was measured.
        table[maps] = table[maps].mask(table["sham"].notna())
    return table


def _answers(store: StudyStore) -> pd.DataFrame:
    protocol = store.protocol
    kinds = {item.id: item.kind for item in protocol.items}
    shams = {condition.id: condition.sham for condition in protocol.conditions}
    timings = _timings(store)
    records = []
    for rating in store.ratings():
        assignment = store.assignment(rating.assignment_id)
        is_number = kinds[rating.item] in NUMERIC_KINDS
        records.append(
            (
                protocol.study.id,
                protocol.digest,
                rating.assignment_id,
                rating.reader_id,
                assignment.case_id,
                assignment.finding,
                assignment.condition,
                shams[assignment.condition],
                rating.purpose,
                assignment.session,
                assignment.position,
                rating.item,
                rating.value if is_number else None,
                None if is_number else to_text(rating.value),
                rating.revision,
                rating.reading_time_s,
                *timings.get(rating.assignment_id, (None,) * len(_TIMINGS)),
                rating.submitted_at,
                rating.simulated,
                protocol.study.simulated,
            )
        )
    joined = {"reference", "correctness", "probability"}
    frame = pd.DataFrame(records, columns=[name for name in COLUMNS if name not in joined])
    for name in ("value", *(name for name, _, _ in _TIMINGS)):
        frame[name] = pd.to_numeric(frame[name]).astype("float64")
    return frame.astype({"case_id": "str", "finding": "str"})


def _timings(store: StudyStore) -> dict[str, tuple[float | None, ...]]:
    """Return what the browser measured of each reading, in the units of the columns."""
    timings: dict[str, tuple[float | None, ...]] = {}
    for event in store.events("submitted"):
        client = event.payload["client"]
        timings[str(event.subject)] = tuple(
            client[name] * unit if name in client else None for _, name, unit in _TIMINGS
        )
    return timings


def _truth(reference_table: pd.DataFrame) -> pd.DataFrame:
    _need(reference_table, {"case_id"}, "reference standard")
    columns = [str(c) for c in reference_table.columns if str(c).startswith(REFERENCE_PREFIX)]
    truth = reference_table[["case_id", *columns]].melt(
        id_vars="case_id", var_name="finding", value_name="reference"
    )
    truth["finding"] = truth["finding"].astype("str").str.removeprefix(REFERENCE_PREFIX)
    truth["reference"] = pd.to_numeric(truth["reference"], errors="coerce").astype("float64")
    return truth.astype({"case_id": "str"}).drop_duplicates(["case_id", "finding"])


def _probabilities(predictions: pd.DataFrame) -> pd.DataFrame:
    columns = ["case_id", "finding", "probability"]
    _need(predictions, set(columns), "table of predictions")
    return predictions[columns].astype({"case_id": "str"}).drop_duplicates(["case_id", "finding"])


def _overlap(localisation: pd.DataFrame) -> pd.DataFrame:
    _need(localisation, {"case_id", "finding", "map", "iou"}, "table of localisation")
    wide = localisation.pivot_table(
        index=["case_id", "finding"], columns="map", values="iou", aggfunc="first"
    )
    wide.columns = pd.Index([IOU_PREFIX + str(name) for name in wide.columns])
    return wide.reset_index().astype({"case_id": "str"})


def _need(table: pd.DataFrame, columns: set[str], name: str) -> None:
    missing = sorted(columns - set(map(str, table.columns)))
    if missing:
        raise StudyError(
            f"The {name} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(str, table.columns))}. Use the tables of the prepared study."
        )


def _check_known(rows: pd.DataFrame, reference_table: pd.DataFrame) -> None:
    listed = set(reference_table["case_id"].astype("str"))
    unknown = sorted(set(rows["case_id"]) - listed)
    if unknown:
        raise StudyError(
            f"The reference standard does not list the rated case {unknown[0]!r} "
            f"({len(unknown)} in all); use the case set that the study was prepared with."
        )
