"""A head on a WGAN's latent as a classifier: f(x) = h(E(x)).

A regressor is explained through the same interfaces as a classifier. Its logits are the values of
the head themselves, such as ln(BNP)/10 of a simulated BNP, which is what a search descends; its
probabilities are sigmoid(slope · (value − threshold)), a rising map with 0.5 exactly at the
threshold (100 ng/L), whose slope is Platt's on validation films. For a head of findings these are
the calibrated probabilities that every other classifier of this package has.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from data.phantom.severity import target_of
from explainers.base import ExplainerError
from explainers.generators.wgan import WGAN, load_wgan

LATENT = "latent:"
"""Before the text of :func:`open_latent_classifier` where any classifier can be named."""


class LatentRegressor(nn.Module):
    """h(E(x)) as a :class:`explainers.classifiers.base.Classifier`.

    Parameters
    ----------
    wgan
        Generator and encoder, with the head. Frozen; gradients flow to images and latents.
    head
        Name of the head; its outputs are the findings.

    Raises
    ------
    ExplainerError
        If there is no encoder or no such head.
    """

    def __init__(self, wgan: WGAN, head: str) -> None:
        super().__init__()
        if wgan.encoder is None:
            raise ExplainerError(
                "A head reads the latent of an image, which takes an encoder; train it with "
                "`counterlight train wgan-encoder`."
            )
        self.wgan, self.head_name = wgan, head
        self.head = wgan.head(head)
        self.findings = self.head.shape.outputs
        self.input_size = wgan.input_size
        self.input_range = wgan.input_range
        self.weights_digest = _digest(wgan.weights_digest, head)
        self.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return f"LatentRegressor({self.head_name!r}, weights_digest={self.weights_digest[:12]!r})"

    @property
    def is_regression(self) -> bool:
        """Whether the logits are values of a quantity; otherwise they are log-odds."""
        return self.head.shape.kind == "regression"

    @property
    def note(self) -> str:
        """What the values mean, for people."""
        return self.head.shape.note

    def latent_logits(self, latents: Tensor) -> Tensor:
        """h(z), (N, F), of latents (N, D)."""
        return self.head(latents)

    def logits(self, images: Tensor) -> Tensor:
        """h(E(x)), (N, F), of images (N, 1, S, S) in [0, 1]."""
        return self.head(self.wgan.encode(images))

    def probabilities(self, logits: Tensor) -> Tensor:
        """sigmoid(slope · (value − threshold)), (N, F) in [0, 1]; 0.5 at the threshold."""
        return self.head.probabilities(logits)

    def probability_at(self, bnp_ng_l: float) -> float:
        """Probability that belongs to a simulated BNP, e.g. to the paper's cutoff of 10 ng/L.

        Raises
        ------
        ExplainerError
            If the head predicts something else, or the BNP is not above 0.
        """
        if not self.is_regression:
            raise ExplainerError(f"The head {self.head_name!r} predicts findings, not a BNP.")
        if not bnp_ng_l > 0:
            raise ExplainerError(f"A BNP is above 0 ng/L; got {bnp_ng_l}.")
        value = torch.full((1, len(self.findings)), target_of(bnp_ng_l))
        return float(self.probabilities(value)[0, 0])


def open_latent_classifier(text: str) -> LatentRegressor:
    """Open a head as a classifier.

    Parameters
    ----------
    text
        ``<head>@<file or shipped name>``, e.g. ``bnp-linear@phantom-wgan``; without ``<head>@``
        the first head of the file.

    Raises
    ------
    ExplainerError
        If there is no such file or head, or the file has no encoder.
    """
    head, found, path = text.rpartition("@")
    wgan = load_wgan(path)
    if not found:
        if not wgan.head_names:
            raise ExplainerError(
                f"{path} has no heads on its latent; train them with `counterlight train "
                "latent-regressor`."
            )
        head = wgan.head_names[0]
    return LatentRegressor(wgan, head)


def _digest(weights_digest: str, head: str) -> str:
    return hashlib.sha256(f"{weights_digest}#{head}".encode()).hexdigest()
