"""What an explainer returns: goals, attributions, counterfactuals, and how they came about.

NumPy only: pages and analyses read explanations without torch. An array inside a record belongs to
the record and is not to be written to.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from explainers.base import ExplainerError

MapKind: TypeAlias = Literal["max", "mean", "minmax", "interval"]
"""The four ways of Latent Shift to reduce a film to one map."""

MAP_KINDS: tuple[MapKind, ...] = get_args(MapKind)


@dataclass(frozen=True)
class Goal:
    """Which prediction is to be explained, and where it is wanted to go.

    Parameters
    ----------
    finding
        Name of the finding, as the classifier spells it.
    target
        Wanted prediction, or ``None`` where the method has its own stopping rule.
    against
        The finding to turn into (digit 9 → 4), or ``None``.
    direction
        Whether the prediction is to fall (``"down"``) or to rise (``"up"``). The variants of
        Latent Shift go both ways; the direction says which end the target belongs to.
    """

    finding: str
    target: float | None = None
    against: str | None = None
    direction: Literal["up", "down"] = "down"

    def __post_init__(self) -> None:
        if not self.finding:
            raise ExplainerError("A goal needs the name of a finding; an empty name was given.")
        if self.direction not in ("up", "down"):
            raise ExplainerError(
                f"The direction of a goal is 'up' or 'down'; {self.direction!r} was given."
            )


@dataclass(frozen=True, eq=False)
class Attribution:
    """One signed number per pixel: how much the pixel speaks for the finding.

    Parameters
    ----------
    values
        (H, W), float32, signed, at the resolution of the classifier; logits (integrated
        gradients) or logits per unit of brightness (gradients), where brightness is in [0, 1].
    finding
        The finding explained.
    logit
        f(x) before calibration.
    probability
        f(x) after calibration, in [0, 1].
    method_error
        The method's own error where it has one: for integrated gradients the sum of the
        attributions minus the difference of the logits (signed, in logits).

    Raises
    ------
    ExplainerError
        If the values are not a finite two-dimensional array.
    """

    values: NDArray[np.float32]
    finding: str
    logit: float
    probability: float
    method_error: float | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not np.isfinite(self.values).all():
            raise ExplainerError(
                f"The attribution of {self.finding!r} has shape {self.values.shape} and "
                f"{int((~np.isfinite(self.values)).sum())} values that are NaN or infinite; "
                "expected finite numbers of shape (rows, columns). Check the classifier's weights."
            )


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """A film of the image from the lowest to the highest prediction.

    Parameters
    ----------
    frames
        (T, H, W), float32, in [0, 1], from the lowest to the highest step.
    steps
        (T,), strictly increasing; the step of the unshifted frame is 0. For Latent Shift these
        are the λ of its Eq. 1 with the gradient of the logit.
    origin
        Index of the unshifted frame, which is the reconstruction D(E(x)).
    probabilities
        (T,), f of each frame, calibrated, in [0, 1].
    finding
        The finding explained.
    reached_low, reached_high
        Whether the lowest and the highest frame obtained the change that was wanted.
    probability_image
        f(x), of the image itself.
    note
        What a person has to know before believing the film, in a sentence: why the goal was not
        reached, or why nothing was changed; empty where there is nothing to say.
    measures
        Further numbers of the method by name, such as the length of the latent; finite.

    Raises
    ------
    ExplainerError
        If shapes, ranges or the order of the steps are not as above.
    """

    frames: NDArray[np.float32]
    steps: NDArray[np.float64]
    origin: int
    probabilities: NDArray[np.float64]
    finding: str
    reached_low: bool
    reached_high: bool
    probability_image: float
    note: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ExplainerError(
                f"The counterfactual of {self.finding!r} is not usable: {problem}. "
                "Check the autoencoder and the classifier it was made with."
            )

    def _problem(self) -> str | None:
        """Say what is wrong with the fields, or return ``None``."""
        n_frames = len(self.frames)
        if self.frames.ndim != 3 or n_frames == 0:
            return f"frames have shape {self.frames.shape}, expected (frames, rows, columns)"
        if self.steps.shape != (n_frames,) or self.probabilities.shape != (n_frames,):
            return (
                f"{n_frames} frames, but steps of shape {self.steps.shape} and probabilities of "
                f"shape {self.probabilities.shape}"
            )
        if not 0 <= self.origin < n_frames:
            return f"the origin is frame {self.origin} of {n_frames}"
        if not np.isfinite(self.steps).all() or (np.diff(self.steps) <= 0).any():
            return "the steps do not increase from frame to frame"
        if self.steps[self.origin] != 0:
            return f"the step of the origin is {self.steps[self.origin]}, expected 0"
        if not (np.isfinite(self.frames).all() and np.isfinite(self.probabilities).all()):
            return "frames or probabilities are NaN or infinite"
        if self.frames.min() < 0 or self.frames.max() > 1:
            return (
                f"frames run from {self.frames.min():.3g} to {self.frames.max():.3g}, "
                "expected values in [0, 1]"
            )
        if not np.isfinite(list(self.measures.values())).all():
            return f"a measure is NaN or infinite ({dict(self.measures)})"
        return None

    @property
    def reached(self) -> bool:
        """Whether both ends obtained the change that was wanted."""
        return self.reached_low and self.reached_high

    @property
    def reconstruction(self) -> NDArray[np.float32]:
        """x'_0 = D(E(x)), the frame that is compared with; (H, W), in [0, 1]."""
        return self.frames[self.origin]

    @property
    def probability_reconstruction(self) -> float:
        """f(x'_0), which is not f(x): reconstruction alone moves the prediction."""
        return float(self.probabilities[self.origin])

    @property
    def difference(self) -> NDArray[np.float32]:
        """Highest minus lowest frame, signed; (H, W), in [-1, 1].

        Positive: brightness that belongs to the finding (added as the prediction rises).
        """
        return self.frames[-1] - self.frames[0]

    def to_attribution(self, kind: MapKind = "max") -> NDArray[np.float32]:
        """Reduce the film to one map (Latent Shift, §3 and App. B).

        Parameters
        ----------
        kind
            ``"max"``: max over λ of |x'_λ − x'_0|. All frames count; the released code compares
            only the first one with x'_0.
            ``"mean"``: mean over λ of |x'_λ − x'_0| (as in the released code; App. B prints the
            mean of the frames with nothing subtracted).
            ``"minmax"``: |x'_min − x'_max|, of the lowest and the highest λ.
            ``"interval"``: mean of the absolute differences of successive frames.

        Returns
        -------
        ndarray
            (H, W), float32, ≥ 0.

        Raises
        ------
        ExplainerError
            If ``kind`` is none of these.
        """
        if kind == "minmax":
            return np.abs(self.difference)
        if kind == "interval":
            if len(self.frames) < 2:
                return np.zeros_like(self.reconstruction)
            return np.abs(np.diff(self.frames, axis=0)).mean(axis=0, dtype=np.float32)
        change = np.abs(self.frames - self.reconstruction)  # (T, H, W)
        if kind == "max":
            return change.max(axis=0)
        if kind == "mean":
            return change.mean(axis=0, dtype=np.float32)
        raise ExplainerError(
            f"A film is reduced to a map by one of {', '.join(MAP_KINDS)}; {kind!r} was given."
        )


