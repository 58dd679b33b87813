"""The servers and copies of studies behind ``counterlight screenshots``."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from data.reference import ReferenceSet
from study.clock import utc_now
from study.errors import StudyError
from study.export import read_localisation, read_predictions
from study.folder import StudyFolder
from study.simulate import PlantedEffect, simulate_readers
from study.store import StudyStore

APP: Final = Path(__file__).resolve().parents[1] / "app.py"


def copy_of(source: StudyFolder, root: Path) -> StudyFolder:
    """Copy the record of a study; the pictures are only linked."""
    root.mkdir(parents=True)
    copy = StudyFolder(root)
    for part in ("cases", "explanations", "displays", "networks"):
        if not (source.root / part).is_dir():
            continue
        (root / part).symlink_to((source.root / part).resolve(), target_is_directory=True)
    with (
        closing(sqlite3.connect(source.database)) as record,
        closing(sqlite3.connect(copy.database)) as target,
    ):
        record.backup(target)
    return copy


def finish(folder: StudyFolder) -> None:
    """Let simulated readers finish a study in which nobody has read."""
    store = StudyStore.open(folder.database)
    if not store.ratings():
        simulate_readers(
            store,
            ReferenceSet.open(folder.cases).table(),
            read_predictions(folder),
            effect=PlantedEffect(),
            seed=1,
            start=utc_now(),
            localisation=read_localisation(folder),
        )
    store.close()


@contextmanager
def served(folder: StudyFolder) -> Iterator[str]:
    """Serve a study on a free port while the block runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "COUNTERLIGHT_STUDY": str(folder.root)}
    arguments = [sys.executable, "-m", "streamlit", "run", str(APP)]
    arguments += [f"--server.port={port}", "--server.address=127.0.0.1"]
    server = subprocess.Popen(
        arguments,
        cwd=APP.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(20)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                break
            time.sleep(0.1)
    raise StudyError("The server did not start; try `counterlight serve` to see why.")
