"""``counterlight explain``: predictions, explanations and localisation of a case set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from commands.networks import network_option
from commands.progress import progress_bar
from data.csvfile import read_sheet
from data.manifest import CaseSet
from data.reference import REFERENCE_FILE, ReferenceSet
from explainers import registry
from explainers.animation import ping_pong, write_gif, write_mp4, write_webp
from explainers.archive import ExplanationArchive, finding_slug, write_table
from explainers.base import ExplainerError
from explainers.networks import Networks
from explainers.record import Counterfactual, Explanation

if TYPE_CHECKING:
    from explainers.run import RunReport

CONDITION_A = ("input_gradients", "guided_backprop", "integrated_gradients")
CONDITION_B = ("latent_shift",)
DEFAULT_METHODS = (*CONDITION_A, *CONDITION_B)
MAX_SHEET_ROWS = 60
OPERATING_POINT = 0.5
ANIMATIONS: Mapping[str, Callable[[NDArray[np.float32], Path], None]] = {
    "gif": write_gif,
    "mp4": write_mp4,
    "webp": write_webp,
}

Pair = tuple[str, str]


@click.command("explain")
@click.argument("cases_dir", metavar="CASES", type=click.Path(path_type=Path))
@click.option(
    "--methods",
    default=",".join(DEFAULT_METHODS),
    show_default=True,
    help="Methods, separated by commas, or 'all' that have their networks and make maps or films: "
    f"{', '.join(registry.names())}.",
)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--findings",
    default="predicted",
    show_default=True,
    help="What to explain: 'predicted' (probability above 0.5), 'all', names of findings (in "
    "every case), several of these separated by commas, or a CSV with case_id and finding.",
)
@click.option(
    "--classifier",
    "classifier_file",
    default="phantom-classifier",
    show_default=True,
    help="Name of a shipped network, a .safetensors file, module:factory for your own, or "
    "torchxrayvision:<name>@<weights file>.",
)
@network_option
@click.option(
    "--target",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Probability that counterfactual methods search for at their lowest frame, such as 0.45 "
    "for a flip; by default a fall of 0.30. Maps do not depend on it.",
)
@click.option("--batch", default=8, show_default=True, type=click.IntRange(1, 1024))
@click.option("--threads", type=click.IntRange(1), help="Processor cores to use, default all.")
@click.option(
    "--animate",
    "formats",
    multiple=True,
    type=click.Choice(sorted(ANIMATIONS)),
    help="Also write the films as animations; may be repeated. mp4 needs an ffmpeg of yours.",
)
@click.option(
    "--sheet",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Also draw a contact sheet (PNG) of the first {MAX_SHEET_ROWS} explanations.",
)
def command(
    cases_dir: Path,
    methods: str,
    out: Path,
    findings: str,
    classifier_file: str,
    networks: Networks,
    target: float | None,
    batch: int,
    threads: int | None,
    formats: tuple[str, ...],
    sheet: Path | None,
) -> None:
    """Predict and explain the CASES, a folder written by `counterlight import` or `phantom`.

    Writes predictions.csv, one folder per method, and localisation.csv where the case set has
    masks. What is already there is kept, so an interrupted run goes on where it stopped.
    """
    chosen = _method_names(methods)
    if _words(methods) == ["all"]:
        chosen, missing = usable_methods(networks)
        for sentence in missing:
            click.echo(sentence, err=True)
    cases, archive = CaseSet.open(cases_dir), ExplanationArchive(out)
    import torch  # only now: a wrong name or folder is reported at once

    from explainers.classifiers.opening import open_classifier
    from explainers.run import explain_cases, predict_cases

    if threads is not None:
        torch.set_num_threads(threads)
    classifier = open_classifier(classifier_file)
    for role in registry.needed_networks(chosen):
        networks[role]  # a wrong one is reported before anything is computed
    check_findings(findings, classifier.findings)

    with progress_bar("films", len(cases)) as advance:
        archive.save_predictions(
            predict_cases(cases, classifier, batch_size=batch, on_progress=advance)
        )
    pairs = choose_pairs(findings, cases, archive.predictions(), classifier.findings)
    with progress_bar("explanations", len(pairs) * len(chosen)) as advance:
        report = explain_cases(
            cases,
            pairs,
            chosen,
            archive,
            classifier=classifier,
            networks=networks,
            target=target,
            batch_size=batch,
            on_progress=advance,
        )
    n_measured = write_localisation(cases_dir, archive, pairs, chosen)
    films = [name for name in chosen if registry.spec(name).kind == "counterfactual"]
    if formats:
        write_animations(archive, pairs, films, formats, out / "animations")
    if sheet is not None:
        _draw(cases, archive, pairs, chosen, sheet)
    click.echo(_summary(report, len(pairs), n_measured, out))
    for name in films:
        click.echo(counterfactual_summary(name, [archive.load(*pair, name) for pair in pairs]))


def usable_methods(networks: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the methods whose networks can be opened, and a sentence for each of the others.

    Methods that make pictures to switch between are left out without a word: which findings have
    something to switch depends on the factor set, and their own page shows them.
    """
    usable, missing = [], []
    for name in registry.names():
        method = registry.spec(name)
        if method.kind == "toggles":
            continue
        try:
            for role in method.needs:
                networks[role]
        except ExplainerError as error:
            missing.append(f"{method.title} is left out: {error}")
        else:
            usable.append(name)
    return tuple(usable), tuple(missing)


