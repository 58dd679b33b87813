"""``counterlight prepare``: from a case set and a protocol to a study that readers can open."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from commands.networks import network_option
from commands.prepare_pictures import Readings, explain_readings, shown_methods
from commands.progress import progress_bar
from data.manifest import CASES_FILE, CaseSet
from data.reference import REFERENCE_FILE, ReferenceSet
from data.scratch import replacing, scratch_folder
from explainers.archive import ExplanationArchive
from explainers.checkpoint import weights_path
from explainers.classifiers.ours import OurClassifier, load_classifier
from explainers.networks import Networks
from explainers.registry import create, names, needed_networks
from explainers.run import predict_cases
from explainers.stylespace.opening import keep_factors
from pages.parts.display import write_displays
from study.accounts import Accounts
from study.allocation import CaseChoice, allocate
from study.errors import StudyError
from study.folder import StudyFolder
from study.people import Role
from study.protocol import StudyProtocol, load_protocol
from study.selection import select_cases, select_practice
from study.store import StudyStore

ENTROPY_BYTES = 32


@dataclass(frozen=True)
class InvitationLink:
    """A link to be handed to one person, who sets a passphrase with it.

    Parameters
    ----------
    who
        The account's label, e.g. ``"Reader R1"``.
    path
        Path of the link, to be put behind the address of the server; good once, and for a limited
        time. The study itself keeps only a hash of its secret.
    """

    who: str
    path: str


@click.command("prepare")
@click.argument("protocol_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--cases", "case_dir", required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--classifier", default="phantom-classifier", show_default=True)
@network_option
def command(
    protocol_file: Path, case_dir: Path, out: Path, classifier: str, networks: Networks
) -> None:
    """Select cases, explain them, allocate the readings and freeze the study in OUT.

    Prints one invitation link for each reader, a researcher and a coordinator. The links are shown
    once. An interrupted run goes on where it stopped; a frozen study is never overwritten.
    """
    protocol = load_protocol(protocol_file, known_methods=names())
    folder = StudyFolder(out)
    refuse_frozen(folder)
    open_networks(protocol, ReferenceSet.open(case_dir), classifier, networks)
    bring_cases(case_dir, folder)
    shutil.copyfile(protocol_file, folder.protocol)
    prepare_study(folder, protocol, classifier=classifier, networks=networks, announce=_show)
    click.echo(f"Study ready. Open it with: counterlight serve {out}")


def _show(links: Sequence[InvitationLink]) -> None:
    click.echo("Hand one link to each person; put the address of the server in front of it.")
    for each in links:
        click.echo(f"{each.who:<14} {each.path}")


def refuse_frozen(folder: StudyFolder) -> None:
    """Raise if the folder already holds a frozen study."""
    if folder.database.exists():
        raise StudyError(
            f"{folder.root} already holds a frozen study; a study is never overwritten. "
            "Give another folder with --out."
        )


def open_networks(
    protocol: StudyProtocol, references: ReferenceSet, classifier: str, networks: Networks
) -> OurClassifier:
    """Load what the protocol needs, and check that all speak of the same findings.

    Raises
    ------
    StudyError
        If the protocol names a finding that the reference standard or the classifier lacks.
    DataError, ExplainerError
        If a network cannot be loaded, or does not suit a method or the other network.
    """
    network = load_classifier(classifier)
    for holder, known in (
        (f"The reference standard of {references.root}", references.findings),
        (f"The classifier {classifier}", network.findings),
    ):
        unknown = [name for name in protocol.cases.findings if name not in known]
        if unknown:
            raise StudyError(
                f"{holder} knows nothing of {', '.join(map(repr, unknown))}, which the protocol "
                f"asks for; it knows {', '.join(known)}. Correct cases.findings in the protocol."
            )
    methods = shown_methods(protocol)
    for name in methods:
        create(name, classifier=network, networks=networks)
    return network


def prepare_study(
    folder: StudyFolder,
    protocol: StudyProtocol,
    *,
    classifier: str,
    networks: Networks,
    choices: Sequence[CaseChoice] | None = None,
    practice: Sequence[CaseChoice] | None = None,
    check: Callable[[], None] | None = None,
    announce: Callable[[tuple[InvitationLink, ...]], None] | None = None,
) -> tuple[InvitationLink, ...]:
    """Explain the chosen cases, draw what readers will see, allocate and freeze.

    Parameters
    ----------
    folder
        The study's folder, with its case set in place.
    protocol
        The validated protocol.
    classifier
        Name of a shipped network, or a safetensors file.
    networks
        Those beside it; the ones that the protocol's methods need are kept in the study.
    choices
        Cases to read; selected by the protocol's rule if not given.
    practice
        Cases of ``protocol.practice``, in its order; selected by its rule if not given.
    check
        Called once the predictions are in place; may refuse them by raising.
    announce
        Called with the links when all is ready, just before the study is frozen.

    Returns
    -------
    tuple of InvitationLink
        Readers first, then the researcher and the coordinator.

    Raises
    ------
    StudyError, DataError, ExplainerError
        Whatever stands in the way, in one sentence; nothing is frozen then.
    """
    refuse_frozen(folder)
    cases, references = CaseSet.open(folder.cases), ReferenceSet.open(folder.cases)
    archive = ExplanationArchive(folder.explanations)
    network = open_networks(protocol, references, classifier, networks)
    keep_network(classifier, folder.classifier)
    for role in needed_networks(shown_methods(protocol)):
        if role == "factors":
            keep_factors(networks.texts[role], folder.network(role))
        else:
            keep_network(networks.texts[role], folder.network(role))
    with progress_bar("predictions") as advance:
        archive.save_predictions(predict_cases(cases, network, on_progress=advance))
    if check is not None:
        check()
    seed, tables = protocol.study.seed, (references.table(), archive.predictions())
    if choices is None:
        choices = select_cases(*tables, protocol, seed)
    if practice is None:
        taken = {choice.case_id for choice in choices}
        practice = select_practice(*tables, protocol, seed, taken)
    reading = Readings(protocol, tuple(choices), tuple(practice))
    explain_readings(folder, reading, network)
    with progress_bar("displays") as advance:
        write_displays(
            folder.root, protocol, choices, reading.partners, practice, on_progress=advance
        )
    return freeze_study(folder, reading, announce)


def freeze_study(
    folder: StudyFolder,
    reading: Readings,
    announce: Callable[[tuple[InvitationLink, ...]], None] | None,
) -> tuple[InvitationLink, ...]:
    """Write protocol, allocation and accounts; the last step, so a database means a whole study."""
    protocol = reading.protocol
    readers = [f"R{n}" for n in range(1, protocol.design.readers + 1)]
    assignments = allocate(
        protocol,
        reading.choices,
        protocol.study.seed,
        readers,
        entropy=secrets.token_bytes(ENTROPY_BYTES),
        practice=reading.practice,
    )
    people: list[tuple[Role, str | None, str]] = [("reader", r, f"Reader {r}") for r in readers]
    people += [("researcher", None, "Researcher"), ("coordinator", None, "Coordinator")]
    try:
        with scratch_folder(folder.root, ".freezing-") as scratch:
            unfinished = scratch / folder.database.name
            store = StudyStore.create(unfinished, protocol, assignments)
            try:
                accounts, now = Accounts(store), datetime.now(UTC)
                links = tuple(
                    InvitationLink(label, accounts.invite(role, reader, label, now).path)
                    for role, reader, label in people
                )
            finally:
                store.close()
            if announce is not None:
                announce(links)  # a study whose links nobody has seen would be lost
            refuse_frozen(folder)  # a rename would replace a study that was frozen meanwhile
            unfinished.rename(folder.database)
    except OSError as error:
        raise StudyError(
            f"{folder.database} cannot be made ({error.strerror or error}); the study is not "
            "frozen. Free some space and prepare it again."
        ) from error
    return links


def keep_network(path_or_name: str, target: Path) -> None:
    """Copy a network into the study, for the explorer and for whoever repeats the study."""
    with replacing(target) as fresh:
        shutil.copyfile(weights_path(path_or_name), fresh)


def bring_cases(case_dir: Path, folder: StudyFolder) -> None:
    """Copy the case set into the study, whole or not at all.

    Raises
    ------
    DataError
        If there is no case set.
    StudyError
        If the study holds another case set already, or the disk refuses.
    """
    CaseSet.open(case_dir)
    if folder.cases.exists():
        for name in (CASES_FILE, REFERENCE_FILE):
            if _content(case_dir / name) != _content(folder.cases / name):
                raise StudyError(
                    f"{folder.root} was begun with another case set ({name} differs from that of "
                    f"{case_dir}); delete the folder, or give another one with --out."
                )
        return
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder.root, ".copying-") as scratch:
            shutil.copytree(case_dir, scratch / "cases")
            (scratch / "cases").rename(folder.cases)
    except OSError as error:  # also what copytree raises, which lists every file
        reason = error.strerror or f"{case_dir} cannot be copied whole; is the disk full?"
        raise StudyError(
            f"The case set cannot be copied to {folder.cases} ({reason}); nothing of it was kept. "
            "Free some space, or give another folder with --out."
        ) from error


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
