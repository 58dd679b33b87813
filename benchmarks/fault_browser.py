"""Faults in Chromium: the same promises, kept by the form that readers use.

Everything that the page posts goes through the ledger: noted when the browser sends it,
acknowledged when the browser has the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmarks.cut_line import Line, line_to
from benchmarks.fault_ledger import Action, Sent
from benchmarks.fault_reader import PATIENCE_S, FaultReader, GivenUp
from benchmarks.fault_room import Room
from pages.web.gate import COOKIE

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page, Request, Response

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_ACTIONS: Final[Mapping[str, Action]] = {"submit": "submit", "draft": "draft"}


@dataclass
class Window:
    """A browser window of one reader.

    Parameters
    ----------
    room, reader
        Whose it is.
    context
        The browser's profile.
    page
        The window itself.
    url
        Address of the line to the server.
    """

    room: Room
    reader: FaultReader
    context: BrowserContext
    page: Page
    url: str
    _pending: dict[Request, Sent] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def listen(self) -> None:
        """Note what the page posts, and what it is told."""
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _asked(self, request: Request) -> None:
        _, _, rest = request.url.partition("/readings/")
        name, _, last = rest.partition("/")
        action = _ACTIONS.get(last)
        if request.method != "POST" or action is None:
            return
        body: dict[str, Any] = request.post_data_json or {}
        answers = {key: value for key, value in body["answers"].items() if value not in ("", [])}
        sent = Sent(self.reader.reader_id, name, action, answers, body.get("number", 0))
        self._pending[request] = self.room.ledger.note(sent)

    def _answered(self, response: Response) -> None:
        sent = self._pending.pop(response.request, None)
        if sent is not None:
            task = asyncio.create_task(self._read(response, sent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read(self, response: Response, sent: Sent) -> None:
        from playwright.async_api import Error

        with contextlib.suppress(Error, ValueError):  # an answer of which no more is known
            said = await response.json()
            sent.saved_at = str(said.get("saved_at", ""))
            if response.status not in (401, 403, 503):
                sent.status = response.status

    async def case(self) -> str:
        """Wait until a case is drawn, and return its assignment."""
        form = self.page.locator(".reading-form").first
        await form.wait_for()
        await self.page.locator(".reading-form").nth(1).wait_for(state="detached")
        name = await form.get_attribute("data-reading")
        if name is None:
            raise GivenUp("The browser shows no case.")
        await self.page.wait_for_selector(f".st-key-viewer_{name} .viewer[data-state=ready]")
        return name

    async def open(self) -> str:
        """Load the page and return the assignment it shows."""
        await self.page.goto(f"{self.url}/reading")
        return await self.case()

    async def answer(self) -> dict[str, object]:
        """Answer everything by keyboard; return what was answered."""
        given = self.reader.answers()
        await self.page.keyboard.press(str(given["confidence"]))
        await self.page.keyboard.press(str(given["correct_feature"]))
        await self.page.locator(".reading-form textarea").fill(str(given["comment"]))
        return given

    async def saved(self) -> None:
        """Wait until the form says that the draft is saved."""
        await self.page.locator(".reading-form .status").get_by_text("Saved").wait_for()

    async def next_case(self, before: str) -> str:
        """Wait until another case than ``before`` is on the page; return its assignment."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.room.record().done(before):
                forms = self.page.locator(".reading-form")
                names = [await each.get_attribute("data-reading") for each in await forms.all()]
                if names and before not in names and len(names) == 1:
                    return await self.case()
                if not names and await self.page.get_by_text("Thank you").count():
                    self.reader.finished = True
                    return ""
            await asyncio.sleep(0.1)
        raise GivenUp(f"The browser did not go on from reading {before[:8]}….")


@dataclass
class Desk:
    """What a fault in the browser may use."""

    room: Room
    browser: Browser
    line: Line
    url: str

    async def window(self, reader: FaultReader, context: BrowserContext | None = None) -> Window:
        """Open a window of a reader, in a profile of its own if none is given."""
        if context is None:
            context = await self.browser.new_context(viewport={"width": 1366, "height": 768})
            context.set_default_timeout(PATIENCE_S * 1000)
            cookie = {"name": COOKIE, "value": reader.login, "url": self.url}
            await context.add_cookies([cookie])  # type: ignore[list-item]
        window = Window(self.room, reader, context, await context.new_page(), self.url)
        window.listen()
        return window


BrowserFault: TypeAlias = Callable[[Desk, Window], Awaitable[None]]


async def _submitted(desk: Desk, window: Window, before: str) -> None:
    await window.next_case(before)
    n = sum(each.assignment_id == before for each in desk.room.record().events)
    desk.room.expect(n == 1, f"Reading {before[:8]}… was stored {n} times.")


async def reloaded(desk: Desk, window: Window) -> None:
    """Reload with answers given, then submit them."""
    name, given = await window.case(), await window.answer()
    if desk.room.rng.random() < 0.5:
        await window.saved()
    await window.page.reload()
    desk.room.expect(await window.case() == name, "A reload changed the case.")
    words = await window.page.locator(".reading-form textarea").input_value()
    desk.room.expect(words == given["comment"], "A reload lost what was written.")
    await window.page.keyboard.press("Enter")
    await _submitted(desk, window, name)


async def reloaded_while_sending(desk: Desk, window: Window) -> None:
    """Reload right after Enter."""
    name = await window.case()
    await window.answer()
    await window.page.keyboard.press("Control+Enter")
    await asyncio.sleep(desk.room.rng.uniform(0, 0.05))
    await window.page.reload()
    if await window.case() == name:
        await window.page.locator(".submit").click()
    await _submitted(desk, window, name)


