"""The classifiers of torchxrayvision (Cohen et al. 2022, arXiv:2111.00595), an optional extra.

Only architectures, labels and operating points come from that package; the weights come from a
file that the user has, and nothing is ever downloaded. The networks' own forward passes are
by-passed: they end in a calibration with a slope jump at the operating point, and explaining needs
logits. The smooth calibration sigmoid(logit − logit of the operating point) agrees with theirs on
what 0.5 is; away from it the two differ.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.classifiers.adapted import AdaptedClassifier, check_classifier
from explainers.classifiers.weightsfile import digest_of, fill, read_state

INPUT_RANGE = (-1024.0, 1024.0)
JFHEALTHCARE = "jfhealthcare"
JF_FINDINGS = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Effusion")
RESNET = "resnet50-res512-all"

# Operators that torchvision describes to torch but that a wheel for another torch fails to bring;
# no network here calls them.
_MISSING_OPERATORS = tuple(
    f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms")
)


class DenseNetLogits(nn.Module):
    """Logits of torchxrayvision's DenseNet, every rectifier a layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.features = network.get_submodule("features")
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = network.get_submodule("classifier")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, outputs) of images (N, 1, H, W) in [-1024, 1024]."""
        return self.classifier(self.pool(self.relu(self.features(images))).flatten(1))


class JFLogits(nn.Module):
    """Logits of the JF Healthcare DenseNet (Ye et al. 2020, arXiv:2005.14480)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 5) of images (N, 3, H, W) in [-1024, 1024]."""
        logits, _ = self.network(images / 512)
        return torch.cat(logits, dim=1)


def split_name(text: str) -> tuple[str, Path]:
    """Split ``<name>@<weights file>``.

    Raises
    ------
    ExplainerError
        If a part is missing.
    """
    name, _, path = text.partition("@")
    if not name or not path:
        raise ExplainerError(
            f"'torchxrayvision:{text}' names no weights file; write "
            "torchxrayvision:<name>@<path of the .pt file>, e.g. "
            "torchxrayvision:densenet121-res224-all@weights/all.pt."
        )
    return name, Path(path).expanduser()


def open_torchxrayvision(text: str) -> AdaptedClassifier:
    """Open ``<name>@<weights file>``.

    Parameters
    ----------
    text
        The name is one of ``densenet121-res224-{all,nih,pc,chex,rsna,mimic_nb,mimic_ch}``,
        ``resnet50-res512-all``, ``jfhealthcare``.

    Raises
    ------
    ExplainerError
        If the package is not installed, the name is unknown, or the file is missing or unfit.
    """
    name, path = split_name(text)
    package = import_torchxrayvision()
    known = _known(package)
    if name not in known:
        raise ExplainerError(
            f"torchxrayvision has no classifier {name!r}; choose one of {', '.join(known)}."
        )
    if not path.is_file():
        raise ExplainerError(
            f"There are no weights at {path}; download {_address(package, name)} yourself, put it "
            "there or name the file that you have. Nothing is downloaded for you."
        )
    with torch.random.fork_rng(devices=[]):
        bare = build_network(package, name)
    fill(bare, read_state(path, allowed_classes(package)), path)
    classifier = adapt(package, name, bare, digest_of(path))
    check_classifier(classifier)
    return classifier


def build_network(package: ModuleType, name: str) -> nn.Module:
    """Build the architecture of a known name, with fresh weights and without any download."""
    if name == JFHEALTHCARE:
        return _jf_network(package)
    if name == RESNET:
        network = importlib.import_module("torchvision").models.resnet50(
            num_classes=len(package.models.model_urls[name]["labels"]), weights=None
        )
        network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        return network
    return package.models.DenseNet(weights=None, num_classes=18)


def adapt(package: ModuleType, name: str, network: nn.Module, digest: str) -> AdaptedClassifier:
    """Put a filled network of a known name behind the classifier interface."""
    if name == JFHEALTHCARE:
        return AdaptedClassifier(
            JFLogits(network), JF_FINDINGS, (512, 512), INPUT_RANGE, channels=3,
            weights_digest=digest,
        )  # fmt: skip
    entry = package.models.model_urls[name]
    findings, points, columns = usable_outputs(entry["labels"], entry["op_threshs"])
    side = int(entry["input_resolution"])
    module = network if name == RESNET else DenseNetLogits(network)
    return AdaptedClassifier(
        module,
        findings,
        (side, side),
        INPUT_RANGE,
        operating_points=points,
        columns=columns,
        weights_digest=digest,
    )


def usable_outputs(
    labels: list[str], points: list[float]
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[int, ...]]:
    """Names, operating points and columns of the outputs that were trained.

    Outputs without a name or without an operating point were not.
    """
    chosen = [
        (label, float(point), column)
        for column, (label, point) in enumerate(zip(labels, points, strict=True))
        if label and math.isfinite(point)
    ]
    names, thresholds, columns = zip(*chosen, strict=True)
    return names, thresholds, columns


def allowed_classes(package: ModuleType) -> tuple[type, ...]:
    """Classes that a weights file with a whole pickled DenseNet may name."""
    models = package.models
    ours = [models.DenseNet, models._DenseLayer, models._DenseBlock, models._Transition]
    layers = [nn.Sequential, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d]
    return (*ours, *layers, nn.Linear)


def import_torchxrayvision() -> ModuleType:
    """Import the package, also where torchvision lacks its compiled operators.

    Raises
    ------
    ExplainerError
        If it is not installed or torchvision cannot be imported; says what to install.
    """
    with warnings.catch_warnings():  # the package silences all warnings for everybody
        warnings.simplefilter("ignore")
        try:
            import_despite_missing_operators(lambda: importlib.import_module("torchvision"))
            return importlib.import_module("torchxrayvision")
        except ImportError as error:
            raise ExplainerError(
                f"torchxrayvision cannot be imported ({error}); install it with "
                "`pip install 'counterlight[torchxrayvision]'`."
            ) from error


def import_despite_missing_operators(import_it: Callable[[], ModuleType]) -> ModuleType:
    """Import torchvision; where an operator does not exist, declare it and try once more.

    Raises
    ------
    ExplainerError
        If it still fails.
    """
    try:
        return import_it()
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        _forget("torchvision")
    library = torch.library.Library("torchvision", "FRAGMENT")
    try:
        for schema in _MISSING_OPERATORS:
            library.define(schema)
        module = import_it()
    except RuntimeError as error:
        raise ExplainerError(
            f"torchvision does not fit torch {torch.__version__} ({error}); install the "
            "torchvision that was built for this torch: see the table in torchvision's README, and "
            "take both from the same index (both CPU, or both the same CUDA)."
        ) from error
    module.__dict__["_counterlight_operators"] = library  # a dropped library drops its operators
    return module


def _forget(package: str) -> None:
    """Drop a half-imported package, so that importing it again starts anew."""
    for name in [each for each in sys.modules if each.split(".")[0] == package]:
        del sys.modules[name]


def _known(package: ModuleType) -> list[str]:
    urls: Mapping[str, Any] = package.models.model_urls
    return [*(name for name in urls if "res" in name), JFHEALTHCARE]


def _address(package: ModuleType, name: str) -> str:
    if name == JFHEALTHCARE:
        return "the file baseline_models_jfhealthcare-DenseNet121_pre_train.pth of its releases"
    return str(package.models.model_urls[name]["weights_url"])


def _jf_network(package: ModuleType) -> nn.Module:
    """Build the JF Healthcare network; its configuration would download ImageNet weights."""
    folder = Path(str(package.__file__)).parent / "baseline_models" / "jfhealthcare"
    settings = json.loads((folder / "config" / "example.json").read_text(encoding="utf-8"))
    module = importlib.import_module(
        f"{package.__name__}.baseline_models.jfhealthcare.model.classifier"
    )
    network: nn.Module = module.Classifier(SimpleNamespace(**{**settings, "pretrained": False}))
    return network
