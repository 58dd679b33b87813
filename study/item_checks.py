"""Whether the questions of a protocol can be asked and answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from study.items import MARK_KINDS, NUMERIC_KINDS, OPTION_KINDS

if TYPE_CHECKING:
    from study.items import Item
    from study.protocol import StudyProtocol


def item_problems(protocol: StudyProtocol) -> Iterable[str]:
    """Yield what is wrong with items and closing items, each as a sentence."""
    conditions = [condition.id for condition in protocol.conditions]
    for name, items in (("items", protocol.items), ("closing", protocol.closing)):
        for n, item in enumerate(items):
            yield from _anchor_problems(f"{name}[{n}]", item)
            yield from _option_problems(f"{name}[{n}]", item)
            yield from _condition_problems(f"{name}[{n}]", item, conditions)
            yield from _dependence_problems(f"{name}[{n}]", item, items[:n])
    for c, condition in enumerate(conditions):
        if not any(item.asked_in(condition) for item in protocol.items):
            yield f"conditions[{c}] has no items; ask at least one in every condition."
    taken = {item.id.casefold() for item in protocol.items}
    for n, item in enumerate(protocol.closing):
        if item.kind in MARK_KINDS:
            yield (
                f"closing[{n}].kind is {item.kind!r}, but no film is shown at the end; ask for "
                "'likert', 'scale', 'choice', 'multi_choice' or 'text'."
            )
        if item.asked_if is not None:
            yield f"closing[{n}].asked_if is set, but closing items are always asked; remove it."
        if item.id.casefold() in taken:
            yield f"closing[{n}].id is {item.id!r}, which an item has already taken; rename it."


def _anchor_problems(path: str, item: Item) -> Iterable[str]:
    if item.kind in NUMERIC_KINDS:
        if not (item.low and item.high):
            yield f"{path} has no anchors; give both low and high a text."
    elif item.low or item.high:
        yield f"{path} is of kind {item.kind!r}, which has no scale; remove low and high."
    if item.max_marks > 1 and item.kind not in MARK_KINDS:
        yield f"{path}.max_marks is {item.max_marks}, but a {item.kind} has no marks; remove it."


def _option_problems(path: str, item: Item) -> Iterable[str]:
    if item.kind not in OPTION_KINDS:
        if item.options:
            yield f"{path}.options is given, but a {item.kind} offers none; remove it."
        return
    if len(item.options) < 2:
        yield f"{path} offers {len(item.options)} options; give at least two."
    for what, names in (
        ("id", [option.id.casefold() for option in item.options]),
        ("label", [option.label.casefold() for option in item.options]),
    ):
        for n, name in enumerate(names):
            if name in names[:n]:
                yield (
                    f"{path}.options[{n}].{what} is that of options[{names.index(name)}] again; "
                    "give each its own (capitals do not count)."
                )


def _dependence_problems(path: str, item: Item, before: Sequence[Item]) -> Iterable[str]:
    """An item may wait for a choice that stands before it and is asked wherever it is."""
    if item.asked_if is None:
        return
    named = next((each for each in before if each.id == item.asked_if.item), None)
    if named is None or named.kind != "choice":
        yield (
            f"{path}.asked_if.item is {item.asked_if.item!r}; it must be an item of kind 'choice' "
            "that stands before this one; correct the id or the order."
        )
        return
    if named.asked_if is not None:
        yield (
            f"{path}.asked_if.item is {named.id!r}, which itself waits for another answer; let it "
            "wait for that one."
        )
    options = [option.id for option in named.options]
    if item.asked_if.equals not in options:
        yield (
            f"{path}.asked_if.equals is {item.asked_if.equals!r}; {named.id!r} offers "
            f"{', '.join(options)}; correct the id."
        )
    if named.conditions and (not item.conditions or set(item.conditions) - set(named.conditions)):
        yield (
            f"{path} is asked where {named.id!r}, which it waits for, is not; give it the same "
            "conditions."
        )


def _condition_problems(path: str, item: Item, conditions: list[str]) -> Iterable[str]:
    for n, name in enumerate(item.conditions):
        if name not in conditions:
            yield (
                f"{path}.conditions[{n}] is {name!r}; the conditions are "
                f"{', '.join(conditions)}; correct the id."
            )
        if name in item.conditions[:n]:
            yield f"{path}.conditions names {name!r} twice; list each condition once."
