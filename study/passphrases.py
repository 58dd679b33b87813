"""Passphrases: which are accepted, and how they are kept (argon2id, a few at a time).

A passphrase is judged by its length once everything that a guesser tries first is counted for
little: common words, the person's own names, runs along the alphabet or the keyboard, repetition.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from study.errors import StudyError

MINIMUM_CHARACTERS: Final = 12
MAXIMUM_CHARACTERS: Final = 256
MINIMUM_EFFECTIVE: Final = 9
"""Characters that must remain when a common word or a run counts as two."""

CONCURRENT_HASHES: Final = 2
"""argon2id takes 64 MiB for each hash in progress."""

ADVICE: Final = (
    "Use at least 12 characters; four or five words that have nothing to do with each other are "
    "easy to remember and hard to guess."
)

_RUNS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
)
_LOOKALIKES: Final = str.maketrans("@4031!5$78", "aaoeiisstb")
_COMMON_WORDS: Final = """
    password passwort passphrase passwd secret geheim letmein welcome willkommen login admin
    administrator root user guest test testing default change changeme master access hello hallo
    sunshine princess football baseball basketball soccer hockey monkey dragon shadow superman
    batman starwars pokemon michael jordan jennifer charlie thomas robert daniel andrew joshua
    michelle jessica ashley nicole hannah george maggie buster ginger pepper cookie cheese banana
    orange purple yellow silver golden diamond flower summer winter spring autumn sommer herbst
    january february march april june july august september october november december monday
    tuesday wednesday thursday friday saturday sunday iloveyou loveyou love lovely forever freedom
    whatever trustno trust nothing computer internet google facebook samsung microsoft windows
    apple android mustang ferrari mercedes porsche corvette yankees london berlin paris newyork
    hospital clinic klinik doctor doktor medicine radiology radiologist radiologie roentgen xray
    chest thorax lung patient study studie reader researcher coordinator counterlight reading film
    image explain correcthorsebatterystaple correct horse battery staple hunter killer matrix
    ninja zaq xsw abc qwerty qwertz azerty asdf
"""
_COMMON: Final = frozenset(_COMMON_WORDS.split())


class WeakPassphrase(StudyError):
    """A passphrase that is too short, too long or among the first that are guessed."""


class Passphrases:
    """Hashes and verifies passphrases, never more than a few at once.

    Parameters
    ----------
    hasher
        argon2id with its parameters; those of argon2-cffi (RFC 9106, 64 MiB) if not given.
    concurrent
        How many hashes may be computed at the same time; further ones wait.
    """

    def __init__(
        self, hasher: PasswordHasher | None = None, *, concurrent: int = CONCURRENT_HASHES
    ) -> None:
        self._hasher = hasher or PasswordHasher()
        self._slots = threading.BoundedSemaphore(concurrent)
        self._lock = threading.Lock()
        self._decoy: str | None = None

    def hash(self, passphrase: str) -> str:
        """Return the encoded argon2id hash with its salt and parameters."""
        with self._slots:
            return self._hasher.hash(_bytes(passphrase))

    def matches(self, encoded: str | None, passphrase: str) -> bool:
        """Say whether the passphrase is the one behind a hash.

        Parameters
        ----------
        encoded
            What :meth:`hash` returned, or ``None`` where nobody is known: the same work is done
            and the answer is no, so that time tells nothing about who exists.
        passphrase
            As typed.
        """
        decoy = self._make_decoy()
        with self._slots:
            try:
                right = self._hasher.verify(encoded or decoy, _bytes(passphrase))
            except (VerificationError, InvalidHashError):
                return False
        return right and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Say whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(encoded)

    def _make_decoy(self) -> str:
        """Return a hash that belongs to nobody; made at the first question, known or not."""
        with self._lock:
            if self._decoy is None:
                self._decoy = self.hash("a passphrase that nobody has")
            return self._decoy


def check_passphrase(passphrase: str, own_words: Iterable[str] = ()) -> None:
    """Refuse a passphrase that is too short, too long or among the first to be guessed.

    Parameters
    ----------
    passphrase
        As typed.
    own_words
        The person's sign-in name, label, role and the study's name, which count for little.

    Raises
    ------
    WeakPassphrase
        What is wrong and what to do, in one sentence.
    """
    text = _normal(passphrase)
    if len(text) < MINIMUM_CHARACTERS:
        raise WeakPassphrase(
            f"This passphrase has {len(text)} character{'' if len(text) == 1 else 's'}, and "
            f"{MINIMUM_CHARACTERS} are the least; take four or five words that have nothing to do "
            "with each other."
        )
    if len(text) > MAXIMUM_CHARACTERS:
        raise WeakPassphrase(
            f"This passphrase has {len(text)} characters, and {MAXIMUM_CHARACTERS} are the most; "
            "take a shorter one."
        )
    if effective_length(text, own_words) < MINIMUM_EFFECTIVE:
        raise WeakPassphrase(
            "This passphrase is among the first that somebody would guess (a common word, your "
            "own name, a row of keys or a repetition); take four or five words that have nothing "
            "to do with each other."
        )


def effective_length(passphrase: str, own_words: Iterable[str] = ()) -> int:
    """Return the length of a passphrase once what is guessed first counts as two characters.

    Blanks, hyphens and the like count nothing; a repetition counts once; a common or own word of
    at least three letters and a run of at least three neighbours on the alphabet or keyboard (or
    of one character) count as two.
    """
    text = _unit(re.sub(r"[\s\-_.,]+", "", _normal(passphrase).casefold()))
    plain = text.translate(_LOOKALIKES)
    words = _COMMON | {w for own in own_words for w in _words(own)}
    count, at = 0, 0
    while at < len(text):
        step = max(_word_at(plain, at, words), _word_at(text, at, words), _run_at(text, at))
        count += 2 if step else 1
        at += step or 1
    return min(count, 2 * len(set(text)))


def _unit(text: str) -> str:
    """Return the shortest text of which this one is a repetition."""
    for length in range(1, 3 * len(text) // 4 + 1):
        if (text[:length] * (len(text) // length + 1))[: len(text)] == text:
            return text[:length]
    return text


def _words(text: str) -> Iterable[str]:
    whole = re.sub(r"[\W_]+", "", text.casefold())
    return (w for w in {whole, *re.split(r"[\W_]+", text.casefold())} if len(w) >= 2)


def _word_at(text: str, at: int, words: Iterable[str]) -> int:
    return max((len(w) for w in words if len(w) > 2 and text.startswith(w, at)), default=0)


def _run_at(text: str, at: int) -> int:
    """Return the length of the run that begins here, or 0 if it has fewer than three."""
    longest = 1
    while at + longest < len(text) and text[at + longest] == text[at]:
        longest += 1
    for row in _RUNS:
        for way in (row, row[::-1]):
            length = 1
            while at + length < len(text) and text[at : at + length + 1] in way:
                length += 1
            longest = max(longest, length)
    return longest if longest >= 3 else 0


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _bytes(passphrase: str) -> bytes:
    return _normal(passphrase).encode("utf-8", "replace")
