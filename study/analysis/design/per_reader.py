"""Each reader alone, and the primary endpoint without each reader in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from study.analysis.columns import natural_order
from study.analysis.design.parts import rated_rows
from study.analysis.design.primary import Declaration, primary_endpoint
from study.analysis.estimate import AnalysisError, Estimate, Scope
from study.analysis.paired import mean_difference, paired_differences
from study.analysis.signed_rank import signed_rank, superiority

_PURPOSE = "The comparison of readers"


@dataclass(frozen=True)
class ReaderResult:
    """The contrast of one reader; it speaks for this reader alone.

    Parameters
    ----------
    reader
        The reader.
    n_pairs, n_up, n_down, n_zero
        Readings with both conditions, and the signs of their differences.
    mean_difference
        With interval, cases as the unit.
    signed_rank
        Exact signed-rank test, ties and zeros counted.
    superiority
        P(first > second) + ½ P(equal) within a case.
    """

    reader: str
    n_pairs: int
    n_up: int
    n_down: int
    n_zero: int
    mean_difference: Estimate
    signed_rank: Estimate
    superiority: Estimate


@dataclass(frozen=True)
class LeftOut:
    """The primary endpoint without one reader; descriptive."""

    reader: str
    estimate: Estimate


@dataclass(frozen=True)
class Readers:
    """Readers alone and left out.

    Parameters
    ----------
    by_reader
        Each reader who rated under both conditions.
    without
        The primary endpoint without each reader in turn, by the declared method.
    sentence
        Whether any one reader decides sign or significance.
    notes
        Who could not be analysed.
    """

    by_reader: tuple[ReaderResult, ...]
    without: tuple[LeftOut, ...]
    sentence: str
    notes: tuple[str, ...]


def per_reader(frame: pd.DataFrame, declaration: Declaration) -> Readers:
    """Return per-reader results and the primary endpoint with one reader left out.

    Parameters
    ----------
    frame
        Canonical ratings.
    declaration
        The primary endpoint.

    Raises
    ------
    AnalysisError
        If the item, a condition or the subset has no ratings, or rows repeat.
    """
    rows = rated_rows(
        frame,
        declaration.item,
        declaration.contrast,
        subset=declaration.subset,
        purpose=_PURPOSE,
    )
    notes: list[str] = []
    results = []
    readers = natural_order(rows["reader"].unique())
    for reader in readers:
        try:
            results.append(_one(rows[rows["reader"] == reader], reader, declaration))
        except AnalysisError as problem:
            notes.append(f"Reader {reader}: {problem}")
    without = []
    for reader in readers if len(readers) > 1 else ():
        try:
            found = primary_endpoint(
                rows[rows["reader"] != reader], declaration, mixed_models=False
            )
        except AnalysisError as problem:
            notes.append(f"Without reader {reader}: {problem}")
            continue
        without.append(LeftOut(reader, replace(found.estimate, role="descriptive")))
    if len(readers) == 1:
        notes.append("One reader: nobody can be left out.")
    return Readers(
        tuple(results), tuple(without), _sentence(tuple(without), declaration.alpha), tuple(notes)
    )


def _one(rows: pd.DataFrame, reader: str, declared: Declaration) -> ReaderResult:
    pairs = paired_differences(rows, item=declared.item, contrast=declared.contrast).frame
    d, level = pairs["difference"], 1 - declared.alpha
    scope = Scope("this reader", "descriptive", 1, pairs["case_id"].nunique())
    return ReaderResult(
        reader=reader,
        n_pairs=len(d),
        n_up=int((d > 0).sum()),
        n_down=int((d < 0).sum()),
        n_zero=int((d == 0).sum()),
        mean_difference=mean_difference(d, pairs["case_id"], scope, ci_level=level),
        signed_rank=signed_rank(d, distribution="exact").to_estimate(scope),
        superiority=superiority(d, pairs["case_id"], scope, ci_level=level),
    )


def _sentence(without: tuple[LeftOut, ...], alpha: float) -> str:
    """Say whether leaving out any one reader changes sign or significance."""
    known = [(left.reader, left.estimate) for left in without if left.estimate.value is not None]
    if len(known) < 2:
        return "Too few readers to leave one out."
    values = [float(e.value) for _, e in known if e.value is not None]
    turned = min(values) < 0 < max(values)
    tested = [e.p_value <= alpha for _, e in known if e.p_value is not None]
    split = any(tested) and not all(tested)
    words = f"Without one reader the estimate lies between {min(values):.3g} and {max(values):.3g}"
    if turned:
        return f"{words}: its sign depends on a single reader."
    if split:
        return f"{words}: whether p is at most {alpha:g} depends on a single reader."
    return f"{words}: no single reader decides its sign or whether p is at most {alpha:g}."
