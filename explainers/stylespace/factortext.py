"""A factor set in words: markdown tables, and sentences about what was not found. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from explainers.stylespace.factorset import FactorSet, KnownEffect, SelectedFactor


def factor_report(factors: FactorSet) -> str:
    """Return the whole set as markdown: how it was made, its dimensions, what the meter reads."""
    made = factors.made
    refused = f", {made.n_refused} could not be inverted" if made.n_refused else ""
    lines = [
        f"{len(factors.dimensions)} of {factors.n_styles} dimensions selected "
        f"({made.aggregation} of |Δ|, δ = {made.threshold:g}) on {len(factors.films)} held-out "
        f"films that the classifier gets right with a confidence of {made.confidence:g}{refused}; "
        f"ranges over {factors.n_samples:,} samples, percentile {factors.percentile:g}; sweep "
        f"{made.mode}; back-projection of {made.steps} steps.",
        "",
        *factor_table(factors.factors),
        "",
        *_bars(factors),
    ]
    for finding in factors.findings:
        if not factors.selected_for(finding):
            lines.append(f"- {factors.nothing_selected(finding)}")
    if factors.readings:
        lines += ["", *readings_table(factors)]
    return "\n".join(lines) + "\n"


def factor_table(factors: Sequence[SelectedFactor]) -> list[str]:
    """Return markdown lines, one row per selected dimension and finding."""
    lines = [
        "| Finding | Dimension | Layer, channel | Change | At lowest | At highest | Films moved "
        "| Films flipped | Measured factor | Where |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in factors:
        where = ", ".join(f"{r.region} {r.share:.0%}" for r in each.regions[:2]) or "–"
        title = f"{each.dimension} ({each.name})" if each.name else str(each.dimension)
        lines.append(
            f"| {each.finding} | {title} | {each.layer}, {each.channel} | {each.change:.2f} "
            f"| {each.change_low:+.2f} | {each.change_high:+.2f} | {each.share:.0%} "
            f"| {each.n_flips} of {each.n_films} | {effect_text(each.measured_factor)} | {where} |"
        )
    return lines


def effect_text(effect: KnownEffect | None) -> str:
    """Return e.g. ``"heart ratio −1.2 … +2.0 sd"``; says so where nothing is readable."""
    if effect is None:
        return "none readable"
    about = f" ({effect.about})" if effect.about and effect.group != "finding" else ""
    return (
        f"{effect.label}{about} {effect.change_low:+.1f} … {effect.change_high:+.1f} {effect.unit}"
    )


def readings_table(factors: FactorSet) -> list[str]:
    """Return markdown lines: parameters that the meter reads, and what reconstructions keep."""
    lines = [
        "| Parameter | Held-out R² or AUC | Readable | Kept by reconstructions (correlation) |",
        "| --- | --- | --- | --- |",
    ]
    for each in sorted(factors.readings, key=lambda r: (not r.readable, -r.score)):
        label = each.name.replace("_mm", "").replace("_deg", "").replace("_", " ")
        kept = "–" if each.kept != each.kept else f"{each.kept:.2f}"
        answer = "yes" if each.readable else "no"
        lines.append(f"| {label} | {each.score:.2f} | {answer} | {kept} |")
    return lines


def _bars(factors: FactorSet) -> list[str]:
    """Return what the set reaches of what it was made for."""
    flipping = sorted({f.finding for f in factors.factors if f.n_flips})
    anatomical = {
        f.dimension
        for f in factors.factors
        if f.measured_factor is not None and f.measured_factor.group in ("finding", "anatomy")
    }
    lines = [
        f"- Findings with a selected dimension that flips the decision on some film: "
        f"{len(flipping)} of {len(factors.findings)} ({', '.join(flipping) or 'none'})."
    ]
    if factors.readings:
        lines.append(
            f"- Selected dimensions whose measured factor is a finding or its anatomy: "
            f"{len(anatomical)} of {len(factors.dimensions)}."
        )
    return lines
