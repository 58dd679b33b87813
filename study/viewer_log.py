"""What was done in the viewer during a reading: checked, because a browser sends it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeGuard, get_args

ViewerKind: TypeAlias = Literal[
    "paint",
    "frame",
    "window",
    "zoom",
    "pan",
    "invert",
    "overlay",
    "opacity",
    "colormap",
    "play",
    "pause",
    "flicker",
    "toggle",
    "magnifier",
    "hidden",
    "shown",
    "reset",
    "mark",
]

KINDS: Final[tuple[str, ...]] = get_args(ViewerKind)
MAXIMUM_ENTRIES: Final = 2000
MAXIMUM_AT_MS: Final = 7 * 24 * 3600 * 1000
MAXIMUM_VALUE: Final = 1e9
MAXIMUM_TEXT: Final = 80

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class ViewerEntry:
    """One thing that was done.

    Parameters
    ----------
    at_ms
        Milliseconds since the first complete paint of the reading; negative before it.
    kind
        What was done.
    value
        E.g. the number of a frame, ``"0.42/0.80"`` for window and level, or ``"-0+"`` for the
        states of three switches after a change; ``None`` for none.
    """

    at_ms: int
    kind: ViewerKind
    value: float | str | None = None


def parse_entries(given: object) -> tuple[tuple[ViewerEntry, ...], int]:
    """Keep the entries of a viewer's log that are what they should be.

    Parameters
    ----------
    given
        Untrusted: a list of objects with ``at_ms``, ``kind`` and, if there is one, ``value``.

    Returns
    -------
    entries
        At most 2000, in the order given.
    n_discarded
        Number of entries left out; 1 if it is no list at all.
    """
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        return (), 1
    entries = tuple(
        entry for each in given[:MAXIMUM_ENTRIES] if (entry := _entry(each)) is not None
    )
    return entries, len(given) - len(entries)


def to_payload(entries: Iterable[ViewerEntry]) -> list[list[object]]:
    """Write entries as they are stored: [at_ms, kind, value] each."""
    return [[entry.at_ms, entry.kind, entry.value] for entry in entries]


def from_payload(stored: object) -> tuple[ViewerEntry, ...]:
    """Read what :func:`to_payload` wrote."""
    rows = stored if isinstance(stored, list) else []
    return tuple(ViewerEntry(*row) for row in rows if isinstance(row, list) and len(row) == 3)


def _entry(given: object) -> ViewerEntry | None:
    if not isinstance(given, Mapping) or not set(given) <= {"at_ms", "kind", "value"}:
        return None
    at_ms, kind, value = given.get("at_ms"), given.get("kind"), given.get("value")
    if not isinstance(kind, str) or kind not in KINDS:
        return None
    if not _is_number(at_ms) or abs(at_ms) > MAXIMUM_AT_MS:
        return None
    if isinstance(value, bool):
        value = float(value)
    if isinstance(value, str):
        if len(value) > MAXIMUM_TEXT or _CONTROLS.search(value) or not value.isprintable():
            return None
    elif value is not None and (not _is_number(value) or abs(value) > MAXIMUM_VALUE):
        return None
    return ViewerEntry(round(at_ms), kind, value)  # type: ignore[arg-type]


def _is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether it is a finite number; NaN and infinities come from JSON readers too."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= 1e300
        and math.isfinite(value)
    )
