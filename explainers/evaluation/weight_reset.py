"""A copy of a classifier that forgets what it has learned, layer by layer from the output back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import left_as_found, module_of, predict


@dataclass(frozen=True, eq=False)
class ResetStage:
    """The copy after some layers have been reset.

    Parameters
    ----------
    n_layers
        Parameter layers reset so far, from the output backwards; 0 is the trained network.
    layer
        Name of the last one reset, ``""`` at stage 0.
    classifier
        The copy, which the next stage changes further: use it before asking for that.
    """

    n_layers: int
    layer: str
    classifier: Classifier


def copied(classifier: Classifier) -> Classifier:
    """Return a deep copy whose weights can be changed without touching the original.

    Raises
    ------
    ExplainerError
        If the classifier has no torch module, or cannot be copied.
    """
    if module_of(classifier) is None:
        raise ExplainerError(
            f"{type(classifier).__name__} is no torch module and has none as its attribute "
            "'module', so its layers cannot be reset; wrap the network in an adapter that has."
        )
    try:
        return copy.deepcopy(classifier)
    except (TypeError, RuntimeError) as error:
        raise ExplainerError(
            f"{type(classifier).__name__} cannot be copied ({error}), and the original must stay "
            "as it is; keep no open files or computed tensors in its attributes."
        ) from error


def layers_from_output(classifier: Classifier, images: Tensor) -> tuple[str, ...]:
    """Return the names of the layers with weights, the last one computed first.

    The order is that of one forward pass. A layer that is not called as a module (its owner uses
    its weights itself) takes the place of its owner. Batch normalisation counts as a layer, with
    or without weights of its own.

    Parameters
    ----------
    images
        (N, 1, H, W), in [0, 1]; one image is enough.

    Raises
    ------
    ExplainerError
        If there is no layer with weights.
    """
    module = _module(classifier)
    called: dict[str, int] = {}
    owners = [name for name, layer in module.named_modules() if _has_weights(layer)]
    if not owners:
        raise ExplainerError(
            f"{type(classifier).__name__} has no layer with weights, so nothing can be reset."
        )
    with left_as_found(classifier):
        for name, layer in module.named_modules():
            layer.register_forward_hook(_recorder(name, called))
        predict(classifier, images)
    position = {name: (_call(name, called), number) for number, name in enumerate(owners)}
    return tuple(sorted(owners, key=lambda name: position[name], reverse=True))


def cascade(
    classifier: Classifier, images: Tensor, n_stages: int, seed: int
) -> Iterator[ResetStage]:
    """Reset the layers of a copy one after another, from the output to the input.

    Every layer gets fresh weights as its own ``reset_parameters`` draws them; batch normalisation
    forgets scale, shift and running statistics. A layer without that method gets normal numbers
    with the root mean square of its former weights, and running buffers as they were.

    Parameters
    ----------
    images
        (N, 1, H, W), in [0, 1], to find the order of the layers with.
    n_stages
        Stages after the first to be looked at, at least 1; a network of more layers is looked at
        after evenly spaced numbers of them, the first and the last included.
    seed
        The weights of a layer depend on this and on its place only.

    Yields
    ------
    ResetStage
        From the trained copy to the one without any trained layer.

    Raises
    ------
    ExplainerError
        If the classifier cannot be copied, or the copy turns out not to use the copied layers.
    """
    if n_stages < 1:
        raise ExplainerError(f"{n_stages} stages were asked for; expected at least 1.")
    copy_of = copied(classifier)
    layers = layers_from_output(copy_of, images)
    module = _module(copy_of)
    before = predict(copy_of, images)[0]
    stops = stage_numbers(len(layers), n_stages)
    yield ResetStage(0, "", copy_of)
    for number, name in enumerate(layers, start=1):
        reset_layer(module.get_submodule(name), seed + number)
        if number == len(layers) and torch.equal(predict(copy_of, images)[0], before):
            raise ExplainerError(
                f"Resetting all {len(layers)} layers of {type(classifier).__name__} leaves its "
                "predictions as they were: its logits() does not use its own module. Let the "
                "adapter call the module that it exposes."
            )
        if number in stops:
            yield ResetStage(number, name, copy_of)


def stage_numbers(n_layers: int, n_stages: int) -> tuple[int, ...]:
    """Return at most ``n_stages`` evenly spaced numbers of layers, 1 and ``n_layers`` included."""
    if n_stages >= n_layers:
        return tuple(range(1, n_layers + 1))
    if n_stages == 1:
        return (n_layers,)
    gaps = n_stages - 1
    return tuple(1 + round(each * (n_layers - 1) / gaps) for each in range(n_stages))


def reset_layer(layer: nn.Module, seed: int) -> None:
    """Give the weights of one layer (not of its children) fresh values; leaves torch's seed alone.

    Parameters
    ----------
    layer
        Changed in place.
    seed
        For the numbers drawn.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        own = getattr(layer, "reset_parameters", None)
        if callable(own):
            own()
            return
        for weight in layer.parameters(recurse=False):
            scale = weight.double().square().mean().sqrt().item()
            fresh = torch.randn(weight.shape, dtype=torch.float64) * scale
            weight.copy_(fresh.to(weight))


def _recorder(name: str, called: dict[str, int]) -> Callable[..., None]:
    def record(*_: object) -> None:
        called.setdefault(name, len(called))

    return record


def _call(name: str, called: dict[str, int]) -> int:
    """Return when a layer, or else its nearest owner that was called, had finished; -1 if none."""
    while name not in called and name:
        name = name.rpartition(".")[0]
    return called.get(name, -1)


def _has_weights(layer: nn.Module) -> bool:
    own = any(True for _ in layer.parameters(recurse=False))
    return own or getattr(layer, "running_mean", None) is not None


def _module(classifier: Classifier) -> nn.Module:
    module = module_of(classifier)
    if module is None:
        raise ExplainerError(f"{type(classifier).__name__} is no torch module.")
    return module
