"""A websocket of a page that is open when its login ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from streamlit.proto.BackMsg_pb2 import BackMsg

from pages.web.sockets import RUN_AGAIN, WatchedSocket
from tests.support.event_loop import run_alone


class Page:
    """A browser at one end and an application at the other."""

    def __init__(self) -> None:
        self.holds = True
        self.ended = 0
        self.reached: list[dict[str, object]] = []
        self.sent: list[dict[str, object]] = []
        self.to_browser, self.from_browser = anyio.create_memory_object_stream(10)

    async def app(self, scope, receive, send) -> None:
        while True:
            message = await receive()
            self.reached.append(message)
            if message["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "bytes": b"page"})

    async def still_holds(self) -> bool:
        return self.holds

    async def on_end(self) -> None:
        self.ended += 1

    async def send(self, message) -> None:
        self.sent.append(message)

    async def click(self) -> None:
        await self.to_browser.send({"type": "websocket.receive", "bytes": b"click"})
        await anyio.sleep(0.02)

    def run(self, act: Callable[[], Awaitable[None]], check: float, linger: float) -> None:
        """Serve the socket while ``act`` goes on."""

        async def both() -> None:
            socket = WatchedSocket(
                self.app, self.still_holds, self.on_end, check_seconds=check, linger_seconds=linger
            )
            socket._checked_at = float("-inf")
            with self.to_browser, self.from_browser:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(socket.serve, {}, self.from_browser.receive, self.send)
                    await act()
                    tasks.cancel_scope.cancel()

        run_alone(both)

    @property
    def clicks(self) -> int:
        return sum(message.get("bytes") == b"click" for message in self.reached)


def test_what_is_sent_after_the_login_ended_does_not_reach_the_application() -> None:
    page = Page()

    async def act() -> None:
        await page.click()
        page.holds = False
        await anyio.sleep(0.1)
        await page.click()
        page.holds = True  # nobody comes back into an old socket
        await page.click()

    page.run(act, check=0.03, linger=60)
    assert page.clicks == 1
    assert page.ended == 1
    assert [m.get("bytes") for m in page.reached].count(RUN_AGAIN) == 1


def test_a_click_after_the_end_is_caught_even_between_two_looks() -> None:
    page = Page()

    async def act() -> None:
        page.holds = False
        await page.click()

    page.run(act, check=60, linger=60)
    assert page.clicks == 0 and page.ended == 1


def test_a_silent_page_is_told_and_later_closed() -> None:
    page = Page()

    async def act() -> None:
        page.holds = False
        await anyio.sleep(0.25)

    page.run(act, check=0.02, linger=0.05)
    assert [m["type"] for m in page.reached] == ["websocket.receive", "websocket.disconnect"]
    assert page.sent[-1] == {"type": "websocket.close", "code": 1008, "reason": "Signed out"}


def test_a_socket_whose_login_holds_passes_everything_and_ends_with_the_browser() -> None:
    page = Page()

    async def act() -> None:
        for _ in range(3):
            await page.click()
        await page.to_browser.send({"type": "websocket.disconnect", "code": 1000})
        await anyio.sleep(0.05)

    page.run(act, check=0.01, linger=60)
    assert page.clicks == 3 and page.ended == 0
    assert page.reached[-1]["type"] == "websocket.disconnect"


def test_the_message_that_runs_the_page_again_is_streamlits_own() -> None:
    message = BackMsg()
    message.ParseFromString(RUN_AGAIN)
    assert message.WhichOneof("type") == "rerun_script"
