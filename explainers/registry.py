"""Which explainers there are: name → class and parameters, without importing any of them.

Validating a protocol or drawing a list of methods needs no torch; only :func:`create` does.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from explainers.base import Explainer, ExplainerError
from explainers.networks import role
from explainers.record import MAP_KINDS

if TYPE_CHECKING:
    from explainers.classifiers.base import Classifier

Kind: TypeAlias = Literal["attribution", "counterfactual", "toggles"]


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter of a method: its name, type (``"int"``, ``"float"``) and default."""

    name: str
    type: Literal["int", "float"]
    default: int | float
    description: str


@dataclass(frozen=True)
class MethodSpec:
    """One method.

    Parameters
    ----------
    name
        As used in protocols, archive folders and columns.
    title
        As shown to people.
    target
        ``"module:Class"``; the class is an :class:`explainers.base.Explainer`.
    kind
        Whether it returns maps, films, or pictures to switch between.
    needs
        Roles of the networks that it takes beside the classifier (:mod:`explainers.networks`);
        its arguments have these names.
    parameters
        What can be set.
    """

    name: str
    title: str
    target: str
    kind: Kind
    needs: tuple[str, ...]
    parameters: tuple[ParameterSpec, ...] = ()

    def map_names(self) -> tuple[str, ...]:
        """Return the names of the maps that its results can be shown and measured as."""
        if self.kind == "attribution":
            return (self.name,)
        if self.kind == "toggles":
            return ()
        return tuple(f"{self.name}-{each}" for each in MAP_KINDS)


_FILM_PARAMETERS = (
    ParameterSpec("fall", "float", 0.30, "Fall of the probability at the lowest frame."),
    ParameterSpec("rise", "float", 0.05, "Rise of the probability at the highest frame."),
    ParameterSpec("frames_below", "int", 15, "Frames below the reconstruction."),
    ParameterSpec("frames_above", "int", 5, "Frames above the reconstruction."),
    ParameterSpec("limit", "float", 0.9, "Share of the way to 0 or 1 asked for at most."),
)

_PAIRED_PARAMETERS = (
    ParameterSpec("between", "int", 7, "Frames that fade between the two images."),
    ParameterSpec("keep", "float", 0.1, "Share of the pixels whose change is shown; paper: 1."),
)

_SEARCH_PARAMETERS = (
    ParameterSpec("restarts", "int", 3, "Starts of the search per film."),
    ParameterSpec("iterations", "int", 120, "Steps of the search."),
    ParameterSpec("rate", "float", 0.08, "Length of the first steps."),
    ParameterSpec("mse_weight", "float", 100.0, "Weight of the squared difference to the film."),
    ParameterSpec("class_weight", "float", 0.3, "Weight of the classifier's agreement."),
    ParameterSpec("feature_weight", "float", 0.0, "Weight of the classifier's features."),
    ParameterSpec("prior_weight", "float", 0.002, "Weight of the length of the class latent."),
    ParameterSpec("seed", "int", 0, "Seed of the starts."),
)

