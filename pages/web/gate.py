"""The gate: ASGI middleware that every request and every websocket passes.

Streamlit serves its pages, files and websocket to whoever asks. The gate stands before all of
it: who is not signed in gets the sign-in form and nothing else, and who is signed in gets what
:mod:`pages.web.access` gives the role. The page scripts check the role once more.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from anyio import to_thread
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from pages.web.access import is_page, may_open
from pages.web.headers import (
    LOGIN_HEADER,
    Headers,
    first,
    inline_script_hashes,
    security_headers,
    without_identity,
)
from pages.web.signin import notice_page, sign_in_page, sign_out_page
from study.accounts import Account, Accounts
from study.clock import utc_now
from study.errors import SignInRefused, StudyError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "counterlight_login"
ACCOUNT_KEY: Final = "counterlight.account"
"""Where the gate leaves the verified :class:`~study.accounts.Account` in the ASGI scope."""

_MAX_FORM_BYTES: Final = 4096
_MAX_TOKEN_CHARACTERS: Final = 256
_LOG: Final = logging.getLogger("counterlight")
_NOT_AVAILABLE: Final = (
    "The study cannot be opened at present. What was saved stays saved. "
    "Tell the person who runs the study; the server's log says why."
)
_NO_STORE: Final = {"Cache-Control": "no-store"}


class Gate:
    """ASGI middleware: sign-in, sign-out, roles, security headers.

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            await self._serve(scope, receive, send)
        except StudyError as error:  # no study, or a database that cannot be read
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1011})
                return
            _LOG.error("%s", error)  # for whoever runs the server; it may name its folders
            page = HTMLResponse(notice_page("Not available", _NOT_AVAILABLE), 503, _NO_STORE)
            await page(scope, receive, self._guarded(send, list(scope["headers"])))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: Headers = list(scope["headers"])
        scope = {**scope, "headers": without_identity(headers)}
        token = _cookie(headers)
        account = await self._account(token)
        if account is not None and token is not None:
            scope[ACCOUNT_KEY] = account
            scope["headers"] = [*scope["headers"], (LOGIN_HEADER, token.encode("latin-1"))]
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send, account)
        else:
            await self._http(scope, receive, self._guarded(send, headers), account, token)

    async def _account(self, token: str | None) -> Account | None:
        if token is None:
            return None
        accounts = await self._get_accounts()
        return await to_thread.run_sync(accounts.account_of, token, self._clock())

    async def _get_accounts(self) -> Accounts:
        if self._accounts is None:
            self._accounts = await to_thread.run_sync(self._open_accounts)
        return self._accounts

    def _guarded(self, send: Send, headers: Headers) -> Send:
        """Return ``send`` that adds the security headers to the answer."""
        added = security_headers(first(headers, b"host"), self._script_hashes)
        names = {name for name, _ in added} | {b"server"}

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [item for item in message.get("headers", []) if item[0].lower() not in names]
                message = {**message, "headers": [*kept, *added]}
            await send(message)

        return guarded

    async def _websocket(
        self, scope: Scope, receive: Receive, send: Send, account: Account | None
    ) -> None:
        """Let a websocket through, or refuse it before it opens (the client sees a 403)."""
        same_site = _is_same_origin(scope["headers"])
        if account is None or not same_site or not may_open(account.role, scope["path"]):
            await send({"type": "websocket.close", "code": 1008, "reason": "Not signed in"})
            return
        await self._app(scope, receive, send)

    async def _http(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        account: Account | None,
        token: str | None,
    ) -> None:
        path, method = scope["path"], scope["method"]
        if path == "/sign-in":
            response = await self._sign_in(scope, receive, account)
        elif path == "/sign-out" and account is not None:
            response = await self._sign_out(scope, token or "")
        elif account is None:
            response = _refuse_anonymous(scope)
        elif not may_open(account.role, path):
            response = _refuse(path)
        elif method not in {"GET", "HEAD"} and not _is_same_origin(scope["headers"]):
            response = PlainTextResponse("Request from another site.", 403, _NO_STORE)
        else:
            await self._app(scope, receive, send)
            return
        await response(scope, receive, send)

    async def _sign_in(self, scope: Scope, receive: Receive, account: Account | None) -> Response:
        if scope["method"] in {"GET", "HEAD"}:
            if account is not None:
                return RedirectResponse("/", 303, _NO_STORE)
            return HTMLResponse(sign_in_page(), headers=_NO_STORE)
        if scope["method"] != "POST":
            return PlainTextResponse("Method not allowed.", 405, {"Allow": "GET, HEAD, POST"})
        if not _is_same_origin(scope["headers"]):
            return PlainTextResponse("Request from another site.", 403, _NO_STORE)
        form = await _form(receive)
        code = form.get("code", [""])[0].strip() if form is not None else ""
        if not code:
            return _form_again("Enter your sign-in code.", 400)
        client = scope["client"][0] if scope.get("client") else "unknown"
        accounts = await self._get_accounts()
        try:
            token = await to_thread.run_sync(accounts.sign_in, code, self._clock(), client)
        except SignInRefused as refusal:
            wait_s = math.ceil(refusal.retry_after_s)
            response = _form_again(str(refusal), 429 if wait_s else 403)
            if wait_s:
                response.headers["Retry-After"] = str(wait_s)
            return response
        welcome = RedirectResponse("/", 303, _NO_STORE)
        _set_cookie(welcome, token, secure=_is_tls(scope))
        return welcome

    async def _sign_out(self, scope: Scope, token: str) -> Response:
        """Sign out; a GET that no page of ours made is first answered with a question."""
        site = first(scope["headers"], b"sec-fetch-site")
        if scope["method"] == "GET" and site != "same-origin":
            return HTMLResponse(sign_out_page(), headers=_NO_STORE)
        if not _is_same_origin(scope["headers"]):
            return PlainTextResponse("Request from another site.", 403, _NO_STORE)
        accounts = await self._get_accounts()
        await to_thread.run_sync(accounts.sign_out, token, self._clock())
        response = RedirectResponse("/sign-in", 303, _NO_STORE)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response


