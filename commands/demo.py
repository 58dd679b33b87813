"""``counterlight demo``: the embedded study, from nothing to a page in the browser."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from commands.demo_cases import (
    FILM_SIZE_PX,
    check_predictions,
    read_case_list,
    read_practice_list,
)
from commands.demo_factors import keep_demo_factors
from commands.demo_review import prepare_demo_review
from commands.prepare import InvitationLink, prepare_study, refuse_frozen
from commands.progress import progress_bar
from commands.serve import serve
from data.phantom.write import write_phantoms
from explainers.networks import Networks
from explainers.registry import names
from study.accounts import Accounts
from study.errors import StudyError
from study.folder import StudyFolder
from study.invitations import INVITE
from study.protocol import StudyProtocol, load_protocol, shipped_protocol
from study.protocol_toml import to_toml

SIZES = ("48", "240")


@click.command("demo")
@click.option("--cases", "n_cases", type=click.Choice(SIZES), default="48", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Default: var/demo or var/demo-240.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--serve/--no-serve", "serves", default=True, show_default=True)
@click.option(
    "--explore",
    "more_cases",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Further case set for the explorer; may be repeated (`serve --cases`).",
)
@click.option(
    "--review",
    is_flag=True,
    help="The clinical review of the shipped factors instead, in var/demo-review; give it another "
    "--port to run beside the demo.",
)
def command(
    n_cases: str,
    out: Path | None,
    port: int,
    serves: bool,
    more_cases: tuple[Path, ...],
    review: bool,
) -> None:
    """Prepare the demo study of simulated films once, then serve it.

    Everything in it is simulated. An interrupted preparation goes on where it stopped.
    """
    name = "demo-review" if review else "demo" if n_cases == "48" else f"demo-{n_cases}"
    folder = StudyFolder(out or Path("var") / name)
    if not folder.database.exists():
        prepared = review_links(folder) if review else prepare_demo(folder, int(n_cases))
        keep_links(folder, prepared)
    for line in invitation_lines(folder, f"http://localhost:{port}", datetime.now(UTC)):
        click.echo(line)
    if serves:
        serve(folder.root, port=port, more_cases=more_cases)


def prepare_demo(folder: StudyFolder, n_cases: int) -> tuple[InvitationLink, ...]:
    """Render the shipped case list, check it, explain it and freeze the demo study.

    The factors page gets the shipped factor set, if there is one, and its first films.

    Raises
    ------
    StudyError
        If a film is no longer the true or false positive that the list says it is.
    """
    refuse_frozen(folder)
    protocol = demo_protocol(n_cases)
    cases = read_case_list(protocol)
    practice = read_practice_list(protocol, len(cases))
    films = (*cases, *practice)
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.protocol.write_text(to_toml(protocol), encoding="utf-8")
    with progress_bar("simulated films", len(films)) as advance:
        write_phantoms(
            folder.cases,
            n=len(films),
            size=FILM_SIZE_PX,
            seed=films[0].seed,
            processes=os.cpu_count() or 1,
            on_progress=advance,
            parameters=[film.parameters() for film in films],
        )
    keep_demo_factors(folder)
    return prepare_study(
        folder,
        protocol,
        classifier="phantom-classifier",
        networks=Networks(),
        choices=[case.choice for case in cases],
        practice=[case.choice for case in practice],
        check=lambda: check_predictions(folder, films),
    )


def review_links(folder: StudyFolder) -> tuple[InvitationLink, ...]:
    """Prepare the demo's clinical review on the true positives of its list; return its links."""
    films = [case for case in read_case_list(demo_protocol(int(SIZES[0]))) if case.present]
    return prepare_demo_review(folder, films)


def demo_protocol(n_cases: int) -> StudyProtocol:
    """Return the demo protocol for 48 or 240 cases."""
    protocol = load_protocol(shipped_protocol("demo"), known_methods=names())
    per_finding = n_cases // len(protocol.cases.findings)
    return protocol.model_copy(
        update={"cases": protocol.cases.model_copy(update={"per_finding": per_finding})}
    )


def invitation_lines(folder: StudyFolder, address: str, now: datetime) -> list[str]:
    """Return one line for each person of the demo: the link that is still open, or the name.

    A link that was lost or has expired is replaced by a new one, unless that person has set a
    passphrase already.

    Parameters
    ----------
    folder
        The prepared demo.
    address
        Where the server will be reached, e.g. ``"http://localhost:8501"``.
    now
        Present moment, aware.
    """
    accounts, kept = Accounts(folder.database), {}
    for path in _kept_paths(folder):
        with suppress(StudyError):  # used or expired meanwhile
            account = accounts.invited(path.removeprefix(INVITE), now)
            kept[account.account_id] = path
    lines, links = [], []
    for account in accounts.accounts():
        if account.revoked:
            continue
        who = account.label or account.name
        if account.accepted:
            lines.append(
                f"{who:<14} {address}/sign-in  (as {account.name}, with the passphrase that was "
                "set)"
            )
            continue
        path = kept.get(account.account_id) or accounts.reinvite(account.account_id, now).path
        links.append(InvitationLink(who, path))
        lines.append(f"{who:<14} {address}{path}")
    keep_links(folder, links)
    return lines


def keep_links(folder: StudyFolder, links: Sequence[InvitationLink]) -> None:
    """Keep the demo's open links for its next start. A real study shows them once and keeps none.

    Raises
    ------
    StudyError
        If the file cannot be written.
    """
    path = _links_file(folder)
    text = "".join(f"{each.who:<14} {each.path}\n" for each in links)
    try:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"{path} cannot be written ({error.strerror or error}); free some space or make it "
            "writable, and start the demo again."
        ) from error


def _kept_paths(folder: StudyFolder) -> list[str]:
    """Return the links kept at the last start; none if the file is gone."""
    try:
        lines = _links_file(folder).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line.split()[-1] for line in lines if line.strip()]


def _links_file(folder: StudyFolder) -> Path:
    return folder.root / "invitations.txt"
