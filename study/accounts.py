"""Who may sign in, and who is signed in; apart from the record, and erasable.

A sign-in code has 60 random bits and is stored only as a keyed hash; a login is a random token of
256 bits, stored only as a hash. The record sees pseudonyms; labels (names) live in these tables
alone and disappear with :meth:`Accounts.erase`, while the pseudonymous ratings stay.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from study.clock import moment, timestamp
from study.database import purge
from study.errors import SignInRefused, StudyError
from study.events import View, Writer
from study.schema import accounts, attempts, logins, settings
from study.store import StudyStore

Role = Literal["reader", "researcher", "coordinator"]

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
CODE_LENGTH = 12
LOOKALIKES = str.maketrans("OIL", "011", " -–—\t")

ATTEMPTS = 5
ATTEMPT_WINDOW = timedelta(minutes=5)
IDLE_TIMEOUT = timedelta(hours=8)
TOUCH_INTERVAL = timedelta(minutes=1)


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in.

    Parameters
    ----------
    account_id
        Opaque identifier; the actor of a coordinator's or researcher's events.
    role
        What the account may do.
    reader_id
        Pseudonym of the reader; ``None`` for the other roles.
    label
        Name for people; never enters the record.
    revoked
        Whether it may no longer sign in.
    """

    account_id: str
    role: Role
    reader_id: str | None
    label: str
    revoked: bool = False

    @property
    def pseudonym(self) -> str:
        """Actor of this account's events."""
        return self.reader_id or self.account_id


