"""HTTP headers: what every answer carries, and what no request may bring."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

Headers = list[tuple[bytes, bytes]]

LOGIN_HEADER: Final = b"x-counterlight-login"
"""Hands the login on to the pages: ``.streamlit/config.toml`` maps this header to ``st.user``."""

_IDENTITY_HEADERS: Final = frozenset(
    {
        b"remote-user",
        b"x-remote-user",
        b"x-forwarded-user",
        b"x-forwarded-email",
        b"x-forwarded-preferred-username",
        b"x-auth-request-user",
        b"x-auth-request-email",
        b"x-webauth-user",
    }
)
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def without_identity(headers: Headers) -> Headers:
    """Return ``headers`` without any that claims who the client is.

    Underscores count as hyphens, since some proxies and servers take one for the other.
    """
    return [(name, value) for name, value in headers if not _claims_identity(name)]


def _claims_identity(name: bytes) -> bool:
    canonical = name.lower().replace(b"_", b"-")
    return canonical.startswith(b"x-counterlight-") or canonical in _IDENTITY_HEADERS


def first(headers: Headers, name: bytes) -> str | None:
    """Return the first value of header ``name`` (lower case), or ``None``."""
    for key, value in headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return None


def inline_script_hashes(index_html: Path) -> tuple[str, ...]:
    """Return CSP sources for the inline scripts of Streamlit's index page.

    Naming them by hash keeps ``'unsafe-inline'`` out of ``script-src``.
    """
    if not index_html.is_file():
        return ()
    scripts = _INLINE_SCRIPT.findall(index_html.read_text(encoding="utf-8"))
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def security_headers(host: str | None, script_hashes: tuple[str, ...]) -> Headers:
    """Return the headers added to every answer.

    Parameters
    ----------
    host
        The request's ``Host``; named for websockets, because not every browser takes
        ``'self'`` to cover them.
    script_hashes
        Sources of :func:`inline_script_hashes`.
    """
    sockets = f" ws://{host} wss://{host}" if host and _HOST.fullmatch(host) else ""
    policy = "; ".join(
        (
            "default-src 'self'",
            # blob: runs the inline viewer component; wasm is used by Streamlit's data frames.
            " ".join(("script-src 'self' blob: 'wasm-unsafe-eval'", *script_hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self'{sockets}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
    return [
        (b"content-security-policy", policy.encode("latin-1")),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        # Not "no-referrer": browsers then send "Origin: null" with our own sign-in form.
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    ]