def choose_pairs(
    findings: str, cases: CaseSet, predictions: pd.DataFrame, known: tuple[str, ...]
) -> list[Pair]:
    """Return what to explain, in the order of the case set and of the classifier's findings.

    Parameters
    ----------
    findings
        As on the command line.
    predictions
        With case_id, finding and probability.
    known
        Findings of the classifier.

    Raises
    ------
    ExplainerError
        If a CSV names an unknown case or finding, or lacks a column.
    """
    if findings.lower().endswith(".csv"):
        return _pairs_from_csv(Path(findings), cases, known)
    words = _words(findings)
    wanted: set[Pair] = set()
    if "predicted" in words:
        positive = predictions[predictions["probability"] > 0.5]
        wanted |= set(zip(positive["case_id"], positive["finding"], strict=True))
    for finding in known:
        if "all" in words or finding in words:
            wanted |= {(case_id, finding) for case_id in cases}
    return [(case_id, each) for case_id in cases for each in known if (case_id, each) in wanted]


def write_localisation(
    cases_dir: Path, archive: ExplanationArchive, pairs: list[Pair], methods: tuple[str, ...]
) -> int:
    """Measure the maps of ``methods`` where the case set has masks; write ``localisation.csv``.

    Rows of other pairs and maps that are already there stay.

    Returns
    -------
    int
        Number of pairs measured.
    """
    if not (cases_dir / REFERENCE_FILE).is_file():
        return 0
    from explainers.evaluation.localisation import measure, table

    maps = [name for method in methods for name in registry.spec(method).map_names()]
    references = ReferenceSet.open(cases_dir)
    masked = [
        (case_id, finding)
        for case_id, finding in pairs
        if case_id in references and finding in references.get(case_id).masks
    ]
    if not masked:
        return 0
    with progress_bar("measured", len(masked)) as advance:
        rows = table(measure(archive, references, masked, maps, on_progress=advance))
    path = archive.root / "localisation.csv"
    key = ["case_id", "finding", "map"]
    if path.exists():
        rows = pd.concat([_former_rows(path, list(rows.columns)), rows])
    write_table(rows.drop_duplicates(key, keep="last").sort_values(key), path)
    return len(masked)


