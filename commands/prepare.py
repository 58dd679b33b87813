"""``counterlight prepare``: from a case set and a protocol to a study that readers can open."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from commands.explain import write_localisation
from commands.progress import progress_bar
from data.manifest import CASES_FILE, CaseSet
from data.reference import REFERENCE_FILE, ReferenceSet
from data.scratch import replacing, scratch_folder
from explainers.archive import ExplanationArchive
from explainers.checkpoint import weights_path
from explainers.classifiers.ours import OurClassifier, load_classifier
from explainers.generators.autoencoder import OurAutoencoder, load_autoencoder
from explainers.parallel import explain_in_processes
from explainers.registry import create, names, needs_autoencoder, spec
from explainers.run import predict_cases
from pages.parts.display import write_displays
from study.accounts import Accounts, Role
from study.allocation import CaseChoice, allocate
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import StudyProtocol, load_protocol
from study.selection import select_cases
from study.store import StudyStore

ENTROPY_BYTES = 32


@dataclass(frozen=True)
class SignInCode:
    """A code to be handed to one person.

    Parameters
    ----------
    who
        The account's label, e.g. ``"Reader R1"``.
    code
        The sign-in code; the study itself keeps only a hash of it.
    """

    who: str
    code: str


@click.command("prepare")
@click.argument("protocol_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--cases", "case_dir", required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--classifier", default="phantom-classifier", show_default=True)
@click.option("--autoencoder", default="phantom-autoencoder", show_default=True)
def command(
    protocol_file: Path, case_dir: Path, out: Path, classifier: str, autoencoder: str
) -> None:
    """Select cases, explain them, allocate the readings and freeze the study in OUT.

    Prints one sign-in code for each reader, a researcher and a coordinator. The codes are shown
    once. An interrupted run goes on where it stopped; a frozen study is never overwritten.
    """
    protocol = load_protocol(protocol_file, known_methods=names())
    folder = StudyFolder(out)
    refuse_frozen(folder)
    open_networks(protocol, ReferenceSet.open(case_dir), classifier, autoencoder)
    bring_cases(case_dir, folder)
    shutil.copyfile(protocol_file, folder.protocol)
    prepare_study(folder, protocol, classifier=classifier, autoencoder=autoencoder, announce=_show)
    click.echo(f"Study ready. Open it with: counterlight serve {out}")


def _show(codes: Sequence[SignInCode]) -> None:
    for each in codes:
        click.echo(f"{each.who:<14} {each.code}")


def refuse_frozen(folder: StudyFolder) -> None:
    """Raise if the folder already holds a frozen study."""
    if folder.database.exists():
        raise StudyError(
            f"{folder.root} already holds a frozen study; a study is never overwritten. "
            "Give another folder with --out."
        )


def open_networks(
    protocol: StudyProtocol, references: ReferenceSet, classifier: str, autoencoder: str
) -> tuple[OurClassifier, OurAutoencoder | None]:
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
    methods = _methods(protocol)
    generator = load_autoencoder(autoencoder) if needs_autoencoder(methods) else None
    for name in methods:
        create(name, classifier=network, autoencoder=generator)
    return network, generator


def prepare_study(
    folder: StudyFolder,
    protocol: StudyProtocol,
    *,
    classifier: str,
    autoencoder: str,
    choices: Sequence[CaseChoice] | None = None,
    check: Callable[[], None] | None = None,
    announce: Callable[[tuple[SignInCode, ...]], None] | None = None,
) -> tuple[SignInCode, ...]:
    """Explain the chosen cases, draw what readers will see, allocate and freeze.

    Parameters
    ----------
    folder
        The study's folder, with its case set in place.
    protocol
        The validated protocol.
    classifier, autoencoder
        Name of a shipped network, or a safetensors file.
    choices
        Cases to read; selected by the protocol's rule if not given.
    check
        Called once the predictions are in place; may refuse them by raising.
    announce
        Called with the codes when all is ready, just before the study is frozen.

    Returns
    -------
    tuple of SignInCode
        Readers first, then the researcher and the coordinator.

    Raises
    ------
    StudyError, DataError, ExplainerError
        Whatever stands in the way, in one sentence; nothing is frozen then.
    """
    refuse_frozen(folder)
    cases, references = CaseSet.open(folder.cases), ReferenceSet.open(folder.cases)
    archive = ExplanationArchive(folder.explanations)
    network, generator = open_networks(protocol, references, classifier, autoencoder)
    _keep_network(classifier, folder.classifier)
    if generator is not None:
        _keep_network(autoencoder, folder.autoencoder)
    with progress_bar("predictions") as advance:
        archive.save_predictions(predict_cases(cases, network, on_progress=advance))
    if check is not None:
        check()
    if choices is None:
        choices = select_cases(
            references.table(), archive.predictions(), protocol, protocol.study.seed
        )
    methods = _methods(protocol)
    pairs = [(choice.case_id, choice.finding) for choice in choices]
    with progress_bar("explanations") as advance:
        explain_in_processes(
            folder.cases,
            pairs,
            methods,
            archive.root,
            classifier=str(folder.classifier),  # what is kept is what made the pictures
            autoencoder=str(folder.autoencoder),
            processes=os.cpu_count() or 1,
            on_progress=advance,
        )
    write_localisation(folder.cases, archive, pairs, methods)
    with progress_bar("displays") as advance:
        write_displays(folder.root, protocol, choices, on_progress=advance)
    return _freeze(folder, protocol, choices, announce)


def _freeze(
    folder: StudyFolder,
    protocol: StudyProtocol,
    choices: Sequence[CaseChoice],
    announce: Callable[[tuple[SignInCode, ...]], None] | None,
) -> tuple[SignInCode, ...]:
    """Write protocol, allocation and accounts; the last step, so a database means a whole study."""
    readers = [f"R{n}" for n in range(1, protocol.design.readers + 1)]
    assignments = allocate(
        protocol,
        choices,
        protocol.study.seed,
        readers,
        entropy=secrets.token_bytes(ENTROPY_BYTES),
    )
    people: list[tuple[Role, str | None, str]] = [("reader", r, f"Reader {r}") for r in readers]
    people += [("researcher", None, "Researcher"), ("coordinator", None, "Coordinator")]
    try:
        with scratch_folder(folder.root, ".freezing-") as scratch:
            unfinished = scratch / folder.database.name
            store = StudyStore.create(unfinished, protocol, assignments)
            try:
                accounts, now = Accounts(store), datetime.now(UTC)
                codes = tuple(
                    SignInCode(label, accounts.add(role, reader, label, now))
                    for role, reader, label in people
                )
            finally:
                store.close()
            if announce is not None:
                announce(codes)  # a study whose codes nobody has seen would be lost
            refuse_frozen(folder)  # a rename would replace a study that was frozen meanwhile
            unfinished.rename(folder.database)
    except OSError as error:
        raise StudyError(
            f"{folder.database} cannot be made ({error.strerror or error}); the study is not "
            "frozen. Free some space and prepare it again."
        ) from error
    return codes


def _keep_network(path_or_name: str, target: Path) -> None:
    """Copy a network into the study, for the explorer and for whoever repeats the study."""
    with replacing(target) as fresh:
        shutil.copyfile(weights_path(path_or_name), fresh)


def _methods(protocol: StudyProtocol) -> tuple[str, ...]:
    """Return the methods behind the protocol's panels, each once, in the registry's order."""
    shown = {
        panel.method
        for condition in protocol.conditions
        for panel in condition.panels
        if panel.method is not None
    }
    return tuple(n for n in names() if shown & {n, *spec(n).map_names()})


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
