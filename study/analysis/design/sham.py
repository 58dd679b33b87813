"""Beyond placebo: the effect of an explanation against one that says nothing about the case.

A reader who sees any picture beside the film may be more, or less, confident. The sham shows what
any picture does; what the explanation does beyond it is the difference of the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from study.analysis.columns import natural_order
from study.analysis.design.parts import READING, between_readers, check_level, rated_rows, scope_of
from study.analysis.estimate import AnalysisError, Estimate
from study.analysis.means import mean_by_case, mean_over_readers, with_like_them

_PURPOSE = "The comparison with the sham"


@dataclass(frozen=True)
class ShamEffect:
    """An effect on ratings for both populations and each reader.

    Parameters
    ----------
    name
        ``"beyond placebo"``, ``"placebo"`` or ``"total"``.
    contrast
        Conditions, first minus second.
    these_readers, readers_like_them
        Mean difference.
    by_reader
        Pairs (reader, mean difference).
    """

    name: str
    contrast: tuple[str, str]
    these_readers: Estimate
    readers_like_them: Estimate
    by_reader: tuple[tuple[str, Estimate], ...]


@dataclass(frozen=True)
class ShamComparison:
    """The effect of an explanation taken apart.

    Parameters
    ----------
    item, subset
        What was rated, of which cases.
    effects
        Beyond placebo (explanation − sham); with a plain condition also placebo (sham − plain) and
        total (explanation − plain), all from the readings that have all of them.
    by_correctness
        Pairs (correctness, effect beyond placebo), where it is known.
    notes
        What to mind.
    """

    item: str
    subset: str
    effects: tuple[ShamEffect, ...]
    by_correctness: tuple[tuple[str, ShamEffect], ...]
    notes: tuple[str, ...]


def beyond_placebo(
    frame: pd.DataFrame,
    item: str,
    *,
    explanation: str,
    sham: str,
    plain: str | None = None,
    subset: str = "all",
    ci_level: float = 0.95,
) -> ShamComparison:
    """Compare an explanation with a sham, and both with the plain film if there is one.

    Parameters
    ----------
    frame
        Canonical ratings.
    item
        The item.
    explanation, sham, plain
        Conditions.
    subset
        A correctness, or ``"all"``.
    ci_level
        In (0, 1).

    Raises
    ------
    AnalysisError
        If the conditions are not different, one has no ratings, or rows repeat.
    """
    check_level(ci_level)
    names = [explanation, sham] if plain is None else [explanation, sham, plain]
    if len(set(names)) < len(names):
        raise AnalysisError(
            f"{_PURPOSE} was given the conditions {', '.join(names)}; expected different ones."
        )
    rows = rated_rows(frame, item, names, subset=subset, purpose=_PURPOSE)
    notes: list[str] = []
    wide = rows.pivot(index=list(READING), columns="condition", values="value")
    whole = wide.dropna().reset_index()
    contrasts = [("beyond placebo", (explanation, sham))]
    if plain is not None:
        contrasts += [("placebo", (sham, plain)), ("total", (explanation, plain))]
    if whole.empty:
        notes.append(
            "No reader rated one case under all of the conditions: groups of readers are compared."
        )
        effects = tuple(_between(rows, name, pair, ci_level) for name, pair in contrasts)
        return ShamComparison(item, subset, effects, (), tuple(notes))
    if len(whole) < len(wide):
        notes.append(f"{len(wide) - len(whole)} readings lack a condition and are left out.")
    effects = tuple(_paired(whole, name, pair, ci_level) for name, pair in contrasts)
    return ShamComparison(
        item, subset, effects, _by_correctness(rows, whole, contrasts[0], ci_level), tuple(notes)
    )


def _paired(whole: pd.DataFrame, name: str, pair: tuple[str, str], ci_level: float) -> ShamEffect:
    d = (whole[pair[0]] - whole[pair[1]]).astype(float)
    scope, words = scope_of(whole), f"mean difference {pair[0]} − {pair[1]} ({name})"
    readers = natural_order(whole["reader"].unique())
    return ShamEffect(
        name=name,
        contrast=pair,
        these_readers=mean_by_case(d, whole["case_id"], scope, words, ci_level=ci_level),
        readers_like_them=mean_over_readers(d, whole["reader"], scope, words, ci_level=ci_level),
        by_reader=tuple(
            (
                reader,
                mean_by_case(d[own], whole.loc[own, "case_id"], part, words, ci_level=ci_level),
            )
            for reader in readers
            for own in [whole["reader"] == reader]
            for part in [scope_of(whole[own])]
        ),
    )


def _between(rows: pd.DataFrame, name: str, pair: tuple[str, str], ci_level: float) -> ShamEffect:
    """Compare groups of readers; a reader of both groups counts in neither."""
    two = rows[rows["condition"].isin(pair)]
    scope = with_like_them(scope_of(two))
    words = f"mean difference {pair[0]} − {pair[1]} ({name})"
    mixed = two.groupby("reader")["condition"].nunique() > 1
    if mixed.any():
        note = "Some readers rated under both conditions, but never the same case."
        like = scope.unavailable(words, method="comparison of groups of readers", note=note)
    else:
        found = between_readers(two, pair, scope, ci_level=ci_level)
        like = replace(found, quantity=words)
    note = "Each reader had one condition: the readers of the study cannot be told from it."
    own = scope_of(two).unavailable(words, method="mean difference", note=note)
    return ShamEffect(name, pair, own, like, ())


def _by_correctness(
    rows: pd.DataFrame,
    whole: pd.DataFrame,
    contrast: tuple[str, tuple[str, str]],
    ci_level: float,
) -> tuple[tuple[str, ShamEffect], ...]:
    """Return the effect beyond placebo for each correctness."""
    if "correctness" not in rows:
        return ()
    known = rows.drop_duplicates(["case_id", "finding"])[["case_id", "finding", "correctness"]]
    joined = whole.merge(known, on=["case_id", "finding"], how="left")
    return tuple(
        (kind, _paired(joined[joined["correctness"] == kind], *contrast, ci_level))
        for kind in natural_order(joined["correctness"].astype(str).unique())
    )
