"""How readers use the model where an answer without its explanation is known.

For a reading the model is right or wrong, and the reader sides with it or not, first without and
then with the explanation. From these three follow (Schemmer, Kuehl, Benz, Bartos and Satzger,
Appropriate reliance on AI advice, IUI 2023)

* appropriate switching: to the model where it is right and the reader was against it;
* under-reliance: staying against it there;
* over-reliance: going over to the model where it is wrong and the reader was against it;
* self-reliance: staying against it there;
* being misled away: leaving the model where it is right.

Shares of what was possible, exact or clustered by case, and over readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from study.analysis.cells import NOT_GIVEN
from study.analysis.columns import natural_order
from study.analysis.design.parts import (
    READING,
    check_level,
    need,
    rated_rows,
    scope_of,
    share_by_case,
)
from study.analysis.estimate import AnalysisError, Estimate
from study.analysis.means import mean_by_case, mean_over_readers, with_like_them

RatingMeans = Literal["the model is right", "the finding is present"]
_PURPOSE = "The analysis of reliance"

MEASURES: tuple[tuple[str, bool, bool, bool], ...] = (
    ("appropriate switching to the model", True, False, True),
    ("under-reliance: stayed against a right model", True, False, False),
    ("over-reliance: went over to a wrong model", False, False, True),
    ("self-reliance: stayed against a wrong model", False, False, False),
    ("appropriate switching away from a wrong model", False, True, False),
    ("kept siding with a wrong model", False, True, True),
    ("misled away from a right model", True, True, False),
)
"""Name, model right, sided with it unaided, sides with it aided (the last is what is counted)."""


@dataclass(frozen=True)
class Measure:
    """One share of reliance.

    Parameters
    ----------
    name
        See :data:`MEASURES`.
    these_readers, readers_like_them
        The share, clustered by case, and over readers.
    by_reader
        Pairs (reader, share).
    """

    name: str
    these_readers: Estimate
    readers_like_them: Estimate
    by_reader: tuple[tuple[str, Estimate], ...]


@dataclass(frozen=True)
class Reliance:
    """Reliance on the model under one condition.

    Parameters
    ----------
    item, unaided, aided, threshold
        What was analysed.
    n_readings, n_model_right
        Readings with both answers and a known correctness; those where the model is right.
    measures
        In the order of :data:`MEASURES`.
    agreement
        Share that sides with the model: unaided, aided, and aided minus unaided; then the same
        where the model is right, and where it is wrong.
    accuracy
        Share of right answers: unaided, aided, aided minus unaided.
    against_sham
        Measures under the aided condition minus those under the sham, by name; empty without one.
    notes
        What to mind.
    """

    item: str
    unaided: str
    aided: str
    threshold: float
    n_readings: int
    n_model_right: int
    measures: tuple[Measure, ...]
    agreement: tuple[Estimate, ...]
    accuracy: tuple[Estimate, ...]
    against_sham: tuple[Estimate, ...]
    notes: tuple[str, ...]


def reliance(
    frame: pd.DataFrame,
    item: str,
    *,
    unaided: str,
    aided: str,
    threshold: float,
    rating_means: RatingMeans = "the model is right",
    sham: str | None = None,
    ci_level: float = 0.95,
) -> Reliance:
    """Return how readers rely on the model.

    Parameters
    ----------
    frame
        Canonical ratings with ``correctness``; in a sequential study the two stages of a reading
        are two conditions.
    item
        The item whose ratings are taken for a call.
    unaided, aided
        Conditions.
    threshold
        A rating of at least this is a yes.
    rating_means
        What a yes says. ``the model is right`` (confidence in the prediction): a yes sides with the
        model. ``the finding is present``: it sides with a model that claims the finding.
    sham
        A third condition whose explanation is not that of the case, read by the same readers.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If a condition or the item has no ratings, rows repeat, no correctness is known, or no
        reading has both answers.
    """
    check_level(ci_level)
    if len({unaided, aided, sham}) < 3:
        raise AnalysisError(
            f"{_PURPOSE} was given the conditions {unaided!r}, {aided!r} and sham {sham!r}; "
            "expected different ones."
        )
    notes: list[str] = []
    data = _sides(frame, item, (unaided, aided), threshold, rating_means, notes)
    if data.empty:
        raise AnalysisError(
            f"{_PURPOSE} finds no reading with a rating under both {unaided!r} and {aided!r} and "
            "a known correctness of the model."
        )
    right = data["model_right"]
    against: tuple[Estimate, ...] = ()
    if sham is not None:
        other = _sides(frame, item, (unaided, sham), threshold, rating_means, notes)
        against = _against_sham(data, other, (aided, sham), ci_level)
    return Reliance(
        item=item,
        unaided=unaided,
        aided=aided,
        threshold=threshold,
        n_readings=len(data),
        n_model_right=int(right.sum()),
        measures=tuple(_measure(data, each, ci_level) for each in MEASURES),
        agreement=(
            *_change(data, "agreement with the model", "before", "after", ci_level),
            *_change(data[right], "agreement with a right model", "before", "after", ci_level),
            *_change(data[~right], "agreement with a wrong model", "before", "after", ci_level),
        ),
        accuracy=_change(
            data.assign(right_before=data["before"] == right, right_after=data["after"] == right),
            "share of right answers",
            "right_before",
            "right_after",
            ci_level,
        ),
        against_sham=against,
        notes=tuple(dict.fromkeys(notes)),
    )


def _sides(
    frame: pd.DataFrame,
    item: str,
    conditions: tuple[str, str],
    threshold: float,
    rating_means: RatingMeans,
    notes: list[str],
) -> pd.DataFrame:
    """Return reader, case_id, finding, model_right, before, after for each complete reading."""
    need(frame, ("correctness",), _PURPOSE)
    rows = rated_rows(frame, item, conditions, purpose=_PURPOSE)
    known = rows["correctness"] != NOT_GIVEN
    if not known.all():
        notes.append(f"{int((~known).sum())} ratings are of cases without a known correctness.")
    rows = rows[known].copy()
    yes = rows["value"] >= threshold
    if rating_means == "the finding is present":
        claims = rows["correctness"].isin(("true_positive", "false_positive"))
        yes = yes == claims
    rows["sides"] = yes
    rows["model_right"] = rows["correctness"].isin(("true_positive", "true_negative"))
    before, after = (
        rows[rows["condition"] == name].set_index(list(READING)) for name in conditions
    )
    both = before.index.intersection(after.index, sort=False)
    lone = len(before) + len(after) - 2 * len(both)
    if lone:
        notes.append(f"{lone} ratings have no counterpart and are left out.")
    made = pd.DataFrame(
        {
            "model_right": before.loc[both, "model_right"].astype(bool),
            "before": before.loc[both, "sides"].astype(bool),
            "after": after.loc[both, "sides"].astype(bool),
        },
        index=both,
    )
    return made.reset_index()


def _possible(data: pd.DataFrame, measure: tuple[str, bool, bool, bool]) -> pd.DataFrame:
    """Return the readings in which it could happen, with ``hit``."""
    _, right, before, after = measure
    rows = data[(data["model_right"] == right) & (data["before"] == before)]
    return rows.assign(hit=(rows["after"] == after).astype(float))


def _measure(data: pd.DataFrame, measure: tuple[str, bool, bool, bool], ci_level: float) -> Measure:
    name = measure[0]
    rows = _possible(data, measure)
    scope = scope_of(data)
    empty = "No reading in which this could happen."
    by_reader = tuple(
        (
            reader,
            share_by_case(part["hit"], part["case_id"], scope_of(part), name, ci_level=ci_level),
        )
        for reader in natural_order(rows["reader"].unique())
        for part in [rows[rows["reader"] == reader]]
    )
    return Measure(
        name=name,
        these_readers=share_by_case(
            rows["hit"], rows["case_id"], scope, name, ci_level=ci_level, empty=empty
        ),
        readers_like_them=mean_over_readers(
            rows["hit"], rows["reader"], scope, name, ci_level=ci_level, limits=(0.0, 1.0)
        ),
        by_reader=by_reader,
    )


def _change(
    data: pd.DataFrame, name: str, before: str, after: str, ci_level: float
) -> tuple[Estimate, ...]:
    """Return a share unaided and aided, and its change for either population."""
    if data.empty:
        return ()
    scope, cases = scope_of(data), data["case_id"]
    change = data[after].astype(float) - data[before].astype(float)
    words = f"{name}, aided − unaided"
    return (
        share_by_case(
            data[before].astype(float), cases, scope, f"{name}, unaided", ci_level=ci_level
        ),
        share_by_case(data[after].astype(float), cases, scope, f"{name}, aided", ci_level=ci_level),
        mean_by_case(change, cases, scope, words, ci_level=ci_level, limits=(-1.0, 1.0)),
        mean_over_readers(
            change, data["reader"], scope, words, ci_level=ci_level, limits=(-1.0, 1.0)
        ),
    )


def _against_sham(
    data: pd.DataFrame, other: pd.DataFrame, names: tuple[str, str], ci_level: float
) -> tuple[Estimate, ...]:
    """Compare each measure with that under the sham, in readings where both could happen."""
    key = list(READING)
    result = []
    for measure in MEASURES:
        quantity = f"{measure[0]}, {names[0]} − {names[1]} (sham)"
        left, right = (_possible(part, measure).set_index(key)["hit"] for part in (data, other))
        both = left.index.intersection(right.index, sort=False)
        scope = scope_of(data)
        if len(both) == 0:
            note = "No reading in which this could happen under both."
            for each in (scope, with_like_them(scope)):
                result.append(each.unavailable(quantity, method="difference of shares", note=note))
            continue
        change = (left.loc[both] - right.loc[both]).rename("d").reset_index()
        own = scope_of(change)
        result.append(
            mean_by_case(
                change["d"], change["case_id"], own, quantity, ci_level=ci_level, limits=(-1.0, 1.0)
            )
        )
        result.append(
            mean_over_readers(
                change["d"], change["reader"], own, quantity, ci_level=ci_level, limits=(-1.0, 1.0)
            )
        )
    return tuple(result)