_METHODS = (
    MethodSpec(
        "input_gradients",
        "Input gradients",
        "explainers.attribution.input_gradients:InputGradients",
        "attribution",
        (),
    ),
    MethodSpec(
        "guided_backprop",
        "Guided backpropagation",
        "explainers.attribution.guided_backprop:GuidedBackprop",
        "attribution",
        (),
    ),
    MethodSpec(
        "integrated_gradients",
        "Integrated gradients",
        "explainers.attribution.integrated_gradients:IntegratedGradients",
        "attribution",
        (),
        (
            ParameterSpec("n_steps", "int", 100, "Points between the baseline and the image."),
            ParameterSpec("baseline", "float", 0.0, "Brightness of the baseline; 0 is black."),
            ParameterSpec(
                "tolerance", "float", 0.0, "Error that allows fewer points; 0 takes all of them."
            ),
        ),
    ),
    MethodSpec(
        "smoothgrad",
        "SmoothGrad",
        "explainers.attribution.smoothgrad:SmoothGrad",
        "attribution",
        (),
        (
            ParameterSpec("n_samples", "int", 32, "Noisy copies of the image."),
            ParameterSpec("noise", "float", 0.1, "Noise as a share of the range."),
            ParameterSpec("seed", "int", 0, "Seed of the noise."),
        ),
    ),
    MethodSpec(
        "grad_cam",
        "Grad-CAM",
        "explainers.attribution.grad_cam:GradCam",
        "attribution",
        (),
        (ParameterSpec("stage", "int", -1, "Size of the feature maps; -1 is the coarsest."),),
    ),
    MethodSpec(
        "occlusion",
        "Occlusion",
        "explainers.attribution.occlusion:Occlusion",
        "attribution",
        (),
        (
            ParameterSpec("window", "int", 8, "Side of the covering square in pixels."),
            ParameterSpec("stride", "int", 4, "Pixels from one square to the next."),
            ParameterSpec("baseline", "float", 0.25, "Brightness of the cover; 0 is black."),
        ),
    ),
    MethodSpec(
        "lime",
        "LIME",
        "explainers.attribution.lime:Lime",
        "attribution",
        (),
        (
            ParameterSpec("n_samples", "int", 500, "Images with covered superpixels."),
            ParameterSpec("n_segments", "int", 100, "Superpixels wanted."),
            ParameterSpec("baseline", "float", 0.25, "Brightness of the cover; 0 is black."),
            ParameterSpec("ridge", "float", 1.0, "Penalty on the squared weights."),
            ParameterSpec("seed", "int", 0, "Seed of the samples."),
        ),
    ),
    MethodSpec(
        "gradient_shap",
        "Gradient SHAP",
        "explainers.attribution.gradient_shap:GradientShap",
        "attribution",
        (),
        (
            ParameterSpec("n_samples", "int", 64, "Points between baselines and the image."),
            ParameterSpec("darkest", "float", 0.0, "Brightness of the darkest baseline."),
            ParameterSpec("brightest", "float", 0.5, "Brightness of the brightest baseline."),
            ParameterSpec("seed", "int", 0, "Seed of baselines and points."),
        ),
    ),
    MethodSpec(
        "iterative_delete",
        "Iterative delete",
        "explainers.attribution.iterative_delete:IterativeDelete",
        "attribution",
        (),
        (
            ParameterSpec("n_rounds", "int", 20, "Gradients averaged."),
            ParameterSpec("share", "float", 0.02, "Share of the pixels removed in a round."),
            ParameterSpec("baseline", "float", 0.5, "Brightness of removed pixels; 0 is black."),
        ),
    ),
    MethodSpec(
        "bbmp",
        "BBMP mask",
        "explainers.attribution.bbmp:Bbmp",
        "attribution",
        (),
        (
            ParameterSpec("mask_size", "int", 56, "Rows and columns of the mask's grid."),
            ParameterSpec("n_iterations", "int", 150, "Steps of the optimiser."),
            ParameterSpec("learning_rate", "float", 0.1, "Of the optimiser."),
            ParameterSpec("blur", "float", 0.045, "Blur as a share of the image's side."),
            ParameterSpec("sparsity", "float", 3.0, "Weight of the deleted area."),
            ParameterSpec("smoothness", "float", 10.0, "Weight of the mask's roughness."),
            ParameterSpec("jitter_px", "int", 2, "Largest move of image against mask."),
            ParameterSpec("seed", "int", 0, "Seed of the moves."),
        ),
    ),
    MethodSpec(
        "latent_shift",
        "Latent Shift, one-step",
        "explainers.counterfactual.latent_shift:LatentShift",
        "counterfactual",
        ("autoencoder",),
        _FILM_PARAMETERS,
    ),
    MethodSpec(
        "latent_shift_path",
        "Latent Shift, path",
        "explainers.counterfactual.path:LatentShiftPath",
        "counterfactual",
        ("autoencoder",),
        (
            *_FILM_PARAMETERS,
            ParameterSpec("logit_step", "float", 0.5, "Change of the logit that a step aims at."),
            ParameterSpec("max_steps", "int", 60, "Passes through the networks at most."),
        ),
    ),
    MethodSpec(
        "latent_shift_optimised",
        "Latent Shift, optimised",
        "explainers.counterfactual.optimised:LatentShiftOptimised",
        "counterfactual",
        ("autoencoder",),
        (
            *_FILM_PARAMETERS,
            ParameterSpec("smoothness", "float", 2.0, "Weight of the slopes of the change."),
            ParameterSpec("compactness", "float", 0.3, "Pull towards no change, place by place."),
            ParameterSpec("jitter", "float", 0.05, "Movement of the film, share of its sides."),
            ParameterSpec("noise", "float", 0.05, "Noise on the film, in brightness."),
            ParameterSpec("rate", "float", 0.05, "Steps, in standard deviations of the latent."),
            ParameterSpec("max_steps", "int", 160, "Steps of the optimiser at most."),
            ParameterSpec("patience", "int", 60, "Steps after the goal was first reached."),
        ),
    ),
    MethodSpec(
        "visual_rationale",
        "Visual rationale",
        "explainers.counterfactual.visual_rationale:VisualRationale",
        "counterfactual",
        ("wgan",),
        (
            ParameterSpec("alpha", "float", 0.04, "Step of Adam."),
            ParameterSpec(
                "gamma", "float", 600.0, "Weight of the distance to the reconstruction; paper: 0.1."
            ),
            ParameterSpec("rho", "float", 0.0, "Prediction to be passed; 0: the target, else 0.5."),
            ParameterSpec("beta", "float", 1.0, "Weight of the class to turn into."),
            ParameterSpec("cap", "int", 500, "Steps at most."),
            ParameterSpec("summed", "int", 0, "1: distances are sums over pixels; 0: means."),
            ParameterSpec(
                "reencode", "float", 1.0, "Weight of the prediction after re-encoding; paper: 0."
            ),
            ParameterSpec("shell", "float", 3.0, "Pull of the latent to its shell; paper: 0."),
            ParameterSpec("refine", "int", 80, "Steps to a closer reconstruction; paper: 0."),
            ParameterSpec(
                "keep", "float", 0.02, "Share of the pixels whose change counts; paper: 1."
            ),
            ParameterSpec("certain", "float", 0.0, "Wanted of the class to turn into; 0: none."),
            ParameterSpec("off_manifold", "float", 1.5, "Times the usual error that warns."),
            ParameterSpec("frames", "int", 16, "Frames of the film."),
        ),
    ),
    MethodSpec(
        "structure_class_traversal",
        "Structure/class traversal",
        "explainers.counterfactual.traversal:StructureClassTraversal",
        "counterfactual",
        ("structure_class",),
        (
            ParameterSpec("n_steps", "int", 20, "Steps from λ = 0 to the largest λ."),
            ParameterSpec("lam_max", "float", 1.5, "Largest λ; 1 is the reconstruction."),
            *_SEARCH_PARAMETERS,
            ParameterSpec("max_error", "float", 0.07, "Error above which a film is off."),
            ParameterSpec(
                "keep", "float", 0.02, "Share of the pixels whose change is shown; paper: 1."
            ),
        ),
    ),
    MethodSpec(
        "path_gradients",
        "Gradients along the generated path",
        "explainers.attribution.path_gradients:PathGradients",
        "attribution",
        ("structure_class",),
        (ParameterSpec("n_steps", "int", 50, "Steps along the way."), *_SEARCH_PARAMETERS),
    ),
    MethodSpec(
        "syce",
        "SyCE",
        "explainers.counterfactual.paired:SyCE",
        "counterfactual",
        ("syce",),
        _PAIRED_PARAMETERS,
    ),
    MethodSpec(
        "cyce",
        "CyCE",
        "explainers.counterfactual.paired:CyCE",
        "counterfactual",
        ("cyce",),
        _PAIRED_PARAMETERS,
    ),
    MethodSpec("mgen", "MGen", "explainers.attribution.mgen:Mgen", "attribution", ("mgen",)),
    MethodSpec(
        "stylespace",
        "StyleSpace toggles",
        "explainers.stylespace.toggles:StyleSpaceToggles",
        "toggles",
        ("factors",),
        (
            ParameterSpec("n_factors", "int", 3, "Dimensions that can be switched, 1 to 4."),
            ParameterSpec("n_steps", "int", 200, "Steps of the back-projection."),
            ParameterSpec(
                "max_mae", "float", 0.0, "Largest error of a film, in grey levels; 0: of the set."
            ),
            ParameterSpec(
                "max_shift", "float", 0.0, "Largest shift of the probability; 0: of the set."
            ),
        ),
    ),
)

