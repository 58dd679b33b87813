"""Guided backpropagation: gradients that pass a rectifier only where they are positive."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import ClassVar

from captum.attr import GuidedBackprop as CaptumGuidedBackprop
from torch import Tensor, nn

from explainers.attribution.batches import BatchedMethod, Method
from explainers.attribution.first_layer import shared_copy
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import Logits, module_of


@dataclass(frozen=True)
class GuidedBackprop(BatchedMethod):
    """∂f/∂x with negative gradients cut at every rectifier (Springenberg et al. 2014,
    arXiv:1412.6806).

    The method hooks the rectifiers. It does so on a copy of the classifier, so that another thread
    that uses the classifier at the same time is not disturbed.

    Maps: values in logits per unit of brightness (black 0, white 1), signed.

    Parameters
    ----------
    classifier
        A torch module, or an object with one as its attribute ``module``, whose rectifiers are
        ``torch.nn.ReLU`` layers; functional rectifiers cannot be hooked and would be left as they
        are.
    batch_size
        Images per pass; no influence on the result.
    """

    name: ClassVar[str] = "guided_backprop"

    classifier: Classifier = field(repr=False)
    batch_size: int = field(default=8, repr=False)

    def _prepared(self) -> tuple[Classifier, Method]:
        module = module_of(self.classifier)
        if module is None or not any(isinstance(layer, nn.ReLU) for layer in module.modules()):
            raise ExplainerError(
                "Guided backpropagation needs a classifier with torch.nn.ReLU layers: a "
                "torch.nn.Module, or an object with one as its attribute 'module'. This "
                f"{type(self.classifier).__name__} has none; leave out 'guided_backprop'."
            )
        return shared_copy(self.classifier), _guided_gradients


def _guided_gradients(logits: Logits, images: Tensor, targets: Tensor) -> tuple[Tensor, None]:
    with warnings.catch_warnings():
        # captum announces the hooks that it takes off again before it returns.
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU", UserWarning)
        return CaptumGuidedBackprop(logits).attribute(images, target=targets), None
