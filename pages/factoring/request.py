"""What is asked for: a film, a finding, and where each dimension stands.

A dimension stands at a position in [-1, 1]: 0 is the value that the film itself has, -1 and 1 are
the lowest and the highest value of the dimension over many samples of the generator; between them
it moves straight. Positions are kept in steps of 0.05, so that a link says exactly what is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

STEPS: Final = 20
"""Steps of a slider from the film's own value to either end."""
MOST: Final = 32
"""Dimensions that may stand elsewhere at the same time."""
_PART: Final = re.compile(r"(\d{1,6}):(-?\d(?:\.\d{1,4})?)")


@dataclass(frozen=True)
class Position:
    """Where one dimension stands.

    Parameters
    ----------
    dimension
        Index into S.
    at
        In [-1, 1]; 0 is the film's own value.
    """

    dimension: int
    at: float


Positions = tuple[Position, ...]
"""Those that do not stand at 0, by dimension."""


def positions_of(pairs: Iterable[tuple[int, float]]) -> Positions:
    """Return positions in steps, by dimension; those at 0 and not finite are left out."""
    kept = {
        dimension: min(1.0, max(-1.0, round(at * STEPS) / STEPS))
        for dimension, at in pairs
        if math.isfinite(at)
    }
    return tuple(Position(each, kept[each]) for each in sorted(kept) if kept[each] != 0)[:MOST]


def parsed(text: object, allowed: Iterable[int] | None = None) -> Positions:
    """Read positions from a link or from the browser; what cannot be read is left out.

    Parameters
    ----------
    text
        E.g. ``"512:-1,77:0.35"``; anything at all may come.
    allowed
        Dimensions that may be moved; ``None`` for all.
    """
    if not isinstance(text, str) or len(text) > 2000:
        return ()
    known = None if allowed is None else frozenset(allowed)
    found = (_PART.fullmatch(part.strip()) for part in text.split(","))
    pairs = [(int(one[1]), float(one[2])) for one in found if one is not None]
    return positions_of((d, at) for d, at in pairs if known is None or d in known)


def written(positions: Positions) -> str:
    """Return positions as the text that :func:`parsed` reads."""
    return ",".join(f"{each.dimension}:{each.at:g}" for each in positions)


def by_dimension(positions: Positions) -> Mapping[int, float]:
    """Return where each dimension stands; those that are absent stand at 0."""
    return {each.dimension: each.at for each in positions}


def value_at(at: float, low: float, own: float, high: float) -> float:
    """Return the value of a dimension at a position.

    Parameters
    ----------
    at
        In [-1, 1].
    low, own, high
        Lowest, the film's own, and highest value.
    """
    return own + (at * (high - own) if at > 0 else -at * (low - own))
