"""Personal invitations: links that let one person set a passphrase, once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, select, update

from study.clock import moment, timestamp
from study.errors import StudyError
from study.events import View, Writer
from study.schema import invitations

VALID_FOR: Final = timedelta(days=14)
INVITE: Final = "/invite/"
"""What the URL path of a link begins with."""


class InvitationRefused(StudyError):
    """An invitation that is unknown, withdrawn, used or expired."""


@dataclass(frozen=True)
class Invitation:
    """What is handed to one person, who then sets a passphrase.

    Parameters
    ----------
    account_id
        The account that it opens.
    name
        The name to sign in with afterwards, e.g. ``"R1"``.
    token
        Secret of the link, 64 hexadecimal digits; the study keeps only a hash of it.
    expires_at
        When the link stops working.
    """

    account_id: str
    name: str
    token: str
    expires_at: datetime

    @property
    def path(self) -> str:
        """URL path of the link."""
        return f"{INVITE}{self.token}"


def hash_token(token: str) -> str:
    """Return what is stored of a random token; it has 256 bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def issue(writer: Writer, account_id: str, token: str, now: datetime) -> datetime:
    """Store an invitation and return when it expires; those given out before stop working."""
    withdraw(writer, account_id)
    expires_at = now + VALID_FOR
    row = {
        "token_hash": hash_token(token),
        "account_id": account_id,
        "expires_at": timestamp(expires_at),
    }
    writer.connection.execute(insert(invitations), row)
    return expires_at


def withdraw(writer: Writer, account_id: str) -> None:
    """Remove every invitation of an account."""
    writer.connection.execute(delete(invitations).where(invitations.c.account_id == account_id))


def invited(view: View, token: str, now: datetime) -> str:
    """Return the account that an invitation opens.

    Raises
    ------
    InvitationRefused
        Why it opens none, and what to do.
    """
    query = select(invitations).where(invitations.c.token_hash == hash_token(token))
    row = view.connection.execute(query).mappings().first()
    if row is None:
        raise InvitationRefused(
            "This invitation is not known or was withdrawn; ask the coordinator for a new one."
        )
    if row["used_at"] is not None:
        raise InvitationRefused(
            "This invitation was used already; sign in with your name and the passphrase that was "
            "set, or ask the coordinator for a new invitation."
        )
    if moment(row["expires_at"]) <= now:
        raise InvitationRefused("This invitation has expired; ask the coordinator for a new one.")
    return str(row["account_id"])


def mark_used(writer: Writer, token: str, now: datetime) -> None:
    """Note that an invitation was used; it opens nothing from now on."""
    writer.connection.execute(
        update(invitations)
        .where(invitations.c.token_hash == hash_token(token))
        .values(used_at=timestamp(now))
    )


def open_until(view: View, account_id: str, now: datetime) -> datetime | None:
    """Return when an account's open invitation expires, or ``None`` if it has none."""
    query = select(invitations.c.expires_at).where(
        invitations.c.account_id == account_id,
        invitations.c.used_at.is_(None),
        invitations.c.expires_at > timestamp(now),
    )
    found = view.connection.execute(query).scalar()
    return moment(found) if found is not None else None
