"""Refusals in the record: every one is counted, and no flood of them fills the chain.

The first refusal of its kind is written at once. Further ones of the same kind are counted for a
minute and written as one event.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from study.store import StudyStore

INTERVAL: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Refusal:
    """What was refused to whom; equal refusals are counted together.

    Parameters
    ----------
    actor
        Pseudonym or account id of whoever is signed in, or ``"anonymous"``.
    role
        The actor's role; empty for nobody.
    reason
        E.g. ``"not_signed_in"``, ``"role"``, ``"csrf"``, ``"passphrase"``.
    place
        Kind of path, e.g. ``"frames"``; never the path itself, which anybody can choose.
    about
        Pseudonym of the account that was aimed at, if that is known; else empty.
    """

    actor: str
    role: str
    reason: str
    place: str
    about: str = ""


@dataclass
class _Count:
    written_at: datetime
    n_since: int = 0


class RefusalLog:
    """Writes refusals to a study's record as events ``refused``.

    Parameters
    ----------
    store
        The study.
    """

    def __init__(self, store: StudyStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._counts: dict[Refusal, _Count] = {}

    def note(self, refusal: Refusal, now: datetime) -> None:
        """Count a refusal, and write it unless one like it was written within a minute."""
        with self._lock:
            count = self._counts.get(refusal)
            if count is not None:
                count.n_since += 1
            else:
                self._counts[refusal] = _Count(now)
                self._write(refusal, 1, now)
        self.flush(now)

    def is_due(self, now: datetime) -> bool:
        """Say whether :meth:`flush` would do anything; cheap."""
        return any(_is_over(count, now) for count in list(self._counts.values()))

    def flush(self, now: datetime, *, everything: bool = False) -> None:
        """Write the counts that are a minute old, or all of them when a server stops."""
        with self._lock:
            for refusal, count in list(self._counts.items()):
                if not everything and not _is_over(count, now):
                    continue
                if count.n_since:
                    self._write(refusal, count.n_since, now)
                    self._counts[refusal] = _Count(now)
                else:
                    del self._counts[refusal]

    def _write(self, refusal: Refusal, n: int, now: datetime) -> None:
        payload: dict[str, object] = {
            "reason": refusal.reason,
            "role": refusal.role,
            "path": refusal.place,
            "count": n,
        }
        if refusal.about:
            payload["about"] = refusal.about
        with self._store.writing(lambda: now) as writer:
            writer.append("refused", refusal.actor, payload)


def _is_over(count: _Count, now: datetime) -> bool:
    return now - count.written_at >= INTERVAL
