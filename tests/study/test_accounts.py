"""Invitations, passphrases, logins, limits, and what disappears when an account is erased."""

from __future__ import annotations

import sqlite3
import threading
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from study.accounts import ABSOLUTE_TIMEOUT, IDLE_TIMEOUT, Account, Accounts
from study.attempts import TRIES_AT_NAME, TRIES_OF_NAME, TRIES_OF_PLACE, WINDOW
from study.audit import verify
from study.errors import SignInRefused, StudyError
from study.invitations import VALID_FOR, InvitationRefused
from study.passphrases import Passphrases, WeakPassphrase
from tests.support.small_study import START, Small
from tests.support.tiny_study import PASSPHRASE, quick_accounts

CLIENT = "192.0.2.7"
SECOND = timedelta(seconds=1)


@pytest.fixture
def accounts(small: Small) -> Accounts:
    return quick_accounts(small.store)


@pytest.fixture
def reader(accounts: Accounts) -> str:
    """Return the account id of R1, whose passphrase is set."""
    invitation = accounts.invite("reader", "R1", "Dr Ada Byron", START)
    accounts.sign_out(accounts.accept(invitation.token, PASSPHRASE, START, CLIENT), START)
    return invitation.account_id


def enter(accounts: Accounts, now=START, name: str = "R1", client: str = CLIENT, **more) -> str:
    return accounts.sign_in(name, PASSPHRASE, now, client, **more)


def fail(accounts: Accounts, now=START, name: str = "R1", client: str = CLIENT, **more) -> str:
    with pytest.raises(SignInRefused) as caught:
        accounts.sign_in(name, "wrong", now, client, **more)
    return str(caught.value)


def test_an_invitation_sets_a_passphrase_and_the_token_says_who_it_is(accounts: Accounts) -> None:
    invitation = accounts.invite("reader", "R1", "Dr Ada Byron", START)
    assert (invitation.name, invitation.path) == ("R1", f"/invite/{invitation.token}")
    assert len(invitation.token) == 64 and invitation.expires_at == START + VALID_FOR
    assert not accounts.accounts()[0].accepted
    token = accounts.accept(invitation.token, PASSPHRASE, START, CLIENT)
    account = accounts.account_of(token, START)
    assert account is not None and account.accepted
    assert (account.role, account.reader_id, account.label) == ("reader", "R1", "Dr Ada Byron")
    assert account.pseudonym == "R1" and len(token) == 64
    assert accounts.account_of("0" * 64, START) is None
    assert accounts.account_of("", START) is None


@pytest.mark.parametrize("name", ["R1", "r1", "  R1 "])
def test_a_name_is_known_whatever_its_capitals_and_blanks(accounts, reader, name: str) -> None:
    assert accounts.account_of(enter(accounts, name=name), START).reader_id == "R1"


def test_an_invitation_works_once(accounts: Accounts) -> None:
    token = accounts.invite("reader", "R1", "", START).token
    accounts.accept(token, PASSPHRASE, START, CLIENT)
    with pytest.raises(InvitationRefused, match="used already; sign in"):
        accounts.accept(token, "another five words to remember", START, CLIENT)
    assert enter(accounts)


