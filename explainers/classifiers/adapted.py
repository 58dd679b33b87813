"""A torch module that somebody else made, as a classifier of this package, after checks."""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.classifiers.calibration import Calibration

Output: TypeAlias = Literal["logit", "probability"]

_SMALLEST_PROBABILITY = 1e-6


class AdaptedClassifier(nn.Module):
    """A frozen module behind the interface :class:`explainers.classifiers.base.Classifier`.

    Parameters
    ----------
    network
        Maps images (N, channels, H, W) in ``input_range`` to (N, outputs). It is put into
        evaluation mode, its parameters stop recording gradients, and its rectifiers no longer work
        in place, which would stop methods that hook them.
    findings
        Name of every output that is used.
    input_size, input_range
        Rows and columns; value of black and of white.
    output
        Whether the module returns logits or probabilities. Of probabilities the logit is taken,
        after they are kept 1e-6 away from 0 and 1.
    operating_points
        Probability, before calibration, that counts as positive from there on, per finding; all
        0.5 by default. It is moved to 0.5 by p = sigmoid(logit − logit(point)), which is smooth.
    columns
        Index of each finding among the module's outputs; all outputs in order by default.
    channels
        Channels the module takes; the grey image is repeated.
    weights_digest
        Computed from names and values of the module's tensors by default.

    Raises
    ------
    ExplainerError
        If a statement about the module is not usable.
    """

    intercepts: Tensor

    def __init__(
        self,
        network: nn.Module,
        findings: tuple[str, ...],
        input_size: tuple[int, int],
        input_range: tuple[float, float] = (0.0, 1.0),
        output: Output = "logit",
        operating_points: tuple[float, ...] | None = None,
        columns: tuple[int, ...] | None = None,
        channels: int = 1,
        weights_digest: str | None = None,
    ) -> None:
        super().__init__()
        _check_statements(findings, input_size, input_range, output, channels)
        self.network = network
        self.findings = tuple(findings)
        self.input_size = (int(input_size[0]), int(input_size[1]))
        self.input_range = (float(input_range[0]), float(input_range[1]))
        self.output = output
        self.channels = channels
        self.columns = columns
        self.calibration = calibration_at(operating_points, self.findings)
        self.weights_digest = state_digest(network) if weights_digest is None else weights_digest
        intercepts = torch.tensor(self.calibration.intercepts, dtype=torch.float32)
        self.register_buffer("intercepts", intercepts, persistent=False)
        for layer in self.modules():
            if hasattr(layer, "inplace"):
                setattr(layer, "inplace", False)  # noqa: B010 (not every layer has it)
        # Channels-last convolutions are faster on a CPU; torch's stubs do not know the argument.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return (
            f"AdaptedClassifier(network={type(self.network).__name__}, output={self.output!r}, "
            f"weights_digest={self.weights_digest[:12]!r})"
        )

    def forward(self, images: Tensor) -> Tensor:
        """Same as :meth:`logits`, for libraries that call the module."""
        return self.logits(images)

    def logits(self, images: Tensor) -> Tensor:
        """Uncalibrated logits (N, F) of images (N, 1, H, W) in ``input_range``.

        Raises
        ------
        ExplainerError
            If the images are not one-channel batches, or the module does not return (N, outputs).
        """
        if images.ndim != 4 or images.shape[1] != 1:
            raise ExplainerError(
                f"The classifier takes images of shape (N, 1, H, W); got {tuple(images.shape)}."
            )
        values = self.outputs(images)
        if self.output == "logit":
            return values
        return torch.logit(values, eps=_SMALLEST_PROBABILITY)

    def outputs(self, images: Tensor) -> Tensor:
        """What the module itself returns for the findings, (N, F)."""
        values = self.network(images.expand(-1, self.channels, -1, -1))
        n_wanted = len(self.findings) if self.columns is None else max(self.columns) + 1
        fits = (
            isinstance(values, Tensor)
            and values.ndim == 2
            and len(values) == len(images)
            and (values.shape[1] >= n_wanted if self.columns else values.shape[1] == n_wanted)
        )
        if not fits:
            shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ExplainerError(
                f"The classifier returned {shape} for {len(images)} images; expected a tensor of "
                f"shape ({len(images)}, {n_wanted}), one column per finding "
                f"({', '.join(self.findings)}). Return that from forward()."
            )
        return values if self.columns is None else values[:, list(self.columns)]

    def probabilities(self, logits: Tensor) -> Tensor:
        """sigmoid(logit − logit of the operating point), (N, F) in [0, 1]."""
        return torch.sigmoid(logits + self.intercepts)


def calibration_at(points: tuple[float, ...] | None, findings: tuple[str, ...]) -> Calibration:
    """Calibration of slope 1 that moves each operating point, a probability, to 0.5.

    Raises
    ------
    ExplainerError
        If there is not one point inside (0, 1) per finding.
    """
    if points is None:
        return Calibration.identity(len(findings))
    values = np.asarray(points, np.float64)
    if values.shape != (len(findings),) or not ((values > 0) & (values < 1)).all():
        raise ExplainerError(
            f"Operating points {tuple(points)} were given; expected one probability between 0 and "
            f"1 for each of {len(findings)} findings."
        )
    return Calibration((1.0,) * len(findings), tuple((-np.log(values / (1 - values))).tolist()))


