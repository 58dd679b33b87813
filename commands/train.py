"""``counterlight train``: train, resume and evaluate the networks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import torch

from commands.progress import progress_bar
from commands.training import (
    DIRECTORY,
    FILE,
    now,
    shared_options,
    stop_on_interrupt,
    training_bar,
    training_job,
)
from explainers.base import ExplainerError
from explainers.checkpoint import read_kind, weights_path
from explainers.classifiers.networks import ARCHITECTURES
from explainers.classifiers.ours import OurClassifier, load_classifier
from explainers.generators.autoencoder import OurAutoencoder, load_autoencoder
from explainers.generators.networks import AUTOENCODERS, autoencoder_shape
from explainers.generators.stylegan2 import StyleGANShape
from explainers.training.autoencoder import LossWeights, train_autoencoder
from explainers.training.card import to_json, write_text
from explainers.training.classifier import train_classifier
from explainers.training.films import open_films
from explainers.training.held_out import (
    AutoencoderFigures,
    ClassifierFigures,
    evaluate_autoencoder,
    evaluate_classifier,
)
from explainers.training.loop import EpochRecord
from explainers.training.publish import (
    draw_reconstructions,
    publish_autoencoder,
    publish_classifier,
    publish_stylegan2,
    read_parameters,
)
from explainers.training.stylegan2 import (
    StyleGANSettings,
    collapse_warnings,
    train_stylegan2,
)


@click.group("train")
def command() -> None:
    """Train the networks on a case set, and measure them on held-out patients."""


@command.command("classifier")
@shared_options(learning_rate=2e-3, batch_size=32)
@click.option("--arch", default="small", show_default=True, type=click.Choice(list(ARCHITECTURES)))
@click.option(
    "--counterfactuals/--films-only",
    default=False,
    show_default=True,
    help="Learn from the films without a finding, too.",
)
def classifier_command(arch: str, counterfactuals: bool, **shared: Any) -> None:
    """Train the multi-label classifier, calibrate it, and write its card."""
    job = training_job(**shared)
    films = job.films()
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        classifier, run = train_classifier(
            films,
            job.settings,
            job.folder,
            architecture=arch,
            clock=time.monotonic,
            counterfactuals=counterfactuals,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_classifier(
        job.out,
        classifier,
        run,
        films,
        job.settings,
        created=now(),
        parameters=read_parameters(job.cases),
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    _show(figures)
    click.echo(f"Wrote {job.out} with its card and evaluation.")


@command.command("autoencoder")
@shared_options(learning_rate=1.5e-3, batch_size=16)
@click.option("--arch", default="small", show_default=True, type=click.Choice(list(AUTOENCODERS)))
@click.option("--latent-channels", type=click.IntRange(1, 512), help="[default: the arch's own]")
@click.option(
    "--counterfactuals/--films-only",
    default=True,
    show_default=True,
    help="Learn from the films without a finding, too.",
)
@click.option(
    "--perceptual",
    help="A classifier whose features the loss compares; never the one to be explained.",
)
@click.option("--perceptual-weight", default=LossWeights.perceptual, show_default=True)
@click.option("--logit-weight", default=LossWeights.perceptual_logits, show_default=True)
@click.option("--latent-noise", default=LossWeights.latent_noise, show_default=True)
@click.option(
    "--mask-attention",
    default=LossWeights.mask_attention,
    show_default=True,
    help="Weighted area of each finding's mask, as a share of the film.",
)
@click.option("--classifier", help="The classifier to be explained, to measure its shift.")
def autoencoder_command(
    arch: str,
    latent_channels: int | None,
    counterfactuals: bool,
    perceptual: str | None,
    perceptual_weight: float,
    logit_weight: float,
    latent_noise: float,
    mask_attention: float,
    classifier: str | None,
    **shared: Any,
) -> None:
    """Train the autoencoder and write its card."""
    job = training_job(**shared)
    shape = autoencoder_shape(arch, latent_channels)
    helper = load_classifier(perceptual) if perceptual else None
    explained = load_classifier(classifier) if classifier else None
    if helper and explained and helper.weights_digest == explained.weights_digest:
        raise ExplainerError(
            "--perceptual and --classifier name the same network; a generator trained against the "
            "classifier it explains learns to please it. Train a helper with another seed."
        )
    films = job.films()
    weights = LossWeights(
        perceptual=perceptual_weight,
        perceptual_logits=logit_weight,
        latent_noise=latent_noise,
        mask_attention=mask_attention,
    )
    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        autoencoder, run = train_autoencoder(
            films,
            job.settings,
            job.folder,
            shape=shape,
            clock=time.monotonic,
            weights=weights,
            perceptual=helper,
            counterfactuals=counterfactuals,
            fresh=job.fresh,
            on_step=on_step,
            cancelled=cancelled,
        )
    figures = publish_autoencoder(
        job.out,
        autoencoder,
        run,
        films,
        job.settings,
        created=now(),
        architecture=arch,
        weights=weights,
        picture=job.folder / "reconstructions.png",
        classifier=explained,
        perceptual=helper,
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    _show(figures)
    click.echo(f"Wrote {job.out} with its card; pictures in {job.folder}.")


@command.command("stylegan2")
@shared_options(learning_rate=2.5e-3, batch_size=16)
@click.option("--channel-base", default=StyleGANShape.channel_base, show_default=True)
@click.option("--channel-limit", default=StyleGANShape.channel_limit, show_default=True)
@click.option("--r1", default=StyleGANSettings.r1, show_default=True, help="Weight of R1.")
@click.option("--path-length", default=StyleGANSettings.path_length, show_default=True)
@click.option(
    "--features",
    required=True,
    help="A classifier in whose features samples and films are compared; no part of the training.",
)
@click.option(
    "--validate-every",
    default=500,
    show_default=True,
    type=click.IntRange(1),
    help="Steps between grids of samples with their distances.",
)
@click.option("--counterfactuals/--films-only", default=True, show_default=True)
@click.option(
    "--grow-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Begin with the state.safetensors of a training at a smaller --size.",
)
def stylegan2_command(
    channel_base: int,
    channel_limit: int,
    r1: float,
    path_length: float,
    features: str,
    validate_every: int,
    counterfactuals: bool,
    grow_from: Path | None,
    **shared: Any,
) -> None:
    """Train a StyleGAN2 generator of films, without any classifier, and write its card."""
    job = training_job(**shared)
    shape = StyleGANShape(job.size, channel_base, channel_limit)
    options = StyleGANSettings(r1=r1, path_length=path_length)
    measuring = load_classifier(features)
    films = job.films()
    history: list[EpochRecord] = []

    def tell(record: EpochRecord) -> None:
        history.append(record)
        figures = ", ".join(f"{name} {value:.3g}" for name, value in record.validation.items())
        click.echo(f"step {record.step}: {figures}", err=True)
        for warning in collapse_warnings(tuple(history)):
            click.echo(f"Warning: {warning}", err=True)

    with training_bar() as on_step, stop_on_interrupt() as cancelled:
        generator, run = train_stylegan2(
            films,
            job.settings,
            job.folder,
            shape=shape,
            features=measuring,
            clock=time.monotonic,
            options=options,
            counterfactuals=counterfactuals,
            grow_from=grow_from,
            validate_every=validate_every,
            fresh=job.fresh,
            on_step=on_step,
            on_validation=tell,
            cancelled=cancelled,
        )
    figures = publish_stylegan2(
        job.out,
        generator,
        run,
        films,
        job.settings,
        created=now(),
        options=options,
        features=measuring,
        counterfactuals=counterfactuals,
        validation_share=job.validation_share,
    )
    click.echo(
        f"Fréchet distance {figures.frechet:.3g} (two halves of the films "
        f"{figures.frechet_of_films:.3g}), precision {figures.precision:.2f}, recall "
        f"{figures.recall:.2f}, {figures.n_images} images"
    )
    click.echo(f"Wrote {job.out} with its card; samples in {job.folder}.")


@command.command("evaluate")
@click.argument("network")
@click.option("--cases", required=True, type=DIRECTORY, help="Case set with the held-out films.")
@click.option("--classifier", help="For an autoencoder: the classifier to be explained.")
@click.option("--split", default="test", type=click.Choice(["val", "test"]), show_default=True)
@click.option("--validation-share", default=0.1, show_default=True)
@click.option("--work", default=Path("var/training"), show_default=True, type=DIRECTORY)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option("--out", type=FILE, help="JSON file.  [default: <network>.evaluation.json]")
def evaluate_command(
    network: str,
    cases: Path,
    classifier: str | None,
    split: Any,
    validation_share: float,
    work: Path,
    threads: int,
    out: Path | None,
) -> None:
    """Measure NETWORK (a file or a shipped name) on held-out patients."""
    torch.set_num_threads(threads)
    path = weights_path(network)
    figures: ClassifierFigures | AutoencoderFigures
    explained = load_classifier(classifier) if classifier else None
    trained: OurClassifier | OurAutoencoder = (
        load_classifier(path) if read_kind(path) == "classifier" else load_autoencoder(path)
    )
    with progress_bar("films read") as advance:
        films = open_films(
            cases,
            trained.input_size[0],
            work / "cache",
            validation_share=validation_share,
            on_progress=advance,
        )
    if isinstance(trained, OurClassifier):
        figures = evaluate_classifier(
            trained, films, split=split, parameters=read_parameters(cases)
        )
    else:
        figures = evaluate_autoencoder(trained, films, split=split, classifier=explained)
        draw_reconstructions(work / path.stem / "reconstructions.png", trained, films)
    target = out or path.with_suffix(".evaluation.json")
    write_text(target, to_json(figures))
    _show(figures)
    click.echo(f"Wrote {target}")


def _show(figures: ClassifierFigures | AutoencoderFigures) -> None:
    if isinstance(figures, ClassifierFigures):
        for f in figures.findings:
            thirds = " ".join(f"{value:.2f}" for value in f.sensitivity_by_severity)
            free = f", tube-free AUC {f.auc_tube_free.value:.3f}" if f.auc_tube_free else ""
            click.echo(
                f"{f.finding:<14} AUC {f.auc.value:.3f} ({f.auc.low:.3f}–{f.auc.high:.3f}){free}, "
                f"sensitivity {f.sensitivity:.2f} [{thirds}], specificity {f.specificity:.2f}"
            )
            if f.auc_tube_disagrees is not None and f.auc_tube_disagrees.value < 0.5:
                click.echo(
                    f"{'':<14} trusts the chest tube: AUC {f.auc_tube_disagrees.value:.3f} where "
                    f"tube and finding disagree, {f.tube_alone_called:.0%} of healthy films with a "
                    "tube called positive"
                )
        return
    click.echo(
        f"MAE {figures.error:.2f}/255, in masks {figures.error_in_masks:.2f}/255, "
        f"{figures.n_films} films"
    )
    for r in figures.findings:
        shift = "–" if r.probability_shift is None else f"{r.probability_shift:.3f}"
        click.echo(f"{r.finding:<14} in mask {r.error_in_mask:.2f}/255, |shift of f| {shift}")
