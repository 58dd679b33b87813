"""Algorithms 1 and 2 of "Generative Visual Rationales", corrected: Adam on the latents of a batch.

Every image leaves the batch as soon as it has what was wanted, so that easy ones cost little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.counterfactual.decoding import unchecked_gradient
from explainers.counterfactual.kept_change import kept_change, widened
from explainers.counterfactual.rationale_notes import SAME, Ending
from explainers.differentiation import stop_if, to_input_range
from explainers.generators.base import Autoencoder

_BETA1: Final = 0.9
_BETA2: Final = 0.999
_WIDEN_AFTER: Final = 60
"""Steps after which a larger share of the change is kept; after the last widening the search ends
as soon as the whole change has what is wanted."""

_TINY: Final = 1e-5
"""Larger than Adam's usual 1e-8: latents that the prediction does not depend on have gradients of
rounding errors, which Adam would otherwise turn into steps as long as any other."""


@runtime_checkable
class LatentClassifier(Protocol):
    """A classifier that predicts from the latent itself: its logits of an image are h(E(x))."""

    def latent_logits(self, latents: Tensor) -> Tensor:
        """Return h(z), (N, F), of latents (N, D); differentiable."""
        ...


@dataclass(frozen=True)
class Scoring:
    """The networks of a rationale: which prediction belongs to a latent.

    Parameters
    ----------
    classifier, wgan
        f, and G with E.
    from_latent
        Whether predictions are h(z), of a :class:`LatentClassifier`, and not f(G(z)).
    """

    classifier: Classifier
    wgan: Autoencoder
    from_latent: bool

    def logits(self, latents: Tensor, images: Tensor) -> Tensor:
        """Logits (M, F) of latents (M, D) whose images (M, 1, H, W) are given.

        Raises
        ------
        ExplainerError
            If they do not have that shape.
        """
        if self.from_latent:
            assert isinstance(self.classifier, LatentClassifier)
            logits = self.classifier.latent_logits(latents)
        else:
            logits = self.classifier.logits(to_input_range(images, self.classifier))
        expected = (len(latents), len(self.classifier.findings))
        if tuple(logits.shape) != expected:
            raise ExplainerError(
                f"The classifier returned logits of shape {tuple(logits.shape)} for {len(latents)} "
                f"images and {len(self.classifier.findings)} findings; expected {expected}."
            )
        return logits

    def reencoded_logits(self, images: Tensor) -> Tensor:
        """Logits of z' = E(x') of generated images: h(z'), or f(G(z'))."""
        latents = self.wgan.encode(images)
        return self.logits(latents, images if self.from_latent else self.wgan.decode(latents))


@dataclass(frozen=True, eq=False)
class Wishes:
    """What n images are to become.

    Parameters
    ----------
    findings
        (n,), int64, m: index of the finding explained.
    against
        (n,), int64, t: index of the class to turn into, or −1.
    signs
        (n,), 1 where the prediction is to fall, −1 where it is to rise.
    rho
        (n,), the prediction of m to be passed, in (0, 1).
    beta
        Weight of y_t.
    certain
        The prediction of t that is wanted as well, in [0, 1); 0 asks for none.
    """

    findings: Tensor
    against: Tensor
    signs: Tensor
    rho: Tensor
    beta: float
    certain: float

    def of(self, cases: Tensor) -> Wishes:
        """Return the wishes of some cases."""
        return Wishes(
            self.findings[cases],
            self.against[cases],
            self.signs[cases],
            self.rho[cases],
            self.beta,
            self.certain,
        )

    def chosen(self, values: Tensor) -> Tensor:
        """Values (n,) of every image's own finding, of (n, F)."""
        return values.gather(1, self.findings[:, None])[:, 0]

    def loss(self, logits: Tensor) -> Tensor:
        """y_m − β·y_t, or −y_m where the prediction is to rise; (n,) of logits (n, F)."""
        other = logits.gather(1, self.against.clamp_min(0)[:, None])[:, 0]
        return self.signs * self.chosen(logits) - self.beta * torch.where(
            self.against >= 0, other, 0
        )

    def met(self, probabilities: Tensor, within: float = 0.0) -> Tensor:
        """Whether y_m has passed ρ, and y_t what is wanted of it; (n,), bool."""
        passed = self.signs * (self.rho - self.chosen(probabilities)) > -within
        other = probabilities.gather(1, self.against.clamp_min(0)[:, None])[:, 0]
        return passed & ((self.against < 0) | (other >= self.certain - within))


