"""Latent Shift: the image redrawn with more and with less of what the classifier sees in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.base import Cancelled
from explainers.counterfactual.crossing import Grid, find_crossings
from explainers.counterfactual.decoding import Cases, Decoding, scaled
from explainers.counterfactual.film import LatentFilms
from explainers.counterfactual.wanted import WantedEnds

_GRID = Grid()


@dataclass(frozen=True)
class LatentShift(LatentFilms):
    """x'_λ = D(z + λ ∂f(D(z))/∂z), z = E(x) (Cohen et al., MIDL 2021, arXiv:2102.09475, Eq. 1–2).

    The gradient is taken once, at λ = 0, of the **logit**: it points the same way as that of the
    probability, which vanishes where the classifier is sure. λ is therefore in units of the
    gradient of the logit; near 0 the logit changes by λ‖g‖².

    The range of λ runs from where f(x'_λ) first has fallen by ``fall`` to where it first has risen
    by ``rise``, both absolute and from f(x'_0), walking outward from λ = 0. (The paper does not say
    whether absolute or relative, nor from which of f(x) and f(x'_0); its §4.2, its App. C and the
    released code give different thresholds. The defaults are those of §4.2.) A probability cannot
    leave [0, 1]: a wanted one that lies beyond ``limit`` of the way from f(x'_0) to 0 or 1 is
    replaced by the one at that point, and the end counts as not reached. So it does when the
    search, which ends where the logit would have changed by about 45, does not find it; the film
    then ends at the shortest λ with 95 % of the largest change found.

    A goal with a target is searched for as it stands, whatever ``limit`` says.

    Parameters
    ----------
    classifier, autoencoder, fall, rise, frames_below, frames_above, limit, batch_size, \
frame_batch_size
        As in :class:`explainers.counterfactual.film.LatentFilms`.
    """

    name: ClassVar[str] = "latent_shift"

    def _curve(self, decoding: Decoding, wanted: WantedEnds, cancelled: Cancelled | None) -> Line:
        start = decoding.origin.probabilities
        n_cases = len(start)
        units = 1 / decoding.norms**2  # λ at which the logit is expected to have changed by 1
        both = np.concatenate([-units, units])  # (2n,): down, then up
        line = Line(decoding.latents, decoding.origin.gradient, -units, units)

        def evaluate(search: Cases, distance: NDArray[np.float64]) -> NDArray[np.float64]:
            cases = search % n_cases
            return decoding.predictions(line.at(cases, distance * both[search]), cases)

        distances, _ = find_crossings(
            evaluate,
            np.concatenate([start, start]),
            np.concatenate([wanted.low, wanted.high]),
            _GRID,
        )
        low, high = np.split(distances * both, 2)
        return Line(decoding.latents, decoding.origin.gradient, low, high)


@dataclass(frozen=True, eq=False)
class Line:
    """The line z + λg of every case; a :class:`explainers.counterfactual.film.Curve`."""

    latents: Tensor
    gradient: Tensor
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def at(self, cases: Cases, steps: NDArray[np.float64]) -> Tensor:
        """Latents (M, *latent_shape) of M points given by case and λ."""
        index = torch.from_numpy(np.asarray(cases, np.int64)).to(self.latents.device)
        return self.latents[index] + scaled(self.gradient[index], steps)
