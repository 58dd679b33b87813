"""What a request brings: its path, cookies, origin, client and form, each read with suspicion."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.requests import cookie_parser

from pages.web.headers import Headers, first, values

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE: Final = "counterlight_login"
BROWSER_COOKIE: Final = "counterlight_browser"
"""Marks a browser that signed in before; see :meth:`study.accounts.Accounts.browser_token`."""

MAX_FORM_BYTES: Final = 16_384
BODY_SECONDS: Final = 15.0
_MAX_TOKEN_CHARACTERS: Final = 256
_ODD_PATH: Final = re.compile(r"//|\\|;|[\x00-\x1f\x7f]|%|(^|/)\.{1,2}(/|$)")
_ODD_RAW_PATH: Final = re.compile(rb"%(2f|5c|2e|25|3b|00)|;|\\", re.IGNORECASE)


class BodyRefused(Exception):
    """A body that is too long, comes too slowly or is broken off.

    Parameters
    ----------
    status
        HTTP status that says so.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"The body was refused with status {status}.")
        self.status = status


@dataclass(frozen=True)
class Form:
    """The fields of an URL-encoded form; one that is missing is empty."""

    fields: dict[str, list[str]]

    def get(self, name: str) -> str:
        """Return the first value of a field."""
        return self.fields.get(name, [""])[0]


def is_plain_path(scope: Scope) -> bool:
    """Say whether a path means the same to everybody who reads it.

    Dot segments, double slashes, backslashes, path parameters and encoded separators are how one
    program's ``/static/x`` becomes another one's ``/_stcore/metrics``; no address of ours has any.
    """
    path, raw = scope["path"], scope.get("raw_path") or b""
    if not path.startswith("/") or _ODD_PATH.search(path):
        return False
    return not _ODD_RAW_PATH.search(raw.partition(b"?")[0])


def cookie_name(base: str, *, tls: bool) -> str:
    """Return a cookie's name: behind TLS with the prefix that ties it to this host alone."""
    return f"__Host-{base}" if tls else base


def cookie(scope: Scope, base: str) -> str | None:
    """Return the value of one of our cookies, or ``None``.

    Two cookies of one name with different values are taken for none: one of them was planted.
    """
    name = cookie_name(base, tls=is_tls(scope))
    pairs = "; ".join(values(scope["headers"], b"cookie")).split(";")
    given = {cookie_parser(pair).get(name, "") for pair in pairs} - {""}
    token = given.pop() if len(given) == 1 else ""
    return token if 0 < len(token) <= _MAX_TOKEN_CHARACTERS else None


def is_same_origin(headers: Headers) -> bool:
    """Say whether a request came from our own pages (or from no page at all)."""
    sites, origins = values(headers, b"sec-fetch-site"), values(headers, b"origin")
    if any(site not in {"same-origin", "none"} for site in sites) or len(origins) > 1:
        return False
    return not origins or urlsplit(origins[0]).netloc == first(headers, b"host")


def is_tls(scope: Scope) -> bool:
    """Say whether the browser's connection is encrypted, here or at the proxy in front."""
    forwarded = first(scope["headers"], b"x-forwarded-proto") or ""
    return scope.get("scheme") in {"https", "wss"} or forwarded.split(",")[0].strip() == "https"


def client_of(scope: Scope) -> str:
    """Return what the rate limit takes for one client: an address, or an IPv6 network of 64 bits.

    Whoever has one IPv6 address usually has the whole network.
    """
    client = scope["client"][0] if scope.get("client") else "unknown"
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return str(client)
    if isinstance(address, ipaddress.IPv4Address) or address.ipv4_mapped is not None:
        return str(getattr(address, "ipv4_mapped", None) or address)
    return str(ipaddress.ip_network((address, 64), strict=False))


async def body_of(receive: Receive, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """Read a whole body of at most ``limit`` bytes.

    Raises
    ------
    BodyRefused
        If it is longer (413), not there within ``seconds`` (408), or broken off (400).
    """
    body = bytearray()
    with anyio.move_on_after(seconds):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise BodyRefused(400)
            body += message.get("body", b"")
            if len(body) > limit:
                raise BodyRefused(413)
            if not message.get("more_body"):
                return bytes(body)
    raise BodyRefused(408)


async def form_of(scope: Scope, receive: Receive) -> Form:
    """Read an URL-encoded form of at most 16 kB.

    Raises
    ------
    BodyRefused
        As :func:`body_of`; also if the body says that it is no such form (415).
    """
    kind = (first(scope["headers"], b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BodyRefused(415)
    text = (await body_of(receive, MAX_FORM_BYTES)).decode("utf-8", errors="replace")
    try:
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise BodyRefused(400) from None


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives a body already read, and then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
