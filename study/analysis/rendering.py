"""An analysis as tables, JSON and text. Numbers are rounded here, in the text, and nowhere else."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from study.analysis.estimate import Estimate
from study.analysis.regression import IouRegression
from study.analysis.summary import PairedDifference

if TYPE_CHECKING:
    from study.analysis.report.analysis import Analysis

NOTHING = "–"
_LABELS = {
    "true_positive": "true positives",
    "false_positive": "false positives",
    "true_negative": "true negatives",
    "false_negative": "false negatives",
    "all": "all cases",
}


def label_of(correctness: str) -> str:
    """Return a correctness in words, e.g. ``"true positives"``."""
    return _LABELS.get(correctness, correctness)


def short(value: float | None) -> str:
    """Return a number with at most three significant digits, as for a screen."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    rounded = f"{value:.{min(digits, 6)}f}"
    return rounded.replace("-", "−")


def short_p(p_value: float | None) -> str:
    """Return a p-value for a screen, with its relation sign: ``"= 0.0104"`` or ``"< 0.0001"``."""
    if p_value is None:
        return NOTHING
    return "< 0.0001" if p_value < 0.0001 else f"= {short(p_value)}"


def interval_of(estimate: Estimate) -> str:
    """Return an interval for a screen, e.g. ``"0.0302 to 0.270"``."""
    if estimate.ci is None:
        return NOTHING
    return f"{short(estimate.ci[0])} to {short(estimate.ci[1])}"


def readers_and_cases(n_readers: int, n_cases: int, n_pairs: int | None = None) -> str:
    """Return the counts in words; ``×`` where every reader has a pair for every case."""
    crossed = "×" if n_pairs is not None and n_pairs == n_readers * n_cases else "and"
    return f"{_count(n_readers, 'reader')} {crossed} {_count(n_cases, 'case')}"


def headline(group: PairedDifference) -> str:
    """Return one group as the published study reports it, in published digits, with its choices."""
    test = group.rank_test
    who = readers_and_cases(group.n_readers, group.n_cases, group.n_pairs)
    n = f"n = {_count(group.n_pairs, 'pair')}, {who}"
    mean = f"{group.mean:.4f} ± {group.sd_ddof0:.4f} (SD, ddof 0)".replace("-", "−")
    pooled = "; pooled: treats readings as independent" if group.n_readers > 1 else ""
    label = label_of(group.correctness)
    if test.statistic is None or test.p_value is None:
        return f"{label} {mean}, no signed-rank test ({n}): {_lower_first(test.note)}"
    p_value = f"{test.p_value:.6f}" if test.p_value >= 0.0001 else f"{test.p_value:.3g}"
    caveat = f"; {_lower_first(test.note).rstrip('.')}" if test.note else ""
    return (
        f"{label} {mean}, W {test.statistic:.1f}, p {p_value} ({n}; {test.choices}{pooled}{caveat})"
    )


def primary_sentence(analysis: Analysis) -> str:
    """Return the primary endpoint in one sentence with interval and population."""
    primary = analysis.primary
    estimate, group = primary.estimate, primary.difference
    first, second = analysis.contrast
    what = (
        "Primary endpoint" if primary.declared else "No primary endpoint was declared; first item"
    )
    start = f"{what}: {primary.item}, {label_of(primary.subset)}, {first} − {second}: "
    who = readers_and_cases(estimate.n_readers, estimate.n_cases, group.n_pairs)
    end = f"{estimate.population}; {who}{_provenance(analysis)}"
    if estimate.value is None:
        return f"{start}not estimated ({end}). {estimate.note}"
    value = _value_words(estimate)
    margin = f" {primary.against_margin}" if primary.against_margin else ""
    if estimate.ci is None or estimate.ci_level is None:
        p_value = f", p {short_p(estimate.p_value)}" if estimate.p_value is not None else ""
        return f"{start}{value}, without an interval{p_value} ({end}). {estimate.note}{margin}"
    level = f"{100 * estimate.ci_level:.3g} % interval"
    return (
        f"{start}{value}, {level} {interval_of(estimate)}, p {short_p(estimate.p_value)} "
        f"({end}).{margin}"
    )