def _refuse_anonymous(scope: Scope) -> Response:
    """Answer a request of nobody: health, the way to the form, or 401."""
    if scope["path"] == "/_stcore/health" and scope["method"] in {"GET", "HEAD"}:
        return PlainTextResponse("ok", headers=_NO_STORE)
    wants_page = "text/html" in (first(scope["headers"], b"accept") or "")
    if scope["method"] == "GET" and wants_page and is_page(scope["path"]):
        return RedirectResponse("/sign-in", 303, _NO_STORE)
    if scope["path"] == "/sign-out":
        return RedirectResponse("/sign-in", 303, _NO_STORE)
    return PlainTextResponse("Sign in first.", 401, _NO_STORE)


def _refuse(path: str) -> Response:
    """Answer a signed-in account that asks for something its role does not have."""
    if is_page(path):
        page = notice_page("Not your page", "This page belongs to another role in the study.")
        return HTMLResponse(page, 403, _NO_STORE)
    return PlainTextResponse("Not found.", 404, _NO_STORE)


def _form_again(problem: str, status: int) -> Response:
    return HTMLResponse(sign_in_page(problem), status, _NO_STORE)


def _set_cookie(response: Response, token: str, *, secure: bool) -> None:
    """Set the login cookie: out of reach of scripts and never sent from another site."""
    response.set_cookie(COOKIE, token, path="/", httponly=True, samesite="strict", secure=secure)


def _cookie(headers: Headers) -> str | None:
    """Return the login token the browser sent, or ``None``."""
    raw = "; ".join(v.decode("latin-1") for k, v in headers if k.lower() == b"cookie")
    token = cookie_parser(raw).get(COOKIE, "")
    return token if 0 < len(token) <= _MAX_TOKEN_CHARACTERS else None


async def _form(receive: Receive) -> dict[str, list[str]] | None:
    """Read an URL-encoded form of at most 4 kB, or return ``None``."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > _MAX_FORM_BYTES:
            return None
        if not message.get("more_body"):
            return parse_qs(body.decode("utf-8", errors="replace"))


def _is_same_origin(headers: Headers) -> bool:
    """Say whether a request came from our own pages (or from no page at all)."""
    site = first(headers, b"sec-fetch-site")
    if site not in {None, "same-origin", "none"}:
        return False
    origin, host = first(headers, b"origin"), first(headers, b"host")
    return origin is None or urlsplit(origin).netloc == host


def _is_tls(scope: Scope) -> bool:
    """Say whether the browser's connection is encrypted, here or at the proxy in front."""
    forwarded = first(scope["headers"], b"x-forwarded-proto") or ""
    return scope.get("scheme") in {"https", "wss"} or forwarded.split(",")[0].strip() == "https"
