"""Who is looking at a page, and at which study: resolved anew at every run of the script."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

from data.case import DataError
from explainers.base import ExplainerError
from pages.parts.chrome import notice
from pages.web.csrf import csrf_of
from pages.web.site import Site, site_of
from study.accounts import Account
from study.clock import utc_now
from study.errors import StudyError
from study.protocol import StudyProtocol
from study.refusals import Refusal
from study.session import ReadingDesk


@dataclass(frozen=True)
class Visit:
    """One run of a page by a signed-in account.

    Parameters
    ----------
    account
        Who is signed in, with the role as it is now.
    site
        The study served.
    csrf
        What the page's own requests carry in the header ``X-Counterlight-CSRF``; belongs to this
        login alone.
    """

    account: Account
    site: Site
    csrf: str

    @property
    def protocol(self) -> StudyProtocol:
        """The study's frozen protocol."""
        return self.site.store().protocol

    def desk(self) -> ReadingDesk:
        """Return the reading desk of a reader.

        Raises
        ------
        StudyError
            If the account belongs to no reader.
        """
        if self.account.reader_id is None:
            raise StudyError("This account belongs to no reader; ask the coordinator.")
        return ReadingDesk(self.site.store(), self.account.reader_id, utc_now)


def signed_in() -> Visit | None:
    """Return the visit, or ``None`` if nobody is signed in (any longer).

    The gate passes the login on, and it is looked up again at every run: signing out, expiry and
    revoked accounts take effect in a page that is already open.
    """
    site = site_of(os.environ)
    login = st.user.get("login")
    if not isinstance(login, str) or not login:
        return None
    account = site.accounts().account_of(login, utc_now())
    return Visit(account, site, csrf_of(login)) if account is not None else None


def enter(role: str) -> Visit:
    """Open a page for ``role``, or say why not and end the run.

    Every page calls this first, whatever the navigation has already decided.
    """
    try:
        visit = signed_in()
    except StudyError as error:
        _end("Not available", str(error))
    if visit is None:
        _note(Refusal("anonymous", "", "login_ended", "page"))
        _end("You are signed out", "Sign in again to go on; everything submitted is saved.")
    if visit.account.role != role:
        _note(Refusal(visit.account.pseudonym, visit.account.role, "role", "page"))
        _end("Not your page", "This page belongs to another role in the study.")
    return visit


def spoken(page: Callable[[], None]) -> None:
    """Run the body of a page; an error of the domain becomes a sentence on it."""
    try:
        page()
    except (StudyError, DataError, ExplainerError) as error:
        notice("This did not work", str(error))


def _note(refusal: Refusal) -> None:
    """Put a refusal on record."""
    site_of(os.environ).accounts().refusals.note(refusal, utc_now())


def _end(title: str, sentence: str) -> NoReturn:
    notice(title, sentence, link=("/sign-in", "Sign in"))
    st.stop()