_BY_NAME: Mapping[str, MethodSpec] = MappingProxyType({each.name: each for each in _METHODS})


def names() -> tuple[str, ...]:
    """Return the names of all methods, in the order in which they are shown."""
    return tuple(_BY_NAME)


def map_names() -> tuple[str, ...]:
    """Return the names of all maps: of every attribution, and of every way to reduce a film."""
    return tuple(name for each in _METHODS for name in each.map_names())


def spec(name: str) -> MethodSpec:
    """Return what is known of a method.

    Raises
    ------
    ExplainerError
        If there is no such method; the sentence lists those there are.
    """
    if name not in _BY_NAME:
        raise ExplainerError(f"Unknown method {name!r}; choose from {', '.join(names())}.")
    return _BY_NAME[name]


def needed_networks(methods: Iterable[str]) -> tuple[str, ...]:
    """Return the roles of the networks that methods take, each once; raises as :func:`spec`."""
    return tuple(dict.fromkeys(each for name in methods for each in spec(name).needs))


def create(
    name: str,
    *,
    classifier: Classifier,
    networks: Mapping[str, Any] = MappingProxyType({}),
    batch_size: int | None = None,
    **parameters: float,
) -> Explainer:
    """Make an explainer.

    Parameters
    ----------
    name
        One of :func:`names`.
    classifier
        What is explained.
    networks
        Role to network; those that the method needs are taken.
    batch_size
        Images per pass; no influence on the result.
    **parameters
        Any of the method's parameters; the others have their defaults.

    Raises
    ------
    ExplainerError
        If the method or a parameter is unknown, a value is of the wrong type or out of range, or
        a network is missing.
    """
    method = spec(name)
    _check_parameters(method, parameters)
    arguments: dict[str, object] = {"classifier": classifier, **parameters}
    for name_of_role in method.needs:
        if name_of_role not in networks:
            missing = role(name_of_role)
            raise ExplainerError(
                f"{method.title} needs {missing.title}; make one with `{missing.command}`, or "
                "leave the method out."
            )
        arguments[name_of_role] = networks[name_of_role]
    if batch_size is not None:
        arguments["batch_size"] = batch_size
    module, _, class_name = method.target.partition(":")
    explainer: Explainer = getattr(importlib.import_module(module), class_name)(**arguments)
    return explainer


def _check_parameters(method: MethodSpec, parameters: Mapping[str, float]) -> None:
    known = {each.name: each for each in method.parameters}
    for name, value in parameters.items():
        if name not in known:
            raise ExplainerError(
                f"{method.title} has no parameter {name!r}; it has "
                f"{', '.join(known) or 'none that can be set'}."
            )
        allowed = (int,) if known[name].type == "int" else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise ExplainerError(
                f"{name} of {method.title} is {value!r}; expected a number of type "
                f"{known[name].type}."
            )
