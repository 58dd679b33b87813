"""Infidelity and sensitivity of maps by captum.metrics (Yeh et al. 2019, arXiv:1901.09392)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from captum.metrics import infidelity, sensitivity_max
from numpy.typing import NDArray
from torch import Tensor

from explainers.archive import split_map_name
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits, left_as_found
from explainers.evaluation.maps import as_tensor

PER_BRIGHTNESS = frozenset({"input_gradients", "smoothgrad", "guided_backprop"})
"""Methods whose values are per unit of brightness: multiplied by the change of the film.

Values of the others say what a pixel as a whole contributes: they are summed where it changed.
"""

MapsOf = Callable[[NDArray[np.float32], Sequence[str]], NDArray[np.float32]]
"""Films (N, H, W) and N findings -> maps (N, H, W)."""

_BATCH = 32


def infidelities(
    name: str,
    maps: NDArray[np.floating],
    films: NDArray[np.float32],
    others: NDArray[np.float32],
    findings: Sequence[str],
    classifier: Classifier,
    *,
    n_samples: int,
    square_share: float,
    seeds: Sequence[int],
) -> NDArray[np.float64]:
    """Return how badly a map predicts the change of the logit when squares are replaced, (N,).

    mean over squares of (β Σ I·Φ − (f(x) − f(x − I)))², f the logit, I what a random square of
    the film loses to the baseline. β is chosen best for each film (captum's ``normalize``), so that
    maps without a common unit can be compared; a map of zeros has the mean squared change itself,
    which no map exceeds.

    Parameters
    ----------
    name
        Of the map: decides whether values are per unit of brightness (:data:`PER_BRIGHTNESS`).
    maps, films, others
        (N, H, W): maps, films, and their baselines.
    n_samples
        Squares per film.
    square_share
        Side of a square as a share of the shorter side, in (0, 1].
    seeds
        N seeds; a film meets the same squares whatever the method and its place in a batch.

    Returns
    -------
    ndarray
        (N,), squared logits, ≥ 0.

    Raises
    ------
    ExplainerError
        If n_samples or square_share is out of range.
    """
    if n_samples < 1 or not 0 < square_share <= 1:
        raise ExplainerError(
            f"{n_samples} squares of a share of {square_share} were asked for; expected at least "
            "1, and a share in (0, 1]."
        )
    side = max(1, round(square_share * min(films.shape[1:])))
    local = split_map_name(name)[0] in PER_BRIGHTNESS
    found = []
    for number, finding in enumerate(findings):
        film, other, values = (
            as_tensor(each[number : number + 1], classifier) for each in (films, others, maps)
        )
        random = np.random.default_rng(seeds[number])
        replace = _replacer(other, side, local, random)
        with left_as_found(classifier):
            found.append(
                infidelity(
                    Logits(classifier),
                    replace,
                    film,
                    values,
                    target=classifier.findings.index(finding),
                    n_perturb_samples=n_samples,
                    max_examples_per_batch=min(_BATCH, n_samples),
                    normalize=True,
                ).item()
            )
    return np.maximum(np.array(found, np.float64), 0.0)


def sensitivities(
    maps_of: MapsOf,
    films: NDArray[np.float32],
    findings: Sequence[str],
    *,
    radius: float,
    n_samples: int,
    seeds: Sequence[int],
) -> NDArray[np.float64]:
    """Return the largest relative change of a map under tiny noise of the film, (N,).

    max over draws of ‖Φ(x + δ) − Φ(x)‖ / ‖Φ(x)‖, every pixel of δ uniform in [−radius, radius],
    the film clipped to [0, 1]. NaN where the map of the film is zero everywhere.

    Parameters
    ----------
    maps_of
        Makes maps.
    radius
        In brightness, > 0.
    n_samples
        Draws per film, at least 1.
    seeds
        N seeds.

    Raises
    ------
    ExplainerError
        If radius or n_samples is out of range.
    """
    if not radius > 0 or n_samples < 1:
        raise ExplainerError(
            f"{n_samples} draws of radius {radius} were asked for; expected at least 1, and a "
            "radius above 0."
        )
    found = []
    for film, finding, seed in zip(films, findings, seeds, strict=True):

        def explain(images: tuple[Tensor, ...] | Tensor, finding: str = finding) -> tuple[Tensor]:
            batch = images[0] if isinstance(images, tuple) else images
            part = np.clip(batch.detach().cpu().numpy()[:, 0], 0, 1)
            with torch.enable_grad():
                # A tuple: captum would pair a bare tensor's rows wrongly, and every draw but the
                # first would make the result larger.
                return (torch.from_numpy(maps_of(part, [finding] * len(part)))[:, None],)

        constant = not maps_of(film[None], [finding]).any()
        with _seeded(seed):
            value = sensitivity_max(
                explain,
                torch.from_numpy(film[None, None]),
                perturb_radius=radius,
                n_perturb_samples=n_samples,
            ).item()
        found.append(float("nan") if constant else value)
    return np.array(found, np.float64)


def _replacer(
    other: Tensor, side: int, local: bool, random: np.random.Generator
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return captum's perturbation: what counts as I, and the film with a square replaced."""

    def replace(images: Tensor) -> tuple[Tensor, Tensor]:
        squares = torch.zeros_like(images)
        rows, columns = images.shape[-2:]
        for each in squares:
            top = int(random.integers(0, rows - side + 1))
            left = int(random.integers(0, columns - side + 1))
            each[..., top : top + side, left : left + side] = 1
        lost = squares * (images - other)
        return (lost if local else squares), images - lost

    return replace


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch for a while; afterwards its state is what it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
