"""The accounts of a study from the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from commands.accounts import command, find_account, state_of
from study.accounts import Accounts
from study.errors import SignInRefused, StudyError
from study.invitations import InvitationRefused
from tests.support.small_study import Small
from tests.support.tiny_study import PASSPHRASE, quick_accounts

CLIENT = "test"


@pytest.fixture
def small(tmp_path) -> Small:
    from tests.support.small_study import make_small

    return make_small(tmp_path)


@pytest.fixture
def accounts(small: Small) -> Accounts:
    return quick_accounts(small.path)


def run(small: Small, *arguments: str, **more) -> Result:
    arguments = (str(small.path.parent), *arguments)
    return CliRunner().invoke(command, arguments, catch_exceptions=False, **more)


def token_in(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output.splitlines()[0].rpartition("/invite/")[2]


def test_an_invitation_is_printed_as_a_link_that_works_once(small, accounts) -> None:
    result = run(
        small, "invite", "reader", "--reader", "R1", "--label", "Dr Ada Byron",
        "--address", "https://reading.example.org/",
    )  # fmt: skip
    token = token_in(result)
    assert f"R1  https://reading.example.org/invite/{token}\n" in result.output
    assert "works once" in result.output
    now = datetime.now(UTC)
    accounts.accept(token, PASSPHRASE, now, CLIENT)
    assert accounts.sign_in("R1", PASSPHRASE, now, CLIENT)


def test_the_list_says_who_can_sign_in(small, accounts) -> None:
    assert "No accounts" in run(small, "list").output
    now = datetime.now(UTC)
    accounts.accept(accounts.invite("reader", "R1", "One", now).token, PASSPHRASE, now, CLIENT)
    invited = accounts.invite("reader", "R2", "Two", now)
    accounts.revoke(accounts.invite("coordinator", None, "Three", now).account_id, now)
    lines = run(small, "list").output.splitlines()
    states = ["passphrase set", "invited until", "revoked"]
    for line, name, state, label in zip(
        lines, ("R1", "R2", "coordinator"), states, ("One", "Two", "Three"), strict=True
    ):
        assert line.startswith(name) and state in line and line.endswith(label)
    assert invited.token not in "".join(lines)
    later = now + timedelta(days=15)
    assert state_of(accounts, find_account(accounts, "R2"), later) == "invitation expired"


def test_a_new_link_ends_the_old_passphrase(small, accounts) -> None:
    now = datetime.now(UTC)
    accounts.accept(accounts.invite("reader", "R1", "", now).token, PASSPHRASE, now, CLIENT)
    token = token_in(run(small, "reinvite", "r1"))
    with pytest.raises(SignInRefused):
        accounts.sign_in("R1", PASSPHRASE, now, CLIENT)
    assert accounts.accept(token, PASSPHRASE, now, CLIENT)


def test_revoking_ends_link_and_login(small, accounts) -> None:
    now = datetime.now(UTC)
    login = accounts.accept(accounts.invite("reader", "R1", "", now).token, PASSPHRASE, now, CLIENT)
    token = accounts.invite("reader", "R2", "", now).token
    for who in ("R1", "R2"):
        assert "can no longer sign in" in run(small, "revoke", who).output
    assert accounts.account_of(login, now) is None
    with pytest.raises(InvitationRefused):
        accounts.accept(token, PASSPHRASE, now, CLIENT)


def test_erasing_asks_first_and_removes_the_label(small, accounts) -> None:
    accounts.invite("reader", "R1", "Dr Ada Byron", datetime.now(UTC))
    assert run(small, "erase", "R1", input="n\n").exit_code == 1
    assert len(accounts.accounts()) == 1
    assert "is erased" in run(small, "erase", "R1", input="y\n").output
    assert accounts.accounts() == ()
    accounts.invite("reader", "R1", "", datetime.now(UTC))
    assert run(small, "erase", "R1", "--yes").exit_code == 0


def test_of_several_accounts_of_one_name_the_active_one_is_meant(small, accounts) -> None:
    now = datetime.now(UTC)
    first = accounts.invite("reader", "R1", "", now).account_id
    accounts.revoke(first, now)
    second = accounts.invite("reader", "R1", "", now).account_id
    assert find_account(accounts, "R1").account_id == second
    assert find_account(accounts, first).account_id == first
    accounts.revoke(second, now)
    with pytest.raises(StudyError, match=f"one of the ids {first}, {second}"):
        find_account(accounts, "R1")
    with pytest.raises(StudyError, match="no account 'R7' in this study; it has R1"):
        find_account(accounts, "R7")
