"""The last step of each training of a WGAN: weights, held-out figures, pictures, card.

Generator, encoder and heads are trained one after the other and stand in one file. Its card
(``<name>.json`` and ``<name>.md``) has a section per training; a later one keeps the earlier
sections of the file it began with. ``<name>.evaluation.json`` holds the figures by section.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from explainers.base import ExplainerError
from explainers.checkpoint import file_digest
from explainers.classifiers.ours import OurClassifier
from explainers.generators.wgan import KIND, WGAN, load_wgan, save_wgan
from explainers.training.adversarial import AdversarialRun
from explainers.training.card import TrainingData, describe_data, to_json, write_text
from explainers.training.films import Films
from explainers.training.held_out import GeneratorFigures, Interval
from explainers.training.images import ImageSource
from explainers.training.latent_evaluation import (
    FindingHeadFigures,
    RegressorFigures,
    evaluate_findings,
    evaluate_regressors,
)
from explainers.training.latent_regressor import HeadSettings, HeartFailureTable
from explainers.training.loop import LoopSettings, TrainingRun
from explainers.training.stylegan2 import FRECHET, draw_grid
from explainers.training.wgan import WGANSettings
from explainers.training.wgan_encoder import EncoderFigures, EncoderSettings, evaluate_encoder
from explainers.training.wgan_figures import Curve, draw_curves, draw_roc
from explainers.training.wgan_measures import DISTANCE, PENALTY, TRAINING_DISTANCE, evaluate_wgan

GENERATOR, ENCODER, HEADS = "generator", "encoder", "heads"
_ORDER = (GENERATOR, ENCODER, HEADS)
_LIMITS = (
    "Trained on simulated films: figures say nothing about real radiographs, and real radiographs "
    "give meaningless output.",
    "The BNP is simulated; no number here is a laboratory result.",
    "A film is only approached by G(E(x)): a rationale explains the reconstruction.",
    "For research on explanations. Not a medical device.",
)


@dataclass(frozen=True)
class HeadsFigures:
    """What is measured of the heads on held-out films."""

    regressors: tuple[RegressorFigures, ...]
    findings: tuple[FindingHeadFigures, ...]


@dataclass(frozen=True)
class Section:
    """One training in the card.

    Parameters
    ----------
    name
        ``"generator"``, ``"encoder"`` or ``"heads"``.
    created
        ISO date and time.
    data
        What it was trained on.
    epochs, minutes
        Length of the run.
    settings, options
        How.
    history
        Figures along the run.
    figures
        On held-out patients.
    text
        The same for people, line by line.
    """

    name: str
    created: str
    data: TrainingData
    epochs: float
    minutes: float
    settings: Mapping[str, Any]
    options: Mapping[str, Any]
    history: tuple[Any, ...]
    figures: GeneratorFigures | EncoderFigures | HeadsFigures
    text: tuple[str, ...]


def publish_wgan(
    path: Path,
    wgan: WGAN,
    run: AdversarialRun,
    films: Films,
    settings: LoopSettings,
    *,
    created: str,
    options: WGANSettings,
    features: OurClassifier,
    folder: Path,
    begin_with: Path | None = None,
    counterfactuals: bool = True,
    validation_share: float = 0.1,
) -> GeneratorFigures:
    """Save a generator, measure it as saved (float16), write curves, evaluation and card.

    Raises
    ------
    ExplainerError
        If the weights are not finite, there are too few held-out films, or the disk refuses.
    """
    save_wgan(path, wgan)
    figures = evaluate_wgan(load_wgan(path), films, features)
    draw_critic_curves(folder / "curves.png", run)
    n_images = len(films.rows("train", counterfactuals=counterfactuals))
    begun = "random weights" if begin_with is None else "the decoder of a variational autoencoder"
    section = Section(
        name=GENERATOR,
        created=created,
        data=describe_data(
            films, n_images, counterfactuals=counterfactuals, validation_share=validation_share
        ),
        epochs=run.epochs,
        minutes=run.spent_s / 60,
        settings=asdict(settings),
        options={**asdict(options), "begun with": begun},
        history=run.history,
        figures=figures,
        text=(
            f"WGAN with gradient penalty, {run.step:,} steps of the critic "
            f"({options.critic_steps} per step of the generator), batches of "
            f"{settings.batch_size}, Adam ({options.beta1:g}, {options.beta2:g}) at "
            f"{settings.learning_rate:g}, {run.spent_s / 60:.0f} minutes; begun with {begun}"
            + (
                f", anchored to its encoder with weight {options.anchor:g}"
                if options.anchor
                else ""
            )
            + ".",
            f"Samples against {figures.n_images} held-out films, in the features of "
            f"{figures.features[:16]}…: Fréchet distance {figures.frechet:.3g} (halves of the "
            f"films {figures.frechet_of_films:.3g}), precision {figures.precision:.2f}, recall "
            f"{figures.recall:.2f}.",
        ),
    )
    _write(path, wgan, section, None)
    return figures


def publish_encoder(
    path: Path,
    wgan: WGAN,
    run: TrainingRun,
    films: Films,
    settings: LoopSettings,
    *,
    created: str,
    options: EncoderSettings,
    folder: Path,
    source: Path,
    counterfactuals: bool = True,
    validation_share: float = 0.1,
) -> EncoderFigures:
    """Save generator and encoder, measure G(E(x)), draw the reconstructions and loss curves.

    ``source`` is the file whose generator it was trained for; its section is kept.

    Raises
    ------
    ExplainerError
        If the weights are not finite, there are no held-out films, or the disk refuses.
    """
    before = read_sections(source)
    save_wgan(path, wgan)
    saved = load_wgan(path)
    figures = evaluate_encoder(saved, films, levels=options.levels)
    draw_pairs(folder / "reconstructions.png", saved, films)
    draw_encoder_curves(folder / "curves.png", run)
    n_images = len(films.rows("train", counterfactuals=counterfactuals))
    section = Section(
        name=ENCODER,
        created=created,
        data=describe_data(
            films, n_images, counterfactuals=counterfactuals, validation_share=validation_share
        ),
        epochs=run.epochs,
        minutes=run.spent_s / 60,
        settings=asdict(settings),
        options=asdict(options),
        history=run.history,
        figures=figures,
        text=(
            f"Trained against the frozen generator for {run.epochs:.1f} epochs in "
            f"{run.spent_s / 60:.0f} minutes; Laplacian pyramid of {options.levels} levels, "
            f"{options.latent:g} × squared error of E(G(z)), {options.shell:g} × shell.",
            f"G(E(x)) on {figures.n_images} held-out films: mean absolute error "
            f"{figures.error:.2f} of 255 grey levels (95 % of films below {figures.error_95:.2f}; "
            f"the mean film would have {figures.error_of_mean:.2f}); |E(x)|/√d "
            f"{figures.norm:.2f}, 95th percentile {figures.norm_95:.2f}; mean squared error of "
            f"E(G(z)) {figures.latent_error:.2f} (1 for an encoder that says 0).",
        ),
    )
    _write(path, saved, section, before)
    return figures


def publish_heads(
    path: Path,
    wgan: WGAN,
    films: Films,
    table: HeartFailureTable,
    settings: HeadSettings,
    *,
    created: str,
    folder: Path,
    source: Path,
    counterfactuals: bool = True,
    validation_share: float = 0.1,
) -> HeadsFigures:
    """Save generator, encoder and heads, measure the heads, draw the ROC curves.

    Raises
    ------
    ExplainerError
        If the weights are not finite, a class is missing, or the disk refuses.
    """
    before = read_sections(source)
    save_wgan(path, wgan)
    saved = load_wgan(path)
    regressors, curves = evaluate_regressors(saved, films, table)
    figures = HeadsFigures(regressors, evaluate_findings(saved, films))
    areas = {each.head: each.auc for each in regressors}
    areas[curves[-1].name] = regressors[0].best_auc
    draw_roc(folder / "roc.png", [(curve, areas[curve.name]) for curve in curves])
    n_images = len(films.rows("train", counterfactuals=counterfactuals))
    section = Section(
        name=HEADS,
        created=created,
        data=describe_data(
            films, n_images, counterfactuals=counterfactuals, validation_share=validation_share
        ),
        epochs=float(settings.epochs),
        minutes=0.0,
        settings=asdict(settings),
        options={},
        history=(),
        figures=figures,
        text=heads_text(figures),
    )
    _write(path, saved, section, before)
    return figures


def heads_text(figures: HeadsFigures) -> tuple[str, ...]:
    """The figures of the heads as lines, 'simulated' said in every one about BNP."""
    lines = []
    for each in figures.regressors:
        lines.append(
            f"{each.head}: simulated BNP > 100 ng/L on {each.n_films} held-out films "
            f"({each.n_positive} above): AUC {_interval(each.auc)}, {each.share_of_best:.0%} of "
            f"the best attainable {_interval(each.best_auc)}, {each.share_above_chance:.0%} of "
            f"its lead over chance (paper, real films: {each.paper_auc:.3f}); R² of the simulated "
            f"ln BNP {each.r_squared:.2f}, best attainable {each.best_r_squared:.2f}; sensitivity "
            f"{each.sensitivity:.2f}, specificity {each.specificity:.2f} at the threshold."
        )
    found = ", ".join(f"{each.finding} {each.auc.value:.3f}" for each in figures.findings)
    if found:
        lines.append(f"findings (linear in z), AUC on held-out films: {found}.")
    return tuple(lines)


def read_sections(path: Path) -> Mapping[str, Any] | None:
    """Sections of the card beside a weights file, by name; ``None`` if it has no card.

    Raises
    ------
    ExplainerError
        If there is a card that cannot be read.
    """
    card = path.with_suffix(".json")
    if not card.is_file():
        return None
    try:
        sections = json.loads(card.read_text(encoding="utf-8"))["sections"]
        return {str(each["name"]): each for each in sections}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExplainerError(
            f"{card} is no card of a WGAN ({error}); move it away, or train the generator again."
        ) from error


@torch.no_grad()
def draw_pairs(path: Path, wgan: WGAN, images: ImageSource, *, n: int = 24) -> None:
    """Draw held-out images in rows of eight above their reconstructions (the paper's Fig. 1).

    Raises
    ------
    ExplainerError
        If there are none, or the disk refuses.
    """
    rows = images.rows("test")[:n]
    if not len(rows):
        raise ExplainerError("There are no held-out images to draw.")
    films = images.image_batch(np.asarray(rows))
    rebuilt = wgan(films)
    parts = []
    for start in range(0, len(films), 8):
        for block in (films[start : start + 8], rebuilt[start : start + 8]):
            missing = 8 - len(block)
            parts += [block, block.new_zeros(missing, *block.shape[1:])]
    draw_grid(torch.cat(parts), path)


def draw_critic_curves(path: Path, run: AdversarialRun) -> None:
    """Draw distance, penalty and, where measured, Fréchet distance along a WGAN training."""
    if not run.history:
        return
    steps = [float(record.step) for record in run.history]
    curves = [
        Curve(name, steps, [float(record.validation[name]) for record in run.history])
        for name in (TRAINING_DISTANCE, DISTANCE, PENALTY, FRECHET)
        if name in run.history[0].validation
    ]
    panels = [curves[:2], *[[curve] for curve in curves[2:]]]
    draw_curves(path, panels, axis="steps of the critic")


def draw_encoder_curves(path: Path, run: TrainingRun) -> None:
    """Draw training loss and validation figures by epoch (the paper's Fig. 2)."""
    if not run.history:
        return
    steps = [float(record.step) for record in run.history]
    loss = Curve("training loss", steps, [record.loss for record in run.history])
    held_out = Curve(
        "pyramid loss, validation films",
        steps,
        [float(record.validation["pyramid"]) for record in run.history],
    )
    latent = Curve(
        "latent error on samples",
        steps,
        [float(record.validation["latent error"]) for record in run.history],
    )
    draw_curves(path, [[loss, held_out], [latent]], axis="steps")


def _write(path: Path, wgan: WGAN, section: Section, before: Mapping[str, Any] | None) -> None:
    """Write card and evaluation with the earlier sections that this one builds on."""
    kept = dict(before or {})
    for name in _ORDER[_ORDER.index(section.name) :]:
        kept.pop(name, None)  # what was trained on the old part is no longer in the file
    sections = [kept[name] for name in _ORDER if name in kept]
    sections.append(json.loads(to_json(section)))
    card = {
        "name": path.stem,
        "kind": KIND,
        "weights_digest": file_digest(path),
        "shape": asdict(wgan.shape),
        "n_parameters": sum(each.numel() for each in wgan.parameters()),
        "simulated": bool(section.data.simulator),
        "sections": sections,
        "limits": list(_LIMITS),
    }
    write_text(path.with_suffix(".json"), json.dumps(card, indent=2, allow_nan=False) + "\n")
    write_text(path.with_suffix(".md"), _markdown(card))
    figures = {each["name"]: each["figures"] for each in sections}
    write_text(
        path.with_suffix(".evaluation.json"),
        json.dumps(figures, indent=2, allow_nan=False) + "\n",
    )


def _markdown(card: Mapping[str, Any]) -> str:
    shape, sections = card["shape"], card["sections"]
    films = "simulated films only. **Not for patients.**" if card["simulated"] else "films."
    lines = [
        f"# {card['name']}",
        "",
        f"A Wasserstein GAN ({shape['size']} px, z of {shape['latent']} numbers, "
        f"{card['n_parameters']:,} parameters) with {_parts(sections)}, trained on {films}",
        "",
    ]
    for section in sections:
        data = section["data"]
        lines += [
            f"## {str(section['name']).capitalize()}",
            "",
            f"- {data['n_training_images']:,} training images at {data['size_px']} px of the case "
            f"set {str(data['case_set_digest'])[:16]}… ({data['n_films']:,} films, "
            f"{data['n_patients']:,} patients"
            + (f", simulator {data['simulator']}" if data["simulator"] else "")
            + f"); split {data['split']}",
            *[f"- {line}" for line in section["text"]],
            f"- Written {section['created']}",
            "",
        ]
    lines += ["## Limits", "", *[f"- {sentence}" for sentence in card["limits"]], ""]
    return "\n".join([*lines, f"Weights: SHA-256 `{card['weights_digest']}`."]) + "\n"


def _parts(sections: Sequence[Mapping[str, Any]]) -> str:
    names = {str(section["name"]) for section in sections}
    if HEADS in names:
        return "an encoder and heads on its latent"
    return "an encoder" if ENCODER in names else "no encoder yet"


def _interval(interval: Interval) -> str:
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"
