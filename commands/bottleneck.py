"""``counterlight bottleneck``: what the size of the autoencoder's bottleneck changes."""

from __future__ import annotations

from pathlib import Path

import click

from commands.evaluate import classifier_labels, evaluated_pairs, run_and_report
from data.manifest import CaseSet
from data.reference import REFERENCE_FILE, ReferenceSet
from explainers.evaluation.bench import Setting

_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command("bottleneck")
@click.option("--cases", "cases_dir", required=True, type=_DIRECTORY, help="Case set.")
@click.option(
    "--autoencoder",
    "autoencoder_names",
    multiple=True,
    required=True,
    help="Shipped name, .safetensors file or module:factory; give it at least twice.",
)
@click.option("--classifier", "classifier_name", default="phantom-classifier", show_default=True)
@click.option("--out", required=True, type=_DIRECTORY)
@click.option(
    "--findings",
    default="positive",
    show_default=True,
    help="As for `counterlight evaluate`.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many cases per finding.")
@click.option("--examples", default=6, show_default=True, type=click.IntRange(1, 60))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
def command(
    cases_dir: Path,
    autoencoder_names: tuple[str, ...],
    classifier_name: str,
    out: Path,
    findings: str,
    limit: int | None,
    examples: int,
    seed: int,
    threads: int,
) -> None:
    """Compare autoencoders of several sizes under one-step Latent Shift.

    Writes bottleneck.csv, .summary.csv, .json, .html and bottleneck.png with examples. An
    interrupted run goes on where it stopped.
    """
    cases = CaseSet.open(cases_dir)
    references = ReferenceSet.open(cases_dir) if (cases_dir / REFERENCE_FILE).is_file() else None
    import torch  # only now: a wrong name or folder is reported at once

    from explainers.classifiers.opening import open_classifier
    from explainers.evaluation.bottleneck import (
        Bottleneck,
        Candidate,
        check_candidates,
        make_examples,
    )
    from explainers.evaluation.bottleneck_pictures import write_grid
    from explainers.generators.opening import open_autoencoder

    torch.set_num_threads(threads)
    classifier = open_classifier(classifier_name)
    [label] = classifier_labels([classifier_name])
    candidates = tuple(
        Candidate(Path(name).stem, open_autoencoder(name)) for name in autoencoder_names
    )
    check_candidates(candidates, classifier)
    pairs = evaluated_pairs(findings, cases, references, classifier, limit)
    setting = Setting(
        cases=cases,
        references=references,
        classifiers={label: classifier},
        networks={},
        oracle=None,
        methods=("latent_shift",),
        pairs=tuple(pairs),
        seed=seed,
        explanations=out / "explanations",
    )
    bench = Bottleneck(candidates)
    run_and_report(bench, setting, out)
    picture = out / "bottleneck.png"
    write_grid(make_examples(setting, classifier, candidates, examples), picture)
    click.echo(f"Wrote {picture}")
