"""Grad-CAM: the network's last feature maps, weighted by their gradients."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from data.raster import resize
from explainers.attribution.batches import BatchedMethod, Method
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits, device_of, left_as_found, module_of

_Size = tuple[int, int]


@dataclass(frozen=True)
class GradCam(BatchedMethod):
    """ReLU(Σ over channels of (mean of ∂f/∂A) · A) at a convolutional layer A (Selvaraju et al.
    2017, arXiv:1610.02391, Eqs. 1 and 2).

    The negative part is cut, as published: pictures and measures of localisation take absolute
    values, and would show what speaks against the finding as its place. The layer is found
    automatically: of the layers that still have rows and columns, the last one at the size of
    the last convolution (so that its normalisation and rectifier are included). Its map is
    interpolated to the size of the image.

    The method hooks that layer. It does so on a copy of the classifier, so that another thread that
    uses the classifier at the same time is not disturbed.

    Maps: values ≥ 0, in logits: the mean over the feature map's own positions estimates what
    the map adds to the logit.

    Parameters
    ----------
    classifier
        A torch module, or an object with one as its attribute ``module``, with convolutions.
    stage
        Which size of the feature maps, counted from the end: -1 is the last and coarsest, -2 the
        one before.
    batch_size
        Images per pass; no influence on the result.
    """

    name: ClassVar[str] = "grad_cam"

    classifier: Classifier = field(repr=False)
    stage: int = -1
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        if self.stage >= 0:
            raise ExplainerError(
                f"stage is {self.stage}; expected -1 for the last size of the feature maps, -2 for "
                "the one before, and so on."
            )

    def _prepared(self) -> tuple[Classifier, Method]:
        classifier = copy.deepcopy(self.classifier)
        layer = feature_layer(classifier, self.stage)

        def weigh(logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
            coarse = LayerGradCam(logits, layer).attribute(
                images, target=targets, relu_attributions=True
            )
            maps = coarse.detach().squeeze(1).cpu().numpy()  # (n, h, w)
            rows, columns = images.shape[2:]
            return torch.from_numpy(resize(maps, (rows, columns)))[:, None], None

        return classifier, weigh


def feature_layer(classifier: Classifier, stage: int = -1) -> nn.Module:
    """Find the layer whose output Grad-CAM explains.

    Parameters
    ----------
    classifier
        It sees one image of mid-grey.
    stage
        As in :class:`GradCam`.

    Raises
    ------
    ExplainerError
        If the classifier has no convolution whose output has rows and columns, or not as many
        sizes as ``stage`` asks for.
    """
    outputs = _outputs(classifier)
    sizes = list(dict.fromkeys(size for layer, size in outputs if isinstance(layer, nn.Conv2d)))
    if not sizes:
        raise ExplainerError(
            "Grad-CAM needs a classifier with a torch.nn.Conv2d whose output has rows and columns: "
            "a torch.nn.Module, or an object with one as its attribute 'module'. This "
            f"{type(classifier).__name__} has none; use integrated gradients, occlusion or LIME."
        )
    if -stage > len(sizes):
        told = ", ".join(f"{rows} × {columns}" for rows, columns in sizes)
        raise ExplainerError(
            f"stage is {stage}, but the classifier's convolutions have {len(sizes)} sizes ({told})."
        )
    return [layer for layer, size in outputs if size == sizes[stage]][-1]


def _outputs(classifier: Classifier) -> list[tuple[nn.Module, _Size]]:
    """Return the innermost layers in the order of their last use, with the size of their maps."""
    module = module_of(classifier)
    if module is None:
        return []
    seen: dict[nn.Module, _Size] = {}

    def note(layer: nn.Module, _inputs: object, output: object) -> None:
        seen.pop(layer, None)
        if isinstance(output, Tensor) and output.ndim == 4 and max(output.shape[2:]) > 1:
            seen[layer] = (output.shape[2], output.shape[3])

    with left_as_found(classifier), torch.no_grad():
        for layer in module.modules():
            if not list(layer.children()):
                layer.register_forward_hook(note)
        grey = torch.full((1, 1, *classifier.input_size), 0.5, device=device_of(classifier))
        Logits(classifier)(grey)
    return list(seen.items())