def _value_words(estimate: Estimate) -> str:
    """Return a value with what it is; a difference in points needs no more words."""
    assert estimate.value is not None
    value = ("+" if estimate.value > 0 else "") + short(estimate.value)
    if estimate.quantity.startswith(("mean difference", "points of the scale")):
        return f"{value} points"
    return f"{estimate.quantity} {short(estimate.value)}"


def differences_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row per group of pairs, at full precision."""
    rows = []
    for group in analysis.differences:
        row: dict[str, Any] = {
            name: getattr(group, name)
            for name in (
                "item",
                "correctness",
                "finding",
                "reader",
                "n_pairs",
                "n_readers",
                "n_cases",
                "n_up",
                "n_down",
                "n_zero",
                "mean",
            )
        }
        row["mean_low"], row["mean_high"] = group.mean_difference.ci or (None, None)
        row["mean_p"] = group.mean_difference.p_value
        row["sd_ddof0"], row["sd_ddof1"] = group.sd_ddof0, group.sd_ddof1
        row["W"], row["signed_rank_p"] = group.rank_test.statistic, group.rank_test.p_value
        row["signed_rank_role"] = group.signed_rank.role
        row["signed_rank_of_cases_p"] = group.signed_rank_of_cases.p_value
        row["rank_biserial"] = group.rank_biserial.value
        row["note"] = group.signed_rank.note or group.mean_difference.note
        rows.append(row)
    return pd.DataFrame(rows)


def regressions_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row per regression on IoU, at full precision; empty without any IoU."""
    rows = []
    for result in analysis.regressions:
        low, high = result.slope.ci or (None, None)
        rows.append(
            {
                "item": result.item,
                "condition": result.condition,
                "map": result.map_name,
                "finding": result.finding,
                "n_readings": result.n_readings,
                "n_readers": result.slope.n_readers,
                "n_cases": result.slope.n_cases,
                "slope": result.slope.value,
                "slope_low": low,
                "slope_high": high,
                "slope_p": result.slope.p_value,
                "intercept": result.intercept.value,
                "r_squared": result.r_squared.value,
                "spearman": result.spearman.value,
                "spearman_p": result.spearman.p_value,
                "spearman_of_cases": result.spearman_of_cases.value,
                "spearman_of_cases_p": result.spearman_of_cases.p_value,
                "note": result.slope.note,
            }
        )
    return pd.DataFrame(rows)


