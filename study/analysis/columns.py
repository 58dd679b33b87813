"""Recognise a table of ratings, whoever wrote it, and check it before anything is computed.

A rating table is *long*: one row for one rating of one item by one reader of one case under one
condition. Our own export and the table of the published Latent Shift study differ only in the
names of their columns; :data:`COLUMNS` lists the names that are understood, and any other name is
given by hand (``value="score"``). Columns that are not understood are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from study.analysis.cells import (
    NOT_GIVEN,
    find_missing,
    parse_numbers,
    read_correctness,
    read_identifiers,
    read_numbers,
    read_shares,
)
from study.analysis.estimate import AnalysisError

Kind = Literal["identifier", "number", "correctness", "flag"]

MAP_PREFIX = "iou_"


@dataclass(frozen=True)
class Column:
    """One column that the analysis understands, and the other names it goes by."""

    name: str
    aliases: tuple[str, ...]
    kind: Kind
    required: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("study", ("study_id",), "identifier"),
    Column("reader", ("reader_id", "rater", "radiologist", "observer"), "identifier", True),
    Column("case_id", ("case", "image_id"), "identifier", True),
    Column("finding", ("pathology", "target"), "identifier"),
    Column("condition", ("arm", "treatment"), "identifier", True),
    Column("session", ("read", "period", "visit"), "identifier"),
    Column("position", ("order",), "number"),
    Column("purpose", (), "identifier"),
    Column("item", ("question", "item_id"), "identifier"),
    Column("value", ("rating", "score", "answer"), "number", True),
    Column("reference", ("label", "truth"), "number"),
    Column("correctness", ("true_positive", "outcome"), "correctness"),
    Column("probability", ("prediction", "predicted_probability"), "number"),
    Column("reading_time_s", ("time_s",), "number"),
    Column("simulated", (), "flag"),
    Column("simulated_cases", (), "flag"),
)
_BY_NAME = {column.name: column for column in COLUMNS}

# The published study showed the three gradient maps together under A and latentshift-max under B,
# but its table carries every map in every row.
_PUBLISHED_HEADER = frozenset({"arm_name", "true_positive", "iou_latentshift_max", "iou_grad"})
_PUBLISHED_MAPS = (("A", ("grad", "guided", "integrated")), ("B", ("latentshift_max",)))


@dataclass(frozen=True, eq=False)
class Ratings:
    """A checked table of ratings.

    Parameters
    ----------
    frame
        One row per numeric rating with the columns of :data:`COLUMNS` (identifiers as text,
        ``value`` float and whole, NaN where a rating is missing; ``finding`` and ``correctness``
        are ``"(not given)"`` where unknown) and one ``iou_<map>`` column per map, in [0, 1].
    columns
        Pairs (our name, the name found in the table).
    items, text_items
        Rated items in order of appearance; items without numbers (free text), set aside.
    maps
        Names of the maps that have an IoU.
    shown_maps
        Pairs (condition, maps shown in it); conditions without an entry: not known.
    notes
        One sentence for everything that was left out.
    repeats
        Second readings of the same case in the same condition (``purpose`` "repeat"), columns as in
        ``frame``; they serve the agreement of readers with themselves and nothing else.
    """

    frame: pd.DataFrame
    columns: tuple[tuple[str, str], ...]
    items: tuple[str, ...]
    text_items: tuple[str, ...]
    maps: tuple[str, ...]
    shown_maps: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...]
    repeats: pd.DataFrame

    @property
    def simulated(self) -> bool:
        """Whether any rating comes from a simulated reader."""
        return bool(self.frame["simulated"].any())

    @property
    def simulated_cases(self) -> bool:
        """Whether any film is simulated."""
        return bool(self.frame["simulated_cases"].any())

    def maps_of(self, condition: str) -> tuple[str, ...]:
        """Return the maps shown under ``condition``: as told, else all with an IoU there."""
        told = dict(self.shown_maps)
        if condition in told:
            return told[condition]
        rows = self.frame[self.frame["condition"] == condition]
        return tuple(name for name in self.maps if rows[MAP_PREFIX + name].notna().any())


def canonicalise(
    table: pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    *,
    shown_maps: Mapping[str, Collection[str]] | None = None,
) -> Ratings:
    """Rename, convert and check a table of ratings.

    Parameters
    ----------
    table
        Long table; cells may be text or numbers.
    columns
        Our name → the table's, for names that are not understood or are to be overruled.
    shown_maps
        Condition → names of the maps that were shown in it, where that is known.

    Returns
    -------
    Ratings

    Raises
    ------
    AnalysisError
        If a needed column is missing or occurs twice, a rating is not a whole number, an IoU is
        outside [0, 1], a rating occurs twice, a case's correctness contradicts itself, or no
        rating is left.
    """
    names = [str(name) for name in table.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AnalysisError(
            f"The table has two columns {twice!r}; expected one. Rename or drop one."
        )
    matched = match_columns(names, columns or {})
    frame = _converted(table, matched)
    notes: list[str] = []
    frame = _without_anonymous_rows(frame, notes)
    frame, text_items = _numeric_ratings(frame, notes)
    _check_one_study(frame)
    frame, repeats = _apart(frame, notes)
    _check_no_duplicates(frame, with_session="session" in dict(matched))
    _check_correctness(frame)
    maps = tuple(c.removeprefix(MAP_PREFIX) for c in frame.columns if c.startswith(MAP_PREFIX))
    conditions = tuple(sorted(frame["condition"].unique()))
    shown = _shown_maps(table, maps, conditions, shown_maps, notes)
    return Ratings(
        frame=frame.reset_index(drop=True),
        columns=matched,
        items=tuple(frame["item"].unique()),
        text_items=text_items,
        maps=maps,
        shown_maps=shown,
        notes=tuple(notes),
        repeats=repeats.reset_index(drop=True),
    )


def match_columns(found: list[str], given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Pair our column names with those of a table.

    Names are compared without regard to case, blanks and hyphens; a name of ours is taken before
    an alias, an earlier alias before a later one, and a name given by hand before both.

    Raises
    ------
    AnalysisError
        If a name given by hand is unknown on either side, or a required column is missing.
    """
    for ours, theirs in given.items():
        if ours not in _BY_NAME and not ours.startswith(MAP_PREFIX):
            raise AnalysisError(
                f"There is no column {ours!r} to assign {theirs!r} to; the analysis knows "
                f"{', '.join(_BY_NAME)} and iou_<map>."
            )
        if theirs not in found:
            raise AnalysisError(
                f"The table has no column {theirs!r} to serve as {ours!r}; it has {_list(found)}."
            )
    taken = set(given.values())
    normal: dict[str, str] = {}
    for name in found:
        if name not in taken:
            normal.setdefault(_normalise(name), name)
    pairs: list[tuple[str, str]] = []
    missing: list[Column] = []
    for column in COLUMNS:
        theirs_or_none = given.get(column.name) or next(
            (normal[alias] for alias in (column.name, *column.aliases) if alias in normal), None
        )
        if theirs_or_none is not None:
            pairs.append((column.name, theirs_or_none))
        elif column.required:
            missing.append(column)
    if missing:
        raise AnalysisError(_missing_columns_sentence(missing, found))
    pairs += [(ours, theirs) for ours, theirs in given.items() if ours not in _BY_NAME]
    pairs += [(_map_column(name), name) for key, name in normal.items() if _is_map(key)]
    return tuple(pairs)


