"""Whether the parts of a protocol fit together."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from study.item_checks import item_problems
from study.plan_checks import plan_problems
from study.review.checks import review_problems

MAP_VARIANTS = ("max", "mean", "minmax", "interval")

if TYPE_CHECKING:
    from study.plans import CasePlan
    from study.protocol import Condition, Panel, StudyProtocol


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
    yield from review_problems(protocol)
    yield from _duplicates("conditions", [c.id for c in protocol.conditions])
    yield from _duplicates("items", [i.id for i in protocol.items])
    yield from _finding_problems(protocol.cases)
    yield from _panel_problems(protocol.conditions)
    yield from item_problems(protocol)
    yield from _sham_problems(protocol)
    yield from _design_problems(protocol)
    yield from _practice_problems(protocol)
    yield from _closing_problems(protocol)
    if protocol.design.kind != "review":
        yield from _analysis_problems(protocol)
        yield from plan_problems(protocol)


def _duplicates(path: str, names: Sequence[str]) -> Iterable[str]:
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


def _panel_problems(conditions: Sequence[Condition]) -> Iterable[str]:
    for c, condition in enumerate(conditions):
        for p, panel in enumerate(condition.panels):
            yield from _panel_problem(f"conditions[{c}].panels[{p}]", panel)
        moving = any(panel.show == "frames" for panel in condition.panels)
        if (condition.controls or condition.autoplay) and not moving:
            entry = "controls" if condition.controls else "autoplay"
            yield (
                f"conditions[{c}].{entry} is set, but no panel of this condition shows frames; "
                "remove it or add a panel with show = 'frames'."
            )
        yield from _switch_problems(f"conditions[{c}].panels", condition)
        if len(set(condition.controls)) < len(condition.controls):
            yield f"conditions[{c}].controls names a control twice; list each once."


def _switch_problems(path: str, condition: Condition) -> Iterable[str]:
    """The viewer shows one sequence at a time: by its slider, or by its switches."""
    switched = [panel for panel in condition.panels if panel.show == "toggles"]
    if len(switched) > 1:
        yield f"{path} holds {len(switched)} panels with toggles; a condition has one at most."
    if switched and any(panel.show == "frames" for panel in condition.panels):
        yield (
            f"{path} holds toggles beside frames, and one picture cannot follow both; show them "
            "in two conditions."
        )


def _panel_problem(path: str, panel: Panel) -> Iterable[str]:
    if panel.show == "film" and panel.method is not None:
        yield f"{path}.method is {panel.method!r}, but a film has no method; remove it."
    if panel.show != "film" and not panel.method:
        yield f"{path}.method is missing; name the explanation that this panel shows."
    if panel.show not in ("frames", "toggles") and panel.frames == "decoded":
        yield f"{path}.frames is 'decoded', but this panel shows a {panel.show}; remove it."
    if panel.signed and panel.show != "map":
        yield f"{path}.signed is true, but only a map has signs to show; remove it."
    elif panel.signed and panel.method and panel.method.rpartition("-")[2] in MAP_VARIANTS:
        yield (
            f"{path}.signed is true, but {panel.method!r} is a magnitude without a sign; remove it."
        )


def explains(condition: Condition) -> bool:
    """Say whether a condition shows anything but the film."""
    return any(panel.show != "film" for panel in condition.panels)


def _sham_problems(protocol: StudyProtocol) -> Iterable[str]:
    for c, condition in enumerate(protocol.conditions):
        if condition.sham is None:
            continue
        path = f"conditions[{c}].sham"
        if not explains(condition):
            yield (
                f"{path} is {condition.sham!r}, but this condition shows the film only; add a map "
                "or frames, or remove it."
            )
        if any(panel.show == "toggles" for panel in condition.panels):
            yield from _switched_sham(path, condition, protocol)
        if condition.sham == "other_case":
            if any(panel.frames == "decoded" for panel in condition.panels):
                yield (
                    f"{path} is 'other_case', but decoded frames would show the other case's film; "
                    "use frames = 'residual'."
                )
            if protocol.cases.per_finding < 2:
                yield (
                    f"{path} is 'other_case', but cases.per_finding is 1, so there is no other "
                    "case to show; read at least two."
                )


def _switched_sham(path: str, condition: Condition, protocol: StudyProtocol) -> Iterable[str]:
    """Toggles as a sham: another case's changes, without its probabilities."""
    if condition.sham == "randomised_model":
        yield (
            f"{path} is 'randomised_model', but factors are found for the trained network and a "
            "network with reset weights has none; use 'other_case'."
        )
    elif protocol.display.show_probability:
        yield (
            f"{path} is 'other_case', but the probabilities beside the toggles would be those of "
            "the other case and betray it; set display.show_probability = false."
        )


