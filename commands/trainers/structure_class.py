"""``counterlight train structure-class-gan``: a generator whose findings can be switched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from commands.training import now, shared_options, stop_on_interrupt, training_bar, training_job
from explainers.classifiers.ours import load_classifier
from explainers.generators.structure_class import StructureClassShape
from explainers.generators.stylegan2 import StyleGANShape
from explainers.training.class_control import StructureClassSettings, class_warnings
from explainers.training.loop import EpochRecord
from explainers.training.publish_structure_class import publish_structure_class
from explainers.training.structure_class import train_structure_class


@click.command("structure-class-gan")
@shared_options(learning_rate=2e-3, batch_size=16)
@click.option("--classifier", required=True, help="The frozen classifier that z2 controls.")
@click.option(
    "--finding",
    "findings",
    multiple=True,
    help="A finding with a block in z2; repeat it.  [default: all of the classifier]",
)
@click.option(
    "--features",
    default="phantom-oracle",
    show_default=True,
    help="A classifier in whose features samples and films are compared, and that judges the "
    "finished generator, too; no part of the training.",
)
@click.option("--channel-base", default=StyleGANShape.channel_base, show_default=True)
@click.option("--channel-limit", default=StyleGANShape.channel_limit, show_default=True)
@click.option("--block", default=StructureClassShape.block, show_default=True, help="Size of z2.")
@click.option(
    "--class-weight",
    default=StructureClassSettings.class_weight,
    show_default=True,
    help="Weight of -log p_c(y | G) beside the adversarial loss.",
)
@click.option(
    "--compact-weight",
    default=StructureClassSettings.compact_weight,
    show_default=True,
    help="Weight of the change of brightness by a finding; 0 as in the papers.",
)
@click.option("--r1", default=StructureClassSettings.r1, show_default=True, help="Weight of R1.")
@click.option(
    "--validate-every", default=500, show_default=True, type=click.IntRange(1), help="In steps."
)
@click.option("--counterfactuals/--films-only", default=True, show_default=True)
@click.option(
    "--start-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Begin with the state.safetensors of a `train stylegan2` of the same sizes, or of "
    "another run of this command.",
)
@click.option("--structures", default=1000, show_default=True, help="In the final class agreement.")
def command(
    classifier: str,
    findings: tuple[str, ...],
    features: str,
    channel_base: int,
    channel_limit: int,
    block: int,
    class_weight: float,
    compact_weight: float,
    r1: float,
    validate_every: int,
    counterfactuals: bool,
    start_from: Path | None,
    structures: int,
    **shared: Any,
) -> None:
    """Train G(z1, z2): z1 is the structure of a chest, z2 its findings; and write its card."""
    job = training_job(**shared)
    explained, measuring = load_classifier(classifier), load_classifier(features)
    shape = StructureClassShape(
        findings or explained.findings,
        StyleGANShape(job.size, channel_base, channel_limit),
        block=block,
    )
    options = StructureClassSettings(
        class_weight=class_weight, compact_weight=compact_weight, r1=r1
    )
    films = job.films()
    history: list[EpochRecord] = []

    def tell(record: EpochRecord) -> None:
        history.append(record)
        figures = ", ".join(f"{name} {value:.3g}" for name, value in record.validation.items())
        click.echo(f"\nstep {record.step}: {figures}", err=True)
        for warning in class_warnings(tuple(history)):
            click.echo(f"Warning: {warning}", err=True)

    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        generator, run = train_structure_class(
            films,
            job.settings,
            job.folder,
            shape=shape,
            classifier=explained,
            features=measuring,
            clock=time.monotonic,
            options=options,
            counterfactuals=counterfactuals,
            start=start_from,
            validate_every=validate_every,
            fresh=job.fresh,
            on_step=on_step,
            on_validation=tell,
            cancelled=cancelled,
        )
    figures = publish_structure_class(
        job.out,
        generator,
        run,
        films,
        job.settings,
        created=now(),
        options=options,
        classifier=explained,
        features=measuring,
        start=start_from,
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
        n_structures=structures,
    )
    for judged in figures.agreement:
        click.echo(
            f"Class agreement by {judged.judge[:12]}: {judged.as_counted:.3f} as the paper counts "
            f"it, {judged.balanced:.3f} balanced"
        )
    click.echo(f"Wrote {job.out} with its card; samples in {job.folder}.")
