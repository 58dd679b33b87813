"""The gate: ASGI middleware that every request and every websocket passes.

Streamlit serves its pages, files and websocket to whoever asks. The gate stands before all of
it: who is not signed in gets the sign-in form and nothing else, and who is signed in gets what
:mod:`pages.web.access` gives the role. What is refused is noted in the study's record. The routes
check the object, and the page scripts the role, once more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from anyio import to_thread
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from pages.web.access import is_page, is_start_page, methods_of
from pages.web.csrf import CSRF_HEADER, is_csrf_of
from pages.web.entrance import NO_STORE, Answer, Entrance
from pages.web.headers import (
    LOGIN_HEADER,
    first,
    forges_login,
    inline_script_hashes,
    security_headers,
    values,
    without_identity,
)
from pages.web.refusals import REASONS, is_own_route, is_worth_noting, refusal_of
from pages.web.requests import (
    COOKIE,
    AsgiApp,
    BodyRefused,
    Message,
    Receive,
    Scope,
    Send,
    body_of,
    cookie,
    is_plain_path,
    is_same_origin,
    is_tls,
    replayed,
)
from pages.web.signin import notice_page
from pages.web.sockets import WatchedSocket
from study.accounts import Account, Accounts
from study.clock import utc_now
from study.errors import StudyError
from study.invitations import INVITE
from study.refusals import Refusal

__all__ = ["ACCOUNT_KEY", "COOKIE", "Gate"]

ACCOUNT_KEY: Final = "counterlight.account"
"""Where the gate leaves the verified :class:`~study.accounts.Account` in the ASGI scope."""

MAX_BODY_BYTES: Final = 65_536
"""Of what our own pages post."""

_LOG: Final = logging.getLogger("counterlight")
_NOT_AVAILABLE: Final = (
    "The study cannot be opened at present. What was saved stays saved. "
    "Tell the person who runs the study; the server's log says why."
)
_READINGS: Final = "/readings/"


class Gate:
    """ASGI middleware: sign-in, sign-out, roles, security headers, refusals on record.

    Parameters
    ----------
    app
        The application behind the gate.
    accounts
        Opens the accounts of the study; called once, at the first request, so that a server
        without a study still starts and says what is missing.
    clock
        Returns the present moment, timezone-aware.
    streamlit_index
        Streamlit's ``index.html``, whose inline scripts the content policy names by hash.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        accounts: Callable[[], Accounts],
        clock: Callable[[], datetime] = utc_now,
        streamlit_index: Path | None = None,
    ) -> None:
        self._app = app
        self._open_accounts = accounts
        self._accounts: Accounts | None = None
        self._clock = clock
        self._script_hashes = inline_script_hashes(streamlit_index) if streamlit_index else ()
        self._entrance = Entrance(self._get_accounts, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            await self._flush(everything=True)
            return
        try:
            await self._serve(scope, receive, send)
        except StudyError as error:  # no study, or a database that cannot be read
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1011})
                return
            _LOG.error("%s", error)  # for whoever runs the server; it may name its folders
            said: Response = notice_page("Not available", _NOT_AVAILABLE, 503)
            if scope["path"].startswith(_READINGS):
                said = _refusal(scope, _NOT_AVAILABLE, 503)
            await said(scope, receive, self._guarded(scope, send, own=True))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = cookie(scope, COOKIE)
        account = await self._account(token)
        token = token if account is not None else None
        asked = scope
        scope = {**scope, "headers": without_identity(scope["headers"])}
        if account is not None and token is not None:
            scope[ACCOUNT_KEY] = account
            scope["headers"] = [*scope["headers"], (LOGIN_HEADER, token.encode("latin-1"))]
        if scope["type"] == "websocket":
            await self._websocket(
                scope, receive, send, account, forged=forges_login(asked["headers"])
            )
            return
        if forges_login(asked["headers"]):
            answer: Answer | None = Answer(_text("Header not allowed.", 400), "identity_header")
        else:
            given = values(asked["headers"], CSRF_HEADER.lower().encode())
            answer = await self._own_answer(scope, receive, account, token, given)
        if answer is None:
            await self._pass(scope, receive, send, account)
            return
        if answer.refused and is_worth_noting(account, scope["path"]):
            await self._note(refusal_of(account, answer.refused, scope["path"]))
        await answer.response(scope, receive, self._guarded(scope, send, own=True))

    async def _own_answer(
        self,
        scope: Scope,
        receive: Receive,
        account: Account | None,
        token: str | None,
        csrf: list[str],
    ) -> Answer | None:
        """Answer a request at the gate, or return ``None`` if it may pass."""
        path, method = scope["path"], scope["method"]
        if not is_plain_path(scope):
            return Answer(_refusal(scope, "Not found.", 404), "path")
        if path == "/sign-in":
            return await self._entrance.sign_in(scope, receive, account)
        if path.startswith(INVITE):
            return await self._entrance.invitation(scope, receive)
        if account is None or token is None:
            return _refuse_anonymous(scope)
        if path == "/sign-out":
            return await self._entrance.sign_out(scope, receive, token)
        allowed = methods_of(account.role, path)
        if not allowed:
            return Answer(_refuse_role(scope), "role")
        if method not in allowed:
            response = _refusal(scope, "Method not allowed.", 405)
            response.headers["Allow"] = ", ".join(allowed)
            return Answer(response, "method")
        if is_start_page(account.role, path):  # Streamlit knows it by "/" alone
            query = scope["query_string"].decode("latin-1")
            return Answer(RedirectResponse(f"/?{query}" if query else "/", 303, NO_STORE))
        if method not in {"GET", "HEAD"} and not is_same_origin(scope["headers"]):
            return Answer(_refusal(scope, "Request from another site.", 403), "cross_site")
        if path.startswith(_READINGS) and not (len(csrf) == 1 and is_csrf_of(token, csrf[0])):
            sentence = "This page is out of date; reload it, nothing that was saved is lost."
            return Answer(_refusal(scope, sentence, 403), "csrf")
        return None

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, account: Account | None
    ) -> None:
        """Hand a request on; what our own routes refuse is noted."""
        if scope["path"].startswith(_READINGS):
            try:
                receive = replayed(await body_of(receive, MAX_BODY_BYTES), receive)
            except BodyRefused as refusal:
                await self._note(refusal_of(account, "invalid", scope["path"]))
                sentence = "What was sent is longer than 64 kB or did not arrive whole."
                response = _refusal(scope, sentence, refusal.status)
                await response(scope, receive, self._guarded(scope, send, own=True))
                return
        statuses: list[int] = []
        await self._app(scope, receive, self._guarded(scope, send, statuses=statuses))
        if is_own_route(scope["path"]) and statuses and statuses[0] in REASONS:
            await self._note(refusal_of(account, REASONS[statuses[0]], scope["path"]))
        elif self._accounts is not None and self._accounts.refusals.is_due(self._clock()):
            await self._flush()

    async def _websocket(
        self, scope: Scope, receive: Receive, send: Send, account: Account | None, *, forged: bool
    ) -> None:
        """Let a websocket through, or refuse it before it opens (the client sees a 403)."""
        token = cookie(scope, COOKIE)
        reason = ""
        if forged:
            reason = "identity_header"
        elif account is None or token is None:
            reason = "not_signed_in"
        elif not is_same_origin(scope["headers"]):
            reason = "cross_site"
        elif not is_plain_path(scope) or scope["path"] != "/_stcore/stream":
            reason = "path"
        if reason or token is None or account is None:
            await send({"type": "websocket.close", "code": 1008, "reason": "Not signed in"})
            await self._note(refusal_of(account, reason, scope["path"]))
            return
        login, ended = token, Refusal(account.pseudonym, account.role, "login_ended", "websocket")

        async def holds() -> bool:
            try:
                return await self._account(login, touch=False) is not None
            except StudyError as error:  # the page asks again, and says so if it cannot know
                _LOG.error("%s", error)
                return True

        async def on_end() -> None:
            try:
                await self._note(ended)
            except StudyError as error:
                _LOG.error("%s", error)

        await WatchedSocket(self._app, holds, on_end).serve(scope, receive, send)

    async def _account(self, token: str | None, *, touch: bool = True) -> Account | None:
        if token is None:
            return None
        accounts, now = await self._get_accounts(), self._clock()
        return await to_thread.run_sync(lambda: accounts.account_of(token, now, touch=touch))

    async def _get_accounts(self) -> Accounts:
        if self._accounts is None:
            self._accounts = await to_thread.run_sync(self._open_accounts)
        return self._accounts

    async def _note(self, refusal: Refusal) -> None:
        accounts = await self._get_accounts()
        await self._kept(partial(accounts.refusals.note, refusal, self._clock()))

    async def _flush(self, *, everything: bool = False) -> None:
        accounts, now = self._accounts, self._clock()
        if accounts is not None:
            await self._kept(partial(accounts.refusals.flush, now, everything=everything))

    @staticmethod
    async def _kept(write: Callable[[], None]) -> None:
        """Write to the record of refusals; a disk that is full changes no answer to anybody."""
        try:
            await to_thread.run_sync(write)
        except StudyError as error:
            _LOG.error("%s", error)

    def _guarded(
        self, scope: Scope, send: Send, *, own: bool = False, statuses: list[int] | None = None
    ) -> Send:
        """Return ``send`` that adds the security headers to the answer.

        Parameters
        ----------
        own
            Whether the gate answers itself; a stricter content policy of its pages then stays.
        statuses
            Where the status of the answer is left.
        """
        host = first(scope["headers"], b"host")
        added = security_headers(host, self._script_hashes, tls=is_tls(scope))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                if statuses is not None:
                    statuses.append(message["status"])
                message = {**message, "headers": _with(message.get("headers", []), added, own)}
            await send(message)

        return guarded


