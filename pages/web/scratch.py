"""Pictures of the explorer, in memory only: never written to disk, gone with the server."""

from __future__ import annotations

import functools
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

Pictures = tuple[tuple[bytes, ...], ...]
"""For each panel its PNG files, in slider order."""


@dataclass(frozen=True)
class _Entry:
    account_id: str
    pictures: Pictures


class Scratch:
    """A few sets of pictures, each under an unguessable name and for one account.

    Parameters
    ----------
    capacity
        Number of sets kept; the one unused for longest goes first.
    """

    def __init__(self, capacity: int = 48) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, account_id: str, pictures: Pictures) -> str:
        """Keep pictures for an account and return the name they can be fetched by."""
        token = secrets.token_hex(16)
        with self._lock:
            self._entries[token] = _Entry(account_id, pictures)
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return token

    def holds(self, token: str) -> bool:
        """Say whether a set of pictures is still there."""
        with self._lock:
            return token in self._entries

    def get(self, token: str, account_id: str, panel: int, frame: int) -> bytes | None:
        """Return one picture, or ``None`` if it is not there or somebody else's."""
        with self._lock:
            entry = self._entries.get(token)
            if entry is None or entry.account_id != account_id:
                return None
            self._entries.move_to_end(token)
        if not 0 <= panel < len(entry.pictures) or not 0 <= frame < len(entry.pictures[panel]):
            return None
        return entry.pictures[panel][frame]


@functools.cache
def scratch() -> Scratch:
    """Return the one scratch of this server, shared by pages and routes."""
    return Scratch()