def _former_rows(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read an earlier ``localisation.csv`` as text, so that its numbers stay as they are."""
    try:
        before = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ExplainerError(f"{path} is damaged ({error}); delete it and run again.") from error
    if list(before.columns) != columns:
        raise ExplainerError(
            f"{path} has the columns {', '.join(before.columns)}; expected {', '.join(columns)}. "
            "Delete it and run again."
        )
    return before


def write_animations(
    archive: ExplanationArchive,
    pairs: list[Pair],
    films: Sequence[str],
    formats: Sequence[str],
    folder: Path,
) -> None:
    """Write every film as ``<folder>/<method>/<case_id>__<finding>.<format>``, there and back.

    Raises
    ------
    ExplainerError
        If MP4 is asked for and there is no ffmpeg, or the disk refuses.
    """
    total = len(films) * len(pairs)
    with progress_bar("animations", total) as advance:
        for done, (method, pair) in enumerate(itertools.product(films, pairs), start=1):
            film = archive.load(*pair, method)
            if isinstance(film, Counterfactual):
                target = folder / method / f"{pair[0]}__{finding_slug(pair[1])}"
                for name in formats:
                    ANIMATIONS[name](ping_pong(film.frames), target.with_suffix(f".{name}"))
            advance(done, total)


def counterfactual_summary(method: str, films: Sequence[Explanation]) -> str:
    """Say how many searches reached both goals and how many predictions flipped.

    A prediction flips if it is positive (p > 0.5) for the reconstruction and not for the lowest
    frame; films whose reconstruction is negative already are counted apart, with those of them
    that end positive, and so are films that come with a note.
    """
    made = [film for film in films if isinstance(film, Counterfactual)]
    reached = sum(film.reached for film in made)
    positive = [film for film in made if film.probabilities[film.origin] > OPERATING_POINT]
    flipped = sum(bool(film.probabilities[0] <= OPERATING_POINT) for film in positive)
    raised = sum(
        bool(film.probabilities[film.origin] <= OPERATING_POINT < film.probabilities[-1])
        for film in made
    )
    noted = sum(bool(film.note) for film in made)
    return (
        f"{method}: both ends of the wanted range reached in {reached} of {len(made)}; of "
        f"{len(positive)} with a positive reconstruction {flipped} flipped; "
        f"{len(made) - len(positive)} were negative after reconstruction alone"
        + (f", {raised} of them positive at the highest frame" if raised else "")
        + (f"; {noted} come with a note in record.json" if noted else "")
    )


def _draw(
    cases: CaseSet,
    archive: ExplanationArchive,
    pairs: list[Pair],
    methods: tuple[str, ...],
    path: Path,
) -> None:
    from explainers.sheet import draw_sheet, write_sheet

    write_sheet(draw_sheet(cases, archive, pairs[:MAX_SHEET_ROWS], methods), path)
    if len(pairs) > MAX_SHEET_ROWS:
        click.echo(f"{path} shows the first {MAX_SHEET_ROWS} of {len(pairs)}.", err=True)


def _method_names(methods: str) -> tuple[str, ...]:
    words = _words(methods)
    chosen = registry.names() if words == ["all"] else tuple(dict.fromkeys(words))
    if not chosen:
        raise ExplainerError(f"No method was named; choose from {', '.join(registry.names())}.")
    for name in chosen:
        registry.spec(name)
    return chosen


def check_findings(
    findings: str, known: Sequence[str], words: Sequence[str] = ("predicted", "all")
) -> None:
    """Refuse findings that the classifier does not know, before anything is computed.

    Parameters
    ----------
    findings
        As on the command line.
    known
        Findings of the classifier.
    words
        Words that choose pairs otherwise.

    Raises
    ------
    ExplainerError
        If a name is unknown, none is given, or a CSV is missing.
    """
    if findings.lower().endswith(".csv"):
        if not Path(findings).is_file():
            raise ExplainerError(f"{findings} does not exist; expected a CSV of case_id, finding.")
        return
    unknown = [word for word in _words(findings) if word not in (*words, *known)]
    if unknown or not _words(findings):
        raise ExplainerError(
            f"--findings names {', '.join(map(repr, unknown)) or 'nothing'}; expected "
            f"{', '.join(map(repr, words))}, a CSV file, or findings that the classifier knows: "
            f"{', '.join(known)}."
        )


def _pairs_from_csv(path: Path, cases: CaseSet, known: tuple[str, ...]) -> list[Pair]:
    sheet = read_sheet(path)
    for column in ("case_id", "finding"):
        if column not in sheet.columns:
            raise ExplainerError(f"{path}: column {column!r} is missing; expected case_id,finding.")
    pairs = [(row["case_id"], row["finding"]) for row in sheet.records()]
    if not pairs:
        raise ExplainerError(f"{path} lists nothing to explain; expected at least one row.")
    for number, (case_id, finding) in enumerate(pairs, start=2):
        if case_id not in cases:
            raise ExplainerError(
                f"{path}, row {number}, column case_id: {case_id!r} is not in the case set."
            )
        if finding not in known:
            raise ExplainerError(
                f"{path}, row {number}, column finding: {finding!r} is not known to the "
                f"classifier, which predicts {', '.join(known)}."
            )
    return list(dict.fromkeys(pairs))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _summary(report: RunReport, n_pairs: int, n_measured: int, out: Path) -> str:
    n_new = sum(each.n_computed for each in report.methods)
    n_kept = sum(each.n_kept for each in report.methods)
    parts = [f"{n_pairs} findings explained in {out} ({n_new} computed, {n_kept} kept)"]
    for label, methods in (("A", CONDITION_A), ("B", CONDITION_B)):
        seconds = report.seconds_per_case(methods)
        if seconds is not None:
            parts.append(f"condition {label} {seconds:.2f} s per case")
    if n_measured:
        parts.append(f"{n_measured} measured against masks")
    return "; ".join(parts)
