"""Decoder and classifier one after the other, for the cases of one batch: f(D(z)) and its slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.attribution.batches import check_batch_size
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import predict, to_input_range
from explainers.generators.base import Autoencoder

Cases = NDArray[np.intp]
"""Indices of cases of a batch, (M,): which case each of M points belongs to."""


@dataclass(frozen=True, eq=False)
class Slope:
    """f at M points of the latent space, and where it rises.

    Parameters
    ----------
    images
        (M, 1, H, W), D(z), without gradient.
    logits
        (M,), float64, of the finding that each point is about.
    probabilities
        (M,), float64, the same after calibration.
    gradient
        (M, *latent_shape), of the logit, or of the objective where there is one.
    """

    images: Tensor
    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    gradient: Tensor


@dataclass(frozen=True, eq=False)
class Decoding:
    """The latents of n cases and what the networks say along the way from them.

    Parameters
    ----------
    classifier, autoencoder
        f, and E with D.
    images
        (n, 1, H, W), x.
    latents
        (n, *latent_shape), z = E(x).
    targets
        (n,), index of the finding that each case is about.
    batch_size
        Decoded images per pass.
    origin
        f(D(z)) and its gradient.
    """

    classifier: Classifier
    autoencoder: Autoencoder
    images: Tensor
    latents: Tensor
    targets: Tensor
    batch_size: int
    origin: Slope

    @property
    def norms(self) -> NDArray[np.float64]:
        """‖g‖, the length of the gradient at z, (n,), float64; 1 where there is none."""
        lengths = row_norms(self.origin.gradient)
        return np.where(lengths > 1e-15, lengths, 1.0)

    def slope(self, latents: Tensor, cases: Cases) -> Slope:
        """Return f at M points and the gradient of the logit; all in one pass."""
        targets = self.targets[self._index(cases)]
        return slope(self.classifier, self.autoencoder, latents, targets)

    def predictions(self, latents: Tensor, cases: Cases) -> NDArray[np.float64]:
        """Return f(D(z)), (M,), after calibration, of M points."""
        return np.concatenate(
            [self._decode(latents, cases, part)[1] for part in self._parts(cases)]
        )

    def frames(
        self, latents: Tensor, cases: Cases
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return D(z), (M, H, W), in [0, 1], and f(D(z)), (M,), of M points.

        Raises
        ------
        ExplainerError
            If the decoder leaves [0, 1] by more than rounding.
        """
        decoded = [self._decode(latents, cases, part) for part in self._parts(cases)]
        frames = np.concatenate([images.squeeze(1).cpu().numpy() for images, _ in decoded])
        if not (np.isfinite(frames).all() and frames.min() >= -1e-3 and frames.max() <= 1.001):
            raise ExplainerError(
                f"The decoder returned values from {frames.min():.3g} to {frames.max():.3g}; "
                "expected images in [0, 1]. Clamp them in the autoencoder's decode()."
            )
        frames = np.clip(frames, 0, 1).astype(np.float32)
        return frames, np.concatenate([probabilities for _, probabilities in decoded])

    def _parts(self, cases: Cases) -> list[slice]:
        return [
            slice(start, start + self.batch_size) for start in range(0, len(cases), self.batch_size)
        ]

    def _index(self, cases: Cases) -> Tensor:
        return torch.from_numpy(np.asarray(cases, np.int64)).to(self.latents.device)

    def _decode(
        self, latents: Tensor, cases: Cases, part: slice
    ) -> tuple[Tensor, NDArray[np.float64]]:
        with torch.no_grad():
            images = self.autoencoder.decode(latents[part])
        _, probabilities = predict(self.classifier, images)  # (M, F)
        targets = self.targets[self._index(cases[part])]
        chosen = probabilities.gather(1, targets[:, None])[:, 0]
        return images, chosen.cpu().numpy().astype(np.float64)