def _design_problems(protocol: StudyProtocol) -> Iterable[str]:
    design, n_conditions = protocol.design, len(protocol.conditions)
    if design.kind == "crossover":
        if design.sessions != n_conditions:
            yield (
                f"design.sessions is {design.sessions} but there are {n_conditions} conditions; a "
                "crossover reads one condition of a case in each session, so make the two numbers "
                "equal."
            )
    elif design.sessions != 1:
        yield (
            f"design.sessions is {design.sessions}, but a {design.kind} study reads every case in "
            "one session; set sessions = 1."
        )
    if design.kind == "sequential":
        yield from _stage_problems(protocol.conditions)
    if design.kind == "parallel" and design.readers % n_conditions:
        yield (
            f"design.readers is {design.readers}, which {n_conditions} parallel groups cannot "
            "share equally; choose a multiple."
        )
    n_choices = protocol.cases.per_finding * len(protocol.cases.findings)
    if design.repeats > n_choices:
        yield (
            f"design.repeats is {design.repeats}, but a reader has only {n_choices} cases; "
            f"repeat at most {n_choices}."
        )


def _stage_problems(conditions: Sequence[Condition]) -> Iterable[str]:
    if len(conditions) != 2:
        yield (
            f"conditions has {len(conditions)} entries, but a sequential study has two stages: "
            "without and then with the explanation; give exactly two."
        )
        return
    if explains(conditions[0]):
        yield (
            "conditions[0] shows an explanation, but the first stage of a sequential study is "
            "without; leave only the film."
        )
    if not explains(conditions[1]):
        yield (
            "conditions[1] shows the film only, but the second stage of a sequential study is with "
            "the explanation; add a map or frames."
        )


def _practice_problems(protocol: StudyProtocol) -> Iterable[str]:
    conditions = {condition.id: condition for condition in protocol.conditions}
    seen = set()
    for n, practice in enumerate(protocol.practice):
        path = f"practice[{n}]"
        if practice.finding not in protocol.cases.findings:
            yield (
                f"{path}.finding is {practice.finding!r}; the study's findings are "
                f"{listed(protocol.cases.findings)}; correct the name."
            )
        if practice.condition not in conditions:
            yield (
                f"{path}.condition is {practice.condition!r}; the conditions are "
                f"{listed(conditions)}; correct the id."
            )
        elif conditions[practice.condition].sham is not None:
            yield (
                f"{path}.condition is {practice.condition!r}, which is a sham; practise with a "
                "condition that shows the explanation itself."
            )
        key = (practice.case_id, practice.finding, practice.condition)
        if practice.case_id is not None and key in seen:
            yield f"{path} is the same case in the same condition a second time; remove it."
        seen.add(key)
    if protocol.design.kind == "parallel" and protocol.practice:
        numbers = [
            sum(practice.condition == name for practice in protocol.practice) for name in conditions
        ]
        if len(set(numbers)) > 1:
            yield (
                f"practice has {listed(map(str, numbers))} cases in the conditions "
                f"{listed(conditions)}; parallel groups must practise equally, so give each the "
                "same number."
            )


def _closing_problems(protocol: StudyProtocol) -> Iterable[str]:
    if not protocol.closing:
        return
    yield from _duplicates("closing", [item.id for item in protocol.closing])
    labels = [condition.label.casefold() for condition in protocol.conditions]
    for n, label in enumerate(labels):
        if label in labels[:n]:
            yield (
                f"conditions[{n}].label is {protocol.conditions[n].label!r}, as that of "
                f"conditions[{labels.index(label)}]; closing questions name the condition by its "
                "label, so give each its own."
            )


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
    scales = {i.id: i for i in protocol.items if i.kind in ("likert", "scale")}
    if plan.primary not in scales:
        yield (
            f"analysis.primary is {plan.primary!r}; it must be one of the likert or scale items, "
            f"here {listed(scales) or 'none'}; correct the id."
        )
    else:
        primary = scales[plan.primary]
        if not primary.required:
            yield (
                f"analysis.primary is {plan.primary!r}, which is not required; set required = true "
                "for the primary item."
            )
        left_out = [name for name in plan.contrast if not primary.asked_in(name)]
        if left_out:
            yield (
                f"analysis.primary is {plan.primary!r}, which is not asked in "
                f"{listed(left_out)}; ask it in both conditions of the contrast."
            )
    share = {"true_positive": protocol.cases.n_true_positives, "all": 1}
    share["false_positive"] = protocol.cases.n_false_positives
    if share[plan.subset] == 0:
        yield f"analysis.subset is {plan.subset!r}, but the study has no such cases; change it."


def listed(names: Iterable[str]) -> str:
    """Write names one after another, with commas."""
    return ", ".join(names)
