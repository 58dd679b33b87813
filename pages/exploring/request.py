"""What is asked for: one film, one finding, and the explanations wanted of each classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from explainers.record import Counterfactual
from explainers.registry import names, spec
from pages.exploring.films import Film
from pages.exploring.networks import STUDY, Network

VARIANTS: Final = {
    "latent_shift": "one-step",
    "latent_shift_path": "path",
    "latent_shift_optimised": "optimised",
    "visual_rationale": "visual rationale",
    "structure_class_traversal": "structure/class",
    "syce": "SyCE",
    "cyce": "CyCE",
}
"""Words for the methods that make moving films."""
PAIRED: Final = ("syce", "cyce")
"""Methods that draw two images in one pass: a stable and an adversarial one."""
SEARCHED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "visual_rationale": ("gamma", "rho", "keep", "alpha", "cap"),
        "structure_class_traversal": ("lam_max", "n_steps", "keep", "restarts"),
    }
)
"""Parameters that the page offers, by method."""
STEP_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "visual_rationale": "steps",
        "structure_class_traversal": "Δλ",
        "syce": "share",
        "cyce": "share",
    }
)
AXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "visual_rationale": "steps of the search, from the reconstruction",
        "structure_class_traversal": "Δλ, change of the finding’s factor from the reconstruction",
        "syce": "share of the fade from the stable to the adversarial image",
        "cyce": "share of the fade from the film to the adversarial image",
    }
)
SHIFT_AXIS: Final = "λ, way in latent space in units of the logit's gradient"
OPERATING_POINT: Final = 0.5
FIRST: Final = ("guided_backprop", "integrated_gradients")
"""Maps that are ticked at first: few, so that films are large, and cheap where not archived."""
JUST_BELOW: Final = 0.49
JUST_ABOVE: Final = 0.51
"""Where a search to the decision boundary ends, coming from above and from below."""


def map_methods() -> tuple[str, ...]:
    """Return the registered methods that make one map."""
    return tuple(name for name in names() if spec(name).kind == "attribution")


def film_methods() -> tuple[str, ...]:
    """Return the registered methods that make a moving film."""
    return tuple(name for name in names() if spec(name).kind == "counterfactual")


def is_shift(method: str) -> bool:
    """Say whether a moving film has frames on both sides of its reconstruction, as many as asked.

    True of the variants of Latent Shift; the others go where the search or the generator leads.
    """
    return any(each.name == "frames_below" for each in spec(method).parameters)


def origin_word(variant: str) -> str:
    """What the moving film of a variant starts from."""
    return "stable image" if variant in PAIRED else "reconstruction"


def step_word(method: str) -> str:
    """Return what the steps of a method's moving film count, in a word."""
    return STEP_WORDS.get(method, "λ")


def axis_title(method: str) -> str:
    """Return what the steps of a method's moving film count, for the axis of the curve."""
    return AXES.get(method, SHIFT_AXIS)


def variant_title(method: str) -> str:
    """Return the short name of a way to make the film."""
    return VARIANTS.get(method, spec(method).title)


@dataclass(frozen=True)
class FilmRange:
    """How far a moving film runs, and in how many frames.

    Parameters
    ----------
    fall, rise
        Wanted changes of the probability from f(x'_0), in (0, 1).
    to_boundary
        Search for the other side of the operating point instead, at the end that lies there.
    frames_below, frames_above
        Frames on either side of the reconstruction.
    """

    fall: float = 0.30
    rise: float = 0.05
    to_boundary: bool = False
    frames_below: int = 15
    frames_above: int = 5

    def parameters(self) -> dict[str, float]:
        """Return the parameters of the explainer."""
        return {
            "fall": self.fall,
            "rise": self.rise,
            "frames_below": self.frames_below,
            "frames_above": self.frames_above,
        }

    def wanted(self, start: float, image: float) -> tuple[float, ...]:
        """Return the probabilities that the two ends are searched for.

        Parameters
        ----------
        start
            f(x'_0).
        image
            f(x), which says on which side of the operating point the film lies.
        """
        low, high = start - self.fall, start + self.rise
        if self.to_boundary:
            low, high = (JUST_BELOW, high) if image >= 0.5 else (low, JUST_ABOVE)
        return tuple(value for value in (low, high) if 0 < value < 1)