def test_of_two_who_accept_at_once_one_is_refused(accounts: Accounts) -> None:
    token = accounts.invite("reader", "R1", "", START).token
    outcomes: list[str] = []

    def accept(passphrase: str) -> None:
        try:
            accounts.accept(token, passphrase, START, CLIENT)
            outcomes.append("accepted")
        except InvitationRefused:
            outcomes.append("refused")

    threads = [
        threading.Thread(target=accept, args=(f"{word} lanterns over a quiet harbour",))
        for word in ("six", "seven", "eight", "nine")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["accepted", "refused", "refused", "refused"]


def test_an_invitation_expires_after_fourteen_days(accounts: Accounts) -> None:
    invitation = accounts.invite("reader", "R1", "", START)
    assert accounts.open_until(invitation.account_id, START) == START + VALID_FOR
    assert accounts.invited(invitation.token, START + VALID_FOR - SECOND).name == "R1"
    for act in (
        lambda: accounts.invited(invitation.token, START + VALID_FOR),
        lambda: accounts.accept(invitation.token, PASSPHRASE, START + VALID_FOR, CLIENT),
    ):
        with pytest.raises(InvitationRefused, match="expired; ask the coordinator"):
            act()
    assert accounts.open_until(invitation.account_id, START + VALID_FOR) is None


def test_a_new_invitation_replaces_link_passphrase_and_logins(accounts: Accounts) -> None:
    first = accounts.invite("reader", "R1", "", START)
    second = accounts.reinvite(first.account_id, START)
    with pytest.raises(InvitationRefused, match="not known or was withdrawn"):
        accounts.invited(first.token, START)
    login = accounts.accept(second.token, PASSPHRASE, START, CLIENT)
    third = accounts.reinvite(first.account_id, START)
    assert accounts.account_of(login, START) is None
    with pytest.raises(SignInRefused):
        enter(accounts)
    accounts.accept(third.token, "another five words to remember", START, CLIENT)


@pytest.mark.parametrize("token", ["", "0" * 64, "\ud800", "x" * 10_000, "' OR 1=1 --"])
def test_a_made_up_invitation_is_refused(accounts: Accounts, token: str) -> None:
    accounts.invite("reader", "R1", "", START)
    with pytest.raises(InvitationRefused, match="not known"):
        accounts.accept(token, PASSPHRASE, START, CLIENT)


def test_a_weak_passphrase_leaves_the_invitation_open(accounts: Accounts) -> None:
    token = accounts.invite("reader", "R1", "Ada Byron Lovelace", START).token
    for weak in ("short", "ada-byron-lovelace", "password1234!"):
        with pytest.raises(WeakPassphrase, match="words"):
            accounts.accept(token, weak, START, CLIENT)
    assert accounts.accept(token, PASSPHRASE, START, CLIENT)


def test_names_are_numbered_when_they_are_taken(accounts: Accounts) -> None:
    names = [accounts.invite("coordinator", None, "", START).name for _ in range(3)]
    assert names == ["coordinator", "coordinator-2", "coordinator-3"]
    assert accounts.invite("researcher", None, "", START).name == "researcher"


def test_neither_token_nor_passphrase_nor_address_is_in_the_file(small, accounts) -> None:
    invitation = accounts.invite("reader", "R1", "", START)
    login = accounts.accept(invitation.token, PASSPHRASE, START, CLIENT)
    fail(accounts)
    content = _all_bytes(small)
    for secret in (invitation.token, login, PASSPHRASE, CLIENT):
        assert secret.encode() not in content


def test_passphrases_are_kept_as_argon2id_with_64_mib(small: Small) -> None:
    accounts = Accounts(small.store)
    accounts.accept(accounts.invite("reader", "R1", "", START).token, PASSPHRASE, START, CLIENT)
    connection = sqlite3.connect(small.path)
    (encoded,) = connection.execute("SELECT passphrase_hash FROM accounts").fetchone()
    connection.close()
    assert encoded.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    PasswordHasher().verify(encoded, PASSPHRASE)


def test_a_hash_of_older_parameters_is_renewed_at_the_next_sign_in(small, accounts, reader) -> None:
    stronger = Passphrases(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert enter(Accounts(small.store, passphrases=stronger))
    connection = sqlite3.connect(small.path)
    (encoded,) = connection.execute("SELECT passphrase_hash FROM accounts").fetchone()
    connection.close()
    assert "m=16,t=2,p=1" in encoded


def test_a_renewal_by_another_sign_in_meanwhile_keeps_nobody_out(small, accounts, reader) -> None:
    stronger = Passphrases(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    outcomes: list[str] = []

    def sign_in() -> None:
        outcomes.append(enter(Accounts(small.store, passphrases=stronger)))

    threads = [threading.Thread(target=sign_in) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(outcomes)) == 5


def test_every_wrong_sign_in_gets_the_same_sentence(accounts: Accounts, reader: str) -> None:
    accounts.invite("reader", "R2", "", START)  # has set no passphrase
    said = {
        fail(accounts, name=name, client=f"client {n}")
        for n, name in enumerate(["R1", "R2", "R3", "", "\ud800", "x" * 10_000, "' OR 1=1 --"])
    }
    assert said == {
        "This name and passphrase do not belong together; check both, or ask the coordinator for "
        "a new invitation."
    }


def test_an_unknown_name_costs_as_much_work_as_a_known_one(small: Small) -> None:
    class Counting(PasswordHasher):
        verified = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            Counting.verified += 1
            return super().verify(hash, password)

    counting = Counting(time_cost=1, memory_cost=8, parallelism=1)
    accounts = Accounts(small.store, passphrases=Passphrases(counting))
    token = accounts.invite("reader", "R1", "", START).token
    revoked = accounts.invite("researcher", None, "", START).account_id
    accounts.invite("coordinator", None, "", START)
    accounts.revoke(revoked, START)
    accounts.accept(token, PASSPHRASE, START, CLIENT)
    for n, name in enumerate(("R1", "R9", "coordinator", "researcher"), start=1):
        fail(accounts, name=name)
        assert Counting.verified == n


def test_after_five_failures_a_place_waits_even_with_the_right_passphrase(
    small, accounts, reader
) -> None:
    for n in range(TRIES_AT_NAME):
        assert "do not belong together" in fail(accounts, START + n * SECOND)
    later = START + timedelta(seconds=60)
    for _ in range(3):
        with pytest.raises(SignInRefused, match="wait 4 minutes") as caught:
            enter(quick_accounts(small.path), later)  # the limit is in the file
    assert caught.value.retry_after_s == pytest.approx(240)
    assert enter(accounts, later, client="another place")
    assert enter(accounts, START + WINDOW + SECOND)


def test_an_unknown_name_is_limited_like_a_known_one(accounts: Accounts, reader: str) -> None:
    for name in ("R1", "nobody"):
        said = [fail(accounts, name=name) for _ in range(TRIES_AT_NAME + 1)]
        assert ["Too many" in sentence for sentence in said] == [False] * TRIES_AT_NAME + [True]


def test_others_behind_the_same_address_are_not_held_up(accounts: Accounts, reader: str) -> None:
    for _ in range(TRIES_AT_NAME + 1):
        fail(accounts, name="nobody")
    assert enter(accounts)


def test_one_place_cannot_try_many_names_without_end(accounts: Accounts, reader: str) -> None:
    for n in range(TRIES_OF_PLACE):
        fail(accounts, name=f"name {n}")
    assert "Too many" in fail(accounts)
    assert enter(accounts, client="another place")


def test_signing_in_does_not_clear_failures_under_other_names(accounts, reader) -> None:
    for _ in range(TRIES_AT_NAME):
        fail(accounts, name="coordinator")
    enter(accounts)
    assert "Too many" in fail(accounts, name="coordinator")


def test_an_attack_from_everywhere_keeps_no_reader_out_of_a_known_browser(
    accounts: Accounts, reader: str
) -> None:
    enter(accounts)
    browser = accounts.browser_token("R1")
    for n in range(TRIES_OF_NAME):
        fail(accounts, client=f"bot {n}")
    for _ in range(TRIES_AT_NAME):
        fail(accounts)  # and from the reader's own address
    with pytest.raises(SignInRefused, match="Too many"):
        enter(accounts, client="a new place")
    assert enter(accounts, browser=browser)
    assert enter(accounts, client="a new place", browser=browser)
    fresh = accounts.reinvite(reader, START)
    assert accounts.accept(fresh.token, PASSPHRASE, START, "a new place")


def test_a_known_browser_has_its_own_limit_and_belongs_to_one_name(accounts, reader) -> None:
    browser = accounts.browser_token("R1")
    for _ in range(TRIES_AT_NAME):
        fail(accounts, browser=browser)
    assert "Too many" in fail(accounts, browser=browser)
    assert "Too many" in fail(accounts, client="moved", browser=browser)
    assert "do not belong" in fail(accounts)
    for n in range(TRIES_OF_NAME):
        fail(accounts, name="coordinator", client=f"bot {n}")
    for forged in (browser, browser[:-1] + "g", "x.y", ".", "é.é"):
        assert "Too many" in fail(accounts, name="coordinator", client="new", browser=forged)


def test_failures_do_not_flood_the_record_and_say_whom_they_aimed_at(small, accounts) -> None:
    accounts.accept(accounts.invite("reader", "R1", "", START).token, PASSPHRASE, START, CLIENT)
    for n in range(300):
        fail(accounts, START + n * timedelta(milliseconds=1), client=f"bot {n % 90}")
    fail(accounts, START + timedelta(minutes=2), name="a passphrase typed here")
    found = [e.payload for e in small.store.events("refused")]
    assert [(p["reason"], p.get("about"), p["count"]) for p in found] == [
        ("passphrase", "R1", 1),
        ("rate_limit", "R1", 1),
        ("passphrase", None, 1),
        ("passphrase", "R1", TRIES_OF_NAME - 1),
        ("rate_limit", "R1", 300 - TRIES_OF_NAME - 1),
    ]
    assert b"a passphrase typed here" not in _all_bytes(small)
    assert verify(small.path).intact


def test_a_login_ends_after_an_idle_hour_and_lives_on_with_use(accounts, reader) -> None:
    token = enter(accounts)
    now = START
    for _ in range(4):
        now += timedelta(minutes=50)
        assert accounts.account_of(token, now) is not None
    assert accounts.account_of(token, now + IDLE_TIMEOUT + SECOND) is None


def test_a_login_that_is_only_looked_at_is_not_kept_alive(accounts, reader) -> None:
    token = enter(accounts)
    for minutes in (20, 40, 59):
        now = START + timedelta(minutes=minutes)
        assert accounts.account_of(token, now, touch=False) is not None
    assert accounts.account_of(token, START + IDLE_TIMEOUT + SECOND, touch=False) is None


def test_a_login_ends_after_twelve_hours_however_busy(accounts: Accounts, reader: str) -> None:
    token = enter(accounts)
    now = START
    while now + timedelta(minutes=30) <= START + ABSOLUTE_TIMEOUT:
        now += timedelta(minutes=30)
        assert accounts.account_of(token, now) is not None
    assert accounts.account_of(token, START + ABSOLUTE_TIMEOUT + SECOND) is None


def test_signing_out_ends_one_login_only(small, accounts, reader) -> None:
    before = len(small.store.events("signed_out"))
    one, two = enter(accounts), enter(accounts)
    accounts.sign_out(one, START)
    accounts.sign_out(one, START)
    assert accounts.account_of(one, START) is None
    assert accounts.account_of(two, START) is not None
    assert len(small.store.events("signed_out")) == before + 1


def test_a_revoked_account_is_out_at_once_and_its_reader_can_be_invited_again(
    accounts: Accounts, reader: str
) -> None:
    token = enter(accounts)
    accounts.revoke(reader, START)
    accounts.revoke(reader, START)
    assert accounts.account_of(token, START) is None
    assert "do not belong" in fail(accounts)
    assert accounts.accounts()[0].revoked
    with pytest.raises(StudyError, match="revoked account gets no new invitation"):
        accounts.reinvite(reader, START)
    again = accounts.invite("reader", "R1", "", START)
    assert again.name == "R1"
    assert accounts.accept(again.token, PASSPHRASE, START, CLIENT) and enter(accounts)


def test_revoking_withdraws_an_open_invitation(accounts: Accounts) -> None:
    invitation = accounts.invite("reader", "R1", "", START)
    accounts.revoke(invitation.account_id, START)
    with pytest.raises(InvitationRefused):
        accounts.accept(invitation.token, PASSPHRASE, START, CLIENT)


def test_revoking_while_a_passphrase_is_checked_wins(
    accounts: Accounts, reader, monkeypatch
) -> None:
    matches = Passphrases.matches

    def slow(self, encoded, passphrase):
        accounts.revoke(reader, START)
        return matches(self, encoded, passphrase)

    monkeypatch.setattr(Passphrases, "matches", slow)
    with pytest.raises(SignInRefused, match="do not belong"):
        enter(accounts)


def test_erasing_removes_the_name_from_the_file_and_leaves_the_ratings(
    small, accounts, reader
) -> None:
    token = enter(accounts)
    small.read(small.desk("R1"), 2)
    assert b"Ada Byron" in _all_bytes(small)
    accounts.erase(reader, START)
    assert accounts.accounts() == ()
    assert accounts.account_of(token, START) is None
    assert b"Ada Byron" not in _all_bytes(small)
    assert {r.reader_id for r in small.store.ratings()} == {"R1"}
    assert verify(small.path).intact


def test_the_record_knows_sign_ins_by_pseudonym_and_never_by_name(small, accounts, reader) -> None:
    accounts.invite("coordinator", None, "Grace Hopper", START)
    accounts.sign_out(enter(accounts), START)
    fail(accounts)
    kinds = [(e.kind, e.actor) for e in small.store.events() if e.kind != "study_frozen"]
    assert kinds[:4] == [
        ("account_added", "R1"),
        ("invitation_accepted", "R1"),
        ("signed_in", "R1"),
        ("signed_out", "R1"),
    ]
    assert kinds[-3:] == [("signed_in", "R1"), ("signed_out", "R1"), ("refused", "anonymous")]
    rows = sqlite3.connect(small.path).execute("SELECT * FROM events")
    assert "Byron" not in (text := repr(rows.fetchall())) and "Hopper" not in text
    rows.connection.close()


@pytest.mark.parametrize(
    ("role", "reader_id", "words"),
    [
        ("admin", None, "choose one of reader, researcher, coordinator"),
        ("reader", None, "names its reader"),
        ("coordinator", "R1", "names its reader"),
        ("reader", "R7", "its readers are R1, R2"),
    ],
)
def test_an_account_that_does_not_fit_is_refused(
    accounts: Accounts, role, reader_id: str | None, words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        accounts.invite(role, reader_id, "", START)


def test_a_reader_has_one_account_at_a_time(accounts: Accounts) -> None:
    accounts.invite("reader", "R1", "", START)
    with pytest.raises(StudyError, match="has an account already"):
        accounts.invite("reader", "R1", "", START)
    accounts.invite("reader", "R2", "", START)
    assert [a.reader_id for a in accounts.accounts()] == ["R1", "R2"]


def test_an_unknown_account_is_refused(accounts: Accounts) -> None:
    for act in (accounts.revoke, accounts.erase, accounts.reinvite):
        with pytest.raises(StudyError, match="no account 'a0'"):
            act("a0", START)


def test_a_researcher_acts_under_an_opaque_account_id() -> None:
    assert Account("a1f", "researcher", None, "Grace Hopper").pseudonym == "a1f"


def _all_bytes(small: Small) -> bytes:
    return b"".join(p.read_bytes() for p in small.path.parent.glob("study.sqlite*"))
