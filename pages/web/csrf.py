"""The token that our own requests carry, so that no other site can make a browser send them.

It is derived from the login, so that nothing need be stored and it ends with the login; the login
itself is out of reach of scripts and cannot be derived from it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

CSRF_HEADER: Final = "X-Counterlight-CSRF"
_PURPOSE: Final = b"counterlight csrf 1"


def csrf_of(login_token: str) -> str:
    """Return the CSRF token of a login, 64 hexadecimal digits."""
    key = login_token.encode("utf-8", "replace")
    return hmac.new(key, _PURPOSE, hashlib.sha256).hexdigest()


def is_csrf_of(login_token: str, given: str | None) -> bool:
    """Say whether ``given`` is the CSRF token of this login; takes equal time for any wrong one."""
    known = csrf_of(login_token).encode()
    return hmac.compare_digest(known, (given or "").encode("utf-8", "replace"))
