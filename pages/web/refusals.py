"""What the record says of a refused request: the kind of its path, never the path itself."""

from __future__ import annotations

from typing import Final

from pages.web.access import is_page
from study.accounts import Account
from study.refusals import Refusal

_PLACES: Final = (
    ("/frames", "frames"),
    ("/readings", "readings"),
    ("/explore/", "explore"),
    ("/media", "media"),
    ("/invite", "invite"),
    ("/sign-in", "sign-in"),
    ("/sign-out", "sign-out"),
    ("/static", "static"),
    ("/_stcore/stream", "websocket"),
    ("/_stcore/upload_file", "upload"),
    ("/_stcore/metrics", "metrics"),
    ("/_stcore", "streamlit"),
)
_ASKED_BY_BROWSERS: Final = frozenset(
    {"/", "/favicon.ico", "/favicon.png", "/apple-touch-icon.png", "/robots.txt"}
)
_PROBES: Final = ("/_stcore/health", "/_stcore/host-config")

REASONS: Final = {400: "invalid", 403: "object", 404: "object", 405: "method"} | {
    409: "conflict",
    413: "invalid",
    415: "invalid",
    422: "invalid",
}
"""Why a route of ours refused a signed-in account, by the status of its answer."""


def place_of(path: str) -> str:
    """Return the kind of a URL path: one of a few words, whatever the client sent."""
    for prefix, place in _PLACES:
        if path.startswith(prefix):
            return place
    return "page" if is_page(path) else "other"


def refusal_of(account: Account | None, reason: str, path: str) -> Refusal:
    """Return the refusal of a request, for the record."""
    if account is None:
        return Refusal("anonymous", "", reason, place_of(path))
    return Refusal(account.pseudonym, account.role, reason, place_of(path))


def is_worth_noting(account: Account | None, path: str) -> bool:
    """Say whether a refused request for ``path`` is more than what every browser does unasked.

    Before somebody signs in, a browser asks for the start page and its icon; on a page with a name
    Streamlit's client also looks for the server below that name.
    """
    if account is None:
        return path not in _ASKED_BY_BROWSERS
    return path not in _ASKED_BY_BROWSERS and not path.endswith(_PROBES)


def is_own_route(path: str) -> bool:
    """Say whether a path is served by our own routes, whose refusals the gate notes."""
    return path.startswith(("/frames/", "/readings/", "/explore/"))