def ratings_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row per item, condition and correctness, with the count of each rating."""
    rows = []
    for summary in analysis.rating_summaries:
        row = asdict(summary)
        levels, counts = row.pop("levels"), row.pop("counts")
        row |= {f"n_rated_{level}": n for level, n in zip(levels, counts, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows)


def to_json(analysis: Analysis) -> str:
    """Return all results as JSON at full precision; what is not known is ``null``."""
    document = {
        "contrast": list(analysis.contrast),
        "alpha": analysis.alpha,
        "zero_method": analysis.choices.zero_method,
        "correction": analysis.choices.correction,
        "simulated": analysis.simulated,
        "simulated_cases": analysis.ratings.simulated_cases,
        "n_readers": analysis.n_readers,
        "n_cases": analysis.n_cases,
        "n_ratings": analysis.n_ratings,
        "columns": dict(analysis.ratings.columns),
        "notes": list(analysis.notes),
        "sentence": analysis.sentence,
        "primary": {
            "item": analysis.primary.item,
            "subset": analysis.primary.subset,
            "declared": analysis.primary.declared,
            "estimate": asdict(analysis.primary.estimate),
        },
        "differences": [asdict(group) for group in analysis.differences],
        "ratings": [asdict(summary) for summary in analysis.rating_summaries],
        "regressions": [_regression_record(result) for result in analysis.regressions],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def to_text(analysis: Analysis) -> str:
    """Return the results for a terminal: the headline in published digits, tables in three."""
    first, second = analysis.contrast
    who = readers_and_cases(analysis.n_readers, analysis.n_cases)
    blocks = [
        f"{analysis.n_ratings} ratings by {who}; differences are {first} − {second}"
        f"{_provenance(analysis)}",
        analysis.sentence,
    ]
    for item in analysis.items:
        pooled = [
            g
            for g in analysis.differences
            if g.item == item and g.finding is None and g.reader is None
        ]
        blocks.append(
            "\n".join([f"{item}, {first} − {second}", *(f"  {headline(g)}" for g in pooled)])
        )
        blocks.append(_difference_rows(analysis, item, "finding"))
        blocks.append(_difference_rows(analysis, item, "reader"))
    blocks.append(_populations(analysis))
    blocks.append(_regression_rows(analysis))
    if analysis.notes:
        blocks.append("\n".join(["Notes", *(f"  {note}" for note in analysis.notes)]))
    return "\n\n".join(block for block in blocks if block)


def _difference_rows(analysis: Analysis, item: str, by: str) -> str:
    """Return the table of one item by finding or by reader; empty if there are none."""
    other = "reader" if by == "finding" else "finding"
    groups = [
        g
        for g in analysis.differences
        if g.item == item and getattr(g, by) is not None and getattr(g, other) is None
    ]
    if not groups:
        return ""
    head = [by, "cases", "pairs", "up", "down", "zero", "mean", "SD", "interval", "p", "r_rb"]
    rows = [
        [
            getattr(g, by),
            label_of(g.correctness),
            str(g.n_pairs),
            str(g.n_up),
            str(g.n_down),
            str(g.n_zero),
            short(g.mean),
            short(g.sd_ddof0),
            interval_of(g.mean_difference),
            short_p(g.signed_rank.p_value).removeprefix("= "),
            short(g.rank_biserial.value),
        ]
        for g in groups
    ]
    level = f"{100 * analysis.choices.ci_level:.3g}"
    caption = (
        f"{item} by {by} (SD ddof 0; {level} % interval of the mean clustered by case; "
        "p signed rank over pairs)"
    )
    return _aligned(caption, head, rows, n_text=2)


def _populations(analysis: Analysis) -> str:
    """Return what the same differences say about each population of readers."""
    rows = []
    for group in analysis.differences:
        if group.finding is not None or group.reader is not None:
            continue
        for estimate in (
            group.signed_rank,
            group.signed_rank_of_cases,
            group.mean_difference,
            group.mean_over_readers,
        ):
            rows.append(
                [
                    group.item,
                    label_of(group.correctness),
                    estimate.quantity,
                    estimate.population,
                    estimate.role,
                    interval_of(estimate),
                    short_p(estimate.p_value).removeprefix("= "),
                ]
            )
    head = ["item", "cases", "statistic", "speaks for", "role", "interval", "p"]
    return _aligned("The same differences, by whom they speak for", head, rows, n_text=5)


def _regression_rows(analysis: Analysis) -> str:
    """Return the regressions over all findings; say so if there is no IoU."""
    if not analysis.regressions:
        return "No IoU in the table: ratings are not regressed on localisation."
    head = ["item", "condition", "map", "ratings", "cases", "slope", "interval", "p"]
    head += ["R²", "rho", "rho p", "rho of cases"]
    rows = [
        [
            r.item,
            r.condition,
            r.map_name,
            str(r.n_readings),
            str(r.slope.n_cases),
            short(r.slope.value),
            interval_of(r.slope),
            short_p(r.slope.p_value).removeprefix("= "),
            short(r.r_squared.value),
            short(r.spearman.value),
            short_p(r.spearman.p_value).removeprefix("= "),
            short(r.spearman_of_cases.value),
        ]
        for r in analysis.regressions
        if r.finding is None
    ]
    caption = (
        "Rating on IoU (points per unit of IoU, clustered by case; rho's p treats readings as "
        "independent)"
    )
    return _aligned(caption, head, rows, n_text=3)


def _aligned(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, n_text: int
) -> str:
    """Lay out a table: the first ``n_text`` columns to the left, the others to the right."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = [caption]
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if k < n_text else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def _regression_record(result: IouRegression) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for field in fields(result):
        value = getattr(result, field.name)
        if field.name != "fit":
            record[field.name] = asdict(value) if isinstance(value, Estimate) else value
    return record


def _provenance(analysis: Analysis) -> str:
    return f"; {analysis.provenance}" if analysis.provenance else ""


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
