"""``counterlight accounts``: who may sign in to a study."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click

from study.accounts import Account, Accounts
from study.errors import StudyError
from study.folder import StudyFolder
from study.invitations import Invitation
from study.people import Role

DEFAULT_ADDRESS = "http://localhost:8501"

_address = click.option(
    "--address",
    default=DEFAULT_ADDRESS,
    show_default=True,
    help="Where people reach the server; the link begins with it.",
)
_who = click.argument("who", metavar="WHO")


@click.group("accounts", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.pass_context
def command(ctx: click.Context, study_dir: Path) -> None:
    """Say who may sign in to STUDY, invite people, and stop their accounts.

    WHO is a sign-in name, or an account id as `list` shows it. What is done here takes effect at
    once, also on pages that are open.
    """
    ctx.obj = Accounts(StudyFolder.open(study_dir).database)


@command.command("list")
@click.pass_obj
def list_accounts(accounts: Accounts) -> None:
    """List every account: name, role, state, account id, label."""
    now = datetime.now(UTC)
    rows = [
        (each.name, each.role, state_of(accounts, each, now), each.account_id, each.label)
        for each in accounts.accounts()
    ]
    if not rows:
        click.echo("No accounts; make one with `counterlight accounts STUDY invite`.")
        return
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[4]]).rstrip())


@command.command("invite")
@click.argument("role", type=click.Choice(get_args(Role)))
@click.option("--reader", "reader_id", help="Pseudonym of the reader, e.g. R1.")
@click.option("--label", default="", help="Name for people; never enters the record.")
@_address
@click.pass_obj
def invite(accounts: Accounts, role: Role, reader_id: str | None, label: str, address: str) -> None:
    """Make an account and print its invitation link."""
    _show(accounts.invite(role, reader_id, label, datetime.now(UTC)), address)


@command.command("reinvite")
@_who
@_address
@click.pass_obj
def reinvite(accounts: Accounts, who: str, address: str) -> None:
    """Print a new link for WHO; the old link, the passphrase and all logins stop working."""
    account = find_account(accounts, who)
    _show(accounts.reinvite(account.account_id, datetime.now(UTC)), address)


@command.command("revoke")
@_who
@click.pass_obj
def revoke(accounts: Accounts, who: str) -> None:
    """Stop the account of WHO; readings done under it stay."""
    account = find_account(accounts, who)
    accounts.revoke(account.account_id, datetime.now(UTC))
    click.echo(f"{account.name} ({account.account_id}) can no longer sign in.")


@command.command("erase")
@_who
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def erase(accounts: Accounts, who: str, yes: bool) -> None:
    """Remove the account of WHO with its label; pseudonymous readings stay."""
    account = find_account(accounts, who)
    if not yes:
        click.confirm(
            f"Erase the account {account.name} ({account.account_id}) for good?", abort=True
        )
    accounts.erase(account.account_id, datetime.now(UTC))
    click.echo(f"{account.name} ({account.account_id}) is erased; its readings stay.")


def find_account(accounts: Accounts, who: str) -> Account:
    """Return the account that a sign-in name or an account id means.

    Raises
    ------
    StudyError
        If there is none, or several revoked ones had this name.
    """
    found = accounts.accounts()
    by_id = [each for each in found if each.account_id == who]
    named = [each for each in found if each.name.casefold() == who.strip().casefold()]
    for candidates in (by_id, [each for each in named if not each.revoked], named):
        if len(candidates) == 1:
            return candidates[0]
    if named:
        ids = ", ".join(each.account_id for each in named)
        raise StudyError(f"Several accounts had the name {who!r}; give one of the ids {ids}.")
    names = ", ".join(sorted({each.name for each in found})) or "nobody"
    raise StudyError(f"There is no account {who!r} in this study; it has {names}.")


def state_of(accounts: Accounts, account: Account, now: datetime) -> str:
    """Say in a few words whether somebody can sign in."""
    if account.revoked:
        return "revoked"
    if account.accepted:
        return "passphrase set"
    until = accounts.open_until(account.account_id, now)
    return f"invited until {until:%Y-%m-%d}" if until else "invitation expired"


def _show(invitation: Invitation, address: str) -> None:
    click.echo(f"{invitation.name}  {address.rstrip('/')}{invitation.path}")
    click.echo(
        f"The link works once, until {invitation.expires_at:%Y-%m-%d %H:%M} UTC, and is shown "
        "only now; hand it to that person alone."
    )
