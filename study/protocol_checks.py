"""Whether the parts of a protocol fit together."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

MAP_VARIANTS = ("max", "mean", "minmax", "interval")

if TYPE_CHECKING:
    from study.protocol import CasePlan, Condition, StudyProtocol


def unknown_method(protocol: StudyProtocol, known: Collection[str] | None) -> str | None:
    """Return what is wrong with the first panel whose method is not known, or ``None``.

    A map may be a variant of a known method, e.g. ``"latent_shift-max"`` of ``"latent_shift"``.
    """
    if known is None:
        return None
    variants = {f"{name}-{variant}" for name in known for variant in MAP_VARIANTS}
    for c, condition in enumerate(protocol.conditions):
        for p, panel in enumerate(condition.panels):
            allowed = set(known) | (variants if panel.show == "map" else set())
            if panel.method is not None and panel.method not in allowed:
                return (
                    f"conditions[{c}].panels[{p}].method is {panel.method!r}; known methods are "
                    f"{listed(sorted(known))}; correct the name."
                )
    return None


def contradictions(protocol: StudyProtocol) -> Iterable[str]:
    """Yield what does not fit together, each as a sentence that begins with the entry's path."""
    yield from _duplicates("conditions", [c.id for c in protocol.conditions])
    yield from _duplicates("items", [i.id for i in protocol.items])
    yield from _finding_problems(protocol.cases)
    yield from _panel_problems(protocol.conditions)
    for n, item in enumerate(protocol.items):
        if item.kind == "likert" and not (item.low and item.high):
            yield f"items[{n}] has no anchors; give both low and high a text."
    if protocol.design.sessions != len(protocol.conditions):
        yield (
            f"design.sessions is {protocol.design.sessions} but there are "
            f"{len(protocol.conditions)} conditions; a crossover reads one condition of a case in "
            "each session, so make the two numbers equal."
        )
    yield from _analysis_problems(protocol)


def _duplicates(path: str, names: list[str]) -> Iterable[str]:
    folded = [name.casefold() for name in names]
    for n, name in enumerate(folded):
        if name in folded[:n]:
            yield (
                f"{path}[{n}].id is {names[n]!r}, which {path}[{folded.index(name)}] has already "
                "taken; give each its own id (capitals do not count)."
            )


def _finding_problems(cases: CasePlan) -> Iterable[str]:
    for n, finding in enumerate(cases.findings):
        if finding in cases.findings[:n]:
            yield f"cases.findings[{n}] is {finding!r} a second time; list each finding once."
        if not re.fullmatch(r"[^/\\,:\n]+", finding):
            yield (
                f"cases.findings[{n}] is {finding!r}; a finding's name must not hold slashes, "
                "commas, colons or line breaks; correct the name."
            )
    exact = cases.per_finding * cases.false_positive_share
    if abs(exact - round(exact)) > 0.05:  # a third is written as 0.33
        yield (
            f"cases.per_finding is {cases.per_finding}, of which a false_positive_share of "
            f"{cases.false_positive_share} makes {exact:g} films; choose numbers that make a whole "
            "number."
        )


def _panel_problems(conditions: tuple[Condition, ...]) -> Iterable[str]:
    for c, condition in enumerate(conditions):
        for p, panel in enumerate(condition.panels):
            path = f"conditions[{c}].panels[{p}]"
            if panel.show == "film" and panel.method is not None:
                yield f"{path}.method is {panel.method!r}, but a film has no method; remove it."
            if panel.show != "film" and not panel.method:
                yield f"{path}.method is missing; name the explanation that this panel shows."
        moving = any(panel.show == "frames" for panel in condition.panels)
        if (condition.controls or condition.autoplay) and not moving:
            entry = "controls" if condition.controls else "autoplay"
            yield (
                f"conditions[{c}].{entry} is set, but no panel of this condition shows frames; "
                "remove it or add a panel with show = 'frames'."
            )
        if len(set(condition.controls)) < len(condition.controls):
            yield f"conditions[{c}].controls names a control twice; list each once."


def _analysis_problems(protocol: StudyProtocol) -> Iterable[str]:
    plan, conditions = protocol.analysis, {c.id for c in protocol.conditions}
    for n, condition in enumerate(plan.contrast):
        if condition not in conditions:
            yield (
                f"analysis.contrast[{n}] is {condition!r}; the conditions are "
                f"{listed(sorted(conditions))}; correct the id."
            )
    if plan.contrast[0] == plan.contrast[1]:
        yield "analysis.contrast names the same condition twice; name the two to be compared."
    scales = {i.id: i for i in protocol.items if i.kind == "likert"}
    if plan.primary not in scales:
        yield (
            f"analysis.primary is {plan.primary!r}; it must be one of the likert items, here "
            f"{listed(scales) or 'none'}; correct the id."
        )
    elif not scales[plan.primary].required:
        yield (
            f"analysis.primary is {plan.primary!r}, which is not required; set required = true "
            "for the primary item."
        )
    share = {"true_positive": protocol.cases.n_true_positives, "all": 1}
    share["false_positive"] = protocol.cases.n_false_positives
    if share[plan.subset] == 0:
        yield f"analysis.subset is {plan.subset!r}, but the study has no such cases; change it."


def listed(names: Iterable[str]) -> str:
    """Write names one after another, with commas."""
    return ", ".join(names)
