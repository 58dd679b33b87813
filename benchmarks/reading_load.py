"""Readers without browsers, who load a server as readers with browsers do.

Each has a websocket open, has the page's script run for every case, fetches the pictures of the
next case, saves drafts while answering, posts the viewer's log, submits, and thinks.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Final

import httpx

from benchmarks.bench_server import BenchServer
from benchmarks.fault_reader import unused_tls
from benchmarks.page_client import PageClient, Shown
from pages.web.csrf import CSRF_HEADER, csrf_of
from pages.web.gate import COOKIE

FETCHES_AT_ONCE: Final = 2
"""As the viewer does for the next case."""

N_DRAFTS: Final = 3
"""Drafts saved for each case: one for each answer, as the form does."""


@dataclass
class LoadReader:
    """One such reader.

    Parameters
    ----------
    server
        The server.
    login
        Login token.
    think_s
        Mean time between two submissions; uniform between half and one and a half of it.
    rng
        Draws the times.
    """

    server: BenchServer
    login: str
    think_s: float
    rng: random.Random
    times_s: list[float] = field(default_factory=list)
    n_pictures: int = 0

    async def read(self, until: asyncio.Event) -> None:
        """Read case after case until the event is set or there is none left."""
        headers = {"Cookie": f"{COOKIE}={self.login}", CSRF_HEADER: csrf_of(self.login)}
        page = await PageClient.open(self.server.url, self.login)
        async with httpx.AsyncClient(
            base_url=self.server.url,
            headers=headers,
            timeout=60,
            trust_env=False,
            verify=unused_tls(),
        ) as client:
            await asyncio.sleep(self.rng.uniform(0, self.think_s))
            shown = await page.run()
            await self._fetch(client, shown.urls)
            while shown.assignment_id and not until.is_set():
                shown = await self._one(client, page, shown)
        await page.close()

    async def _one(self, client: httpx.AsyncClient, page: PageClient, shown: Shown) -> Shown:
        """Read one case; return the page that shows the next one."""
        address = f"/readings/{shown.assignment_id}"
        think = self.rng.uniform(0.5, 1.5) * self.think_s
        ends = asyncio.get_running_loop().time() + think
        await self._fetch(client, shown.prefetch)
        answers: dict[str, object] = {}
        for number, name in enumerate(("confidence", "correct_feature", "comment")[:N_DRAFTS]):
            await asyncio.sleep(think / (N_DRAFTS + 2))
            answers[name] = "as expected" if name == "comment" else self.rng.randint(1, 5)
            draft = {"answers": answers, "number": number + 1}
            (await client.post(f"{address}/draft", json=draft)).raise_for_status()
        entries = [{"at_ms": 100 * k, "kind": "frame", "value": k % 21} for k in range(40)]
        (await client.post(f"{address}/events", json={"entries": entries})).raise_for_status()
        await asyncio.sleep(max(0.0, ends - asyncio.get_running_loop().time()))
        began = time.perf_counter()
        body = {"answers": answers, "client": {"total_ms": 1000 * think}}
        (await client.post(f"{address}/submit", json=body)).raise_for_status()
        following = await page.run(done=shown)
        self.times_s.append(time.perf_counter() - began)
        return following

    async def _fetch(self, client: httpx.AsyncClient, urls: tuple[str, ...]) -> None:
        waiting = list(reversed(urls))

        async def one() -> None:
            while waiting:
                (await client.get(waiting.pop())).raise_for_status()
                self.n_pictures += 1

        await asyncio.gather(*(one() for _ in range(FETCHES_AT_ONCE)))
