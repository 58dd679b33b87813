"""One reader of the fault test: reads page by page, and does what the form in a browser does.

The form sends until the server has answered, and asks for the next case only then; a draft is
sent and tried again. Everything goes through the ledger before it goes out.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from websockets.exceptions import WebSocketException

from benchmarks.bench_server import BenchServer
from benchmarks.bench_study import PASSPHRASE
from benchmarks.fault_ledger import Action, Ledger, Sent
from benchmarks.page_client import PageClient, Shown
from pages.web.csrf import CSRF_HEADER, csrf_of
from pages.web.gate import COOKIE

PATIENCE_S: Final = 60.0
"""How long a reader waits for a server that comes back."""

_RETRY_S: Final = 0.1
_PASSING: Final = (401, 403, 500, 503)
"""Refusals of this attempt alone: an earlier one may have come through."""
_LOST: Final = (httpx.TransportError, OSError, TimeoutError, WebSocketException, EOFError)


def unused_tls() -> ssl.SSLContext:
    """Return settings for a client that never encrypts; its own default takes 20 ms to make."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class GivenUp(RuntimeError):
    """A server that did not come back, or a page that did not show what it should."""


@dataclass
class FaultReader:
    """A reader with a login, a page and a share in the ledger.

    Parameters
    ----------
    reader_id
        Pseudonym.
    server
        The server, for its direct address.
    ledger
        Notes everything that is sent.
    rng
        Decides the answers.
    login
        Login token; renewed by :meth:`sign_in`.
    """

    reader_id: str
    server: BenchServer
    ledger: Ledger
    rng: random.Random
    login: str
    finished: bool = False
    shown: Shown = field(default_factory=Shown)
    done: list[Sent] = field(default_factory=list)
    _page: PageClient | None = None
    _n_answers: int = 0
    _draft_number: int = 0
    _tls: ssl.SSLContext = field(default_factory=unused_tls)

    @property
    def assignment_id(self) -> str:
        """The reading on the reader's page."""
        return self.shown.assignment_id

    # -- the page ------------------------------------------------------------------------------

    async def look(self, *, fresh: bool = False, done: Shown | None = None) -> Shown:
        """Have the page show what is to be read now, whatever it takes.

        Parameters
        ----------
        fresh
            Whether the page is loaded anew, which ends Streamlit's session.
        done
            The page whose form says that it is done.
        """
        if fresh:
            await self.leave()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self._page is None:
                    self._page = await PageClient.open(self.server.url, self.login)
                async with asyncio.timeout(30):
                    self.shown = await self._page.run(done=done)
                break
            except _LOST as error:
                await self.leave()
                if time.monotonic() > deadline:
                    raise GivenUp(f"{self.reader_id}'s page did not come back: {error}") from error
                await asyncio.sleep(_RETRY_S)
        self._examine()
        return self.shown

    def _examine(self) -> None:
        name, seen = self.assignment_id, self.ledger.seen
        self.finished = not name
        if name and self.ledger.is_acknowledged(name):
            seen.append(f"{self.reader_id}'s page shows reading {name[:8]}…, which is done.")
        newest = self.ledger.newest_draft(name) if name else None
        if newest is not None and int(self.shown.form["number"]) < newest.number:
            seen.append(f"{self.reader_id}'s page lacks an acknowledged draft of {name[:8]}….")
        shown = (name, "draft", self.shown.form.get("number"))
        for sent in self.ledger.sent:
            same = (sent.assignment_id, sent.action, sent.number) == shown
            if same and sent.content != self.shown.form["answers"]:
                seen.append(f"{self.reader_id}'s page shows another draft than was sent.")

    async def leave(self) -> None:
        """Close the page."""
        page, self._page = self._page, None
        if page is not None:
            try:
                async with asyncio.timeout(2):
                    await page.close()
            except _LOST:
                page.vanish()

    def vanish(self) -> None:
        """End the browser without a word."""
        if self._page is not None:
            self._page.vanish()
        self._page = None

    async def sign_in(self) -> None:
        """Sign in through the form at the gate."""
        form = {"name": self.reader_id, "passphrase": PASSPHRASE}
        async with httpx.AsyncClient(
            base_url=self.server.url, trust_env=False, verify=self._tls
        ) as client:
            answer = await client.post(
                "/sign-in", data=form, headers={"Origin": self.server.url}, timeout=30
            )
            token = answer.cookies.get(COOKIE)
        if token is None:
            raise GivenUp(f"{self.reader_id} could not sign in: {answer.status_code}.")
        self.login = token

    # -- what is sent --------------------------------------------------------------------------

    def answers(self) -> dict[str, Any]:
        """Return answers that nobody has given before and that name their reading."""
        self._n_answers += 1
        return {
            "confidence": self.rng.randint(1, 5),
            "correct_feature": self.rng.randint(1, 5),
            "comment": f"{self.assignment_id} {self.reader_id}.{self._n_answers}",
        }

    def sent(self, action: Action, content: Mapping[str, Any], assignment_id: str = "") -> Sent:
        """Note something that is about to be sent; by default for the reading on the page."""
        number = 0
        if action == "draft":
            self._draft_number = max(self._draft_number + 1, time.time_ns() // 1_000_000)
            number = self._draft_number
        name = assignment_id or self.assignment_id
        return self.ledger.note(Sent(self.reader_id, name, action, content, number))

    async def post(
        self, sent: Sent, *, url: str = "", timeout_s: float = 15.0, csrf: str | None = None
    ) -> int | None:
        """Send something once, on a connection of its own.

        Parameters
        ----------
        sent
            What was noted.
        url
            Address of the server, or of a line to it.
        timeout_s
            When the reader's browser gives up.
        csrf
            Token; the login's own if not given.

        Returns
        -------
        int or None
            Status of the answer; ``None`` if none came.
        """
        address = f"{url or self.server.url}/readings/{sent.assignment_id}/{sent.action}"
        headers = {
            CSRF_HEADER: csrf_of(self.login) if csrf is None else csrf,
            "Cookie": f"{COOKIE}={self.login}",
        }
        try:
            async with httpx.AsyncClient(trust_env=False, verify=self._tls) as client:
                answer = await client.post(
                    address, json=_body(sent), headers=headers, timeout=timeout_s
                )
        except _LOST:
            return None
        if answer.status_code == 200:
            sent.saved_at = str(answer.json()["saved_at"])
        if not sent.acknowledged and answer.status_code not in _PASSING:
            sent.status = answer.status_code
        return answer.status_code

    async def settle(self, sent: Sent) -> int:
        """Send until there is an answer that says how it ended.

        Returns
        -------
        int
            Its status.
        """
        deadline = time.monotonic() + PATIENCE_S
        statuses: Counter[int | None] = Counter()
        while True:
            status = await self.post(sent)
            statuses[status] += 1
            if status == 401:
                await self.sign_in()
            elif status is not None and status < 500:
                return status
            if time.monotonic() > deadline:
                raise GivenUp(
                    f"{self.reader_id} could not {sent.action} for {PATIENCE_S:.0f} s; answers "
                    f"and how often: {dict(statuses)}."
                )
            await asyncio.sleep(_RETRY_S)

    async def go_on(self, sent: Sent) -> None:
        """Do what the form does once the server has said how it ended, and look at what is next."""
        if sent.acknowledged and sent.action in ("submit", "skip"):
            self.done.append(sent)
        await self.look(done=self.shown)


def _body(sent: Sent) -> dict[str, Any]:
    if sent.action == "submit":
        return {"answers": sent.content, "client": {"total_ms": 1000, "active_ms": 900}}
    if sent.action == "draft":
        return {"answers": sent.content, "number": sent.number}
    return dict(sent.content)