@dataclass(frozen=True)
class ToggleDimension:
    """One dimension of a generator's styles that a reader may switch.

    Parameters
    ----------
    dimension
        Index into the vector of styles.
    title
        As readers see it: the name that an expert gave, else its number.
    low, high
        Values that the states − and + set it to.

    Raises
    ------
    ExplainerError
        If the title is empty or the ends are not finite.
    """

    dimension: int
    title: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise ExplainerError(f"Dimension {self.dimension} has no title; give it a name.")
        if not (np.isfinite(self.low) and np.isfinite(self.high)):
            raise ExplainerError(
                f"Dimension {self.dimension} runs from {self.low} to {self.high}; expected "
                "finite numbers. Measure the ranges of the generator again."
            )


MOST_TOGGLES = 4
"""Dimensions of one record at most: 81 pictures."""


@dataclass(frozen=True, eq=False)
class Toggles:
    """A film with a few dimensions of a generator at their lowest, unchanged, or at their highest.

    States are ordered as numbers of base 3 with the digits −, 0, + and the first dimension as the
    leading digit: with two dimensions −−, −0, −+, 0−, 00, … The state with all digits 0 is the
    reconstruction; it stands in the middle.

    Parameters
    ----------
    frames
        (3^K, h, w), float32, in [0, 1], as decoded. Where ``note`` says why nothing can be
        switched: (1, h, w), the reconstruction alone.
    dimensions
        K dimensions, 1 to 4, strongest first.
    probabilities
        f of each frame, calibrated, in [0, 1].
    finding
        The finding explained.
    probability_image
        f(x), of the image itself.
    mean_error
        Mean absolute difference of reconstruction and image, in grey levels of 255.
    note
        Why this film cannot be explained, in a sentence that a reader may see; empty if it can.

    Raises
    ------
    ExplainerError
        If shapes or ranges are not as above.
    """

    frames: NDArray[np.float32]
    dimensions: tuple[ToggleDimension, ...]
    probabilities: NDArray[np.float64]
    finding: str
    probability_image: float
    mean_error: float
    note: str = ""

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ExplainerError(
                f"The switched pictures of {self.finding!r} are not usable: {problem}. "
                "Check the generator and the factors that they were made with."
            )

    def _problem(self) -> str | None:
        """Say what is wrong with the fields, or return ``None``."""
        if not 1 <= len(self.dimensions) <= MOST_TOGGLES:
            return f"{len(self.dimensions)} dimensions are given, expected 1 to {MOST_TOGGLES}"
        n_states = 1 if self.note else 3 ** len(self.dimensions)
        if self.frames.ndim != 3 or len(self.frames) != n_states or not self.frames.size:
            return f"pictures have shape {self.frames.shape}, expected ({n_states}, rows, columns)"
        if self.probabilities.shape != (n_states,):
            return f"{n_states} pictures, but probabilities of shape {self.probabilities.shape}"
        if not (np.isfinite(self.frames).all() and np.isfinite(self.probabilities).all()):
            return "pictures or probabilities are NaN or infinite"
        if self.frames.min() < 0 or self.frames.max() > 1:
            return (
                f"pictures run from {self.frames.min():.3g} to {self.frames.max():.3g}, "
                "expected values in [0, 1]"
            )
        if not np.isfinite(self.mean_error) or self.mean_error < 0:
            return f"the error of the reconstruction is {self.mean_error}"
        return None

    @property
    def origin(self) -> int:
        """Index of the reconstruction: all dimensions as they are."""
        return len(self.frames) // 2

    @property
    def reconstruction(self) -> NDArray[np.float32]:
        """The unchanged film as the generator draws it; (h, w), in [0, 1]."""
        return self.frames[self.origin]

    @property
    def states(self) -> tuple[tuple[int, ...], ...]:
        """State of every dimension, −1, 0 or 1, for each frame."""
        if self.note:
            return (tuple(0 for _ in self.dimensions),)
        return toggle_states(len(self.dimensions))


