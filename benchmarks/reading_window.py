"""One reader in Chromium, and when exactly the next case was there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.bench_server import BenchServer
from pages.web.gate import COOKIE

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

SCREEN: Final = {"width": 1366, "height": 768}
TIMEOUT_MS: Final = 60_000
# The clock starts with the key itself (event.timeStamp) and stops when the viewer says that every
# panel is on the screen and the form of the same case is there.
_WATCH: Final = """(() => {
  const bench = { pressed: 0, told: 0, asked: 0, heard: 0, fetched: [], got: [] };
  window.readingBench = bench;
  window.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      Object.assign(bench, { pressed: event.timeStamp, told: 0, asked: 0, heard: 0, fetched: [] });
    }
  }, true);
  const plain = window.fetch;
  window.fetch = async (...given) => {
    const address = String(given[0]?.url ?? given[0]);
    if (address.includes("/frames/")) bench.fetched.push(address);
    const answer = await plain(...given);
    if (address.endsWith("/submit")) bench.told = performance.now();
    return answer;
  };
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", () => { bench.heard = performance.now(); });
    }
    send(data) { bench.asked = performance.now(); super.send(data); }
  };
  const formIsThere = (view) =>
    [...document.querySelectorAll(`.st-key-form_read_${view} *`)].some((each) =>
      each.shadowRoot?.querySelector(`.reading-form[data-reading="${view}"]`));
  window.addEventListener("counterlight:painted", (event) => {
    const { view, atMs } = event.detail;
    const { pressed, told, asked, heard, fetched } = bench;
    const late = fetched.filter((address) => address.includes(view)).length;
    const look = (at) => {
      if (!formIsThere(view)) return requestAnimationFrame(() => look(performance.now()));
      bench.got.push({ pressed, told, asked, heard, painted: at, late });
    };
    look(atMs);
  });
})();"""


@dataclass(frozen=True)
class Turn:
    """One change from a case to the next, in milliseconds since the key was pressed.

    Parameters
    ----------
    saved
        The answer to the submission was there.
    asked
        The page had asked the server for the next case.
    heard
        The last message about the next case had come.
    painted
        Every panel of the next case was on the screen.
    n_panels
        Panels of the next case.
    n_late
        Its pictures that were asked for in between; 0 if all had been asked for ahead.
    """

    saved: float
    asked: float
    heard: float
    painted: float
    n_panels: int
    n_late: int


class ReadingWindow:
    """A window in which one reader reads.

    Parameters
    ----------
    page
        Playwright's page.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def open(cls, browser: Browser, server: BenchServer, login: str) -> ReadingWindow:
        """Sign in and wait for the first case."""
        context = await browser.new_context(viewport=SCREEN)  # type: ignore[arg-type]
        context.set_default_timeout(TIMEOUT_MS)
        await context.add_cookies([{"name": COOKIE, "value": login, "url": server.url}])
        await context.add_init_script(_WATCH)
        window = cls(await context.new_page())
        await window.page.goto(f"{server.url}/reading")
        await window._wait(1)
        return window

    async def _wait(self, n: int) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + TIMEOUT_MS / 1000
        while await self.page.evaluate("window.readingBench.got.length") < n:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError("The next case was not drawn within a minute.")
            await asyncio.sleep(0.05)
        got: dict[str, Any] = await self.page.evaluate("window.readingBench.got.at(-1)")
        return got

    async def turn(self, think_s: float) -> Turn:
        """Think, answer by keyboard, press Enter, and wait for the next case."""
        await asyncio.sleep(think_s)
        n = await self.page.evaluate("window.readingBench.got.length")
        await self.page.keyboard.press("3")
        await self.page.keyboard.press("4")
        await asyncio.sleep(0.6)  # the draft is saved
        await self.page.keyboard.press("Enter")
        got = await self._wait(n + 1)
        n_panels = await self.page.locator(".viewer canvas:visible").count()
        since = {name: got[name] - got["pressed"] for name in ("told", "asked", "heard", "painted")}
        return Turn(
            since["told"],
            since["asked"],
            since["heard"],
            since["painted"],
            n_panels,
            got["late"],
        )
