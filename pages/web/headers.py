"""HTTP headers: what every answer carries, and what no request may bring."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from pages.web.csrf import CSRF_HEADER

Headers = list[tuple[bytes, bytes]]

LOGIN_HEADER: Final = b"x-counterlight-login"
"""Hands the login on to the pages: ``.streamlit/config.toml`` maps this header to ``st.user``."""

_CSRF: Final = CSRF_HEADER.lower().encode()
_IDENTITY_HEADERS: Final = frozenset(
    {
        "remote-user",
        "x-remote-user",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-preferred-username",
        "x-auth-request-user",
        "x-auth-request-email",
        "x-webauth-user",
    }
)
_REFUSED_FEATURES: Final = (
    "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "hid",
    "idle-detection", "magnetometer", "microphone", "midi", "payment", "publickey-credentials-get",
    "serial", "usb",
)  # fmt: skip
_FIXED: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not "no-referrer": browsers then send "Origin: null" with our own sign-in form.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{name}=()" for name in _REFUSED_FEATURES).encode()),
    (b"x-robots-tag", b"noindex, nofollow"),
)
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def without_identity(headers: Headers) -> Headers:
    """Return ``headers`` without any that claims who the client is.

    Underscores count as hyphens, since some proxies and servers take one for the other.
    """
    return [(name, value) for name, value in headers if not _claims_identity(name)]


def _claims_identity(name: bytes) -> bool:
    canonical = _canonical(name)
    return canonical.startswith("x-counterlight-") or canonical in _IDENTITY_HEADERS


def _canonical(name: bytes) -> str:
    return name.decode("latin-1").lower().replace("_", "-")


def forges_login(headers: Headers) -> bool:
    """Say whether a request brings a header that only the gate may set.

    A proxy in front may well add identity headers of its own (they are dropped); ours can only
    come from somebody who tries to be somebody else.
    """
    return any(
        _canonical(name).startswith("x-counterlight-") and name.lower() != _CSRF
        for name, _ in headers
    )


def values(headers: Headers, name: bytes) -> list[str]:
    """Return every value of header ``name`` (lower case)."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def first(headers: Headers, name: bytes) -> str | None:
    """Return the first value of header ``name`` (lower case), or ``None``."""
    return next(iter(values(headers, name)), None)


def inline_script_hashes(index_html: Path) -> tuple[str, ...]:
    """Return CSP sources for the inline scripts of Streamlit's index page.

    Naming them by hash keeps ``'unsafe-inline'`` out of ``script-src``.
    """
    if not index_html.is_file():
        return ()
    scripts = _INLINE_SCRIPT.findall(index_html.read_text(encoding="utf-8"))
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def security_headers(host: str | None, script_hashes: tuple[str, ...], *, tls: bool) -> Headers:
    """Return the headers added to every answer.

    Parameters
    ----------
    host
        The request's ``Host``; named for websockets, because not every browser takes
        ``'self'`` to cover them.
    script_hashes
        Sources of :func:`inline_script_hashes`.
    tls
        Whether the browser's connection is encrypted; it is then told to stay so for a year.
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
    secure = [(b"strict-transport-security", b"max-age=31536000")] if tls else []
    return [(b"content-security-policy", policy.encode("latin-1")), *_FIXED, *secure]


def plain_page_policy(style: str) -> str:
    """Return the content policy of a page that needs nothing but its own form and one style.

    Parameters
    ----------
    style
        What stands between the page's ``<style>`` tags; named by its hash.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
