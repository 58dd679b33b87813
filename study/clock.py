"""Time as an argument: what a clock is, and how a moment is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from study.errors import StudyError

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Write an aware moment as fixed-width ISO 8601 in UTC, so that texts sort by time.

    Returns
    -------
    str
        E.g. ``"2026-01-31T10:42:07.000123+00:00"`` (32 characters).

    Raises
    ------
    StudyError
        If ``moment`` has no time zone.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise StudyError(
            f"The time {moment.isoformat()} has no time zone; give the clock one, e.g. UTC."
        )
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str) -> datetime:
    """Read what :func:`timestamp` wrote."""
    return datetime.fromisoformat(text)
