"""What one window remembers: where the dimensions stand, and what is being prepared for it."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from pages.factoring.cards.component import message_of
from pages.factoring.preparing import Desk, Wanted
from pages.factoring.request import Positions, parsed, written
from pages.factoring.work import Preparation

KEPT_DESKS: Final = 4
PARAMETER: Final = "moved"
"""Name of the positions in the page's address."""


@dataclass(frozen=True)
class FactorState:
    """A window's memory.

    Parameters
    ----------
    store
        Streamlit's session state, or a dictionary.
    """

    store: MutableMapping[Any, Any]

    def begin(self, address: object) -> None:
        """Take the positions of the page's address, once."""
        if "factor_at" not in self.store:
            self.store["factor_at"] = written(parsed(address))

    def positions(self, allowed: Iterable[int]) -> Positions:
        """Return where the dimensions stand that can be moved."""
        return parsed(self.store.get("factor_at", ""), allowed)

    def hear(self, value: object) -> None:
        """Take what the cards say; what is no message is passed over."""
        message = message_of(value)
        if message is not None:
            self.store["factor_at"] = written(parsed(message.positions))
            self.store["factor_heard"] = message.number

    @property
    def heard(self) -> int:
        """Number of the last message."""
        return int(self.store.get("factor_heard", 0))

    @property
    def wishes(self) -> int:
        """How often positions were set by something else than the cards."""
        return int(self.store.get("factor_wish", 0))

    def wish(self, positions: Positions) -> None:
        """Set positions; the cards follow."""
        self.store["factor_at"] = written(positions)
        self.store["factor_wish"] = self.wishes + 1

    def say(self, sentence: str) -> None:
        """Keep a sentence for the next run."""
        self.store["factor_said"] = sentence

    def said(self) -> str | None:
        """Return the sentence once."""
        said = self.store.pop("factor_said", None)
        return said if isinstance(said, str) else None

    @property
    def desks(self) -> MutableMapping[Wanted, Desk]:
        """What is prepared, the latest last."""
        found: MutableMapping[Wanted, Desk] = self.store.setdefault("factor_desks", {})
        return found

    def keep(self, wanted: Wanted, desk: Desk) -> None:
        """Keep a desk; the one unused for longest goes."""
        self.desks.pop(wanted, None)
        self.desks[wanted] = desk
        while len(self.desks) > KEPT_DESKS:
            self.desks.pop(next(iter(self.desks)))

    @property
    def work(self) -> Preparation[Desk] | None:
        """What is being prepared."""
        return self.store.get("factor_work")

    def prepare(self, work: Preparation[Desk] | None) -> None:
        """Have something prepared instead of what was; ``None`` for nothing."""
        before = self.work
        if before is not None and before is not work:
            before.stop()
        self.store["factor_work"] = work
