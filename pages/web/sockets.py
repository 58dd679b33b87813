"""A websocket lives no longer than the login it was opened with.

A login can end while a page is open: by signing out in another window, by revocation, or by time.
Then the page is run once more, so that it shows that nobody is signed in any longer, and from that
moment nothing that the browser sends reaches the application.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState

from pages.web.requests import AsgiApp, Message, Receive, Scope, Send

CHECK_SECONDS: Final = 5.0
FRESH_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 300.0
_BUFFER: Final = 64

RUN_AGAIN: Final = BackMsg(rerun_script=ClientState()).SerializeToString()
"""What Streamlit's client sends to have its page run anew."""


class WatchedSocket:
    """Serves one websocket for as long as a login holds.

    Parameters
    ----------
    app
        The application behind the gate.
    holds
        Says whether the login still holds; does not count as a request.
    on_end
        Called once when it no longer does.
    check_seconds, linger_seconds
        How often a silent socket is looked at, and how long it stays open without being heard.
    """

    def __init__(
        self,
        app: AsgiApp,
        holds: Callable[[], Awaitable[bool]],
        on_end: Callable[[], Awaitable[None]],
        *,
        check_seconds: float = CHECK_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self._app = app
        self._holds = holds
        self._on_end = on_end
        self._check_seconds = check_seconds
        self._linger_seconds = linger_seconds
        self._ended = anyio.Event()
        self._closed = False
        self._checked_at = time.monotonic()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the websocket until either side closes it."""
        inlet, outlet = anyio.create_memory_object_stream[Message](_BUFFER)

        async def heard() -> Message:
            return await outlet.receive()

        async def said(message: Message) -> None:
            if not self._closed:
                self._closed = message["type"] == "websocket.close"
                await send(message)

        async with inlet, outlet, anyio.create_task_group() as tasks:
            tasks.start_soon(self._pass_on, receive, inlet)
            tasks.start_soon(self._watch, said, inlet)
            await self._run(scope, heard, said, tasks)

    async def _run(self, scope: Scope, receive: Receive, send: Send, tasks: TaskGroup) -> None:
        await self._app(scope, receive, send)
        tasks.cancel_scope.cancel()

    async def _pass_on(self, receive: Receive, inlet: MemoryObjectSendStream[Message]) -> None:
        """Hand what the browser sends on, as long as the login holds."""
        while True:
            message = await receive()
            if message["type"] == "websocket.receive":
                if time.monotonic() - self._checked_at > FRESH_SECONDS:
                    await self._check(inlet)
                if self._ended.is_set():
                    continue
            await inlet.send(message)
            if message["type"] == "websocket.disconnect":
                return

    async def _watch(self, send: Send, inlet: MemoryObjectSendStream[Message]) -> None:
        """Notice the end of the login on a page on which nobody clicks."""
        while not self._ended.is_set():
            with anyio.move_on_after(self._check_seconds):
                await self._ended.wait()
            await self._check(inlet)
        await anyio.sleep(self._linger_seconds)
        await send({"type": "websocket.close", "code": 1008, "reason": "Signed out"})
        await inlet.send({"type": "websocket.disconnect", "code": 1008})

    async def _check(self, inlet: MemoryObjectSendStream[Message]) -> None:
        self._checked_at = time.monotonic()
        if self._ended.is_set() or await self._holds() or self._ended.is_set():
            return
        self._ended.set()
        await inlet.send({"type": "websocket.receive", "bytes": RUN_AGAIN})
        await self._on_end()
