"""The published procedure done literally, one evaluation at a time, to time ours against.

Written from the description in Cohen et al. 2021 (arXiv:2102.09475, §3, §4 and App. C).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explainers.classifiers.base import Classifier
from explainers.differentiation import to_input_range
from explainers.generators.base import Autoencoder

matplotlib.use("Agg")

N_STEPS = 100
FALL, RISE = 0.30, 0.05
EVALUATIONS_BELOW, EVALUATIONS_ABOVE = 35, 10
N_FRAMES = 21


def condition_a(classifier: Classifier, image: Tensor, target: int) -> dict[str, NDArray]:
    """Gradient, guided backpropagation, 100 integrated-gradients steps; image (1, 1, H, W)."""
    gradient = _gradient(classifier, image, target)
    guided = _guided(classifier, image, target)
    total = torch.zeros_like(image)
    for step in range(N_STEPS):
        total += _gradient(classifier, image * ((step + 0.5) / N_STEPS), target)
    integrated = image * total / N_STEPS
    found = {"gradient": gradient, "guided": guided, "integrated": integrated}
    return {name: each[0, 0].numpy() for name, each in found.items()}


def condition_b(
    classifier: Classifier, autoencoder: Autoencoder, image: Tensor, target: int, folder: Path
) -> Path:
    """Latent Shift: the map from one search, the video from a search of its own."""
    frames = _film(classifier, autoencoder, image, target)
    np.abs(frames - frames[len(frames) // 2]).max(axis=0)
    return _draw(_film(classifier, autoencoder, image, target), folder)


def _gradient(classifier: Classifier, image: Tensor, target: int) -> Tensor:
    given = image.detach().clone().requires_grad_()
    logit = classifier.logits(to_input_range(given, classifier))[0, target]
    return torch.autograd.grad(logit, given)[0]


def _guided(classifier: Classifier, image: Tensor, target: int) -> Tensor:
    def clip(layer: nn.Module, incoming: tuple, outgoing: tuple) -> tuple[Tensor]:
        return (incoming[0].clamp(min=0),)

    assert isinstance(classifier, nn.Module)
    rectifiers = [layer for layer in classifier.modules() if isinstance(layer, nn.ReLU)]
    hooks = [layer.register_full_backward_hook(clip) for layer in rectifiers]
    try:
        return _gradient(classifier, image, target)
    finally:
        for hook in hooks:
            hook.remove()


def _film(
    classifier: Classifier, autoencoder: Autoencoder, image: Tensor, target: int
) -> NDArray[np.float32]:
    """Search both ends with equal steps, one decoded frame at a time, then decode the film."""
    latent = autoencoder.encode(image).detach().requires_grad_()
    decoded = to_input_range(autoencoder.decode(latent), classifier)
    gradient = torch.autograd.grad(classifier.logits(decoded)[0, target], latent)[0]
    unit = 1 / max(float(gradient.double().square().sum()), 1e-30)

    def frame(step: float) -> Tensor:
        with torch.no_grad():
            return autoencoder.decode(latent + step * gradient)

    def probability(step: float) -> float:
        with torch.no_grad():
            logits = classifier.logits(to_input_range(frame(step), classifier))
            return float(classifier.probabilities(logits)[0, target])

    start = probability(0)
    low = _walk(probability, -0.1 * unit, EVALUATIONS_BELOW, lambda p: p <= start - FALL)
    high = _walk(probability, 0.1 * unit, EVALUATIONS_ABOVE, lambda p: p >= start + RISE)
    return np.stack([frame(step)[0, 0].numpy() for step in np.linspace(low, high, N_FRAMES)])


def _walk(
    probability: Callable[[float], float],
    step: float,
    n_most: int,
    reached: Callable[[float], bool],
) -> float:
    """Make equal steps; without a break, as printed: the first that has reached it is kept."""
    found = None
    for number in range(1, n_most + 1):
        if reached(probability(number * step)) and found is None:
            found = number * step
    return n_most * step if found is None else found


def _draw(frames: NDArray[np.float32], folder: Path) -> Path:
    """Draw every frame with matplotlib; join them with ffmpeg, else with Pillow."""
    from matplotlib import pyplot
    from PIL import Image

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for number, frame in enumerate([*frames, *frames[-2:0:-1]]):
            figure = pyplot.figure(figsize=(4, 4))
            pyplot.imshow(frame, cmap="gray", vmin=0, vmax=1)
            pyplot.axis("off")
            figure.savefig(Path(scratch) / f"{number:03d}.png")
            pyplot.close(figure)
        program = shutil.which("ffmpeg")
        if program is not None:
            target = folder / "literal.mp4"
            command = [program, "-v", "error", "-y", "-r", "10", "-i", f"{scratch}/%03d.png"]
            subprocess.run([*command, "-pix_fmt", "yuv420p", str(target)], check=True)
            return target
        drawn = [Image.open(path).convert("L") for path in sorted(Path(scratch).glob("*.png"))]
        target = folder / "literal.gif"
        drawn[0].save(target, save_all=True, append_images=drawn[1:], duration=100, loop=0)
    return target