async def went_back(desk: Desk, window: Window) -> None:
    """The browser's back button after a case, and forward again."""
    name = await window.case()
    await window.answer()
    await window.page.keyboard.press("Control+Enter")
    following = await window.next_case(name)
    if following:
        await window.page.go_back()
        await asyncio.sleep(desk.room.rng.uniform(0, 0.3))
        await window.page.goto(f"{window.url}/reading")
        desk.room.expect(await window.case() == following, "The back button changed the case.")


async def double_click(desk: Desk, window: Window) -> None:
    """A double click on the button, and Enter held down."""
    name = await window.case()
    await window.answer()
    await window.page.locator(".submit").dblclick()
    for _ in range(3):
        await window.page.keyboard.press("Enter")
    await _submitted(desk, window, name)


async def two_windows(desk: Desk, window: Window) -> None:
    """Two windows of one browser, or of two computers, submit at the same moment."""
    name = await window.case()
    own = None if desk.room.rng.random() < 0.5 else window.context
    other = await desk.window(window.reader, own)
    await other.open()
    await window.answer()
    await window.saved()
    await other.answer()
    await asyncio.gather(
        window.page.keyboard.press("Control+Enter"), other.page.keyboard.press("Control+Enter")
    )
    await _submitted(desk, window, name)
    await (other.page.close() if own else other.context.close())


async def killed(desk: Desk, window: Window) -> None:
    """SIGKILL between click and answer; the page finds its way by itself."""
    name = await window.case()
    await window.answer()
    await window.page.keyboard.press("Control+Enter")
    await asyncio.sleep(desk.room.rng.uniform(0, 0.08))
    await desk.room.kill_and_restart()
    await _submitted(desk, window, name)


async def network_cut(desk: Desk, window: Window) -> None:
    """No network while answering and submitting; everything is sent when it is back."""
    name = await window.case()
    desk.line.cut()
    await window.answer()
    await window.page.keyboard.press("Control+Enter")
    first = not desk.room.outcomes["network cut for 30 s in Chromium"]
    await asyncio.sleep(30 if first else desk.room.rng.uniform(0.5, 4))
    desk.room.outcomes["network cut for 30 s in Chromium"] += first
    desk.room.expect(not desk.room.record().done(name), "The line was not cut.")
    desk.line.mend()
    await _submitted(desk, window, name)


async def answer_lost(desk: Desk, window: Window) -> None:
    """The acknowledgement never arrives; the form sends again."""
    name = await window.case()
    await window.answer()
    await window.saved()
    desk.line.loses_answers = True
    n_before = desk.line.n_cut
    await window.page.keyboard.press("Control+Enter")
    while desk.line.n_cut == n_before:
        await asyncio.sleep(0.01)
    desk.line.mend()
    await _submitted(desk, window, name)


async def closed(desk: Desk, window: Window) -> None:
    """The browser is closed after a draft was saved; another computer shows it."""
    name, given = await window.case(), await window.answer()
    await window.saved()
    await window.context.close()
    again = await desk.window(window.reader)
    desk.room.expect(await again.open() == name, "Another computer shows another case.")
    words = await again.page.locator(".reading-form textarea").input_value()
    desk.room.expect(words == given["comment"], "Another computer does not show the draft.")
    await again.page.keyboard.press("Enter")
    await _submitted(desk, again, name)
    await again.context.close()


FAULTS: Final[tuple[tuple[str, BrowserFault], ...]] = (
    ("Chromium: SIGKILL between click and answer", killed),
    ("Chromium: reload", reloaded),
    ("Chromium: reload while sending", reloaded_while_sending),
    ("Chromium: back button", went_back),
    ("Chromium: double click, Enter held", double_click),
    ("Chromium: two windows at once", two_windows),
    ("Chromium: network cut", network_cut),
    ("Chromium: answer lost after the commit", answer_lost),
    ("Chromium: closed, another computer", closed),
)


async def inject_in_browser(
    room: Room, n: int, chromium: str, on_done: Callable[[int], None]
) -> Counter[str]:
    """Inject faults into readings in Chromium, each kind in turn.

    Parameters
    ----------
    room
        The served study.
    n
        How many.
    chromium
        Path of Chromium.
    on_done
        Called with the number injected so far.
    """
    from playwright.async_api import Error, async_playwright

    injected: Counter[str] = Counter()
    line = Line(about="/submit ")
    async with async_playwright() as driver, line_to(room.server.port, line) as url:
        browser = await driver.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        desk, windows = Desk(room, browser, line, url), dict[str, Window]()
        for number in range(n):
            name, inject = FAULTS[number % len(FAULTS)]
            before = len(room.ledger.seen)
            try:
                await _inject(desk, windows, inject)
            except (Error, GivenUp) as error:
                room.ledger.seen.append(f"Stopped: {str(error).splitlines()[0]}")
            for place in range(before, len(room.ledger.seen)):
                room.ledger.seen[place] += f" (fault: {name})"
            injected[name] += 1
            on_done(number + 1)
            if any(sentence.startswith("Stopped") for sentence in room.ledger.seen):
                break
        await browser.close()
    return injected


async def _inject(desk: Desk, windows: dict[str, Window], inject: BrowserFault) -> None:
    """Inject a fault into the window of some reader, which stays open for the next one."""
    reader = desk.room.rng.choice(_readers(desk.room))
    window = windows.pop(reader.reader_id, None)
    if window is None:
        await reader.leave()
        window = await desk.window(reader)
        await window.open()
    await inject(desk, window)
    if inject is not closed and not reader.finished:
        windows[reader.reader_id] = window


def _readers(room: Room) -> list[FaultReader]:
    """Return a few readers with cases left, so that their windows can stay open."""
    reading = [reader for reader in room.readers if not reader.finished][:3]
    if not reading:
        raise GivenUp("All cases are read; inject fewer faults in Chromium.")
    return reading