@dataclass(frozen=True)
class Descent:
    """How the latent is optimised; see :class:`.visual_rationale.VisualRationale`.

    ``scale`` turns predictions into log-odds, so that the weights mean the same for a regressor.
    """

    alpha: float
    gamma: float
    summed: bool
    reencode: float
    shell: float
    cap: int
    refine: int = 0
    keep: float = 1.0
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class Trails:
    """The ways of n latents.

    Parameters
    ----------
    latents
        (K + 1, n, D), the latent after every step; what follows the end of an image is undefined.
    n_steps
        (n,), steps that each image took.
    endings
        (n,), why it ended.
    keeps
        (n,), share of the pixels whose change counted at the end.
    """

    latents: Tensor
    n_steps: NDArray[np.int64]
    endings: tuple[Ending, ...]
    keeps: Tensor

    def points(self, n_points: int) -> tuple[Tensor, NDArray[np.float64]]:
        """Points along every way, evenly spaced in steps, linear between two steps.

        Returns
        -------
        latents : Tensor
            (n, n_points, D), from z0 to z*; z0 alone where the search met NaN.
        positions : ndarray
            (n, n_points), number of the step, from 0.
        """
        broken = np.array([ending == "not a number" for ending in self.endings])
        ends = np.where(broken, 0, self.n_steps)[:, None]
        positions = ends * np.linspace(0, 1, n_points)  # (n, n_points)
        before = np.floor(positions).astype(np.int64)
        after = np.minimum(before + 1, ends)
        cases = torch.arange(self.latents.shape[1])[:, None]
        low = self.latents[torch.from_numpy(before), cases]
        high = self.latents[torch.from_numpy(after), cases]
        part = torch.from_numpy(positions - before).to(low)[..., None]
        return torch.lerp(low, high, part), positions


def descend(
    scoring: Scoring,
    start: Tensor,
    wishes: Wishes,
    how: Descent,
    cancelled: Cancelled | None = None,
) -> Trails:
    """Move latents (n, D) until every image has what is wanted, or the cap is reached.

    z* = argmin y_m − β·y_t + γ·d(G(z), G(z0)) by Adam; where asked for, the same prediction of
    z' = E(G(z)) is minimised and has to pass ρ as well, and (‖z‖²/D − 1)² is added for latents
    outside of the shell. Where only a share of the change is kept, y is that of G(z0) with this
    part of it; the share of an image widens
    twice where 60 steps were not enough; after that it is enough that the whole change passes ρ.

    Parameters
    ----------
    start
        z0.
    cancelled
        Asked before every step.

    Raises
    ------
    ExplainerError
        If the networks cannot be differentiated.
    """
    with torch.no_grad():
        reference = scoring.wgan.decode(start)
    latents = start.detach().clone()
    moments = (torch.zeros_like(latents), torch.zeros_like(latents))
    trail = [latents.clone()]
    n_steps = np.zeros(len(start), np.int64)
    keeps = torch.ones(len(start), device=start.device)
    endings: list[Ending] = ["cap"] * len(start)
    running = torch.arange(len(start), device=start.device)
    shares = widened(how.keep)
    for k in range(how.cap + 1):
        stop_if(cancelled)
        stage = k // _WIDEN_AFTER
        keeps[running] = shares[min(stage, len(shares) - 1)]
        met, broken, gradient = _look(
            scoring,
            latents[running],
            reference[running],
            wishes.of(running),
            how,
            keeps[running],
            stage >= len(shares),
            0 if k else SAME,
        )
        for case in running[met].tolist():
            endings[case] = "met" if k else "met at the start"
        for case in running[broken].tolist():
            endings[case] = "not a number"
        kept = ~(met | broken)
        running, gradient = running[kept], gradient[kept]
        if k == how.cap or not len(running):
            break
        latents[running] += _adam_step(moments, running, gradient, k + 1, how.alpha)
        n_steps[running.cpu().numpy()] = k + 1
        trail.append(latents.clone())
    return Trails(torch.stack(trail), n_steps, tuple(endings), keeps)


