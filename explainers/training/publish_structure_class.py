"""The last step of training a structure/class generator: weights, held-out figures, card."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from explainers.checkpoint import file_digest
from explainers.classifiers.ours import OurClassifier
from explainers.evaluation.class_agreement import ClassAgreement, class_agreements
from explainers.evaluation.distances import frechet, set_distance
from explainers.generators.structure_class import (
    KIND,
    StructureClass,
    StructureClassGenerator,
    drawn_classes,
    load_structure_class,
    save_structure_class,
    sizes_of,
)
from explainers.training.adversarial import AdversarialRun
from explainers.training.card import describe_data, make_card, to_json, write_card, write_text
from explainers.training.class_control import StructureClassSettings, labels_of
from explainers.training.films import Films, Split
from explainers.training.held_out import GeneratorFigures
from explainers.training.loop import LoopSettings, batches, seeded
from explainers.training.stylegan2 import pooled_features


@dataclass(frozen=True)
class StructureClassFigures:
    """What is measured of a finished generator.

    Parameters
    ----------
    samples
        Distances of samples from held-out films.
    agreement
        Class agreement by the classifier it was trained with, then by the independent one.
    """

    samples: GeneratorFigures
    agreement: tuple[ClassAgreement, ...]


def publish_structure_class(
    path: Path,
    generator: StructureClassGenerator,
    run: AdversarialRun,
    films: Films,
    settings: LoopSettings,
    *,
    created: str,
    options: StructureClassSettings,
    classifier: OurClassifier,
    features: OurClassifier,
    start: Path | None = None,
    counterfactuals: bool = True,
    validation_share: float = 0.1,
    n_structures: int = 1000,
) -> StructureClassFigures:
    """Save a generator, measure it as saved (float16), write evaluation and card beside it.

    Raises
    ------
    ExplainerError
        If the weights are not finite, there are too few held-out films, or the disk refuses.
    """
    save_structure_class(path, generator, classifier.weights_digest)
    saved = load_structure_class(path)
    figures = evaluate_structure_class(
        saved, films, classifier, features, n_structures=n_structures
    )
    write_text(path.with_suffix(".evaluation.json"), to_json(figures))
    shape = saved.generator.shape
    n_images = len(films.rows("train", counterfactuals=counterfactuals))
    card = make_card(
        path,
        kind=KIND,
        architecture=f"{shape.synthesis.size} px, z1 of {shape.synthesis.latent} numbers, z2 of "
        f"{len(shape.findings)} × {shape.block}",
        n_parameters=sum(each.numel() for each in saved.parameters()),
        weights_digest=file_digest(path),
        created=created,
        data=describe_data(
            films, n_images, counterfactuals=counterfactuals, validation_share=validation_share
        ),
        settings=settings,
        options={
            "shape": sizes_of(shape),
            "training": asdict(options),
            "frozen classifier": classifier.weights_digest,
            "begun with": "random weights"
            if start is None
            else f"the checkpoint of another training ({start.parent.name})",
            **{_judged(each): _said(each) for each in figures.agreement},
        },
        run=run,
        held_out=figures.samples,
    )
    extra = (
        "z2 was trained to please one classifier: what it draws is what that classifier calls the "
        "finding, which the agreement with the independent classifier bounds.",
        "A film is only approached by G(z1, z2); what it loses is stated with every explanation.",
    )
    about_all = tuple(each for each in card.limits if "D(E(x))" not in each)  # no autoencoder
    write_card(path, replace(card, limits=(*extra, *about_all)))
    return figures


def evaluate_structure_class(
    network: StructureClass,
    films: Films,
    classifier: OurClassifier,
    features: OurClassifier,
    *,
    split: Split = "test",
    limit: int = 2000,
    n_structures: int = 1000,
    seed: int = 0,
) -> StructureClassFigures:
    """Compare samples with held-out films, and let two classifiers judge the classes.

    Raises
    ------
    ExplainerError
        If the split has too few films, or a network does not know a finding.
    """
    rows = films.rows(split)[:limit]
    labels = labels_of(films, rows, network.findings)
    dice = seeded(seed, "samples")
    real = pooled_features(features, torch.cat([films.image_batch(p) for p in batches(rows, 64)]))
    samples = []
    with torch.no_grad():
        for part in torch.from_numpy(labels).split(32):
            z1 = torch.randn(len(part), network.structure_size, generator=dice)
            z2 = drawn_classes(part, network.block_size, dice)
            samples.append(network.decode(z1, z2).clamp(0, 1))
    distance = set_distance(real, pooled_features(features, torch.cat(samples)))
    judges = [classifier]
    if features.weights_digest != classifier.weights_digest:
        judges.append(features)
    agreement = class_agreements(
        network, judges, n_structures=n_structures, labels=labels, seed=seed
    )
    return StructureClassFigures(
        GeneratorFigures(
            split=split,
            n_images=len(rows),
            frechet=distance.frechet,
            frechet_of_films=frechet(real[::2], real[1::2]),
            precision=distance.precision,
            recall=distance.recall,
            features=features.weights_digest,
        ),
        tuple(agreement),
    )


def _judged(agreement: ClassAgreement) -> str:
    by = "the classifier it was trained with" if agreement.is_trained_with else "another one"
    return f"class agreement by {by} ({agreement.judge[:12]})"


def _said(agreement: ClassAgreement) -> str:
    counted, balanced = agreement.interval, agreement.balanced_interval
    parts = ", ".join(f"{each.finding} {each.balanced:.2f}" for each in agreement.findings)
    return (
        f"{counted.value:.3f} ({counted.low:.3f} to {counted.high:.3f}) over one negative and "
        f"three positives of {agreement.n_structures} structures, balanced {balanced.value:.3f} "
        f"({balanced.low:.3f} to {balanced.high:.3f}): {parts}"
    )
