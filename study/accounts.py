"""Who may sign in, and who is signed in; apart from the record, and erasable.

An account is made with an invitation, whose link lets one person set a passphrase. Passphrases are
kept as argon2id hashes; a login is a random token of 256 bits, stored only as a hash. The record
sees pseudonyms; labels (names) live in these tables alone and disappear with
:meth:`Accounts.erase`, while the pseudonymous ratings stay.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, insert, or_, select, update

from study import attempts, invitations
from study.clock import moment, timestamp
from study.database import purge
from study.errors import SignInRefused, StoreUnavailable, StudyError
from study.events import View, Writer
from study.invitations import Invitation, hash_token
from study.passphrases import Passphrases, check_passphrase
from study.people import (
    Account,
    Role,
    account_from_row,
    all_accounts,
    by_name,
    change_account,
    check_role,
    end_logins,
    free_name,
    get_account,
)
from study.refusals import Refusal, RefusalLog
from study.schema import accounts, logins
from study.store import StudyStore

IDLE_TIMEOUT = timedelta(minutes=60)
ABSOLUTE_TIMEOUT = timedelta(hours=12)
TOUCH_INTERVAL = timedelta(minutes=1)

_WRONG = (
    "This name and passphrase do not belong together; check both, or ask the coordinator for a new "
    "invitation."
)


class Accounts:
    """The accounts of one study; safe to share between threads.

    Parameters
    ----------
    store
        The study, or the path of its database; sign-ins are events of its record.
    entropy
        Source of secret random bytes.
    passphrases
        How passphrases are hashed; argon2id with 64 MiB, two at a time, if not given.
    """

    def __init__(
        self,
        store: StudyStore | Path | str,
        *,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        passphrases: Passphrases | None = None,
    ) -> None:
        self._store = store if isinstance(store, StudyStore) else StudyStore.open(store)
        self._entropy = entropy
        self._passphrases = passphrases or Passphrases()
        self.refusals = RefusalLog(self._store)

    def invite(self, role: Role, reader_id: str | None, label: str, now: datetime) -> Invitation:
        """Make an account and return its invitation, which is shown once and stored nowhere.

        Parameters
        ----------
        role, reader_id
            What the account may do, and whose readings it opens.
        label
            Name for people; never enters the record.
        now
            Server time; the invitation is good for fourteen days.

        Raises
        ------
        StudyError
            If the role is unknown, the reader is not in the study or has an account already.
        """
        check_role(role, reader_id, self._store.reader_ids)
        token, account_id = self._entropy(32).hex(), "a" + self._entropy(8).hex()
        with self._store.writing(lambda: now) as writer:
            if reader_id is not None and self._active(writer, reader_id):
                raise StudyError(
                    f"Reader {reader_id!r} has an account already; give out a new invitation for "
                    "it, or revoke it first."
                )
            account = Account(
                account_id, role, reader_id, label, name=free_name(writer, reader_id or role)
            )
            row = {
                "account_id": account_id,
                "name": account.name,
                "role": role,
                "reader_id": reader_id,
                "label": label,
                "created_at": timestamp(now),
            }
            writer.connection.execute(insert(accounts), row)
            expires_at = invitations.issue(writer, account_id, token, now)
            self._log(writer, "account_added", account)
        return Invitation(account_id, account.name, token, expires_at)

    def accounts(self) -> tuple[Account, ...]:
        """Return every account that was not erased, in the order of creation."""
        with self._store.reading() as view:
            return all_accounts(view)

    def reinvite(self, account_id: str, now: datetime) -> Invitation:
        """Return a new invitation; the old one, the passphrase and all logins stop working.

        Raises
        ------
        StudyError
            If there is no such account or it is revoked.
        """
        token = self._entropy(32).hex()
        with self._store.writing(lambda: now) as writer:
            account = get_account(writer, account_id)
            if account.revoked:
                raise StudyError(
                    "A revoked account gets no new invitation; invite the person again."
                )
            change_account(writer, account_id, passphrase_hash=None)
            end_logins(writer, account_id)
            expires_at = invitations.issue(writer, account_id, token, now)
            self._log(writer, "account_reinvited", account)
        return Invitation(account_id, account.name, token, expires_at)

    def open_until(self, account_id: str, now: datetime) -> datetime | None:
        """Return when an account's open invitation expires, or ``None`` if it has none."""
        with self._store.reading() as view:
            return invitations.open_until(view, account_id, now)

    def invited(self, token: str, now: datetime) -> Account:
        """Return the account that an invitation opens; nothing is used up.

        Raises
        ------
        InvitationRefused
            If the invitation is unknown, withdrawn, used or expired.
        """
        with self._store.reading() as view:
            return get_account(view, invitations.invited(view, token, now))

    def accept(self, token: str, passphrase: str, now: datetime, client: str) -> str:
        """Set the passphrase of an invited person and sign that person in.

        Parameters
        ----------
        token
            Of the invitation's link.
        passphrase
            At least 12 characters, not easily guessed.
        now
            Server time.
        client
            Network address of the caller; it is not stored.

        Returns
        -------
        str
            Login token for the cookie, 64 hexadecimal digits.

        Raises
        ------
        InvitationRefused
            If the invitation is unknown, withdrawn, used or expired.
        WeakPassphrase
            If the passphrase is refused; the invitation stays open.
        """
        account = self.invited(token, now)
        study = self._store.protocol.study
        own = (account.name, account.label, account.role, study.id, study.title)
        check_passphrase(passphrase, own)
        encoded = self._passphrases.hash(passphrase)  # takes long: not while the file is locked
        with self._store.writing(lambda: now) as writer:
            account = get_account(writer, invitations.invited(writer, token, now))
            invitations.mark_used(writer, token, now)
            change_account(writer, account.account_id, passphrase_hash=encoded)
            end_logins(writer, account.account_id)
            self._log(writer, "invitation_accepted", account)
            return self._begin_login(writer, account, now)

    def revoke(self, account_id: str, now: datetime) -> None:
        """Stop an account: its invitation, passphrase and logins no longer work.

        Raises
        ------
        StudyError
            If there is no such account.
        """
        with self._store.writing(lambda: now) as writer:
            account = get_account(writer, account_id)
            if account.revoked:
                return
            change_account(writer, account_id, passphrase_hash=None, revoked_at=timestamp(now))
            invitations.withdraw(writer, account_id)
            end_logins(writer, account_id)
            self._log(writer, "account_revoked", account)

    def erase(self, account_id: str, now: datetime) -> None:
        """Remove an account with its label from the file; the pseudonymous ratings stay.

        Raises
        ------
        StudyError
            If there is no such account.
        """
        with self._store.writing(lambda: now) as writer:
            account = get_account(writer, account_id)
            invitations.withdraw(writer, account_id)
            end_logins(writer, account_id)
            writer.connection.execute(delete(accounts).where(accounts.c.account_id == account_id))
            self._log(writer, "account_erased", account)
        purge(self._store.engine)

    def sign_in(
        self, name: str, passphrase: str, now: datetime, client: str, *, browser: str = ""
    ) -> str:
        """Exchange a name and its passphrase for a login token.

        Parameters
        ----------
        name
            As typed; capitals and blanks around it do not count.
        passphrase
            As typed.
        now
            Server time.
        client
            What identifies the caller to the rate limit, e.g. the network address; only its keyed
            hash is stored, for five minutes.
        browser
            What :meth:`browser_token` gave this browser at an earlier sign-in, if anything; such a
            browser is not held up by what others try under the name.

        Returns
        -------
        str
            Token for the cookie, 64 hexadecimal digits.

        Raises
        ------
        SignInRefused
            If name and passphrase do not belong together, or there were too many failures.
        """
        with self._store.writing(lambda: now) as writer:
            attempt = attempts.attempt_of(self._keyed(writer), name, client, browser)
            wait_s = attempts.wait_s(writer, attempt, now)
            account, encoded = by_name(writer, name)
            if not wait_s:  # counted before the work, so that many at once get no more tries
                attempts.note_failure(writer, attempt, now)
        about = account.pseudonym if account is not None else ""
        if wait_s:
            self.refusals.note(Refusal("anonymous", "", "rate_limit", "sign-in", about), now)
            raise attempts.too_many(wait_s)
        while self._passphrases.matches(encoded, passphrase):  # slow: not while the file is locked
            fresh = self._rehashed(str(encoded), passphrase)
            with self._store.writing(lambda: now) as writer:
                account, stored = by_name(writer, name)
                if account is not None and stored is not None and stored == encoded:
                    change_account(writer, account.account_id, passphrase_hash=fresh)
                    attempts.forget(writer, attempt)
                    return self._begin_login(writer, account, now)
            encoded = stored  # revoked, invited anew or hashed anew in the meantime
        self.refusals.note(Refusal("anonymous", "", "passphrase", "sign-in", about), now)
        raise SignInRefused(_WRONG)

    def browser_token(self, name: str) -> str:
        """Return a token for a browser that has signed in under a name.

        It signs nobody in; it only says that this browser did once.
        """
        nonce = self._entropy(16).hex()
        with self._store.writing() as writer:
            return attempts.browser_token(self._keyed(writer), nonce, name)

    def account_of(self, token: str, now: datetime, *, touch: bool = True) -> Account | None:
        """Return who is signed in with this token, or ``None`` if nobody is.

        A login ends after 60 minutes without a request, 12 hours after it began, or when the
        account is revoked.

        Parameters
        ----------
        token
            Of the cookie.
        now
            Server time.
        touch
            Whether this counts as a request.
        """
        with self._store.reading() as view:
            query = (
                select(accounts, logins.c.last_seen_at, logins.c.created_at.label("began_at"))
                .join(logins, logins.c.account_id == accounts.c.account_id)
                .where(logins.c.token_hash == hash_token(token))
            )
            row = view.connection.execute(query).mappings().first()
        if row is None or row["revoked_at"] is not None:
            return None
        idle = now - moment(row["last_seen_at"])
        if idle > IDLE_TIMEOUT or now - moment(row["began_at"]) > ABSOLUTE_TIMEOUT:
            return None
        if touch and idle > TOUCH_INTERVAL:  # not a write for every request
            with suppress(StoreUnavailable):  # on a full disk whoever is signed in stays so
                self._touch(token, now)
        return account_from_row(row)

    def sign_out(self, token: str, now: datetime) -> None:
        """End a login; a token that is not signed in changes nothing."""
        with self._store.writing(lambda: now) as writer:
            query = (
                select(accounts)
                .join(logins, logins.c.account_id == accounts.c.account_id)
                .where(logins.c.token_hash == hash_token(token))
            )
            row = writer.connection.execute(query).mappings().first()
            if row is None:
                return
            writer.connection.execute(
                delete(logins).where(logins.c.token_hash == hash_token(token))
            )
            self._log(writer, "signed_out", account_from_row(row))

    def _active(self, view: View, reader_id: str) -> bool:
        query = select(accounts.c.account_id).where(
            accounts.c.reader_id == reader_id, accounts.c.revoked_at.is_(None)
        )
        return view.connection.execute(query).first() is not None

    def _begin_login(self, writer: Writer, account: Account, now: datetime) -> str:
        token = self._entropy(32).hex()
        row = {
            "token_hash": hash_token(token),
            "account_id": account.account_id,
            "created_at": timestamp(now),
            "last_seen_at": timestamp(now),
        }
        ended = or_(
            logins.c.last_seen_at <= timestamp(now - IDLE_TIMEOUT),
            logins.c.created_at <= timestamp(now - ABSOLUTE_TIMEOUT),
        )
        writer.connection.execute(delete(logins).where(ended))
        writer.connection.execute(insert(logins), row)
        self._log(writer, "signed_in", account)
        return token

    def _rehashed(self, encoded: str, passphrase: str) -> str:
        """Return the hash to be kept: the same, unless it was made with older parameters."""
        if self._passphrases.is_outdated(encoded):
            return self._passphrases.hash(passphrase)
        return encoded

    def _touch(self, token: str, now: datetime) -> None:
        with self._store.writing(lambda: now) as writer:
            writer.connection.execute(
                update(logins)
                .where(logins.c.token_hash == hash_token(token))
                .values(last_seen_at=timestamp(now))
            )

    def _log(self, writer: Writer, kind: str, account: Account) -> None:
        writer.append(kind, account.pseudonym, {"role": account.role})

    def _keyed(self, writer: Writer) -> attempts.Keyed:
        return attempts.keyed_of(writer, self._entropy)
