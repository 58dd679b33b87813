"""Whether the declared analysis can be done with what the protocol asks and shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from study.items import NUMERIC_KINDS

if TYPE_CHECKING:
    from study.plans import SecondaryEndpoint
    from study.protocol import StudyProtocol

METHODS_OF = {
    "these_readers": (
        "declared_default",
        "mean_difference_by_case",
        "clustered_signed_rank",
    ),
    "readers_like_them": ("declared_default", "mean_over_readers_and_cases"),
}
"""Methods that can speak for a population."""


def plan_problems(protocol: StudyProtocol) -> Iterable[str]:
    """Yield what is wrong with method and secondary endpoints, each naming its entry."""
    plan = protocol.analysis
    suited = METHODS_OF[plan.population]
    if plan.primary_method not in suited:
        yield (
            f"analysis.primary_method is {plan.primary_method!r}, which cannot speak for "
            f"{plan.population!r}; choose one of {', '.join(suited)}."
        )
    taken: dict[str, int] = {}
    for n, endpoint in enumerate(plan.secondary):
        path = f"analysis.secondary[{n}]"
        name = endpoint.id.casefold()
        if name in taken:
            yield (
                f"{path}.id is {endpoint.id!r}, which analysis.secondary[{taken[name]}] has "
                "already taken; give each its own id (capitals do not count)."
            )
        taken.setdefault(name, n)
        yield from _contrast_problems(protocol, path, endpoint)
        yield from _item_problems(protocol, path, endpoint)
        yield from _outcome_problems(path, endpoint)


def _contrast_problems(
    protocol: StudyProtocol, path: str, endpoint: SecondaryEndpoint
) -> Iterable[str]:
    if endpoint.contrast is None:
        return
    known = [condition.id for condition in protocol.conditions]
    for k, name in enumerate(endpoint.contrast):
        if name not in known:
            yield (
                f"{path}.contrast[{k}] is {name!r}; the conditions are {', '.join(known)}; "
                "correct the id."
            )
    if endpoint.contrast[0] == endpoint.contrast[1]:
        yield f"{path}.contrast names the same condition twice; name the two to be compared."


def _item_problems(
    protocol: StudyProtocol, path: str, endpoint: SecondaryEndpoint
) -> Iterable[str]:
    if endpoint.outcome == "reading_time":
        if endpoint.item is not None:
            yield f"{path}.item is {endpoint.item!r}, but reading times have no item; remove it."
        return
    scales = {item.id: item for item in protocol.items if item.kind in NUMERIC_KINDS}
    name = endpoint.item or protocol.analysis.primary
    if name not in scales:
        if endpoint.item is not None:
            yield (
                f"{path}.item is {name!r}; it must be one of the likert or scale items, here "
                f"{', '.join(scales) or 'none'}; correct the id."
            )
        return
    item = scales[name]
    contrast = endpoint.contrast or protocol.analysis.contrast
    left_out = [condition for condition in contrast if not item.asked_in(condition)]
    if left_out and (endpoint.item or endpoint.contrast):
        yield (
            f"{path} compares {name!r} in {', '.join(contrast)}, but it is not asked in "
            f"{', '.join(left_out)}; ask it in both conditions."
        )
    low, high = item.lowest, item.highest
    if endpoint.threshold is not None and not low < endpoint.threshold <= high:
        yield (
            f"{path}.threshold is {endpoint.threshold}; a call on {name!r} is a rating of at least "
            f"{low + 1} and at most {high}; correct the number."
        )


def _outcome_problems(path: str, endpoint: SecondaryEndpoint) -> Iterable[str]:
    calls = endpoint.outcome in ("sensitivity", "specificity")
    if calls and endpoint.threshold is None:
        yield (
            f"{path}.threshold is missing; {endpoint.outcome} needs the lowest rating that calls "
            "the finding present."
        )
    if endpoint.threshold is not None and not calls:
        yield f"{path}.threshold is set, but {endpoint.outcome} makes no calls; remove it."
    if endpoint.subset != "all" and (calls or endpoint.outcome == "auc"):
        yield (
            f"{path}.subset is {endpoint.subset!r}, but {endpoint.outcome} chooses its own cases; "
            "remove it."
        )
    margin = endpoint.non_inferiority
    if margin is None:
        return
    if endpoint.outcome == "reading_time" and margin <= 1:
        yield (
            f"{path}.non_inferiority is {margin:g}; for reading times it is a ratio above 1, such "
            "as 1.25; correct the number."
        )
    if (calls or endpoint.outcome == "auc") and margin >= 1:
        yield (
            f"{path}.non_inferiority is {margin:g}; for {endpoint.outcome} it is a share below 1, "
            "such as 0.05; correct the number."
        )
