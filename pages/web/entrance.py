"""Signing in, accepting an invitation, signing out: the routes that the gate itself answers."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from anyio import CapacityLimiter, to_thread
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from pages.web.csrf import csrf_of, is_csrf_of
from pages.web.headers import first
from pages.web.requests import (
    BROWSER_COOKIE,
    COOKIE,
    BodyRefused,
    Receive,
    Scope,
    client_of,
    cookie,
    cookie_name,
    form_of,
    is_same_origin,
    is_tls,
)
from pages.web.signin import invitation_page, notice_page, sign_in_page, sign_out_page
from study.accounts import Account, Accounts
from study.errors import SignInRefused
from study.invitations import INVITE, InvitationRefused
from study.passphrases import CONCURRENT_HASHES, WeakPassphrase

NO_STORE: Final = {"Cache-Control": "no-store"}

_BROWSER_COOKIE_SECONDS: Final = 180 * 24 * 3600
_MAX_WAITING: Final = 100
_BUSY_RETRY_S: Final = 5
_FORM_PROBLEMS: Final = {
    400: "The form arrived incomplete; send it again.",
    408: "The form arrived too slowly; send it again.",
    413: "The form is too long; a passphrase has at most 256 characters.",
    415: "This is not the form of this page; open the page and send its form.",
}


@dataclass(frozen=True)
class Answer:
    """An answer of the entrance.

    Parameters
    ----------
    response
        What the client gets.
    refused
        Why the request was refused, for the record; empty if it was not, or if
        :class:`~study.accounts.Accounts` has noted it already.
    """

    response: Response
    refused: str = ""


class Entrance:
    """Answers ``/sign-in``, ``/sign-out`` and ``/invite/…``.

    Parameters
    ----------
    accounts
        Gives the accounts of the study.
    clock
        Returns the present moment, timezone-aware.
    """

    def __init__(
        self, accounts: Callable[[], Awaitable[Accounts]], clock: Callable[[], datetime]
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        # Hashes wait here and not in the threads that everybody else's requests need.
        self._limiter = CapacityLimiter(CONCURRENT_HASHES)
        self._waiting = 0

    async def sign_in(self, scope: Scope, receive: Receive, account: Account | None) -> Answer:
        """Show the sign-in form, or take it."""
        early = _form_or_none(scope, lambda: _sign_in_form(account))
        if early is not None:
            return early
        try:
            form = await form_of(scope, receive)
        except BodyRefused as refusal:
            return Answer(
                sign_in_page(_FORM_PROBLEMS[refusal.status], status=refusal.status), "form"
            )
        name, passphrase = form.get("name").strip(), form.get("passphrase")
        if not name or not passphrase:
            return Answer(sign_in_page("Enter your name and your passphrase.", name, 400))
        accounts, now = await self._accounts(), self._clock()
        browser = cookie(scope, BROWSER_COOKIE) or ""

        def work() -> str:
            return accounts.sign_in(name, passphrase, now, client_of(scope), browser=browser)

        try:
            token = await self._hashed(work)
        except SignInRefused as refusal:
            wait_s = math.ceil(refusal.retry_after_s)
            response = sign_in_page(str(refusal), name, 429 if wait_s else 403)
            if wait_s:
                response.headers["Retry-After"] = str(wait_s)
            return Answer(response)
        if token is None:
            return Answer(_busy())
        return Answer(await self._welcome(scope, token, name))

    async def invitation(self, scope: Scope, receive: Receive) -> Answer:
        """Show the form that sets a passphrase, or take it."""
        token = scope["path"].removeprefix(INVITE)
        accounts, now = await self._accounts(), self._clock()
        try:
            account = await to_thread.run_sync(accounts.invited, token, now)
        except InvitationRefused as refusal:
            return Answer(_invitation_refused(refusal), "invitation")
        expires_at = await to_thread.run_sync(accounts.open_until, account.account_id, now)
        early = _form_or_none(scope, lambda: invitation_page(token, account.name, expires_at))
        if early is not None:
            return early

        def again(problem: str, status: int = 400) -> Response:
            return invitation_page(token, account.name, expires_at, problem, status)

        try:
            form = await form_of(scope, receive)
        except BodyRefused as refusal:
            return Answer(again(_FORM_PROBLEMS[refusal.status], refusal.status), "form")
        passphrase = form.get("passphrase")
        if passphrase != form.get("repeat"):
            return Answer(again("The two passphrases differ; type the same one twice."))
        try:
            login = await self._hashed(
                lambda: accounts.accept(token, passphrase, now, client_of(scope))
            )
        except WeakPassphrase as refusal:
            return Answer(again(str(refusal)))
        except InvitationRefused as refusal:  # used in another window meanwhile
            return Answer(_invitation_refused(refusal), "invitation")
        if login is None:
            return Answer(_busy())
        return Answer(await self._welcome(scope, login, account.name))

    async def sign_out(self, scope: Scope, receive: Receive, token: str) -> Answer:
        """Sign out; a GET that no page of ours made is first answered with a question."""
        if scope["method"] in {"GET", "HEAD"}:
            if first(scope["headers"], b"sec-fetch-site") != "same-origin":
                return Answer(sign_out_page(csrf_of(token)))
        elif scope["method"] != "POST":
            return _method_refused()
        elif not is_same_origin(scope["headers"]):
            return Answer(_other_site(), "cross_site")
        else:
            try:
                form = await form_of(scope, receive)
            except BodyRefused as refusal:
                return Answer(
                    PlainTextResponse("Not understood.", refusal.status, NO_STORE), "form"
                )
            if not is_csrf_of(token, form.get("csrf")):
                return Answer(sign_out_page(csrf_of(token)), "csrf")
        accounts = await self._accounts()
        await to_thread.run_sync(accounts.sign_out, token, self._clock())
        response = RedirectResponse("/sign-in", 303, NO_STORE)
        tls = is_tls(scope)
        response.delete_cookie(
            cookie_name(COOKIE, tls=tls), path="/", httponly=True, samesite="strict", secure=tls
        )
        response.headers["Clear-Site-Data"] = '"storage"'  # texts in flight, on a shared computer
        return Answer(response)

    async def _hashed(self, work: Callable[[], str]) -> str | None:
        """Do what hashes a passphrase, a few at a time; ``None`` if too many wait already."""
        if self._waiting >= _MAX_WAITING:
            return None
        self._waiting += 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._waiting -= 1

    async def _welcome(self, scope: Scope, token: str, name: str) -> Response:
        """Lead to the start page with a new login; the one that the browser had before ends."""
        accounts = await self._accounts()
        before = cookie(scope, COOKIE)
        if before is not None:
            await to_thread.run_sync(accounts.sign_out, before, self._clock())
        browser = await to_thread.run_sync(accounts.browser_token, name)
        response = RedirectResponse("/", 303, NO_STORE)
        for base, value, seconds in (
            (COOKIE, token, None),
            (BROWSER_COOKIE, browser, _BROWSER_COOKIE_SECONDS),
        ):
            tls = is_tls(scope)
            response.set_cookie(
                cookie_name(base, tls=tls),
                value,
                max_age=seconds,
                path="/",
                httponly=True,
                samesite="strict",
                secure=tls,
            )
        return response


def _form_or_none(scope: Scope, form: Callable[[], Response]) -> Answer | None:
    """Answer everything but a POST from our own page."""
    if scope["method"] in {"GET", "HEAD"}:
        return Answer(form())
    if scope["method"] != "POST":
        return _method_refused()
    if not is_same_origin(scope["headers"]):
        return Answer(_other_site(), "cross_site")
    return None


def _sign_in_form(account: Account | None) -> Response:
    return sign_in_page() if account is None else RedirectResponse("/", 303, NO_STORE)


def _invitation_refused(refusal: InvitationRefused) -> Response:
    return notice_page("Invitation", str(refusal), 403, ("/sign-in", "Sign in"))


def _busy() -> Response:
    sentence = "Many people are signing in at this moment; wait a few seconds and try again."
    response = sign_in_page(sentence, status=503)
    response.headers["Retry-After"] = str(_BUSY_RETRY_S)
    return response


def _method_refused() -> Answer:
    headers = {"Allow": "GET, HEAD, POST", **NO_STORE}
    return Answer(PlainTextResponse("Method not allowed.", 405, headers), "method")


def _other_site() -> Response:
    return PlainTextResponse("Request from another site.", 403, NO_STORE)
