"""Training on handwritten digits: a LeNet that is explained, one that judges, and a generator.

The two LeNets see disjoint halves of the training images, and the generator sees neither of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from data.digits import DigitSet
from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.digits import (
    DIGIT_SIZE,
    DigitClassifier,
    LeNet,
    load_digit_classifier,
    save_digit_classifier,
)
from explainers.generators.wgan import WGAN, WGANShape, load_wgan, save_wgan
from explainers.training.images import ArrayImages
from explainers.training.loop import (
    EpochRecord,
    LoopSettings,
    StepReport,
    batches,
    fingerprint_of,
    seeded,
    train,
)
from explainers.training.wgan import train_wgan
from explainers.training.wgan_encoder import train_encoder

DigitRole: TypeAlias = Literal["classifier", "oracle"]

DIGIT_FILES: Final = {
    "classifier": "digits-classifier.safetensors",
    "oracle": "digits-oracle.safetensors",
    "wgan": "digits-wgan.safetensors",
}
"""Names of the weights files in the folder of a training, by role."""

DIGIT_SHAPE: Final = WGANShape(
    DIGIT_SIZE, latent=64, channel_base=512, channel_limit=64, critic_base=256
)
"""A generator small enough to be trained on one core within half an hour."""

_HALF: Final = {"classifier": 0, "oracle": 1}
_VALIDATION_SHARE: Final = 0.05


def to_batch(images: NDArray[np.uint8]) -> Tensor:
    """Turn digits (N, 28, 28) uint8 into a batch (N, 1, 32, 32) float32 in [0, 1].

    Digits of 32 × 32 are taken as they are; smaller ones get a black margin.

    Raises
    ------
    ExplainerError
        If they are larger than 32 × 32, or the margin is not even.
    """
    return torch.from_numpy(with_margin(images).copy())[:, None].float() / 255


def with_margin(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put images (N, rows, columns) into the middle of (N, 32, 32) black ones.

    Raises
    ------
    ExplainerError
        If they are larger than 32 × 32, or the margin is not even.
    """
    margins = [DIGIT_SIZE - length for length in images.shape[1:]]
    if min(margins) < 0 or any(margin % 2 for margin in margins):
        raise ExplainerError(
            f"Digits of {images.shape[1]} × {images.shape[2]} pixels were given; expected 28 × 28 "
            "as in MNIST."
        )
    around = [(0, 0), *[(margin // 2, margin // 2) for margin in margins]]
    return np.pad(images, around)


def digest_of(digits: DigitSet) -> str:
    """SHA-256 of images and labels, hexadecimal."""
    total = hashlib.sha256(np.ascontiguousarray(digits.images).tobytes())
    total.update(digits.labels.tobytes())
    return total.hexdigest()


@dataclass(frozen=True, eq=False)
class LeNetTask:
    """Cross-entropy of one LeNet on its half of the digits; see :class:`.loop.Task`."""

    network: nn.Module
    digits: DigitSet
    rows: NDArray[np.int64]
    validation_rows: NDArray[np.int64]

    def loss(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Mean cross-entropy of a batch."""
        logits = self.network(to_batch(self.digits.images[rows]))
        return nn.functional.cross_entropy(logits, torch.from_numpy(self.digits.labels[rows]))

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Share of validation digits told apart."""
        right = [
            network(to_batch(self.digits.images[rows])).argmax(dim=1).numpy()
            == self.digits.labels[rows]
            for rows in batches(self.validation_rows, 500)
        ]
        return {"accuracy": float(np.concatenate(right).mean())}


def accuracy(classifier: DigitClassifier, digits: DigitSet) -> float:
    """Share of digits that a classifier names as they are labelled, in [0, 1]."""
    rows = np.arange(len(digits.labels), dtype=np.int64)
    with torch.no_grad():
        named = [
            classifier.logits(to_batch(digits.images[part])).argmax(dim=1).numpy()
            for part in batches(rows, 500)
        ]
    return float((np.concatenate(named) == digits.labels).mean())


def train_digit_classifier(
    digits: DigitSet,
    role: DigitRole,
    settings: LoopSettings,
    out: Path,
    *,
    clock: Callable[[], float],
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    cancelled: Cancelled | None = None,
) -> DigitClassifier:
    """Train one of the two LeNets, or go on where a checkpoint stopped, and write it.

    Parameters
    ----------
    digits
        Training digits; the classifier takes the even, the oracle the odd ones.
    role
        Which of the two.
    settings
        Length, batch, seed; the oracle's seed is the next one.
    out
        Folder of the results; checkpoints lie in a folder of the role below ``state``.
    clock, fresh, on_step, cancelled
        As for :func:`explainers.training.loop.train`.

    Raises
    ------
    ExplainerError
        If there are too few digits, the training was stopped or diverged, or the disk refuses.
    """
    half = np.arange(_HALF[role], len(digits.labels), 2, dtype=np.int64)
    n_validation = max(1, round(_VALIDATION_SHARE * len(half)))
    rows, validation_rows = half[:-n_validation], half[-n_validation:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, "lenet", role).initial_seed())
        network = LeNet()
    fingerprint = fingerprint_of(digits=digest_of(digits), role=role, settings=settings)
    run = train(
        LeNetTask(network, digits, rows, validation_rows),
        settings,
        out / "state" / role,
        fingerprint=fingerprint,
        clock=clock,
        fresh=fresh,
        on_step=on_step,
        cancelled=cancelled,
    )
    path = out / DIGIT_FILES[role]
    trained = run.network
    assert isinstance(trained, LeNet)
    header: dict[str, object] = {"role": role, "steps": run.step, "n_images": len(rows)}
    save_digit_classifier(path, trained, header)
    return load_digit_classifier(path)


def digit_source(digits: DigitSet) -> ArrayImages:
    """Training digits as what a generator is trained on; every 20th is kept for validation."""
    held_out = np.arange(len(digits.labels)) % 20 == 19
    return ArrayImages(
        with_margin(digits.images), np.where(held_out, "val", "train"), digits.labels
    )


def train_digit_generator(
    digits: DigitSet,
    out: Path,
    *,
    generator: LoopSettings,
    encoder: LoopSettings,
    clock: Callable[[], float],
    shape: WGANShape = DIGIT_SHAPE,
    fresh: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    on_validation: Callable[[EpochRecord], None] | None = None,
    cancelled: Cancelled | None = None,
) -> WGAN:
    """Train the generator of digits, then its encoder, or go on where a checkpoint stopped.

    Parameters
    ----------
    digits
        Training digits; neither labels nor classifier are used.
    out
        Folder of the results.
    generator, encoder
        Length, batch, seed and rate of the two trainings.
    clock, fresh, on_step, on_validation, cancelled
        As for the trainings of :mod:`.wgan` and :mod:`.wgan_encoder`.

    Returns
    -------
    WGAN
        As read back from the file written.

    Raises
    ------
    ExplainerError
        If a training was stopped or diverged, or the disk refuses.
    """
    source = digit_source(digits)
    wgan, _ = train_wgan(
        source,
        generator,
        out / "state" / "wgan",
        shape=shape,
        clock=clock,
        validate_every=2000,
        fresh=fresh,
        on_step=on_step,
        on_validation=on_validation,
        cancelled=cancelled,
    )
    complete, _ = train_encoder(
        source,
        wgan,
        encoder,
        out / "state" / "encoder",
        clock=clock,
        fresh=fresh,
        on_step=on_step,
        cancelled=cancelled,
    )
    path = out / DIGIT_FILES["wgan"]
    save_wgan(path, complete)
    return load_wgan(path)
