"""The real application in a process of its own, on a free port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from pages.web.gate import COOKIE
from tests.support.tiny_study import PASSPHRASE

ROOT = Path(__file__).parents[2]


@dataclass
class LiveServer:
    """A running server; :meth:`restart` kills it and starts another one on the same port."""

    study_dir: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the server, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        environment = {**os.environ, "COUNTERLIGHT_STUDY": str(self.study_dir)}
        environment.pop("PYTEST_CURRENT_TEST", None)
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
        command += [f"--server.port={self.port}", "--server.address=127.0.0.1"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/_stcore/health", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
            if self.process.poll() is not None:
                break
        raise RuntimeError(f"The server did not start:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """Stop the server."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None

    def restart(self) -> None:
        """Stop and start, as after a power cut."""
        self.stop()
        self.start()

    @contextmanager
    def signed_in(self, who: str, passphrase: str = PASSPHRASE) -> Iterator[httpx.Client]:
        """Give a client that carries the login cookie of a name and its passphrase."""
        with httpx.Client(base_url=self.url, timeout=20) as client:
            form = {"name": who, "passphrase": passphrase}
            answer = client.post("/sign-in", data=form, headers={"Origin": self.url})
            assert answer.status_code == 303, answer.text
            yield client

    def upgrade(self, token: str | None) -> int:
        """Ask for the websocket and return the status of the answer (101: it opened)."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            lines = [
                "GET /_stcore/stream HTTP/1.1",
                f"Host: 127.0.0.1:{self.port}",
                f"Origin: {self.url}",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ]
            if token is not None:
                lines.append(f"Cookie: {COOKIE}={token}")
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            return int(connection.recv(4096).split()[1])


@contextmanager
def live_server(study_dir: Path, log: Path) -> Iterator[LiveServer]:
    """Serve a study until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = LiveServer(study_dir, port, log)
    try:
        server.start()
        yield server
    finally:
        server.stop()
