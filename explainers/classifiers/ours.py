"""The classifier that this package trains and ships."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier


class OurClassifier(nn.Module):
    """A frozen, calibrated classifier; see :class:`explainers.classifiers.base.Classifier`.

    Parameters
    ----------
    network
        Maps images (N, 1, H, W) in [0, 1] to logits (N, F). It is put into evaluation mode and its
        parameters stop recording gradients; gradients with respect to images still flow.
    findings
        Names of the F findings.
    input_size
        Rows and columns of the images it was trained on.
    calibration
        Slope and intercept per finding.
    weights_digest
        SHA-256 of the weights file, empty for a network that was never saved.
    architecture
        Name of the architecture, for provenance.

    Raises
    ------
    ExplainerError
        If calibration and findings differ in number.
    """

    slopes: Tensor
    intercepts: Tensor

    def __init__(
        self,
        network: nn.Module,
        findings: tuple[str, ...],
        input_size: tuple[int, int],
        calibration: Calibration,
        weights_digest: str = "",
        architecture: str = "",
    ) -> None:
        super().__init__()
        if len(calibration.slopes) != len(findings):
            raise ExplainerError(
                f"The calibration covers {len(calibration.slopes)} findings, "
                f"the classifier has {len(findings)}."
            )
        self.network = network
        self.findings = findings
        self.input_size = input_size
        self.input_range = (0.0, 1.0)
        self.calibration = calibration
        self.weights_digest = weights_digest
        self.architecture = architecture
        self.register_buffer("slopes", torch.tensor(calibration.slopes), persistent=False)
        self.register_buffer("intercepts", torch.tensor(calibration.intercepts), persistent=False)
        self.eval().requires_grad_(False)

    def __repr__(self) -> str:
        return (
            f"OurClassifier(architecture={self.architecture!r}, "
            f"weights_digest={self.weights_digest[:12]!r})"
        )

    def forward(self, images: Tensor) -> Tensor:
        """Same as :meth:`logits`, for libraries that call the module."""
        return self.network(images)

    def logits(self, images: Tensor) -> Tensor:
        """Uncalibrated logits (N, F) of images (N, 1, H, W) in [0, 1].

        Raises
        ------
        ExplainerError
            If the images are not one-channel batches.
        """
        if images.ndim != 4 or images.shape[1] != 1:
            raise ExplainerError(
                f"The classifier takes images of shape (N, 1, H, W); got {tuple(images.shape)}."
            )
        return self.network(images)

    def probabilities(self, logits: Tensor) -> Tensor:
        """sigmoid(a · logit + b) per finding, (N, F) in [0, 1]; 0.5 is the operating point."""
        return torch.sigmoid(logits * self.slopes + self.intercepts)

    def target(self, finding: str) -> int:
        """Index of ``finding`` among the logits.

        Raises
        ------
        ExplainerError
            If the classifier does not know it.
        """
        if finding not in self.findings:
            raise ExplainerError(
                f"The classifier does not know {finding!r}; it predicts {', '.join(self.findings)}."
            )
        return self.findings.index(finding)


def save_classifier(path: Path, classifier: OurClassifier) -> str:
    """Write a classifier to a ``.safetensors`` file and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {
        "architecture": classifier.architecture,
        "findings": list(classifier.findings),
        "input_size": list(classifier.input_size),
        "slopes": list(classifier.calibration.slopes),
        "intercepts": list(classifier.calibration.intercepts),
    }
    return write_network(path, classifier.network, "classifier", header)


def load_classifier(path_or_name: str | Path) -> OurClassifier:
    """Load a classifier from a file or by the name of a shipped one.

    Parameters
    ----------
    path_or_name
        Path of a ``.safetensors`` file, or e.g. ``"phantom-classifier"``.

    Returns
    -------
    OurClassifier
        On the CPU, float32, in evaluation mode.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, or does not fit its architecture.
    """
    saved = read_network(path_or_name, "classifier")
    findings = tuple(str(name) for name in saved.field("findings"))
    architecture = str(saved.field("architecture"))
    with torch.random.fork_rng(devices=[]):
        network = build_classifier(architecture, len(findings))
    saved.fill(network)
    # Channels-last convolutions are faster on a CPU; torch's stubs do not know the argument.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows, columns = saved.field("input_size")
    calibration = Calibration(
        tuple(float(a) for a in saved.field("slopes")),
        tuple(float(b) for b in saved.field("intercepts")),
    )
    return OurClassifier(
        network, findings, (int(rows), int(columns)), calibration, saved.digest, architecture
    )