def encode(
    classifier: Classifier,
    autoencoder: Autoencoder,
    images: Tensor,
    targets: Tensor,
    batch_size: int,
) -> Decoding:
    """Encode images (n, 1, H, W) and take the gradient of Eq. 1.

    Raises
    ------
    ExplainerError
        If the autoencoder does not give back images of the same size, if the classifier cannot be
        differentiated through the decoder, or if anything is NaN.
    """
    with torch.no_grad():
        latents = autoencoder.encode(images).detach()
    origin = slope(classifier, autoencoder, latents, targets)
    if origin.images.shape != images.shape:
        raise ExplainerError(
            f"The autoencoder turns images of shape {tuple(images.shape[1:])} into "
            f"{tuple(origin.images.shape[1:])}; expected the same size. Use an autoencoder "
            "trained at the classifier's size."
        )
    size = check_batch_size(batch_size)
    return Decoding(classifier, autoencoder, images, latents, targets, size, origin)


def slope(
    classifier: Classifier, autoencoder: Autoencoder, latents: Tensor, targets: Tensor
) -> Slope:
    """Return f at M latents and the gradient of its logit.

    Raises
    ------
    ExplainerError
        If the networks cannot be differentiated, or anything is NaN or infinite.
    """
    points = latents.detach().clone().requires_grad_()
    with torch.enable_grad():
        decoded = autoencoder.decode(points)
        chosen, probabilities = chosen_logits(classifier, decoded, targets)
        gradient = gradient_of(chosen.sum(), points)
    return Slope(decoded.detach(), to_numpy(chosen), to_numpy(probabilities), gradient)


def chosen_logits(classifier: Classifier, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return logit and calibrated probability of one finding per image; (M,) each.

    Raises
    ------
    ExplainerError
        If the logits do not have the shape (M, F).
    """
    logits = classifier.logits(to_input_range(images, classifier))
    expected = (len(images), len(classifier.findings))
    if tuple(logits.shape) != expected:
        raise ExplainerError(
            f"The classifier returned logits of shape {tuple(logits.shape)} for {len(images)} "
            f"images and {len(classifier.findings)} findings; expected {expected}."
        )
    probabilities = classifier.probabilities(logits.detach())
    return logits.gather(1, targets[:, None])[:, 0], probabilities.gather(1, targets[:, None])[:, 0]


def gradient_of(value: Tensor, latents: Tensor) -> Tensor:
    """Differentiate a sum over cases with respect to their latents.

    Raises
    ------
    ExplainerError
        If there is no way back from the value to the latents, or the gradient is NaN or infinite.
    """
    gradient = unchecked_gradient(value, latents)
    if not (torch.isfinite(gradient).all() and torch.isfinite(latents).all()):
        raise ExplainerError(
            "The gradient of the classifier through the decoder is NaN or infinite; check the "
            "weights of both networks."
        )
    return gradient


def unchecked_gradient(value: Tensor, latents: Tensor) -> Tensor:
    """Differentiate as :func:`gradient_of`, but let single cases be NaN or infinite.

    Raises
    ------
    ExplainerError
        If there is no way back from the value to the latents.
    """
    advice = (
        "The prediction cannot be differentiated with respect to the latent: a layer of the "
        "classifier or of the decoder is not differentiable, or detaches its result{reason}. "
        "Use networks built of differentiable layers."
    )
    if not value.requires_grad:
        raise ExplainerError(advice.format(reason=""))
    try:
        (gradient,) = torch.autograd.grad(value, latents, allow_unused=True)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # what autograd raises where a layer has no derivative
        raise ExplainerError(advice.format(reason=f" ({error})")) from error
    if gradient is None:
        raise ExplainerError(advice.format(reason=""))
    return gradient.detach()


def row_norms(vectors: Tensor) -> NDArray[np.float64]:
    """Return the Euclidean length of each of M latents, (M,), float64."""
    return to_numpy(vectors.double().flatten(1).norm(dim=1))


def scaled(vectors: Tensor, factors: NDArray[np.float64]) -> Tensor:
    """Multiply each of M latents by a number."""
    column = torch.from_numpy(np.asarray(factors, np.float64)).to(vectors.device, vectors.dtype)
    return vectors * column.reshape(-1, *[1] * (vectors.ndim - 1))


def to_numpy(values: Tensor) -> NDArray[np.float64]:
    """Return numbers as float64 on the host, without gradient."""
    return values.detach().cpu().numpy().astype(np.float64)
