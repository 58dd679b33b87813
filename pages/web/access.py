"""Who may open what: one table for the gate, the navigation and the pages themselves.

Everything not named here is refused, so a route added by a later Streamlit release stays shut
until somebody decides about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class PageLink:
    """One page of the application.

    Parameters
    ----------
    path
        Its URL path without the leading slash, and its file in ``pages/`` without ``.py``.
    title
        What the browser tab and the menu say.
    role
        The only role that may open it.
    """

    path: str
    title: str
    role: str


PAGES: Final = (
    PageLink("worklist", "Worklist", "reader"),
    PageLink("consent", "Consent", "reader"),
    PageLink("profile", "About you", "reader"),
    PageLink("instructions", "Instructions", "reader"),
    PageLink("practice", "Practice", "reader"),
    PageLink("reading", "Reading", "reader"),
    PageLink("pause", "Break", "reader"),
    PageLink("revise", "Your readings", "reader"),
    PageLink("closing", "Closing questions", "reader"),
    PageLink("explorer", "Explorer", "researcher"),
    PageLink("factors", "Factors", "researcher"),
    PageLink("progress", "Progress", "coordinator"),
    PageLink("planning", "Planning", "coordinator"),
    PageLink("results", "Results", "coordinator"),
)
"""The first page of a role is the one it starts on."""


@dataclass(frozen=True)
class _Rule:
    """Paths that begin with ``prefix``, for one role (``None``: every role) and these methods."""

    role: str | None
    prefix: str
    methods: tuple[str, ...] = ("GET", "HEAD")


_SHARED_PATHS: Final = frozenset(
    {"/", "/favicon.png", "/_stcore/health", "/_stcore/host-config", "/_stcore/stream"}
)
_RULES: Final = (
    _Rule(None, "/static/"),
    _Rule(None, "/_stcore/bidi-components/"),
    _Rule("reader", "/frames/"),
    _Rule("reader", "/readings/", ("POST",)),
    _Rule("researcher", "/explore/"),
    _Rule("researcher", "/media/"),
    _Rule("researcher", "/_stcore/upload_file/", ("PUT", "DELETE")),
    _Rule("coordinator", "/media/"),
    _Rule("coordinator", "/_stcore/metrics"),
)
"""Readers have no ``/media/``: Streamlit names those files by their content, so that equal
pictures would share one address across conditions."""


def pages_of(role: str) -> tuple[PageLink, ...]:
    """Return the pages of ``role``, the start page first."""
    return tuple(page for page in PAGES if page.role == role)


def is_start_page(role: str, path: str) -> bool:
    """Say whether URL ``path`` names the page that ``role`` starts on, which is served at ``/``."""
    pages = pages_of(role)
    return bool(pages) and path != "/" and _page_name(path) == pages[0].path


def is_page(path: str) -> bool:
    """Say whether URL ``path`` is one of the application's pages or its root."""
    return path == "/" or _page_name(path) in {page.path for page in PAGES}


def methods_of(role: str, path: str) -> tuple[str, ...]:
    """Return the methods by which ``role`` may request URL ``path`` (decoded, leading slash).

    Empty if it may not be requested at all.
    """
    if path in _SHARED_PATHS or _page_name(path) in {page.path for page in pages_of(role)}:
        return ("GET", "HEAD")
    found = [
        method
        for rule in _RULES
        if rule.role in {None, role} and path.startswith(rule.prefix)
        for method in rule.methods
    ]
    return tuple(found)


def may_open(role: str, path: str, method: str = "GET") -> bool:
    """Say whether an account with ``role`` may request URL ``path`` by ``method``."""
    return method in methods_of(role, path)


def _page_name(path: str) -> str:
    """Return the name that a path gives a page; one slash at the end does not count."""
    return path.removeprefix("/").removesuffix("/")
