"""The error tree of :mod:`study`; every message is one sentence fit to be shown to a person."""

from __future__ import annotations


class StudyError(Exception):
    """Root of every error raised by :mod:`study`."""


class ProtocolError(StudyError):
    """A study protocol that cannot be read or contradicts itself."""


class SelectionError(StudyError):
    """The case set does not hold the cases that the protocol asks for."""


class AllocationError(StudyError):
    """The readings cannot be allocated as the protocol asks."""


class StoreUnavailable(StudyError):
    """The study's database cannot be read or written; nothing of the refused change was kept."""


class UnknownAssignment(StudyError):
    """An assignment that does not exist, or is not this reader's."""


class AlreadyRated(StudyError):
    """A second, different rating of a reading that is already rated."""


class NotCurrent(StudyError):
    """A reading out of turn, before its session opens, or not yet displayed."""


class InvalidAnswer(StudyError):
    """An answer that the protocol's item does not allow.

    Parameters
    ----------
    item
        Identifier of the item, so that a form can mark it.
    message
        One sentence for the reader.
    """

    def __init__(self, item: str, message: str) -> None:
        super().__init__(message)
        self.item = item


class SignInRefused(StudyError):
    """A sign-in that was refused; the message does not say whether the name exists.

    Parameters
    ----------
    message
        One sentence for the person signing in.
    retry_after_s
        Seconds to wait before another attempt is accepted; 0 if there is no wait.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
