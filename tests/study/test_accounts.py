"""Sign-in: codes, logins, limits, and what disappears when an account is erased."""

from __future__ import annotations

import re
import sqlite3
from datetime import timedelta

import pytest

from study.accounts import ALPHABET, ATTEMPTS, IDLE_TIMEOUT, Account, Accounts
from study.audit import verify
from study.errors import SignInRefused, StudyError
from tests.support.small_study import START, Small

CLIENT = "192.0.2.7"


def test_a_code_signs_in_and_the_token_says_who_it_is(small: Small) -> None:
    accounts = Accounts(small.store)
    code = accounts.add("reader", "R1", "Dr Ada Byron", START)
    assert re.fullmatch(f"[{ALPHABET}]{{4}}(-[{ALPHABET}]{{4}}){{2}}", code)
    token = accounts.sign_in(code, START, CLIENT)
    account = accounts.account_of(token, START)
    assert account is not None
    assert (account.role, account.reader_id, account.label) == ("reader", "R1", "Dr Ada Byron")
    assert account.pseudonym == "R1"
    assert len(token) == 64
    assert accounts.account_of("0" * 64, START) is None
    assert accounts.account_of("", START) is None


def test_a_code_may_be_typed_in_small_letters_with_blanks_and_lookalikes(small: Small) -> None:
    bits = iter([bytes(8), bytes(8), bytes(32)])  # the code 0000-0000-0000
    accounts = Accounts(small.store, entropy=lambda n: next(bits, bytes(n)))
    code = accounts.add("reader", "R1", "", START)
    assert code == "0000-0000-0000"
    assert accounts.sign_in(" oOoO oooo-0000 ", START, CLIENT)


def test_codes_use_all_their_sixty_bits(small: Small) -> None:
    accounts = Accounts(small.store)
    codes = [accounts.add("coordinator", None, "", START) for _ in range(60)]
    assert len(set(codes)) == 60
    for place in (0, 1, 5, 12, 13):
        assert len({code[place] for code in codes}) > 15


def test_neither_code_nor_token_nor_address_is_in_the_file(small: Small) -> None:
    accounts = Accounts(small.store)
    code = accounts.add("reader", "R1", "", START)
    token = accounts.sign_in(code, START, CLIENT)
    with pytest.raises(SignInRefused):
        accounts.sign_in("wrong", START, CLIENT)
    content = _all_bytes(small)
    for secret in (code, code.replace("-", ""), token, CLIENT):
        assert secret.encode() not in content


def test_a_wrong_code_is_refused_in_a_sentence(small: Small) -> None:
    accounts = Accounts(small.store)
    accounts.add("reader", "R1", "", START)
    for wrong in ("", "K7QF-9M2T-XW4D", "\ud800", "x" * 10_000, "' OR 1=1 --"):
        with pytest.raises(SignInRefused, match="not known; check it letter by letter"):
            accounts.sign_in(wrong, START, f"client {wrong!r}")


def test_after_five_failures_a_client_waits_even_with_the_right_code(small: Small) -> None:
    accounts = Accounts(small.store)
    code = accounts.add("reader", "R1", "", START)
    for n in range(ATTEMPTS):
        with pytest.raises(SignInRefused, match="not known"):
            accounts.sign_in("wrong", START + timedelta(seconds=n), CLIENT)
    later = START + timedelta(seconds=60)
    for _ in range(3):
        with pytest.raises(SignInRefused, match="wait 4 minutes") as caught:
            Accounts(small.path).sign_in(code, later, CLIENT)  # the limit is in the file
    assert caught.value.retry_after_s == pytest.approx(240)
    assert accounts.sign_in(code, later, "another client")
    assert accounts.sign_in(code, START + timedelta(seconds=301), CLIENT)


def test_the_limit_does_not_let_a_client_flood_the_record(small: Small) -> None:
    accounts = Accounts(small.store)
    for _ in range(50):
        with pytest.raises(SignInRefused):
            accounts.sign_in("wrong", START, CLIENT)
    reasons = [e.payload["reason"] for e in small.store.events("sign_in_refused")]
    assert reasons == ["unknown_code"] * ATTEMPTS + ["rate_limit"]


def test_a_login_ends_after_eight_idle_hours_and_lives_on_with_use(small: Small) -> None:
    accounts = Accounts(small.store)
    token = accounts.sign_in(accounts.add("reader", "R1", "", START), START, CLIENT)
    now = START
    for _ in range(4):
        now += timedelta(hours=7)
        assert accounts.account_of(token, now) is not None
    assert accounts.account_of(token, now + IDLE_TIMEOUT + timedelta(seconds=1)) is None


