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
    PageLink("instructions", "Instructions", "reader"),
    PageLink("reading", "Reading", "reader"),
    PageLink("explorer", "Explorer", "researcher"),
    PageLink("progress", "Progress", "coordinator"),
    PageLink("results", "Results", "coordinator"),
)
"""The first page of a role is the one it starts on."""

_SHARED_PATHS: Final = frozenset(
    {"/", "/favicon.png", "/_stcore/health", "/_stcore/host-config", "/_stcore/stream"}
)
_SHARED_PREFIXES: Final = ("/static/", "/_stcore/bidi-components/")
_ROLE_PREFIXES: Final = (
    ("reader", "/frames/"),
    ("researcher", "/explore/"),
    ("researcher", "/media/"),
    ("researcher", "/_stcore/upload_file/"),
    ("coordinator", "/media/"),
    ("coordinator", "/_stcore/metrics"),
)
"""Readers have no ``/media/``: Streamlit names those files by their content, so that equal
pictures would share one address across conditions."""


def pages_of(role: str) -> tuple[PageLink, ...]:
    """Return the pages of ``role``, the start page first."""
    return tuple(page for page in PAGES if page.role == role)


def is_page(path: str) -> bool:
    """Say whether URL ``path`` is one of the application's pages or its root."""
    return path == "/" or path.strip("/") in {page.path for page in PAGES}


def may_open(role: str, path: str) -> bool:
    """Say whether an account with ``role`` may request URL ``path`` (decoded, leading slash)."""
    if path in _SHARED_PATHS or path.startswith(_SHARED_PREFIXES):
        return True
    if path.strip("/") in {page.path for page in pages_of(role)}:
        return True
    return any(owner == role and path.startswith(prefix) for owner, prefix in _ROLE_PREFIXES)
