"""Everything that a browser receives and sends: a proxy between it and the server, byte by byte.

The proxy asks the server for uncompressed answers and messages, one exchange on a connection, so
that what it keeps can be read. What it passes on is otherwise unchanged.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["asked", "answered", "to server", "to browser", "dom", "storage", "file"]

_DROPPED: Final = (b"accept-encoding", b"sec-websocket-extensions", b"connection")
_CHUNK: Final = 65536
_PATIENCE_S: Final = 120


@dataclass(frozen=True)
class Piece:
    """One thing that was sent.

    Parameters
    ----------
    kind
        ``"asked"`` and ``"answered"``: an HTTP request and its answer; ``"to server"`` and ``"to
        browser"``: a message of the websocket; ``"dom"``, ``"storage"``, ``"file"``: what the
        browser made of it.
    phase
        How far the reader was, as :attr:`Recorder.phase` said when it began.
    place
        Address or words for where it was.
    head
        Of HTTP: request line or status line and headers.
    body
        Content, unchunked.
    """

    kind: Kind
    phase: int
    place: str
    head: bytes = b""
    body: bytes = b""


@dataclass
class Recorder:
    """Keeps pieces; :attr:`phase` is set by who drives the browser."""

    phase: int = 0
    pieces: list[Piece] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, piece: Piece) -> None:
        """Keep a piece."""
        with self._lock:
            self.pieces.append(piece)

    def of(self, *kinds: Kind) -> list[Piece]:
        """Return the pieces of these kinds."""
        with self._lock:
            return [piece for piece in self.pieces if piece.kind in kinds]


@contextlib.contextmanager
def recording_proxy(server_port: int, recorder: Recorder) -> Iterator[str]:
    """Pass everything on to a server while the block runs; gives the proxy's address."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(
                target=_exchange, args=(client, server_port, recorder), daemon=True
            ).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _exchange(client: socket.socket, server_port: int, recorder: Recorder) -> None:
    """Serve one connection of the browser."""
    with contextlib.suppress(OSError), client:
        client.settimeout(_PATIENCE_S)
        head, rest = _read_head(client)
        if not head:
            return
        phase = recorder.phase
        place = head.split(b" ", 2)[1].decode("latin-1")
        upgrade = _header(head, b"upgrade").lower() == b"websocket"
        body = _read_body(client, head, rest)
        recorder.add(Piece("asked", phase, place, head, body))
        with socket.create_connection(("127.0.0.1", server_port), timeout=_PATIENCE_S) as server:
            server.sendall(_rewritten(head, upgrade) + body)
            if upgrade:
                _pass_messages(client, server, place, recorder)
            else:
                answer = _pass_answer(client, server)
                answered, _, content = answer.partition(b"\r\n\r\n")
                if _header(answered, b"transfer-encoding").lower() == b"chunked":
                    content = _unchunked(content)
                recorder.add(Piece("answered", phase, place, answered, content))


def _read_head(source: socket.socket) -> tuple[bytes, bytes]:
    """Return what comes before the empty line, and what was read behind it."""
    read = b""
    while b"\r\n\r\n" not in read:
        more = source.recv(_CHUNK)
        if not more:
            return b"", b""
        read += more
    head, _, rest = read.partition(b"\r\n\r\n")
    return head, rest


def _header(head: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?im)^" + re.escape(name) + rb":[ \t]*(.*?)[ \t]*\r?$", head)
    return found.group(1) if found else b""


def _read_body(source: socket.socket, head: bytes, rest: bytes) -> bytes:
    length = int(_header(head, b"content-length") or 0)
    while len(rest) < length:
        more = source.recv(_CHUNK)
        if not more:
            break
        rest += more
    return rest


def _rewritten(head: bytes, upgrade: bool) -> bytes:
    lines = head.split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in _DROPPED]
    kept.append(b"Connection: Upgrade" if upgrade else b"Connection: close")
    return b"\r\n".join([*kept, b"", b""])


def _pass_answer(client: socket.socket, server: socket.socket) -> bytes:
    answer = b""
    while more := server.recv(_CHUNK):
        answer += more
        client.sendall(more)
    return answer


def _unchunked(content: bytes) -> bytes:
    whole, at = b"", 0
    while at < len(content):
        line, _, _ = content[at:].partition(b"\r\n")
        size = int(line.split(b";")[0] or b"0", 16)
        if size == 0:
            break
        start = at + len(line) + 2
        whole += content[start : start + size]
        at = start + size + 2
    return whole


def _pass_messages(
    client: socket.socket, server: socket.socket, place: str, recorder: Recorder
) -> None:
    """Pass a websocket on, in both directions, until one side ends it."""
    head, rest = _read_head(server)
    client.sendall(head + b"\r\n\r\n" + rest)
    recorder.add(Piece("answered", recorder.phase, place, head))
    client.settimeout(None)
    server.settimeout(None)

    def pump(source: socket.socket, target: socket.socket, kind: Kind, first: bytes) -> None:
        messages = _Messages(recorder, kind, place)
        messages.feed(first)
        with contextlib.suppress(OSError):
            while more := source.recv(_CHUNK):
                messages.feed(more)
                target.sendall(more)
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    other = threading.Thread(target=pump, args=(client, server, "to server", b""), daemon=True)
    other.start()
    pump(server, client, "to browser", rest)
    other.join(10)


class _Messages:
    """Puts the messages of a websocket together from its frames (RFC 6455)."""

    def __init__(self, recorder: Recorder, kind: Kind, place: str) -> None:
        self._recorder, self._kind, self._place = recorder, kind, place
        self._read = bytearray()
        self._message = b""
        self._phase = 0

    def feed(self, data: bytes) -> None:
        if not self._read and not self._message:
            self._phase = self._recorder.phase
        self._read += data
        while (frame := self._frame()) is not None:
            last, code, content = frame
            if code >= 8:  # close, ping, pong: may stand between the frames of a message
                self._keep(content)
                continue
            self._message += content
            if last:
                self._keep(self._message)
                self._message = b""

    def _keep(self, content: bytes) -> None:
        self._recorder.add(Piece(self._kind, self._phase, self._place, body=content))
        self._phase = self._recorder.phase

    def _frame(self) -> tuple[bool, int, bytes] | None:
        read = self._read
        if len(read) < 2:
            return None
        size, at = read[1] & 127, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(read) < at + width:
                return None
            size = struct.unpack(">H" if width == 2 else ">Q", read[at : at + width])[0]
            at += width
        masked = bool(read[1] & 128)
        mask = bytes(read[at : at + 4]) if masked else b""
        at += 4 * masked
        if len(read) < at + size:
            return None
        content = bytes(read[at : at + size])
        if masked:
            content = bytes(value ^ mask[n % 4] for n, value in enumerate(content))
        result = (bool(read[0] & 128), read[0] & 15, content)
        assert not read[0] & 64, "a compressed message although no compression was agreed on"
        del read[: at + size]
        return result