def refined(
    scoring: Scoring,
    images: Tensor,
    start: Tensor,
    wishes: Wishes,
    how: Descent,
    cancelled: Cancelled | None = None,
) -> Tensor:
    """Bring G(z0) closer to the image than the encoder does, and its prediction to that of it.

    Adam on d(G(z), x) / d(G(E(x)), x) + (y(z) − f(x))² (the latter in logits of the finding, not
    for predictions h(z)); of all points the one with the lowest loss is kept, E(x) among them.

    Parameters
    ----------
    images
        x, (n, 1, H, W).
    start
        E(x), (n, D).
    how
        Its ``refine`` says how many steps; step and shell are those of the search.

    Returns
    -------
    Tensor
        (n, D).
    """
    with torch.no_grad():
        usual = distance(scoring.wgan.decode(start), images, False).clamp_min(_TINY)
        wanted = None if scoring.from_latent else wishes.chosen(scoring.logits(start, images))
    latents = start.detach().clone()
    best, least = latents.clone(), torch.full_like(usual, torch.inf)
    moments = (torch.zeros_like(latents), torch.zeros_like(latents))
    rows = torch.arange(len(start), device=start.device)
    for k in range(how.refine + 1):
        stop_if(cancelled)
        points = latents.clone().requires_grad_()
        with torch.enable_grad():
            decoded = scoring.wgan.decode(points)
            loss = distance(decoded, images, False) / usual + how.shell * outside(points)
            if wanted is not None:
                loss = loss + (wishes.chosen(scoring.logits(points, decoded)) - wanted).square()
            gradient = unchecked_gradient(loss.sum(), points)
        better = loss.detach() < least  # never where it is NaN
        best[better], least[better] = latents[better], loss.detach()[better]
        gradient = torch.where(torch.isfinite(gradient), gradient, 0)
        latents = latents + _adam_step(moments, rows, gradient, k + 1, how.alpha)
    return best


def outside(latents: Tensor) -> Tensor:
    """How far latents (n, D) lie outside of the shell: (‖z‖²/D − 1)², 0 inside; (n,)."""
    return (latents.square().mean(dim=1) - 1).clamp_min(0).square()


def _look(
    scoring: Scoring,
    latents: Tensor,
    reference: Tensor,
    wishes: Wishes,
    how: Descent,
    keep: Tensor,
    whole_suffices: bool,
    within: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return which latents have what is wanted, which are broken, and the gradient."""
    points = latents.detach().clone().requires_grad_()
    with torch.enable_grad():
        images = scoring.wgan.decode(points)
        shown = images
        if bool((keep < 1).any()):
            shown = reference + kept_change(images - reference, keep)
        logits = scoring.logits(points, shown)
        loss = how.scale * wishes.loss(logits) + how.gamma * distance(images, reference, how.summed)
        met = _met(scoring, wishes, logits, within)
        if whole_suffices and shown is not images:
            with torch.no_grad():
                met |= _met(scoring, wishes, scoring.logits(points, images), within)
        if how.reencode:
            again = scoring.reencoded_logits(images)
            loss = loss + how.reencode * how.scale * wishes.loss(again)
            met &= _met(scoring, wishes, again, within)
        if how.shell:
            loss = loss + how.shell * outside(points)
        broken = ~torch.isfinite(loss.detach())
        if bool((met | broken).all()):
            return met & ~broken, broken, torch.zeros_like(latents)
        # Where a loss is NaN, so is its gradient, and no other image's: gradients do not mix.
        gradient = unchecked_gradient(loss.sum(), points)
    met &= ~broken
    broken |= ~met & ~torch.isfinite(gradient).all(dim=1)
    return met, broken, gradient


def log_odds_per_unit(classifier: Classifier, logits: Tensor) -> float:
    """Slope of the log-odds over the values that a classifier returns, near logits (N, F).

    1 where the values are log-odds; the slope of its calibration where they are a quantity.
    """
    middle, step = logits.detach().mean(dim=0, keepdim=True), 1e-2
    low, high = (torch.logit(classifier.probabilities(middle + d)) for d in (-step, step))
    slope = float((high - low).mean()) / (2 * step)
    return slope if math.isfinite(slope) and slope > 0 else 1.0


def _met(scoring: Scoring, wishes: Wishes, logits: Tensor, within: float) -> Tensor:
    return wishes.met(scoring.classifier.probabilities(logits.detach()), within)


def distance(images: Tensor, reference: Tensor, summed: bool) -> Tensor:
    """d of (n, 1, H, W) images in [0, 1]: mean or sum of squared differences; (n,).

    Differences are taken in the generator's range [−1, 1], as in the paper.
    """
    squares = (2 * (images - reference)).square().flatten(1)
    return squares.sum(dim=1) if summed else squares.mean(dim=1)


def _adam_step(
    moments: tuple[Tensor, Tensor], rows: Tensor, gradient: Tensor, number: int, rate: float
) -> Tensor:
    """Update the moments of some rows in place and return their steps (Kingma & Ba 2015)."""
    first, second = moments
    first[rows] = _BETA1 * first[rows] + (1 - _BETA1) * gradient
    second[rows] = _BETA2 * second[rows] + (1 - _BETA2) * gradient.square()
    mean = first[rows] / (1 - _BETA1**number)
    variance = second[rows] / (1 - _BETA2**number)
    return -rate * mean / (variance.sqrt() + _TINY)
