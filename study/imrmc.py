"""The text format of iMRMC: scores of readers by case and modality, with the truth of each case.

iMRMC (Gallas and others, FDA/CDRH) reads free text, a line ``BEGIN DATA:``, and then one line for
each score, ``reader,case,modality,score``, and for each case's truth, ``truth,case,truth,0|1``.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from study.errors import StudyError

BEGIN = "BEGIN DATA:"
_NOT_ALLOWED = re.compile(r"[^\w.+-]+", re.ASCII)
_COLUMNS = ("reader", "unit", "condition", "value", "truth")


def imrmc_text(readings: pd.DataFrame, *, title: str, notes: tuple[str, ...] = ()) -> str:
    """Write readings in the format.

    Parameters
    ----------
    readings
        One row per reading: ``reader``, ``unit`` (the case, with its finding where a case is read
        for several), ``condition``, ``value`` (score, higher: more certain that the finding is
        there) and ``truth`` (1 present, 0 absent).
    title, notes
        Free text before the data.

    Returns
    -------
    str
        ASCII; names hold letters, digits and ``_ . + -`` only.

    Raises
    ------
    StudyError
        If a column is missing, there is no reading, all cases are of one kind, a score is missing,
        a case was scored twice, or two names become the same.
    """
    _check(readings)
    names = {
        column: _short_names(readings[column], column) for column in ("reader", "unit", "condition")
    }
    truth = readings.drop_duplicates("unit").set_index("unit")["truth"].astype(int)
    present, absent = int((truth == 1).sum()), int((truth == 0).sum())
    lines = [
        _ascii(title),
        *(_ascii(note) for note in notes),
        f"NR: {readings['reader'].nunique()}",
        f"N0: {absent}",
        f"N1: {present}",
        f"NM: {readings['condition'].nunique()}",
        "",
        BEGIN,
        *(f"truth,{names['unit'][unit]},truth,{kind}" for unit, kind in truth.items()),
    ]
    ordered = readings.sort_values(["condition", "reader", "unit"], kind="stable")
    lines += [
        f"{names['reader'][reader]},{names['unit'][unit]},{names['condition'][condition]},{value:.15g}"
        for reader, unit, condition, value in zip(
            ordered["reader"], ordered["unit"], ordered["condition"], ordered["value"], strict=True
        )
    ]
    return "\n".join(lines) + "\n"


def read_imrmc(text: str) -> pd.DataFrame:
    """Read the format back: reader, unit, condition, value, truth.

    Raises
    ------
    StudyError
        If there is no data, a row has not four fields, or a scored case has no truth.
    """
    _, begin, data = text.partition(BEGIN)
    if not begin:
        raise StudyError(f"The text has no line {BEGIN!r}; expected a file for iMRMC.")
    rows = [line.split(",") for line in data.splitlines() if line.strip()]
    for row in rows:
        if len(row) != 4:
            raise StudyError(
                f"The row {','.join(row)!r} has {len(row)} fields; expected reader, case, "
                "modality and score."
            )
    truth = {row[1]: float(row[3]) for row in rows if row[0] in ("truth", "-1")}
    scores = [row for row in rows if row[0] not in ("truth", "-1")]
    unknown = sorted({row[1] for row in scores} - set(truth))
    if unknown:
        raise StudyError(f"The case {unknown[0]!r} has scores and no truth; add its truth row.")
    return pd.DataFrame(
        [(r[0], r[1], r[2], float(r[3]), truth[r[1]]) for r in scores], columns=list(_COLUMNS)
    )


def _check(readings: pd.DataFrame) -> None:
    missing = [name for name in _COLUMNS if name not in readings]
    if missing:
        raise StudyError(f"The readings lack {', '.join(missing)}; iMRMC needs them.")
    if readings.empty:
        raise StudyError("There is no reading with a known reference standard to write for iMRMC.")
    if not readings["truth"].isin((0, 1)).all() or readings["truth"].nunique() < 2:
        kinds = ", ".join(f"{kind:g}" for kind in sorted(readings["truth"].dropna().unique()))
        raise StudyError(
            f"The cases have the truth {kinds or 'unknown'}; iMRMC needs cases with (1) and "
            "without (0) the finding."
        )
    if not np.isfinite(readings["value"].astype(float)).all():
        raise StudyError("A reading has no score; leave it out before writing for iMRMC.")
    if (readings.groupby("unit")["truth"].nunique() > 1).any():
        raise StudyError("A case is with the finding in one row and without it in another.")
    repeated = readings.duplicated(["reader", "unit", "condition"])
    if repeated.any():
        first = readings[repeated].iloc[0]
        raise StudyError(
            f"Reader {first['reader']} scored {first['unit']} twice under {first['condition']}; "
            "iMRMC expects one score."
        )


def _short_names(column: pd.Series, what: str) -> dict[object, str]:
    """Return names that the format can hold, still one for each."""
    names = {name: _NOT_ALLOWED.sub("_", str(name)).strip("_") or "_" for name in column.unique()}
    if len(set(names.values())) < len(names):
        seen: dict[str, object] = {}
        for name, short in names.items():
            if short in seen:
                raise StudyError(
                    f"The {what} names {str(seen[short])!r} and {str(name)!r} are both written "
                    f"{short!r} for iMRMC; rename one of them."
                )
            seen[short] = name
    reserved = [name for name, short in names.items() if short in ("truth", "-1")]
    if reserved:
        raise StudyError(
            f"The {what} name {str(reserved[0])!r} means the truth in iMRMC; rename it."
        )
    return names


def _ascii(text: str) -> str:
    one_line = " ".join(text.split()).replace(BEGIN, "")
    return one_line.replace("−", "-").encode("ascii", "replace").decode("ascii")