@dataclass(frozen=True)
class Search:
    """Parameters of a moving film that is no Latent Shift.

    Parameters
    ----------
    chosen
        Name and value of those that differ from the method's defaults.
    """

    chosen: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, method: str, values: Mapping[str, float]) -> Search:
        """Return the search with some values of a method's parameters."""
        usual = {each.name: each.default for each in spec(method).parameters}
        return cls(tuple((k, v) for k, v in values.items() if v != usual[k]))

    def parameters(self) -> dict[str, float]:
        """Return the parameters of the explainer."""
        return dict(self.chosen)

    @property
    def goal(self) -> float:
        """The prediction to be passed."""
        return self.parameters().get("rho", 0.0) or OPERATING_POINT


@dataclass(frozen=True)
class Task:
    """One explanation that is wanted.

    Parameters
    ----------
    film
        Digest of the film's pixels.
    finding, network, method
        What is explained, the name and digest of the classifier, the registered method.
    range
        For moving films: how far they run, or how they are searched for.
    residual
        Not the moving film is wanted, but the predictions of its residual frames.
    """

    film: str
    finding: str
    network: tuple[str, str]
    method: str
    range: FilmRange | Search | None
    residual: bool = False

    @property
    def title(self) -> str:
        """What is being computed, for people."""
        what = "f of the residual frames" if self.residual else spec(self.method).title
        name = self.network[0]
        return f"{what} of {'the study’s classifier' if name == STUDY else name}"


@dataclass(frozen=True, eq=False)
class ResidualPredictions:
    """What a classifier says of the residual frames of a moving film.

    Parameters
    ----------
    probabilities
        (T,), calibrated, in [0, 1]; empty where there is no moving film.
    """

    probabilities: NDArray[np.float64]


@dataclass(frozen=True)
class Request:
    """Everything that a view of the explorer computes.

    Parameters
    ----------
    film, finding
        What is looked at.
    networks
        One or two classifiers, a row each.
    methods
        Maps wanted.
    variant
        The method that makes the moving film.
    range
        How far it runs, where it is a Latent Shift.
    search
        How it is searched for, where it is another method.
    """

    film: Film
    finding: str
    networks: tuple[Network, ...]
    methods: tuple[str, ...]
    variant: str
    range: FilmRange
    search: Search = Search()

    def task(self, network: Network, method: str) -> Task:
        """Return the task of one method for one classifier."""
        range_: FilmRange | Search | None = None
        if spec(method).kind == "counterfactual":
            range_ = self.range if is_shift(method) else self.search
        return Task(self.film.digest, self.finding, (network.name, network.digest), method, range_)

    def goals(self, film: Counterfactual) -> tuple[float, ...]:
        """Return the probabilities that the ends of a moving film were to reach."""
        if is_shift(self.variant):
            return self.range.wanted(film.probability_reconstruction, film.probability_image)
        return (self.search.goal,)

    def residual_task(self, network: Network) -> Task:
        """Return the task of predicting the residual frames of one classifier's moving film."""
        return replace(self.task(network, self.variant), residual=True)

    def tasks(self) -> tuple[Task, ...]:
        """Return every task, the moving films of all classifiers first.

        Residual frames are predicted only where the classifier is there to be asked.
        """
        films = [self.task(network, self.variant) for network in self.networks]
        residuals = [self.residual_task(each) for each in self.networks if each.findings]
        maps = [self.task(network, each) for each in self.methods for network in self.networks]
        return (*films, *residuals, *maps)
