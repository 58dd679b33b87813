"""Accounts as rows of the study's tables: one person, found by id or by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import delete, select, text, update

from study.errors import StudyError
from study.events import View, Writer
from study.schema import accounts, logins

Role = Literal["reader", "researcher", "coordinator"]


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
    name
        What is typed to sign in; capitals do not count.
    accepted
        Whether a passphrase was set.
    """

    account_id: str
    role: Role
    reader_id: str | None
    label: str
    revoked: bool = False
    name: str = ""
    accepted: bool = False

    @property
    def pseudonym(self) -> str:
        """Actor of this account's events."""
        return self.reader_id or self.account_id


def check_role(role: str, reader_id: str | None, reader_ids: Sequence[str]) -> None:
    """Refuse a role that is not known, or that does not fit the reader named.

    Raises
    ------
    StudyError
        What was given, and what is expected.
    """
    if role not in get_args(Role):
        raise StudyError(
            f"The role {role!r} is not known; choose one of {', '.join(get_args(Role))}."
        )
    if (role == "reader") != (reader_id is not None):
        raise StudyError(
            "A reader's account names its reader, the other roles name none; "
            f"given were role {role!r} and reader {reader_id!r}."
        )
    if reader_id is not None and reader_id not in reader_ids:
        raise StudyError(
            f"{reader_id!r} is not a reader of this study; its readers are {', '.join(reader_ids)}."
        )


def all_accounts(view: View) -> tuple[Account, ...]:
    """Return every account that was not erased, in the order of creation."""
    query = select(accounts).order_by(text("rowid"))
    return tuple(account_from_row(row) for row in view.connection.execute(query).mappings())


def get_account(view: View, account_id: str) -> Account:
    """Return one account.

    Raises
    ------
    StudyError
        If there is none of that id.
    """
    query = select(accounts).where(accounts.c.account_id == account_id)
    row = view.connection.execute(query).mappings().first()
    if row is None:
        raise StudyError(f"There is no account {account_id!r}; list the accounts to find it.")
    return account_from_row(row)


def by_name(view: View, name: str) -> tuple[Account | None, str | None]:
    """Return the account of a name that may sign in, and its passphrase's hash."""
    query = select(accounts).where(accounts.c.revoked_at.is_(None))
    for row in view.connection.execute(query).mappings().all():
        if plain_name(row["name"]) == plain_name(name):
            return account_from_row(row), row["passphrase_hash"]
    return None, None


def free_name(view: View, wanted: str) -> str:
    """Return ``wanted``, or with the first number that makes it unlike any name in use."""
    taken = {plain_name(each.name) for each in all_accounts(view) if not each.revoked}
    name, number = wanted, 1
    while plain_name(name) in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def plain_name(name: str) -> str:
    """Return a sign-in name as it is compared: capitals and blanks around it do not count."""
    return name.strip().casefold()


def change_account(writer: Writer, account_id: str, **values: str | None) -> None:
    """Write columns of one account."""
    writer.connection.execute(
        update(accounts).where(accounts.c.account_id == account_id).values(**values)
    )


def end_logins(writer: Writer, account_id: str) -> None:
    """End every login of an account."""
    writer.connection.execute(delete(logins).where(logins.c.account_id == account_id))


def account_from_row(row: object) -> Account:
    """Read one row of the table of accounts."""
    values = dict(row)  # type: ignore[call-overload]
    return Account(
        account_id=values["account_id"],
        role=values["role"],
        reader_id=values["reader_id"],
        label=values["label"],
        revoked=values["revoked_at"] is not None,
        name=values["name"],
        accepted=values["passphrase_hash"] is not None,
    )
