"""``counterlight serve``: open a prepared study in the browser."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from study.errors import StudyError
from study.store import StudyStore

STUDY_VARIABLE = "COUNTERLIGHT_STUDY"
CASES_VARIABLE = "COUNTERLIGHT_CASES"
CASES_FILE = "cases.csv"


@click.command("serve")
@click.argument("study_dir", type=click.Path(file_okay=False, path_type=Path))
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--address", default="localhost", show_default=True, help="Interface to listen on.")
@click.option(
    "--cases",
    "more_cases",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Further case set that researchers may look at in the explorer; may be repeated.",
)
def command(study_dir: Path, port: int, address: str, more_cases: tuple[Path, ...]) -> None:
    """Serve the study in STUDY_DIR (made by `counterlight prepare`) until interrupted."""
    serve(study_dir, port=port, address=address, more_cases=more_cases)


def serve(
    study_dir: Path, *, port: int, address: str = "localhost", more_cases: Sequence[Path] = ()
) -> None:
    """Replace this process by the web server of one study.

    Parameters
    ----------
    study_dir
        Folder of the study.
    port, address
        Where to listen.
    more_cases
        Case sets that the explorer offers beside the study's own.

    Raises
    ------
    StudyError
        If ``study_dir`` holds no prepared study or a damaged one, the server cannot listen, or
        a folder of ``more_cases`` holds no case set.
    """
    if not (study_dir / "study.sqlite").is_file():
        raise StudyError(
            f"{study_dir} holds no prepared study (study.sqlite is missing). "
            "Make one with `counterlight prepare`, or give another folder."
        )
    StudyStore.open(study_dir / "study.sqlite").close()  # a damaged study is refused here
    require_free(address, port)
    spec = importlib.util.find_spec("app")
    if spec is None or spec.origin is None:
        raise StudyError("app.py was not found; install Counterlight with `pip install -e .`.")
    script = Path(spec.origin)
    environment = dict(os.environ, **{STUDY_VARIABLE: str(study_dir.resolve())})
    environment |= offered_cases(more_cases, os.environ)
    click.echo(f"Serving {study_dir} at http://{address}:{port} (stop with Ctrl-C)")
    if not _is_this_machine(address):
        click.echo(
            "Others can reach this address and nothing here encrypts what they send, passphrases "
            "among it; put a server with TLS in front of it.",
            err=True,
        )
    sys.stdout.flush()
    os.chdir(script.parent)
    os.execvpe(
        sys.executable,
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(script),
            f"--server.port={port}",
            f"--server.address={address}",
            "--server.headless=true",
        ],
        environment,
    )


def offered_cases(more_cases: Sequence[Path], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that offers case sets to the explorer; those already named stay.

    Raises
    ------
    StudyError
        If a folder holds no case set, or its name cannot stand in such a list.
    """
    if not more_cases:
        return {}
    for folder in more_cases:
        if not (folder / CASES_FILE).is_file():
            raise StudyError(
                f"{folder} holds no case set ({CASES_FILE} is missing). Make one with "
                "`counterlight import` or `counterlight phantom`, or give another folder."
            )
        if os.pathsep in str(folder.resolve()):
            raise StudyError(
                f"{folder.resolve()} has a {os.pathsep!r} in its name, which separates folders in "
                f"{CASES_VARIABLE}; move the case set to a folder without one."
            )
    named = [environment.get(CASES_VARIABLE, ""), *(str(each.resolve()) for each in more_cases)]
    return {CASES_VARIABLE: os.pathsep.join(text for text in named if text)}


def _is_this_machine(address: str) -> bool:
    """Say whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def require_free(address: str, port: int) -> None:
    """Refuse an address that no server can listen on, or a port that another program has.

    Raises
    ------
    StudyError
        What stands in the way, and what to choose instead.
    """
    try:
        places = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StudyError(
            f"{address!r} is no address of this machine; use --address localhost, or 0.0.0.0 to "
            "be reached from others."
        ) from error
    refusals = []
    for family, kind, protocol, _, place in places:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
            except OSError as error:
                refusals.append(error)
    if any(error.errno == errno.EADDRINUSE for error in refusals):
        raise StudyError(
            f"Port {port} on {address} is in use by another program. "
            f"Stop it, or choose another port: --port {port % 65535 + 1}."
        )
    if len(refusals) == len(places):
        raise StudyError(
            f"Nothing can listen at {address}:{port} ({refusals[0].strerror}); "
            "choose another --address, or a --port above 1023."
        )