def test_signing_out_ends_one_login_only(small: Small) -> None:
    accounts = Accounts(small.store)
    code = accounts.add("reader", "R1", "", START)
    one, two = (accounts.sign_in(code, START, CLIENT) for _ in range(2))
    accounts.sign_out(one, START)
    accounts.sign_out(one, START)
    assert accounts.account_of(one, START) is None
    assert accounts.account_of(two, START) is not None
    assert len(small.store.events("signed_out")) == 1


def test_a_revoked_account_is_out_at_once_and_its_reader_can_get_another(small: Small) -> None:
    accounts = Accounts(small.store)
    code = accounts.add("reader", "R1", "", START)
    token = accounts.sign_in(code, START, CLIENT)
    account = accounts.account_of(token, START)
    assert account is not None
    accounts.revoke(account.account_id, START)
    assert accounts.account_of(token, START) is None
    with pytest.raises(SignInRefused):
        accounts.sign_in(code, START, CLIENT)
    assert accounts.accounts()[0].revoked
    with pytest.raises(StudyError, match="revoked account gets no new code"):
        accounts.reissue(account.account_id, START)
    assert accounts.sign_in(accounts.add("reader", "R1", "", START), START, CLIENT)


def test_a_new_code_replaces_the_old_one(small: Small) -> None:
    accounts = Accounts(small.store)
    old = accounts.add("reader", "R1", "", START)
    token = accounts.sign_in(old, START, CLIENT)
    new = accounts.reissue(accounts.accounts()[0].account_id, START)
    assert accounts.account_of(token, START) is None
    with pytest.raises(SignInRefused):
        accounts.sign_in(old, START, CLIENT)
    assert accounts.sign_in(new, START, CLIENT)


def test_erasing_removes_the_name_from_the_file_and_leaves_the_ratings(small: Small) -> None:
    accounts = Accounts(small.store)
    token = accounts.sign_in(accounts.add("reader", "R1", "Dr Ada Byron", START), START, CLIENT)
    small.read(small.desk("R1"), 2)
    assert b"Ada Byron" in _all_bytes(small)
    account = accounts.account_of(token, START)
    assert account is not None
    accounts.erase(account.account_id, START)
    assert accounts.accounts() == ()
    assert accounts.account_of(token, START) is None
    assert b"Ada Byron" not in _all_bytes(small)
    assert {r.reader_id for r in small.store.ratings()} == {"R1"}
    assert verify(small.path).intact


def test_the_record_knows_sign_ins_by_pseudonym_and_never_by_name(small: Small) -> None:
    accounts = Accounts(small.store)
    code = accounts.add("reader", "R1", "Dr Ada Byron", START)
    accounts.add("coordinator", None, "Grace Hopper", START)
    accounts.sign_out(accounts.sign_in(code, START, CLIENT), START)
    with pytest.raises(SignInRefused):
        accounts.sign_in("wrong", START, CLIENT)
    events = small.store.events()
    assert [(e.kind, e.actor) for e in events if e.kind.startswith("sign")] == [
        ("signed_in", "R1"),
        ("signed_out", "R1"),
        ("sign_in_refused", "anonymous"),
    ]
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
    small: Small, role, reader_id: str | None, words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        Accounts(small.store).add(role, reader_id, "", START)


def test_a_reader_has_one_account_at_a_time(small: Small) -> None:
    accounts = Accounts(small.store)
    accounts.add("reader", "R1", "", START)
    with pytest.raises(StudyError, match="has an account already"):
        accounts.add("reader", "R1", "", START)
    accounts.add("reader", "R2", "", START)
    assert sorted(str(a.reader_id) for a in accounts.accounts()) == ["R1", "R2"]


def test_an_unknown_account_is_refused(small: Small) -> None:
    accounts = Accounts(small.store)
    for act in (accounts.revoke, accounts.erase, accounts.reissue):
        with pytest.raises(StudyError, match="no account 'a0'"):
            act("a0", START)


def test_a_researcher_acts_under_an_opaque_account_id() -> None:
    assert Account("a1f", "researcher", None, "Grace Hopper").pseudonym == "a1f"


def _all_bytes(small: Small) -> bytes:
    return b"".join(p.read_bytes() for p in small.path.parent.glob("study.sqlite*"))