def _with(
    headers: list[tuple[bytes, bytes]], added: list[tuple[bytes, bytes]], own: bool
) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers with ours in place of any of the same name."""
    present = {name.lower() for name, _ in headers}
    policy = b"content-security-policy"
    ours = [(k, v) for k, v in added if not (own and k == policy and policy in present)]
    if b"cache-control" not in present:
        ours.append((b"cache-control", b"no-store"))
    dropped = {name for name, _ in ours} | {b"server"}
    return [*((k, v) for k, v in headers if k.lower() not in dropped), *ours]


def _refuse_anonymous(scope: Scope) -> Answer:
    """Answer a request of nobody: health, the way to the form, or 401."""
    path, method = scope["path"], scope["method"]
    if path == "/_stcore/health" and method in {"GET", "HEAD"}:
        return Answer(_text("ok", 200))
    if path == "/sign-out":
        return Answer(RedirectResponse("/sign-in", 303, NO_STORE))
    wants_page = "text/html" in (first(scope["headers"], b"accept") or "")
    if method == "GET" and wants_page and is_page(path):
        return Answer(RedirectResponse("/sign-in", 303, NO_STORE), "not_signed_in")
    return Answer(_refusal(scope, "Sign in first.", 401), "not_signed_in")


def _refuse_role(scope: Scope) -> Response:
    """Answer a signed-in account that asks for something its role does not have."""
    if is_page(scope["path"]):
        sentence = "This page belongs to another role in the study."
        return notice_page("Not your page", sentence, 403)
    return _refusal(scope, "Not found.", 404)


def _refusal(scope: Scope, sentence: str, status: int) -> Response:
    """Return a refusal in the form that the asking page reads."""
    if scope["path"].startswith(_READINGS):
        return JSONResponse({"problem": sentence, "item": None}, status, NO_STORE)
    return _text(sentence, status)


def _text(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence, status, NO_STORE)