def toggle_states(n_dimensions: int) -> tuple[tuple[int, ...], ...]:
    """Return all states of K dimensions as (−1, 0 or 1) × K, in the order of the frames."""
    return tuple(itertools.product((-1, 0, 1), repeat=n_dimensions))


Explanation: TypeAlias = Attribution | Counterfactual | Toggles
"""What a method returns: a map, a moving film, or pictures to switch between."""


@dataclass(frozen=True)
class Prediction:
    """What the classifier says of one finding in one case.

    Parameters
    ----------
    logit
        Before calibration.
    probability
        After calibration, in [0, 1]; 0.5 is the operating point.
    weights_digest
        Digest of the classifier's weights.
    """

    case_id: str
    finding: str
    logit: float
    probability: float
    weights_digest: str


@dataclass(frozen=True)
class Provenance:
    """How an explanation came about.

    Parameters
    ----------
    case_id, finding, method
        What was explained, and by which method (its registered name).
    parameters
        ``repr`` of the explainer, which states all its parameters, and the target of the goal
        where it had one.
    seed
        Seed of the method, or ``None`` for a deterministic one.
    weights_digest
        Digest of every network involved, by role: ``{"classifier": …, "autoencoder": …}``.
    image_sha256
        Of the image file.
    seconds
        Wall time; a batch's time is shared equally among its cases.
    created
        ISO 8601 with time zone.
    version
        Of Counterlight.
    """

    case_id: str
    finding: str
    method: str
    parameters: str
    seed: int | None
    weights_digest: Mapping[str, str]
    image_sha256: str
    seconds: float
    created: str
    version: str

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides what the picture looks like.

        Time taken, time made and version are left out: the same method, parameters, seed, weights
        and image give the same digest, so a second run can skip what is there.
        """
        decisive = {
            "case_id": self.case_id,
            "finding": self.finding,
            "method": self.method,
            "parameters": self.parameters,
            "seed": self.seed,
            "weights_digest": dict(self.weights_digest),
            "image_sha256": self.image_sha256,
        }
        text = json.dumps(decisive, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
