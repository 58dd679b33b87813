"""How often a wrong passphrase may be tried: by place, by name, and by both together.

Nobody can be kept out for ever by somebody else's attempts. Failures are counted for each *place*:
a browser that once signed in under this name is a place of its own (it holds a token), any other
client is the place of its network address. The limit of a name over all places does not hold for
such a known browser, and an invitation is not limited at all.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from study.clock import moment, timestamp
from study.errors import SignInRefused
from study.events import View, Writer
from study.people import plain_name
from study.schema import attempts, settings

Keyed: TypeAlias = Callable[[str, str], str]
"""Hashes a text for a purpose, ``keyed(purpose, text)``, under a secret of the study."""

WINDOW: Final = timedelta(minutes=5)
TRIES_AT_NAME: Final = 5
"""Failures of one place under one name within the window."""

TRIES_OF_PLACE: Final = 60
"""Failures of one place under any names; a ward may share one network address."""

TRIES_OF_NAME: Final = 50
"""Failures under one name at any places that are not known to it."""


@dataclass(frozen=True)
class Attempt:
    """Who tries to sign in from where, as keyed hashes.

    Parameters
    ----------
    place_hash
        The network address, or the token of a browser known to this name.
    name_hash
        The name as typed, whether or not anybody has it.
    known
        Whether the place is a browser that signed in under this name before.
    """

    place_hash: str
    name_hash: str
    known: bool


def keyed_of(writer: Writer, entropy: Callable[[int], bytes]) -> Keyed:
    """Return hashing under the study's own secret, which is drawn at its first use."""
    connection = writer.connection
    connection.execute(
        upsert(settings).values(name="pepper", value=entropy(32).hex()).on_conflict_do_nothing()
    )
    query = select(settings.c.value).where(settings.c.name == "pepper")
    pepper = bytes.fromhex(connection.execute(query).scalar_one())

    def keyed(purpose: str, text: str) -> str:
        message = f"{purpose}:{text}".encode("utf-8", "replace")
        return hmac.new(pepper, message, hashlib.sha256).hexdigest()

    return keyed


def attempt_of(keyed: Keyed, name: str, client: str, browser: str) -> Attempt:
    """Return who tries to sign in from where.

    Parameters
    ----------
    keyed
        Hashing under the study's secret.
    name, client
        As typed; and the network address.
    browser
        What :func:`browser_token` once gave the browser; anything else counts as nothing.
    """
    nonce = browser.partition(".")[0]
    token = browser_token(keyed, nonce, name)
    known = hmac.compare_digest(
        token.encode("utf-8", "replace"), browser.encode("utf-8", "replace")
    )
    place = f"browser:{nonce}" if known else f"client:{client}"
    return Attempt(keyed("place", place), keyed("name", plain_name(name)), known)


def browser_token(keyed: Keyed, nonce: str, name: str) -> str:
    """Return what a browser is given that has signed in under a name."""
    return f"{nonce}.{keyed('browser', f'{nonce}:{plain_name(name)}')}"


def too_many(seconds: float) -> SignInRefused:
    """Return the refusal of an attempt that has to wait."""
    minutes = max(1, round(seconds / 60))
    return SignInRefused(
        "Too many attempts with a wrong passphrase; wait "
        f"{minutes} minute{'s' if minutes > 1 else ''} and try again.",
        retry_after_s=seconds,
    )


def wait_s(view: View, attempt: Attempt, now: datetime) -> float:
    """Return how many seconds this attempt has to wait; 0 if it may be made."""
    place = attempts.c.place_hash == attempt.place_hash
    name = attempts.c.name_hash == attempt.name_hash
    waits = [_wait_s(view, place & name, TRIES_AT_NAME, now)]
    if not attempt.known:
        waits.append(_wait_s(view, place, TRIES_OF_PLACE, now))
        waits.append(_wait_s(view, name, TRIES_OF_NAME, now))
    return max(waits)


def note_failure(writer: Writer, attempt: Attempt, now: datetime) -> None:
    """Count a failure, and forget those that no limit counts any longer."""
    connection = writer.connection
    connection.execute(delete(attempts).where(attempts.c.at <= timestamp(now - WINDOW)))
    row = {
        "place_hash": attempt.place_hash,
        "name_hash": attempt.name_hash,
        "at": timestamp(now),
    }
    connection.execute(insert(attempts), row)


def forget(writer: Writer, attempt: Attempt) -> None:
    """Forget the failures of a place under a name, once it has got in.

    Those under other names stay: whoever has an account could otherwise try others' without end.
    """
    writer.connection.execute(
        delete(attempts).where(
            attempts.c.place_hash == attempt.place_hash,
            attempts.c.name_hash == attempt.name_hash,
        )
    )


def _wait_s(view: View, whose: ColumnElement[bool], limit: int, now: datetime) -> float:
    query = (
        select(attempts.c.at)
        .where(whose, attempts.c.at > timestamp(now - WINDOW))
        .order_by(attempts.c.at.desc())
        .limit(limit)
    )
    times = [moment(at) for (at,) in view.connection.execute(query)]
    return (times[-1] + WINDOW - now).total_seconds() if len(times) == limit else 0.0
