"""Which passphrases are refused, and how many are hashed at a time."""

from __future__ import annotations

import threading
import time

import pytest
from argon2 import PasswordHasher

from study.passphrases import (
    CONCURRENT_HASHES,
    MAXIMUM_CHARACTERS,
    Passphrases,
    WeakPassphrase,
    check_passphrase,
    effective_length,
)


@pytest.mark.parametrize(
    "weak",
    [
        "123456789012",
        "1234567890123456789012345678901234567890",
        "password1234",
        "P@ssw0rd2026!",
        "PASSWORDPASSWORD",
        "passwordpasswor",
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "abcdefghijklmnop",
        "zyxwvutsrqponmlk",
        "qwertyuiopasdfghjkl",
        "1qaz2wsx3edc",
        "radiologist1",
        "counterlight",
        "counterlight study",
        "reader-reader-reader",
        "correct horse battery staple",
        "letmeinplease1"[:12],
        "            ",
        "ａａａａａａａａａａａａ",
    ],
)
def test_what_is_guessed_first_is_refused(weak: str) -> None:
    with pytest.raises(WeakPassphrase, match="among the first that somebody would guess"):
        check_passphrase(weak)


@pytest.mark.parametrize(
    "good",
    [
        "seven lanterns over a quiet harbour",
        "x7#kQ9vB2mTz",
        "kaffeetasse lampe gebirge",
        "839201746582",
        "αυγή πάνω στη θάλασσα",
        "赤い灯台と静かな港の夜明け前",
        "Mühle-Garten-Tinte-Wolke",
    ],
)
def test_unusual_passphrases_are_taken(good: str) -> None:
    check_passphrase(good, ["R1", "Ada Byron", "reader", "tiny", "Tiny study"])


def test_ones_own_names_count_for_little() -> None:
    check_passphrase("Lovelace-Byron-7")
    with pytest.raises(WeakPassphrase, match="own name"):
        check_passphrase("Lovelace-Byron-7", ["Ada Byron Lovelace"])
    assert effective_length("coordinator1", ["coordinator"]) == 3


@pytest.mark.parametrize(("text", "words"), [("", "0 characters"), ("a", "1 character,")])
def test_a_short_passphrase_is_refused_with_its_length(text: str, words: str) -> None:
    with pytest.raises(WeakPassphrase, match=words):
        check_passphrase(text)


def test_eleven_characters_are_too_few_and_257_too_many() -> None:
    with pytest.raises(WeakPassphrase, match="has 11 characters, and 12 are the least"):
        check_passphrase("x7#kQ9vB2mT")
    long = "x7#kQ9vB2mTz" * 30
    with pytest.raises(WeakPassphrase, match="256 are the most"):
        check_passphrase(long[: MAXIMUM_CHARACTERS + 1])


def test_the_same_characters_written_in_two_ways_are_one_passphrase() -> None:
    passphrases = Passphrases(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    encoded = passphrases.hash("M\u00fchle garten")
    assert passphrases.matches(encoded, "Mu\u0308hle garten")
    assert not passphrases.matches(encoded, "Muhle garten")


def test_nobody_matches_an_absent_or_damaged_hash() -> None:
    passphrases = Passphrases(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    for passphrase in ("", "a passphrase that nobody has", "\ud800"):
        assert not passphrases.matches(None, passphrase)
        assert not passphrases.matches("$argon2id$damaged", passphrase)


def test_no_more_than_two_are_hashed_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()

    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.01)
            with lock:
                running -= 1
            return True

    passphrases = Passphrases(Slow(time_cost=1, memory_cost=8, parallelism=1))
    encoded = passphrases.hash("seven lanterns over a quiet harbour")
    threads = [threading.Thread(target=passphrases.matches, args=(encoded, "x")) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == CONCURRENT_HASHES