class Accounts:
    """The accounts of one study.

    Parameters
    ----------
    store
        The study, or the path of its database; sign-ins are events of its record.
    entropy
        Source of secret random bytes.
    """

    def __init__(
        self,
        store: StudyStore | Path | str,
        *,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store if isinstance(store, StudyStore) else StudyStore.open(store)
        self._entropy = entropy

    def add(self, role: Role, reader_id: str | None, label: str, now: datetime) -> str:
        """Make an account and return its sign-in code, which is shown once and stored nowhere.

        Raises
        ------
        StudyError
            If the role is unknown, the reader is not in the study or has an account already.
        """
        self._check(role, reader_id)
        code, account_id = self._new_code(), "a" + self._entropy(8).hex()
        with self._store.writing(lambda: now) as writer:
            if reader_id is not None and self._active(writer, reader_id):
                raise StudyError(
                    f"Reader {reader_id!r} has an account already; give out a new code for it, "
                    "or revoke it first."
                )
            row = {
                "account_id": account_id,
                "role": role,
                "reader_id": reader_id,
                "label": label,
                "code_hash": self._hash_code(writer, code),
                "created_at": timestamp(now),
            }
            writer.connection.execute(insert(accounts), row)
            account = Account(account_id, role, reader_id, label)
            self._log(writer, "account_added", account)
        return code

    def accounts(self) -> tuple[Account, ...]:
        """Return every account that was not erased, in the order of creation."""
        with self._store.reading() as view:
            query = select(accounts).order_by(accounts.c.created_at, accounts.c.account_id)
            return tuple(_account(row) for row in view.connection.execute(query).mappings())

    def reissue(self, account_id: str, now: datetime) -> str:
        """Return a new sign-in code; the old one and all its logins stop working.

        Raises
        ------
        StudyError
            If there is no such account or it is revoked.
        """
        code = self._new_code()
        with self._store.writing(lambda: now) as writer:
            account = self._get(writer, account_id)
            if account.revoked:
                raise StudyError("A revoked account gets no new code; add a new account.")
            self._change(writer, account_id, code_hash=self._hash_code(writer, code))
            self._end_logins(writer, account_id)
            self._log(writer, "code_reissued", account)
        return code

    def revoke(self, account_id: str, now: datetime) -> None:
        """Stop an account: its code and its logins no longer work.

        Raises
        ------
        StudyError
            If there is no such account.
        """
        with self._store.writing(lambda: now) as writer:
            account = self._get(writer, account_id)
            self._change(writer, account_id, code_hash=None, revoked_at=timestamp(now))
            self._end_logins(writer, account_id)
            self._log(writer, "account_revoked", account)

    def erase(self, account_id: str, now: datetime) -> None:
        """Remove an account with its label from the file; the pseudonymous ratings stay.

        Raises
        ------
        StudyError
            If there is no such account.
        """
        with self._store.writing(lambda: now) as writer:
            account = self._get(writer, account_id)
            self._end_logins(writer, account_id)
            writer.connection.execute(delete(accounts).where(accounts.c.account_id == account_id))
            self._log(writer, "account_erased", account)
        purge(self._store.engine)

    def sign_in(self, code: str, now: datetime, client: str) -> str:
        """Exchange a sign-in code for a login token.

        Parameters
        ----------
        code
            As typed: capitals, spaces and hyphens do not count; O is 0, I and L are 1.
        now
            Server time.
        client
            What identifies the caller to the rate limit, e.g. the network address; only its keyed
            hash is stored, for five minutes.

        Returns
        -------
        str
            Token for the cookie, 64 hexadecimal digits.

        Raises
        ------
        SignInRefused
            If the code is not known, or the client has failed five times within five minutes.
        """
        refusal: SignInRefused | None = None
        token = self._entropy(32).hex()
        with self._store.writing(lambda: now) as writer:
            client_hash = self._keyed(writer, "client", client)
            wait_s = self._wait_s(writer, client_hash, now)
            account = None if wait_s else self._by_code(writer, code)
            if account is None:
                # Recorded in this transaction, so it is raised only after the commit.
                refusal = self._refuse(writer, client_hash, now, wait_s)
            else:
                row = {
                    "token_hash": _hash_token(token),
                    "account_id": account.account_id,
                    "created_at": timestamp(now),
                    "last_seen_at": timestamp(now),
                }
                writer.connection.execute(insert(logins), row)
                writer.connection.execute(
                    delete(attempts).where(attempts.c.client_hash == client_hash)
                )
                self._log(writer, "signed_in", account)
        if refusal is not None:
            raise refusal
        return token

    def account_of(self, token: str, now: datetime) -> Account | None:
        """Return who is signed in with this token, or ``None`` if nobody is.

        A login ends after eight hours without a request, or when the account is revoked.
        """
        with self._store.reading() as view:
            query = (
                select(accounts, logins.c.last_seen_at)
                .join(logins, logins.c.account_id == accounts.c.account_id)
                .where(logins.c.token_hash == _hash_token(token))
            )
            row = view.connection.execute(query).mappings().first()
        if row is None or row["revoked_at"] is not None:
            return None
        idle = now - moment(row["last_seen_at"])
        if idle > IDLE_TIMEOUT:
            return None
        if idle > TOUCH_INTERVAL:  # not a write for every request
            self._touch(token, now)
        return _account(row)

    def sign_out(self, token: str, now: datetime) -> None:
        """End a login; a token that is not signed in changes nothing."""
        with self._store.writing(lambda: now) as writer:
            query = (
                select(accounts)
                .join(logins, logins.c.account_id == accounts.c.account_id)
                .where(logins.c.token_hash == _hash_token(token))
            )
            row = writer.connection.execute(query).mappings().first()
            if row is None:
                return
            writer.connection.execute(
                delete(logins).where(logins.c.token_hash == _hash_token(token))
            )
            self._log(writer, "signed_out", _account(row))

    def _check(self, role: str, reader_id: str | None) -> None:
        if role not in get_args(Role):
            raise StudyError(
                f"The role {role!r} is not known; choose one of {', '.join(get_args(Role))}."
            )
        if (role == "reader") != (reader_id is not None):
            raise StudyError(
                "A reader's account names its reader, the other roles name none; "
                f"given were role {role!r} and reader {reader_id!r}."
            )
        if reader_id is not None and reader_id not in self._store.reader_ids:
            raise StudyError(
                f"{reader_id!r} is not a reader of this study; its readers are "
                f"{', '.join(self._store.reader_ids)}."
            )

    def _active(self, view: View, reader_id: str) -> bool:
        query = select(accounts.c.account_id).where(
            accounts.c.reader_id == reader_id, accounts.c.revoked_at.is_(None)
        )
        return view.connection.execute(query).first() is not None

    def _get(self, view: View, account_id: str) -> Account:
        query = select(accounts).where(accounts.c.account_id == account_id)
        row = view.connection.execute(query).mappings().first()
        if row is None:
            raise StudyError(f"There is no account {account_id!r}; list the accounts to find it.")
        return _account(row)

    def _change(self, writer: Writer, account_id: str, **values: str | None) -> None:
        writer.connection.execute(
            update(accounts).where(accounts.c.account_id == account_id).values(**values)
        )

    def _end_logins(self, writer: Writer, account_id: str) -> None:
        writer.connection.execute(delete(logins).where(logins.c.account_id == account_id))

    def _touch(self, token: str, now: datetime) -> None:
        with self._store.writing(lambda: now) as writer:
            writer.connection.execute(
                update(logins)
                .where(logins.c.token_hash == _hash_token(token))
                .values(last_seen_at=timestamp(now))
            )

    def _log(self, writer: Writer, kind: str, account: Account) -> None:
        writer.append(kind, account.pseudonym, {"role": account.role})

    def _by_code(self, view: Writer, code: str) -> Account | None:
        given = self._hash_code(view, code)
        row = (
            view.connection.execute(select(accounts).where(accounts.c.code_hash == given))
            .mappings()
            .first()
        )
        if row is None or not hmac.compare_digest(row["code_hash"], given):
            return None
        return _account(row)

    def _wait_s(self, view: View, client_hash: str, now: datetime) -> float:
        """Return how long the client has to wait; 0 if it may try."""
        query = select(attempts.c.at).where(
            attempts.c.client_hash == client_hash,
            attempts.c.at > timestamp(now - ATTEMPT_WINDOW),
            attempts.c.limited == 0,
        )
        times = sorted(moment(at) for (at,) in view.connection.execute(query))
        if len(times) < ATTEMPTS:
            return 0.0
        return (times[-ATTEMPTS] + ATTEMPT_WINDOW - now).total_seconds()

    def _refuse(
        self, writer: Writer, client_hash: str, now: datetime, wait_s: float
    ) -> SignInRefused:
        """Record a failed attempt and return the refusal."""
        connection, limited = writer.connection, int(wait_s > 0)
        connection.execute(delete(attempts).where(attempts.c.at <= timestamp(now - ATTEMPT_WINDOW)))
        noted = connection.execute(
            select(attempts.c.id).where(
                attempts.c.client_hash == client_hash, attempts.c.limited == 1
            )
        ).first()
        if not (limited and noted):  # one line per client and window: the log cannot be flooded
            row = {"client_hash": client_hash, "at": timestamp(now), "limited": limited}
            connection.execute(insert(attempts), row)
            reason = "rate_limit" if limited else "unknown_code"
            writer.append("sign_in_refused", "anonymous", {"reason": reason})
        if limited:
            minutes = max(1, round(wait_s / 60))
            return SignInRefused(
                "Too many attempts with a wrong code; wait "
                f"{minutes} minute{'s' if minutes > 1 else ''} and try again.",
                retry_after_s=wait_s,
            )
        return SignInRefused(
            "This sign-in code is not known; check it letter by letter, or ask the coordinator "
            "for a new one."
        )

    def _new_code(self) -> str:
        number = int.from_bytes(self._entropy(8)) >> 4  # 60 bits, 5 for each of 12 characters
        letters = [ALPHABET[(number >> (5 * n)) & 31] for n in range(CODE_LENGTH)]
        return "-".join("".join(letters[n : n + 4]) for n in range(0, CODE_LENGTH, 4))

    def _hash_code(self, writer: Writer, code: str) -> str:
        return self._keyed(writer, "code", code.upper().translate(LOOKALIKES))

    def _keyed(self, writer: Writer, purpose: str, text: str) -> str:
        """Return a hash under the study's own secret, drawn at its first use."""
        connection = writer.connection
        connection.execute(
            upsert(settings)
            .values(name="pepper", value=self._entropy(32).hex())
            .on_conflict_do_nothing()
        )
        pepper = connection.execute(
            select(settings.c.value).where(settings.c.name == "pepper")
        ).scalar_one()
        message = f"{purpose}:{text}".encode("utf-8", "replace")
        return hmac.new(bytes.fromhex(pepper), message, hashlib.sha256).hexdigest()


def _hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _account(row: object) -> Account:
    values = dict(row)  # type: ignore[call-overload]
    return Account(
        values["account_id"],
        values["role"],
        values["reader_id"],
        values["label"],
        values["revoked_at"] is not None,
    )
