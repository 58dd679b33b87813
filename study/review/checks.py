"""Whether a protocol whose design is a review can be read and counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from study.plans import NO_ANALYSIS

if TYPE_CHECKING:
    from study.protocol import StudyProtocol

MEANINGFUL: Final = "meaningful"
DESCRIPTION: Final = "description"
RELEVANCE: Final = "relevance"
RELEVANCE_WORDS: Final = "relevance_words"
"""Identifiers of the items that the results of a review are made of."""

OPTIONS: Final = {MEANINGFUL: ("yes", "no"), RELEVANCE: ("yes", "possible", "no")}
"""What the two choices of a review offer, by identifier."""

PANELS: Final = ("film", "reconstruction", "perturbed", "frames")
"""What a review shows of a card, each once."""


def review_problems(protocol: StudyProtocol) -> Iterable[str]:
    """Yield what keeps a review from being one, each as a sentence that names its entry."""
    if protocol.design.kind != "review":
        yield from _no_review(protocol)
        return
    if len(protocol.conditions) != 1:
        yield (
            f"conditions has {len(protocol.conditions)} entries, but a review compares none; give "
            "exactly one."
        )
    shown = [panel.show for panel in protocol.conditions[0].panels]
    if sorted(shown) != sorted(PANELS):
        yield (
            f"conditions[0].panels shows {', '.join(shown)}; a review shows each of "
            f"{', '.join(PANELS)} once."
        )
    if protocol.conditions[0].sham is not None:
        yield "conditions[0].sham is set, but a review has no sham; remove it."
    if protocol.practice:
        yield "practice lists cases, but a review has no practice cases; remove them."
    if protocol.closing:
        yield "closing asks about conditions, but a review compares none; remove it."
    if protocol.analysis != NO_ANALYSIS:
        yield (
            "analysis is given, but a review declares no comparison: its results are shares and "
            "agreement; remove it."
        )
    yield from _item_problems(protocol)


def _no_review(protocol: StudyProtocol) -> Iterable[str]:
    """What only a review may have or leave out."""
    if len(protocol.conditions) < 2:
        yield "conditions is a list of 1; expected at least 2 entries."
    if protocol.analysis == NO_ANALYSIS:
        yield "analysis is missing; add it."
    for c, condition in enumerate(protocol.conditions):
        for p, panel in enumerate(condition.panels):
            if panel.show in ("reconstruction", "perturbed"):
                yield (
                    f"conditions[{c}].panels[{p}].show is {panel.show!r}, which only a review "
                    "(design.kind = 'review') shows; use 'film', 'map', 'frames' or 'toggles'."
                )


def _item_problems(protocol: StudyProtocol) -> Iterable[str]:
    items = {item.id: item for item in protocol.items}
    for name, wanted in OPTIONS.items():
        item = items.get(name)
        if item is None or item.kind != "choice" or not item.required or item.asked_if:
            yield (
                f"items has no required choice {name!r} that is always asked; the results of a "
                "review are counted from it, so add it."
            )
            continue
        found = tuple(option.id for option in item.options)
        if found != wanted:
            yield (
                f"items: {name!r} offers {', '.join(found)}; a review counts "
                f"{', '.join(wanted)}, so offer these in this order."
            )
    for name in (DESCRIPTION, RELEVANCE_WORDS):
        item = items.get(name)
        if item is not None and item.kind != "text":
            yield f"items: {name!r} is a {item.kind}; in a review it is a text, so make it one."
    described = items.get(DESCRIPTION)
    if described is None:
        yield f"items has no text {DESCRIPTION!r}; names come from it, so add it."