def state_digest(network: nn.Module) -> str:
    """SHA-256 over names, types, shapes and values of all tensors of a module, hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not isinstance(tensor, Tensor):
            continue
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(content.numpy().tobytes())
    return digest.hexdigest()


def probe_images(size: tuple[int, int], value_range: tuple[float, float]) -> Tensor:
    """Black, white, a ramp and noise: (4, 1, H, W) in ``value_range``, always the same."""
    rows, columns = size
    noise = torch.rand(1, rows, columns, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(0, 1, columns).expand(1, rows, columns)
    images = torch.stack([torch.zeros_like(noise), torch.ones_like(noise), ramp, noise])
    black, white = value_range
    return black + (white - black) * images


def check_classifier(classifier: AdaptedClassifier, *, trust_output: bool = False) -> None:
    """Try a classifier on four images and refuse one that cannot be explained.

    Parameters
    ----------
    trust_output
        Do not compare the values with what was declared.

    Raises
    ------
    ExplainerError
        If it fails, returns another shape, NaN, values that are not what was declared, or has no
        gradient with respect to the image.
    """
    images = probe_images(classifier.input_size, classifier.input_range)
    images = images.to(classifier.intercepts.device).requires_grad_()
    rows, columns = classifier.input_size
    try:
        with torch.enable_grad():
            values = classifier.outputs(images)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ExplainerError(
            f"The classifier fails on four images of {classifier.channels} × {rows} × {columns}: "
            f"{error}. Check input_size and channels."
        ) from error
    if not torch.isfinite(values).all():
        raise ExplainerError(
            "The classifier returns NaN or infinite values for plain images; check its weights and "
            f"its input range ({classifier.input_range[0]:g} to {classifier.input_range[1]:g})."
        )
    if not trust_output:
        _check_output(classifier.output, values.detach())
    _check_gradient(values, images)


def _check_output(output: Output, values: Tensor) -> None:
    low, high = float(values.min()), float(values.max())
    inside = low >= 0 and high <= 1
    if output == "logit" and inside:
        raise ExplainerError(
            f"The classifier was declared to return logits, but everything it returns lies between "
            f"{low:.3g} and {high:.3g}, like probabilities. Declare output='probability', or, if "
            "these are logits, trust_output=True."
        )
    if output == "probability" and not inside:
        raise ExplainerError(
            f"The classifier was declared to return probabilities, but its values run from "
            f"{low:.3g} to {high:.3g}; declare output='logit'."
        )


def _check_gradient(values: Tensor, images: Tensor) -> None:
    gradient = None
    if values.requires_grad:
        try:
            (gradient,) = torch.autograd.grad(values.sum(), images, allow_unused=True)
        except RuntimeError as error:
            raise ExplainerError(
                f"The classifier cannot be differentiated: {error}. Replace the layer that torch "
                "has no derivative for."
            ) from error
    if gradient is None or not gradient.any():
        raise ExplainerError(
            "The classifier has no gradient with respect to the image: a layer is not "
            "differentiable (rounding, thresholds, NumPy, detach() or no_grad()). Remove it; "
            "methods that explain need the derivative."
        )
    if not torch.isfinite(gradient).all():
        raise ExplainerError(
            "The gradient of the classifier is NaN or infinite for plain images; look for a "
            "division by zero, a square root or a logarithm at 0 in its layers."
        )


def _check_statements(
    findings: tuple[str, ...],
    size: tuple[int, int],
    value_range: tuple[float, float],
    output: str,
    channels: int,
) -> None:
    """Refuse statements that cannot describe a classifier."""
    if not isinstance(findings, (tuple, list)) or not findings:
        raise ExplainerError(f"findings are {findings!r}; expected different names in a tuple.")
    if not all(isinstance(name, str) and name for name in findings):
        raise ExplainerError(f"findings are {findings!r}; every finding needs a name.")
    if len(set(findings)) != len(findings):
        raise ExplainerError(f"findings are {findings!r}; expected different names in a tuple.")
    check_geometry(size, value_range)
    if output not in get_args(Output):
        raise ExplainerError(f"output is {output!r}; expected 'logit' or 'probability'.")
    if channels not in (1, 3):
        raise ExplainerError(f"channels is {channels!r}; expected 1 or 3.")


def check_geometry(size: tuple[int, int], value_range: tuple[float, float]) -> None:
    """Refuse an image size or a range of values that cannot be one.

    Raises
    ------
    ExplainerError
        If the size is not two positive whole numbers, or the range not two different numbers.
    """
    pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not pair or not all(isinstance(side, int) and side > 0 for side in size):
        raise ExplainerError(f"input_size is {size!r}; expected rows and columns, e.g. (224, 224).")
    pair = isinstance(value_range, (tuple, list)) and len(value_range) == 2
    numbers = pair and all(isinstance(value, (int, float)) for value in value_range)
    if not numbers or not np.isfinite(value_range).all() or np.ptp(value_range) == 0:
        raise ExplainerError(
            f"input_range is {value_range!r}; expected the values of black and of white."
        )
