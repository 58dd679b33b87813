"""A network that fails when it is told to: TCP passed on, cut, held back, or answered by nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_CHUNK = 65_536


@dataclass
class Line:
    """How a line behaves; may be changed while connections are open.

    Parameters
    ----------
    is_down
        Nothing gets through: new connections are broken off, open ones at their next byte.
    delay_s
        Time by which everything that is sent is held back.
    request_bytes
        Of each request to ``about`` only so many bytes arrive; then the connection breaks.
        ``None``: all of them.
    loses_answers
        What is sent to ``about`` arrives whole; the connection breaks when its answer comes.
    about
        Part of the first line of the requests that the last two are about.
    """

    is_down: bool = False
    delay_s: float = 0.0
    request_bytes: int | None = None
    loses_answers: bool = False
    about: str = "POST /readings/"
    n_cut: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Take the line down, and break what is open."""
        self.is_down = True
        for writer in tuple(self._open):
            writer.transport.abort()
        self.n_cut += 1

    def mend(self) -> None:
        """Let everything through again."""
        self.is_down, self.delay_s = False, 0.0
        self.request_bytes, self.loses_answers = None, False


class _Passage:
    """One connection through a line."""

    def __init__(
        self, line: Line, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self.line, self.ends = line, (client, server)
        self.is_concerned = False

    def break_off(self) -> None:
        for end in self.ends:
            end.transport.abort()

    async def requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        line = self.line
        while chunk := await source.read(_CHUNK):
            head = chunk.split(b"\r\n", 1)[0]
            if head.endswith(b"HTTP/1.1"):
                self.is_concerned = line.about.encode() in head
            if line.delay_s:
                await asyncio.sleep(line.delay_s)
            if line.is_down:
                break
            if self.is_concerned and line.request_bytes is not None:
                sink.write(chunk[: line.request_bytes])
                await sink.drain()
                await asyncio.sleep(0.02)
                line.n_cut += 1
                break
            sink.write(chunk)
            await sink.drain()
        self.break_off()

    async def answers(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        line = self.line
        while chunk := await source.read(_CHUNK):
            if line.is_down:
                break
            if self.is_concerned and line.loses_answers:
                line.n_cut += 1
                break
            sink.write(chunk)
            await sink.drain()
        self.break_off()


@contextlib.asynccontextmanager
async def line_to(port: int, line: Line) -> AsyncIterator[str]:
    """Give the address of a proxy that passes connections on to a local port over ``line``."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await _serve(port, line, reader, writer)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        line.cut()
        await asyncio.gather(*tasks)


async def _serve(
    port: int, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    if line.is_down:
        writer.transport.abort()
        return
    try:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.transport.abort()
        return
    passage = _Passage(line, writer, downstream)
    line._open |= {writer, downstream}
    try:
        await asyncio.gather(
            _quietly(passage.requests(reader, downstream)),
            _quietly(passage.answers(upstream, writer)),
        )
    finally:
        passage.break_off()
        line._open -= {writer, downstream}


async def _quietly(work: object) -> None:
    with contextlib.suppress(OSError):
        await work  # type: ignore[misc]
