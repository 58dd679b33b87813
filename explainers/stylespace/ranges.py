"""How far each dimension of S reaches: over many samples of the generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.generators.stylegan2 import Generator

_BATCH = 1024


@dataclass(frozen=True, eq=False)
class StyleRanges:
    """Lowest, highest and mean value of every dimension.

    Parameters
    ----------
    low, high, mean, spread
        Shape (D,); ``spread`` is the standard deviation.
    n_samples
        Samples that they are taken over.
    percentile
        Share of the samples left out at either end, in percent; 0 for minimum and maximum.
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    spread: Tensor
    n_samples: int
    percentile: float = 0.0


@torch.no_grad()
def style_ranges(
    generator: Generator,
    *,
    n_samples: int = 20_000,
    percentile: float = 0.0,
    seed: int = 0,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> StyleRanges:
    """Draw samples and return the ranges of their styles.

    Only the mapping network and the affine layers run; no image is made.

    Parameters
    ----------
    generator
        The generator.
    n_samples
        The wider the more samples: state it beside every result.
    percentile
        0 for the very minimum and maximum, or e.g. 1 for the 1st and 99th percentile.
    seed
        Of the samples.
    on_progress, cancelled
        Samples done and in all.

    Raises
    ------
    ExplainerError
        If there are fewer than two samples, the percentile is not in [0, 50), or cancelled.
    """
    if n_samples < 2 or not 0 <= percentile < 50:
        raise ExplainerError(
            f"Ranges need at least two samples and a percentile in [0, 50); got {n_samples} and "
            f"{percentile:g}."
        )
    dice = torch.Generator().manual_seed(seed)
    parts = []
    for done in range(0, n_samples, _BATCH):
        if cancelled is not None and cancelled():
            raise ExplainerError("Stopped before the ranges of the styles were known.")
        z = torch.randn(min(_BATCH, n_samples - done), generator.shape.latent, generator=dice)
        parts.append(generator.styles(generator.latents(z)))
        if on_progress is not None:
            on_progress(done + len(z), n_samples)
    styles = torch.cat(parts)
    if percentile:
        ordered = styles.sort(dim=0).values
        last = len(ordered) - 1
        place = round(percentile / 100 * last)
        low, high = ordered[place], ordered[last - place]
    else:
        low, high = styles.amin(dim=0), styles.amax(dim=0)
    return StyleRanges(low, high, styles.mean(dim=0), styles.std(dim=0), n_samples, percentile)
