"""``counterlight evaluate``: how good explanations are, by six benches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pandas as pd

from commands.explain import check_findings, choose_pairs
from commands.networks import network_option
from commands.progress import progress_bar
from data.manifest import CaseSet
from data.reference import REFERENCE_FILE, ReferenceSet
from explainers import registry
from explainers.archive import split_map_name
from explainers.base import ExplainerError
from explainers.evaluation.bench import BENCHES, Bench, Setting, create_bench, run_bench
from explainers.evaluation.report import write_report
from explainers.networks import Networks

if TYPE_CHECKING:
    from explainers.classifiers.base import Classifier

DEFAULT_METHODS = "input_gradients,guided_backprop,integrated_gradients,latent_shift"
FINDING_WORDS = ("positive", "predicted", "all")
_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command("evaluate")
@click.argument("bench", type=click.Choice(list(BENCHES)))
@click.option("--cases", "cases_dir", required=True, type=_DIRECTORY, help="Case set.")
@click.option(
    "--methods",
    default=DEFAULT_METHODS,
    show_default=True,
    help="Methods or maps, separated by commas.",
)
@click.option("--out", required=True, type=_DIRECTORY)
@click.option(
    "--classifier",
    "classifier_names",
    multiple=True,
    default=("phantom-classifier",),
    show_default=True,
    help="Shipped name, .safetensors file, module:factory or torchxrayvision:name@file; repeat it "
    "to compare several.",
)
@network_option
@click.option(
    "--oracle",
    "oracle_name",
    help="An independent classifier, which no generator saw.  [e.g. phantom-oracle]",
)
@click.option(
    "--findings",
    default="positive",
    show_default=True,
    help="'positive' (by the reference standard and by the first classifier), 'predicted', 'all', "
    "names of findings, or a CSV with case_id and finding.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many cases per finding.")
@click.option(
    "--prior-cases",
    type=_DIRECTORY,
    help="localisation: case set whose mean masks are the prior, default the other patients.",
)
@click.option("--all-maps", is_flag=True, help="Every map of a film, not only its maximum.")
@click.option(
    "--boundary",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Bench counterfactual: probability at which a change is complete.  [default: 0.5]",
)
@click.option(
    "--searches",
    type=click.IntRange(1, 5),
    help="Bench counterfactual: at most so many searches per film, each for a lower probability of "
    "the decoded frame; one is enough where a search is long.  [default: 5]",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
def command(
    bench: str,
    cases_dir: Path,
    methods: str,
    out: Path,
    classifier_names: tuple[str, ...],
    networks: Networks,
    oracle_name: str | None,
    findings: str,
    limit: int | None,
    prior_cases: Path | None,
    all_maps: bool,
    boundary: float | None,
    searches: int | None,
    seed: int,
    threads: int,
) -> None:
    """Measure explanations of a case set by BENCH.

    Writes <bench>.csv (every number), <bench>.summary.csv (means with intervals), <bench>.json and
    <bench>.html. An interrupted run goes on where it stopped.
    """
    chosen = {"prior_cases": prior_cases, "boundary": boundary, "searches": searches}
    measure = create_bench(
        bench, **{name: value for name, value in chosen.items() if value is not None}
    )
    names = tuple(name.strip() for name in methods.split(",") if name.strip())
    if all_maps:
        # a method without maps stays, and is refused by name below
        names = tuple(m for name in names for m in registry.spec(name).map_names() or (name,))
    cases = CaseSet.open(cases_dir)
    references = ReferenceSet.open(cases_dir) if (cases_dir / REFERENCE_FILE).is_file() else None
    import torch  # only now: a wrong name or folder is reported at once

    from explainers.classifiers.opening import open_classifier
    from explainers.evaluation.maps import map_names

    map_names(names)  # unknown ones are refused before anything is computed
    for role in registry.needed_networks(split_map_name(name)[0] for name in names):
        networks[role]  # and so is a network that is not there
    torch.set_num_threads(threads)
    labels = classifier_labels(classifier_names)
    classifiers = {label: open_classifier(name) for label, name in labels.items()}
    pairs = evaluated_pairs(findings, cases, references, next(iter(classifiers.values())), limit)
    setting = Setting(
        cases=cases,
        references=references,
        classifiers=classifiers,
        networks=networks,
        oracle=open_classifier(oracle_name) if oracle_name else None,
        methods=names,
        pairs=tuple(pairs),
        seed=seed,
        explanations=out / "explanations",
    )
    run_and_report(measure, setting, out)


def run_and_report(bench: Bench, setting: Setting, out: Path) -> None:
    """Measure with a progress bar, write the report, and name its files."""
    with progress_bar("pairs") as advance:
        rows = run_bench(bench, setting, out, on_progress=advance)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    for path in write_report(bench, setting, rows, out, created=created):
        click.echo(f"Wrote {path}")


def classifier_labels(names: Sequence[str]) -> dict[str, str]:
    """Return what classifiers are called in tables and folders, to what was typed.

    A file is called by its name without ending, ``torchxrayvision:name@file`` by ``name``, and
    ``module:factory`` by both, joined by a hyphen.

    Raises
    ------
    ExplainerError
        If two classifiers would be called the same.
    """
    found: dict[str, str] = {}
    for name in names:
        short = name.removeprefix("torchxrayvision:").partition("@")[0]
        if name.endswith(".safetensors"):
            short = Path(name).stem
        label = "-".join(part for part in re.split(r"[^\w.-]+", short) if part) or "classifier"
        if label in found:
            raise ExplainerError(
                f"The classifiers {found[label]!r} and {name!r} would both be called {label!r} in "
                "the tables; name each once, and rename one of the files."
            )
        found[label] = name
    return found


def evaluated_pairs(
    findings: str,
    cases: CaseSet,
    references: ReferenceSet | None,
    classifier: Classifier,
    limit: int | None,
) -> list[tuple[str, str]]:
    """Choose pairs of case and finding; ``"positive"`` asks reference standard and classifier.

    Raises
    ------
    ExplainerError
        If positives are asked for without a reference standard, or a name is unknown.
    """
    from explainers.run import predict_cases

    check_findings(findings, classifier.findings, FINDING_WORDS)
    with progress_bar("predictions") as advance:
        predictions = pd.DataFrame(predict_cases(cases, classifier, on_progress=advance))
    if findings == "positive":
        if references is None:
            raise ExplainerError(
                "Without a reference standard there are no known positives; choose --findings "
                "predicted, all, or names of findings."
            )
        predicted = choose_pairs("predicted", cases, predictions, classifier.findings)
        pairs = [
            (case_id, finding)
            for case_id, finding in predicted
            if case_id in references and references.get(case_id).findings.get(finding)
        ]
    else:
        pairs = choose_pairs(findings, cases, predictions, classifier.findings)
    if limit is None:
        return pairs
    seen: dict[str, int] = {}
    kept = []
    for case_id, finding in pairs:
        seen[finding] = seen.get(finding, 0) + 1
        if seen[finding] <= limit:
            kept.append((case_id, finding))
    return kept
