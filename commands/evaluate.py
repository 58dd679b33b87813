"""``counterlight evaluate``: how good explanations are, by six benches."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pandas as pd

from commands.explain import choose_pairs
from commands.progress import progress_bar
from data.manifest import CaseSet
from data.reference import REFERENCE_FILE, ReferenceSet
from explainers.base import ExplainerError
from explainers.evaluation.bench import BENCHES, Setting, create_bench, run_bench
from explainers.evaluation.report import write_report

if TYPE_CHECKING:
    from explainers.classifiers.base import Classifier

DEFAULT_METHODS = "input_gradients,guided_backprop,integrated_gradients,latent_shift"
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
@click.option("--autoencoder", "autoencoder_name", default="phantom-autoencoder", show_default=True)
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
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
def command(
    bench: str,
    cases_dir: Path,
    methods: str,
    out: Path,
    classifier_names: tuple[str, ...],
    autoencoder_name: str,
    oracle_name: str | None,
    findings: str,
    limit: int | None,
    seed: int,
    threads: int,
) -> None:
    """Measure explanations of a case set by BENCH.

    Writes <bench>.csv (every number), <bench>.summary.csv (means with intervals), <bench>.json and
    <bench>.html. An interrupted run goes on where it stopped.
    """
    measure = create_bench(bench)
    cases = CaseSet.open(cases_dir)
    references = ReferenceSet.open(cases_dir) if (cases_dir / REFERENCE_FILE).is_file() else None
    import torch  # only now: a wrong name or folder is reported at once

    from explainers.classifiers.opening import open_classifier
    from explainers.generators.opening import open_autoencoder

    torch.set_num_threads(threads)
    classifiers = {Path(name).stem: open_classifier(name) for name in classifier_names}
    pairs = evaluated_pairs(findings, cases, references, next(iter(classifiers.values())), limit)
    setting = Setting(
        cases=cases,
        references=references,
        classifiers=classifiers,
        autoencoder=open_autoencoder(autoencoder_name),
        oracle=open_classifier(oracle_name) if oracle_name else None,
        methods=tuple(name.strip() for name in methods.split(",") if name.strip()),
        pairs=tuple(pairs),
        seed=seed,
        explanations=out / "explanations",
    )
    with progress_bar("pairs") as advance:
        rows = run_bench(measure, setting, out, on_progress=advance)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    for path in write_report(measure, setting, rows, out, created=created):
        click.echo(f"Wrote {path}")


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
