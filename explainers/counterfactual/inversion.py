"""Inversion of a structure/class generator: the latents whose image is nearest to a film.

For every film, jointly over z1 and the blocks of z2,

    mse_weight · MSE(G(z1, z2), x) + class_weight · KL(C(x) ‖ C(G(z1, z2)))
        + feature_weight · features + prior_weight · mean z2²

is made small by Adam. The cross-entropy of the paper, with C(x) as a soft target, differs from the
KL divergence by the entropy of C(x), which no latent changes. The blocks of findings that the
classifier does not see in the film stay at zero, which is what a negative is in training.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.classifiers.networks import SmallNet
from explainers.differentiation import module_of, predict, stop_if, to_input_range
from explainers.generators.structure_class import StructureClass

_TRIAL_SHARE = 0.25  # of the iterations, after which the best restart of a film goes on alone
_LAST_RATE = 0.1  # of the first, at the end
_CANDIDATES = 128  # structures looked at before the search; the nearest ones are its starts
_AT_ONCE = 16
_COARSE = 16  # rows and columns on which starts are compared


@dataclass(frozen=True)
class SearchSettings:
    """How latents are searched for.

    Parameters
    ----------
    iterations
        Steps of Adam.
    restarts
        Starts per film; after a quarter of the steps only the best goes on.
    rate
        Length of the first steps; it falls to a tenth along a cosine.
    mse_weight, class_weight, feature_weight, prior_weight
        As in the formula above. Features are those of the classifier itself.
    seed
        Of all starts; those of a film depend on it and on the film, not on the batch.

    Raises
    ------
    ExplainerError
        If a number is out of range.
    """

    iterations: int = 120
    restarts: int = 3
    rate: float = 0.08
    mse_weight: float = 100.0
    class_weight: float = 0.3
    feature_weight: float = 0.0
    prior_weight: float = 0.002
    seed: int = 0

    def __post_init__(self) -> None:
        weights = (self.mse_weight, self.class_weight, self.feature_weight, self.prior_weight)
        if self.iterations < 1 or self.restarts < 1 or not self.rate > 0:
            raise ExplainerError(
                f"iterations is {self.iterations}, restarts {self.restarts}, rate {self.rate}; "
                "expected at least 1, at least 1, and a number above 0."
            )
        if not min(weights) >= 0 or not max(weights[:3]) > 0:
            raise ExplainerError(
                f"The weights of the search are {weights}; expected numbers of at least 0, one of "
                "the first three above 0."
            )


@dataclass(frozen=True, eq=False)
class Inversion:
    """Latents of n films and how near their images come.

    Parameters
    ----------
    z1, z2
        (n, latent), (n, F, block); without gradient. Of z1 only the direction matters.
    images
        (n, 1, H, W), G(z1, z2), in [0, 1].
    present
        (n, F), whether the classifier sees the finding in the film itself.
    error
        (n,), mean absolute difference to the film, in brightness.
    shift
        (n, F), C(G(z1, z2)) − C(x), calibrated.
    losses
        (n,), of the restart that was kept.
    """

    z1: Tensor
    z2: Tensor
    images: Tensor
    present: NDArray[np.bool_]
    error: NDArray[np.float64]
    shift: NDArray[np.float64]
    losses: NDArray[np.float64]


def invert(
    network: StructureClass,
    classifier: Classifier,
    images: Tensor,
    settings: SearchSettings | None = None,
    *,
    cancelled: Cancelled | None = None,
) -> Inversion:
    """Search for the latents of films.

    Parameters
    ----------
    network, classifier
        G and C, of one size; the classifier knows every finding of the generator.
    images
        (n, 1, H, W), in [0, 1].
    settings
        Length, restarts and weights.

    Raises
    ------
    ExplainerError
        If the networks do not fit together, or the search meets NaN.
    """
    settings = settings or SearchSettings()
    targets = fitting_targets(network, classifier)
    predicted = predict(classifier, images)[1][:, targets]
    search = _Search(network, classifier, images, predicted, targets, settings)
    n_trial = max(round(_TRIAL_SHARE * settings.iterations), 1)
    points = _starts(search)
    if settings.restarts > 1 and n_trial < settings.iterations:
        points = _descended(search, points, 0, n_trial, cancelled)
        points = _best(search, points)
        points = _descended(search, points, n_trial, settings.iterations, cancelled)
    else:
        points = _best(search, _descended(search, points, 0, settings.iterations, cancelled))
    return _result(search, points)


def fitting_targets(network: StructureClass, classifier: Classifier) -> Tensor:
    """Index among the logits of every finding of the generator, (F,).

    Raises
    ------
    ExplainerError
        If the classifier lacks a finding or takes images of another size.
    """
    if tuple(classifier.input_size) != tuple(network.input_size):
        raise ExplainerError(
            f"The classifier takes images of {tuple(classifier.input_size)} pixels, the "
            f"structure/class generator draws {network.input_size}; use two of the same size."
        )
    missing = [name for name in network.findings if name not in classifier.findings]
    if missing:
        raise ExplainerError(
            f"The classifier does not know {missing[0]!r}, which the structure/class generator "
            f"was trained with; it predicts {', '.join(classifier.findings)}."
        )
    return torch.tensor([classifier.findings.index(name) for name in network.findings])


@dataclass(frozen=True, eq=False)
class _Points:
    """M points of the search: latents, the film of each, and their losses when last computed."""

    z1: Tensor
    z2: Tensor
    films: Tensor
    losses: Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Search:
    network: StructureClass
    classifier: Classifier
    images: Tensor
    predicted: Tensor  # (n, F), calibrated
    targets: Tensor
    settings: SearchSettings

    @property
    def present(self) -> Tensor:
        return self.predicted >= 0.5

    def losses(self, z1: Tensor, z2: Tensor, films: Tensor) -> Tensor:
        """Losses (M,) of M points."""
        settings, wanted = self.settings, self.images[films]
        drawn = self.network.decode(z1, z2)
        loss = settings.mse_weight * (drawn - wanted).square().mean(dim=(1, 2, 3))
        if settings.class_weight:
            seen = to_input_range(drawn, self.classifier)
            found = self.classifier.probabilities(self.classifier.logits(seen))[:, self.targets]
            loss = loss + settings.class_weight * _divergence(self.predicted[films], found)
        if settings.feature_weight:
            loss = loss + settings.feature_weight * self._feature_distance(drawn, wanted)
        free = self.present[films].to(z2)[..., None]
        return loss + settings.prior_weight * (z2 * free).square().mean(dim=(1, 2))

    def _feature_distance(self, drawn: Tensor, wanted: Tensor) -> Tensor:
        layers = module_of(self.classifier)
        network = getattr(layers, "network", layers)
        if not isinstance(network, SmallNet):
            raise ExplainerError(
                "feature_weight is above 0, but the classifier is not of the small architecture, "
                "whose features the search can read; set it to 0."
            )
        found = network.features_and_logits(drawn)[0][:-1]
        with torch.no_grad():
            aim = network.features_and_logits(wanted)[0][:-1]
        parts = [
            (a - b).square().mean(dim=(1, 2, 3)) / b.square().mean(dim=(1, 2, 3)).clamp(min=1e-6)
            for a, b in zip(found, aim, strict=True)
        ]
        return torch.stack(parts).mean(dim=0)


def _divergence(wanted: Tensor, found: Tensor) -> Tensor:
    """KL divergence of Bernoulli probabilities (M, F), mean over findings."""
    p, q = wanted.clamp(1e-4, 1 - 1e-4), found.clamp(1e-4, 1 - 1e-4)
    return (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean(dim=1)


@torch.no_grad()
def _starts(search: _Search) -> _Points:
    """The ``restarts`` structures nearest to every film, with a class latent of its own each."""
    network, settings = search.network, search.settings
    dice = torch.Generator().manual_seed(settings.seed)
    n_candidates = max(_CANDIDATES, settings.restarts)
    z1 = torch.randn(n_candidates, network.structure_size, generator=dice)
    off = torch.zeros(n_candidates, len(network.findings), network.block_size)
    coarse = torch.cat(
        [
            functional.adaptive_avg_pool2d(network.decode(a, b), _COARSE)
            for a, b in zip(z1.split(_AT_ONCE), off.split(_AT_ONCE), strict=True)
        ]
    )
    wanted = functional.adaptive_avg_pool2d(search.images, _COARSE)
    distances = torch.cdist(wanted.flatten(1), coarse.flatten(1))  # (n, candidates)
    nearest = distances.argsort(dim=1, stable=True)[:, : settings.restarts]  # (n, restarts)
    z2 = torch.stack([_class_starts(search, film) for film in range(len(wanted))]).flatten(0, 1)
    films = torch.arange(len(wanted)).repeat_interleave(settings.restarts)
    return _Points(z1[nearest.flatten()], z2, films)


def _class_starts(search: _Search, film: int) -> Tensor:
    """(restarts, F, block); random where the finding is present, zeros elsewhere."""
    network, settings = search.network, search.settings
    dice = dice_of(search.images[film], settings.seed)
    shape = (settings.restarts, len(network.findings), network.block_size)
    return torch.randn(shape, generator=dice) * search.present[film].float()[:, None]


def dice_of(image: Tensor, seed: int) -> torch.Generator:
    """A generator that depends on a seed and on the film, so that the batch does not matter."""
    content = np.round(image.detach().cpu().numpy() * 255).astype(np.uint8).tobytes()
    digest = hashlib.sha256(str(seed).encode() + b":" + content).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _descended(
    search: _Search, points: _Points, first: int, last: int, cancelled: Cancelled | None
) -> _Points:
    """Take the steps ``first`` to ``last`` of Adam."""
    settings = search.settings
    z1, z2 = points.z1.clone().requires_grad_(), points.z2.clone().requires_grad_()
    free = search.present[points.films].to(z2)[..., None]
    optimiser = torch.optim.Adam([z1, z2], lr=settings.rate, betas=(0.9, 0.99))
    for step in range(first, last):
        stop_if(cancelled)
        share = step / settings.iterations
        cosine = (1 + np.cos(np.pi * share)) / 2
        optimiser.param_groups[0]["lr"] = settings.rate * (_LAST_RATE + (1 - _LAST_RATE) * cosine)
        optimiser.zero_grad()
        for part in torch.arange(len(points.films)).split(_AT_ONCE):
            with torch.enable_grad():
                losses = search.losses(z1[part], z2[part], points.films[part])
            if not torch.isfinite(losses).all():
                raise ExplainerError(
                    f"The search for the latents met NaN at step {step}; lower rate (it is "
                    f"{settings.rate:g}), or check the weights of both networks."
                )
            losses.sum().backward()
        assert z1.grad is not None and z2.grad is not None
        z2.grad *= free
        optimiser.step()
    return _Points(z1.detach(), z2.detach(), points.films)


@torch.no_grad()
def _best(search: _Search, points: _Points) -> _Points:
    """Keep the point with the smallest loss of every film."""
    losses = torch.cat(
        [
            search.losses(points.z1[part], points.z2[part], points.films[part])
            for part in torch.arange(len(points.films)).split(_AT_ONCE)
        ]
    )
    per_film = losses.reshape(len(search.images), -1)
    rows = torch.arange(len(per_film)) * per_film.shape[1] + per_film.argmin(dim=1)
    return _Points(points.z1[rows], points.z2[rows], points.films[rows], losses[rows])


def _result(search: _Search, points: _Points) -> Inversion:
    points = _best(search, points)  # one per film by now: computes the last losses
    assert points.losses is not None
    with torch.no_grad():
        parts = torch.arange(len(points.films)).split(_AT_ONCE)
        drawn = [search.network.decode(points.z1[p], points.z2[p]).clamp(0, 1) for p in parts]
    images = torch.cat(drawn)
    found = predict(search.classifier, images)[1][:, search.targets]
    error = (images - search.images).abs().double().mean(dim=(1, 2, 3))
    return Inversion(
        z1=points.z1,
        z2=points.z2,
        images=images,
        present=search.present.numpy(),
        error=error.numpy(),
        shift=(found - search.predicted).double().numpy(),
        losses=points.losses.double().numpy(),
    )
