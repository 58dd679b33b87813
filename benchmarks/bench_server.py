"""The real server in a process of its own, which can be killed, frozen and started again."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

ROOT: Final = Path(__file__).parents[1]
START_S: Final = 90.0


@dataclass
class BenchServer:
    """A server of one study on one port.

    Parameters
    ----------
    study_dir
        The study.
    log
        File that gets what the server prints.
    port
        Where it listens; a free port if not given.
    """

    study_dir: Path
    log: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.port == 0:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """Address of the server, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Identifier of the process.

        Raises
        ------
        RuntimeError
            If it is not running.
        """
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"The server is not running; its log is {self.log}.")
        return self._process.pid

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        RuntimeError
            If it does not; shows the end of its log.
        """
        environment = {**os.environ, "COUNTERLIGHT_STUDY": str(self.study_dir)}
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
        command += [f"--server.port={self.port}", "--server.address=127.0.0.1"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_S
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    if (await client.get(f"{self.url}/_stcore/health")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"The server did not start; its log ends with:\n{tail}")

    def kill(self) -> None:
        """End the process at once (SIGKILL), wherever it is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the process (SIGSTOP) until :meth:`thaw`."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def limit_files(self, size: int | None) -> None:
        """Let no file that the server writes become larger than ``size`` bytes.

        The server then gets the same refusals as from a full disk.

        Parameters
        ----------
        size
            Bytes; ``None`` for no limit.
        """
        soft = resource.RLIM_INFINITY if size is None else size
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
