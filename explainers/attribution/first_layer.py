"""A classifier cut behind its first convolution, for methods that walk straight to an image.

A convolution is affine: at a point between a baseline and an image its output lies as far between
their outputs. So the layer with the largest maps needs to be passed once per image, forward and
back, whatever the number of points; a mean of gradients behind it is a gradient in front of it.
Batch normalisation that follows a convolution is affine too and is folded into it on the way.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from explainers.attribution.batches import WatchedLogits
from explainers.differentiation import Logits, left_as_found, module_of

Network = TypeVar("Network")

_SAME = 1e-4


class _Given(nn.Module):
    """Stands where the first convolution stood and returns what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.value: Tensor | None = None

    def forward(self, maps: Tensor) -> Tensor | None:
        return self.value


class BehindFirstLayer(nn.Module):
    """The logits as a function of the maps behind the first convolution.

    Parameters
    ----------
    logits
        Of a copy of the classifier, in which ``given`` stands for the first convolution.
    given
        That stand-in.
    blank
        (1, 1, H, W), sent in as the image, which must not matter.
    """

    def __init__(self, logits: Logits, given: _Given, blank: Tensor) -> None:
        super().__init__()
        self.logits, self.given, self.blank = logits, given, blank

    def forward(self, maps: Tensor) -> Tensor:
        """Logits (N, F) of maps (N, C, h, w) behind the first convolution."""
        self.given.value = maps
        try:
            return self.logits(self.blank.expand(len(maps), -1, -1, -1))
        finally:
            self.given.value = None


def cut(
    logits: Logits, images: Tensor, baseline: Tensor
) -> tuple[BehindFirstLayer, Tensor, Tensor] | None:
    """Cut a classifier behind its first convolution, on a copy that shares its weights.

    Parameters
    ----------
    logits
        The classifier; not changed.
    images
        (N, 1, H, W); the maps returned are differentiable with respect to them where they are.
    baseline
        (1, 1, H, W).

    Returns
    -------
    (network, maps, maps of the baseline), or None
        Network behind the cut; maps (N, C, h, w) and (1, C, h, w). ``None`` where the classifier
        does not begin with a single convolution on an affine function of the image, which is
        tried out on a point half way to every image.
    """
    if not (isinstance(logits, WatchedLogits) and isinstance(logits.classifier, nn.Module)):
        return None
    try:
        classifier = shared_copy(logits.classifier)
    except (TypeError, RuntimeError):  # it holds something that cannot be copied
        return None
    for layer in list(classifier.modules()):
        if isinstance(layer, nn.Sequential):
            _fold(layer)
    first = next(
        ((parent, name) for parent in classifier.modules() for name in _convolutions(parent)), None
    )
    if first is None:
        return None
    parent, name = first
    convolution = parent.get_submodule(name)
    watched = logits.on(classifier)
    with left_as_found(classifier):
        maps = _maps(watched, convolution, images)
        halfway = (images.detach() + baseline) / 2
        with torch.no_grad():
            others = _maps(watched, convolution, torch.cat([baseline, halfway]))
            if maps is None or others is None:
                return None
            setattr(parent, name, given := _Given())
            behind = BehindFirstLayer(logits.on(classifier), given, baseline)
            base, between = others[:1], (maps.detach() + others[:1]) / 2
            same = _close(between, others[1:]) and _close(behind(between), logits(halfway))
    return (behind, maps, base) if same else None


def shared_copy(network: Network) -> Network:
    """Copy the layers of a network, so that they can be hooked or replaced, but not its tensors."""
    module = module_of(network)
    tensors = [] if module is None else [*module.parameters(), *module.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


def _maps(logits: Logits, convolution: nn.Module, images: Tensor) -> Tensor | None:
    """Return what the convolution returns, or ``None`` if it is not passed exactly once."""
    seen: list[Tensor] = []
    hook = convolution.register_forward_hook(lambda layer, given, made: seen.append(made))
    try:
        logits(images)
    finally:
        hook.remove()
    return seen[0] if len(seen) == 1 and len(seen[0]) == len(images) else None


def _convolutions(parent: nn.Module) -> list[str]:
    return [name for name, layer in parent.named_children() if type(layer) is nn.Conv2d]


def _fold(layers: nn.Sequential) -> None:
    """Fold batch normalisations into the convolutions just before them."""
    for (before, convolution), (after, norm) in pairwise(list(layers.named_children())):
        if type(convolution) is not nn.Conv2d or type(norm) is not nn.BatchNorm2d:
            continue  # subclasses may compute something else
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        if norm.running_mean is not None and norm.affine:
            folded = fuse_conv_bn_eval(convolution.eval(), norm.eval())
            setattr(layers, before, folded.requires_grad_(False))
            setattr(layers, after, nn.Identity())


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool((one - other).abs().max() <= _SAME * other.abs().max().clamp(min=1e-6))
