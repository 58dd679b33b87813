"""A factor set with its generator and classifier in miniature: 32 × 32 pixels, untrained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from explainers.checkpoint import file_digest
from explainers.generators.stylegan2 import Generator, StyleGANShape
from explainers.stylespace.factorfile import write_factor_set
from explainers.stylespace.factorset import (
    FactorSet,
    KnownEffect,
    RegionShare,
    Search,
    SelectedFactor,
    StyleStretch,
    place_of,
)
from explainers.stylespace.ranges import style_ranges
from explainers.training.stylegan2 import save_generator
from tests.support.tiny_networks import FINDINGS, SIDE, write_networks

DIMENSIONS = (3, 40)
"""Selected for ``Lung Opacity``; nothing is selected for ``Mass``."""
SHAPE = StyleGANShape(size=SIDE, channel_base=128, channel_limit=8, latent=8, n_mapping=1)


def write_factor_study(
    networks: Path, *, classifier_digest: str = "", max_mae: float = 255
) -> Path:
    """Write classifier, generator and factor set into a study's folder of networks.

    Parameters
    ----------
    networks
        The folder; made if needed.
    classifier_digest
        Of another classifier, to be refused; empty for the right one.
    max_mae
        Above which a reconstruction is refused.
    """
    networks.mkdir(parents=True, exist_ok=True)
    classifier, _ = write_networks(networks)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        generator = Generator(SHAPE).eval().requires_grad_(False)
    save_generator(networks / "stylegan2.safetensors", generator)
    ranges = style_ranges(generator, n_samples=200)
    stretches = tuple(
        StyleStretch(each.name, each.kind, each.resolution, each.start, each.stop)
        for each in generator.layers
    )

    def factor(dimension: int, finding: str, name: str = "") -> SelectedFactor:
        stretch, channel = place_of(stretches, dimension)
        effect = KnownEffect(
            "heart_ratio", "", "anatomy", "sd", -0.5, 0.8, (-1, 0), (0.1, 1), 0.8, True, 0.9
        )
        return SelectedFactor(
            dimension, stretch.name, stretch.resolution, channel, finding, 0.4, -0.2, 0.3, 0.5, 1,
            4, name, (effect,), (RegionShare("heart", 0.7),),
        )  # fmt: skip

    known = FactorSet(
        generator_digest=file_digest(networks / "stylegan2.safetensors"),
        classifier_digest=classifier_digest or file_digest(classifier),
        meter_digest="",
        cases_digest="",
        findings=FINDINGS,
        stretches=stretches,
        low=ranges.low.numpy(),
        high=ranges.high.numpy(),
        mean=ranges.mean.numpy(),
        spread=ranges.spread.numpy(),
        n_samples=200,
        percentile=0.0,
        made=Search(0.3, "max", "screened", 0.05, 0.9, max_mae, 1.0, 0, "", 2),
        films=("c1",),
        factors=(
            factor(DIMENSIONS[0], FINDINGS[1], "Heart size"),
            factor(DIMENSIONS[1], FINDINGS[1]),
        ),
        largest=(factor(7, FINDINGS[0]), factor(DIMENSIONS[0], FINDINGS[1])),
        strengths=np.full((stretches[-1].stop, len(FINDINGS)), 0.1, np.float32),
    )
    return write_factor_set(networks / "factors.json", known)
