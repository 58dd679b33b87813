"""The line that fails when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.cut_line import Line, line_to
from tests.support.event_loop import run_alone

REQUEST = b"POST /readings/x/submit HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
OTHER = b"GET /frames/x HTTP/1.1\r\n\r\n"


def through(
    line: Line, request: bytes, meanwhile: Callable[[], Awaitable[None]] | None = None
) -> tuple[bytes, bytes]:
    """Send a request over a line; return what arrived at the server, and what came back."""
    arrived = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1000):
            arrived.extend(chunk)
            if len(arrived) == len(request):
                writer.write(b"saved")
        writer.close()

    async def run() -> bytes:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, line_to(port, line) as url:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2]))
                writer.write(request)
                if meanwhile is not None:
                    await meanwhile()
                answer = await asyncio.wait_for(reader.read(5), 5)
                writer.close()
            except OSError:
                answer = b""
        return answer

    answer = run_alone(run)
    return bytes(arrived), answer


def test_a_sound_line_passes_everything_on() -> None:
    arrived, answer = through(Line(), REQUEST)
    assert (arrived, answer) == (REQUEST, b"saved")


def test_a_line_that_loses_answers_delivers_the_request_and_no_answer() -> None:
    line = Line(loses_answers=True)
    assert through(line, REQUEST) == (REQUEST, b"")
    assert line.n_cut >= 1


def test_a_line_that_loses_answers_lets_others_through() -> None:
    assert through(Line(loses_answers=True), OTHER) == (OTHER, b"saved")


@pytest.mark.parametrize("n", [1, 20, len(REQUEST) - 1])
def test_a_request_is_cut_where_it_was_to_be_cut(n: int) -> None:
    assert through(Line(request_bytes=n), REQUEST) == (REQUEST[:n], b"")


def test_a_line_that_is_down_delivers_nothing() -> None:
    assert through(Line(is_down=True), REQUEST) == (b"", b"")


def test_a_line_cut_while_a_request_waits_delivers_nothing() -> None:
    line = Line(delay_s=0.2)

    async def cut() -> None:
        await asyncio.sleep(0.05)
        line.cut()

    assert through(line, REQUEST, cut) == (b"", b"")
