"""``counterlight prepare``: from a case set and a protocol to a study that readers can open."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from commands.explain import write_localisation
from commands.progress import progress_bar
from data.manifest import CaseSet
from data.reference import ReferenceSet
from explainers.archive import ExplanationArchive
from explainers.classifiers.ours import load_classifier
from explainers.generators.autoencoder import load_autoencoder
from explainers.registry import names, spec
from explainers.run import explain_cases, predict_cases
from pages.parts.display import write_displays
from study.accounts import Accounts
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
    _bring_cases(case_dir, folder)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(protocol_file, folder.protocol)
    codes = prepare_study(folder, protocol, classifier=classifier, autoencoder=autoencoder)
    for each in codes:
        click.echo(f"{each.who:<14} {each.code}")
    click.echo(f"Study ready. Open it with: counterlight serve {out}")


def refuse_frozen(folder: StudyFolder) -> None:
    """Raise if the folder already holds a frozen study."""
    if folder.database.exists():
        raise StudyError(
            f"{folder.root} already holds a frozen study; a study is never overwritten. "
            "Give another folder with --out."
        )


def prepare_study(
    folder: StudyFolder,
    protocol: StudyProtocol,
    *,
    classifier: str,
    autoencoder: str,
    choices: Sequence[CaseChoice] | None = None,
    check: Callable[[], None] | None = None,
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

    Returns
    -------
    tuple of SignInCode
        Readers first, then the researcher and the coordinator.

    Raises
    ------
    StudyError, DataError, ExplainerError
        Whatever stands in the way, in one sentence; nothing is frozen then.
    """
    cases, references = CaseSet.open(folder.cases), ReferenceSet.open(folder.cases)
    archive = ExplanationArchive(folder.explanations)
    network = load_classifier(classifier)
    with progress_bar("predictions") as advance:
        archive.save_predictions(predict_cases(cases, network, on_progress=advance))
    if check is not None:
        check()
    if choices is None:
        choices = select_cases(
            references.table(), archive.predictions(), protocol, protocol.study.seed
        )
    methods = _methods(protocol)
    generator = load_autoencoder(autoencoder) if _needs_autoencoder(methods) else None
    pairs = [(choice.case_id, choice.finding) for choice in choices]
    with progress_bar("explanations") as advance:
        explain_cases(
            cases,
            pairs,
            methods,
            archive,
            classifier=network,
            autoencoder=generator,
            on_progress=advance,
        )
    write_localisation(folder.cases, archive, pairs, methods)
    with progress_bar("displays") as advance:
        write_displays(folder.root, protocol, choices, on_progress=advance)
    return _freeze(folder, protocol, choices)


def _freeze(
    folder: StudyFolder, protocol: StudyProtocol, choices: Sequence[CaseChoice]
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
    store = StudyStore.create(folder.database, protocol, assignments)
    try:
        accounts, now = Accounts(store), datetime.now(UTC)
        codes = [
            SignInCode(f"Reader {r}", accounts.add("reader", r, f"Reader {r}", now))
            for r in readers
        ]
        codes.append(SignInCode("Researcher", accounts.add("researcher", None, "Researcher", now)))
        codes.append(
            SignInCode("Coordinator", accounts.add("coordinator", None, "Coordinator", now))
        )
    finally:
        store.close()
    return tuple(codes)


def _methods(protocol: StudyProtocol) -> tuple[str, ...]:
    """Return the methods behind the protocol's panels, each once, in the registry's order."""
    shown = {
        panel.method
        for condition in protocol.conditions
        for panel in condition.panels
        if panel.method is not None
    }
    return tuple(n for n in names() if shown & {n, *spec(n).map_names()})


def _needs_autoencoder(methods: Sequence[str]) -> bool:
    return any("autoencoder" in spec(name).needs for name in methods)


def _bring_cases(case_dir: Path, folder: StudyFolder) -> None:
    """Copy the case set into the study, whole or not at all."""
    if folder.cases.exists() or case_dir.resolve() == folder.cases.resolve():
        return
    CaseSet.open(case_dir)
    fresh = folder.root / "cases.partial"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(case_dir, fresh)
    fresh.rename(folder.cases)