def natural_order(names: Collection[str]) -> tuple[str, ...]:
    """Sort names so that ``reader 2`` comes before ``reader 10``."""

    def key(name: str) -> list[tuple[bool, int, str]]:
        parts = re.split(r"(\d+)", name)
        return [(not p.isdigit(), int(p) if p.isdigit() else 0, p.casefold()) for p in parts if p]

    return tuple(sorted(set(names), key=lambda name: (key(name), name)))


def _normalise(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def _is_map(key: str) -> bool:
    return key == "iou" or key.startswith(MAP_PREFIX)


def _map_column(name: str) -> str:
    rest = name.strip()[len(MAP_PREFIX) :]
    return MAP_PREFIX + (rest or "map")


def _list(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names) if names else "no columns"


def _missing_columns_sentence(missing: list[Column], found: list[str]) -> str:
    wanted = "; ".join(
        f"{column.name} (understood: {', '.join((column.name, *column.aliases))})"
        for column in missing
    )
    return (
        f"The table lacks {wanted}. Found: {_list(found)}. Name the column by hand, "
        f"for example --column {missing[0].name}=THEIRS."
    )


def _converted(table: pd.DataFrame, matched: tuple[tuple[str, str], ...]) -> pd.DataFrame:
    """Return our columns, identifiers as text; ``value`` stays as found until items are known."""
    names = dict(matched)
    frame = pd.DataFrame(index=pd.RangeIndex(len(table)))
    for ours, theirs in matched:
        cells = table[theirs].reset_index(drop=True)
        if ours == "value":
            frame[ours] = cells.astype(object)
        elif ours.startswith(MAP_PREFIX):
            frame[ours] = read_shares(cells, theirs)
        elif _BY_NAME[ours].kind == "identifier":
            frame[ours] = read_identifiers(cells)
        elif _BY_NAME[ours].kind == "correctness":
            frame[ours] = read_correctness(cells, theirs)
        elif _BY_NAME[ours].kind == "flag":
            frame[ours] = (
                read_identifiers(cells).str.lower().isin({"true", "1", "yes"}).astype(bool)
            )
        else:
            frame[ours] = read_numbers(cells, theirs)
    if "item" not in frame:
        frame["item"] = names["value"]
    frame["item"] = frame["item"].fillna(NOT_GIVEN)
    frame["finding"] = frame["finding"].fillna(NOT_GIVEN) if "finding" in frame else NOT_GIVEN
    if "correctness" not in frame:
        frame["correctness"] = _derived_correctness(frame)
    for flag in ("simulated", "simulated_cases"):
        if flag not in frame:
            frame[flag] = False
    return frame


def _derived_correctness(frame: pd.DataFrame) -> pd.Series:
    """Return correctness from reference and probability (positive above 0.5), if both are there."""
    result = pd.Series(NOT_GIVEN, index=frame.index, dtype=object)
    if "reference" not in frame or "probability" not in frame:
        return result
    known = frame["reference"].notna() & frame["probability"].notna()
    positive = frame["probability"] > 0.5
    right = positive == (frame["reference"] > 0.5)
    result[known & positive & right] = "true_positive"
    result[known & positive & ~right] = "false_positive"
    result[known & ~positive & right] = "true_negative"
    result[known & ~positive & ~right] = "false_negative"
    return result


def _without_anonymous_rows(frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    anonymous = frame[["reader", "case_id", "condition"]].isna().any(axis=1)
    if anonymous.any():
        notes.append(
            f"{int(anonymous.sum())} of {len(frame)} rows name no reader, case or condition and "
            "are left out."
        )
    return frame[~anonymous]


def _apart(frame: pd.DataFrame, notes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the study's readings from those repeated for intra-reader agreement."""
    if "purpose" not in frame:
        return frame, frame.iloc[:0]
    repeated = frame["purpose"] == "repeat"
    if repeated.any():
        notes.append(
            f"{int(repeated.sum())} ratings of repeated readings serve the agreement of readers "
            "with themselves and enter nothing else."
        )
    return frame[~repeated], frame[repeated]


def _numeric_ratings(frame: pd.DataFrame, notes: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Set free text aside, convert ratings to whole numbers, and count what is missing."""
    missing = find_missing(frame["value"])
    numbers = parse_numbers(frame["value"], missing)
    is_number = np.isfinite(numbers) & ~missing
    counts = pd.DataFrame({"item": frame["item"], "number": is_number, "filled": ~missing})
    totals = counts.groupby("item", sort=False)[["number", "filled"]].sum()
    is_text = totals.index[(2 * totals["number"] < totals["filled"]) | (totals["filled"] == 0)]
    text_items = tuple(str(item) for item in is_text)
    rated = ~frame["item"].isin(is_text)
    if not rated.any():
        raise AnalysisError(
            "The table holds no numeric rating; expected whole numbers in the column of ratings. "
            "Check which column that is (--column value=THEIRS)."
        )
    if text_items:
        notes.append(f"Items without numbers are left out: {', '.join(text_items)}.")
    _check_whole_numbers(frame, numbers, rated & ~missing)
    frame = frame[rated].assign(value=numbers[rated])
    for (item, condition), n in (
        frame[frame["value"].isna()].groupby(["item", "condition"], sort=True).size().items()
    ):
        notes.append(
            f"{n} ratings of {item!r} under condition {condition} are missing; their pairs are "
            "left out."
        )
    return frame, text_items


def _check_whole_numbers(frame: pd.DataFrame, numbers: pd.Series, rated: pd.Series) -> None:
    wrong = rated & ~(np.isfinite(numbers) & (numbers == np.round(numbers)))
    if wrong.any():
        label = frame.index[wrong.to_numpy()][0]
        row = frame.loc[label]
        raise AnalysisError(
            f"Item {row['item']!r} holds {row['value']!r} in data row {int(label) + 1} (reader "
            f"{row['reader']}, case {row['case_id']}); expected a whole number or an empty cell. "
            "Correct the cell."
        )


def _check_one_study(frame: pd.DataFrame) -> None:
    if "study" in frame and frame["study"].nunique() > 1:
        names = ", ".join(natural_order(frame["study"].dropna().unique()))
        raise AnalysisError(
            f"The table holds {frame['study'].nunique()} studies ({names}); expected one. "
            "Analyse them one at a time."
        )


def _check_no_duplicates(frame: pd.DataFrame, *, with_session: bool) -> None:
    key = ["reader", "case_id", "finding", "condition", "item"]
    key += ["session"] if with_session else []
    repeated = frame.duplicated(key, keep=False)
    if repeated.any():
        first = frame[repeated].iloc[0]
        where = f", session {first['session']}" if with_session else ""
        raise AnalysisError(
            f"{int(repeated.sum())} rows rate the same thing more than once, first reader "
            f"{first['reader']}, case {first['case_id']}, finding {first['finding']}, condition "
            f"{first['condition']}, item {first['item']}{where}; expected one rating each. "
            "Keep the one that counts."
        )


def _check_correctness(frame: pd.DataFrame) -> None:
    known = frame[frame["correctness"] != NOT_GIVEN]
    kinds = known.groupby(["case_id", "finding"])["correctness"].nunique()
    if (kinds > 1).any():
        case_id, finding = kinds.index[(kinds > 1).to_numpy()][0]
        raise AnalysisError(
            f"Case {case_id}, finding {finding}, is a true positive in one row and something else "
            "in another; expected one correctness per case and finding. Correct the rows."
        )


def _shown_maps(
    table: pd.DataFrame,
    maps: tuple[str, ...],
    conditions: tuple[str, ...],
    given: Mapping[str, Collection[str]] | None,
    notes: list[str],
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the maps of each condition that have an IoU; note the others if any map has one."""
    if given is None:
        published = frozenset(str(name) for name in table.columns) >= _PUBLISHED_HEADER
        return _PUBLISHED_MAPS if published else ()
    for condition, names in given.items():
        if condition not in conditions:
            notes.append(
                f"Maps are named for condition {condition!r}; the table has {_list(conditions)}."
            )
        unknown = [name for name in names if name not in maps]
        if maps and unknown:
            notes.append(
                f"Condition {condition} shows {_list(unknown)}, for which the table has no IoU; "
                f"it has {_list(maps)}."
            )
    return tuple(
        (condition, tuple(name for name in names if name in maps))
        for condition, names in given.items()
    )
