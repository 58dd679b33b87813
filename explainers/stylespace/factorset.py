"""The factor set: which style dimensions move a classifier, by how much, and what they are.

One set is two files side by side, ``<name>.json`` and ``<name>.safetensors``, written by
``counterlight factors find`` and never edited in place. NumPy only: pages read it without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from explainers.base import ExplainerError

ARRAYS: Final = ("low", "high", "mean", "spread", "strengths")
"""Fields of a factor set that are arrays, besides its maps."""


@dataclass(frozen=True)
class KnownEffect:
    """What a dimension does to one of the simulator's parameters, as a meter reads it.

    Means over films, with 95 % intervals over films. Numbers are in sd of the parameter over
    films, binary parameters in log-odds.

    Parameters
    ----------
    parameter
        Name of the reading, e.g. ``"heart_ratio"``.
    about
        Finding that it belongs to; empty for devices, patient and examination.
    group
        ``"finding"``, ``"anatomy"``, ``"mimic"``, ``"device"``, ``"patient"`` or ``"examination"``.
    unit
        ``"sd"`` or ``"log-odds"``.
    change_low, change_high
        With the dimension at its lowest and at its highest.
    low_interval, high_interval
        Their intervals.
    size
        The larger of the two in standard deviations of the meter's own readings over held-out
        films: the one scale on which numbers and binary parameters compare.
    significant
        Whether an interval excludes 0 after correction for the number of parameters and ends.
    r2
        How well the meter reads it on held-out films: R², or AUC for binary parameters.
    """

    parameter: str
    about: str
    group: str
    unit: Literal["sd", "log-odds"]
    change_low: float
    change_high: float
    low_interval: tuple[float, float]
    high_interval: tuple[float, float]
    size: float
    significant: bool
    r2: float

    @property
    def label(self) -> str:
        """The parameter for people, e.g. ``"heart ratio"``."""
        return self.parameter.replace("_mm", "").replace("_deg", "").replace("_", " ")


@dataclass(frozen=True)
class RegionShare:
    """Share in [0, 1] of the absolute change of the image that falls into a region."""

    region: str
    share: float


@dataclass(frozen=True)
class SelectedFactor:
    """A dimension that moves the classifier on a finding.

    Parameters
    ----------
    dimension
        Index into S.
    layer, resolution, channel
        Where it acts: name of the layer, rows of its output, input channel.
    finding
        What it moves.
    change
        The aggregate that it was selected by.
    change_low, change_high
        Mean signed change of the probability with the dimension at its lowest and highest.
    share
        Share of the films on which the change reaches the threshold.
    n_flips
        Films on which the decision is carried over 0.5.
    n_films
        Films measured for this finding.
    name
        Given by an expert; empty if nobody has named it.
    known
        Effects on the simulator's parameters, the largest first; empty without a meter.
    regions
        Where in the thorax the image changes, on average.
    """

    dimension: int
    layer: str
    resolution: int
    channel: int
    finding: str
    change: float
    change_low: float
    change_high: float
    share: float
    n_flips: int
    n_films: int
    name: str = ""
    known: tuple[KnownEffect, ...] = ()
    regions: tuple[RegionShare, ...] = ()

    @property
    def measured_factor(self) -> KnownEffect | None:
        """The largest significant effect; ``None`` if the meter saw nothing."""
        for effect in self.known:
            if effect.significant:
                return effect
        return None

    @property
    def label(self) -> str:
        """Its name, or where it is: ``"32/convolution 1, channel 5"``."""
        return self.name or f"{self.layer}, channel {self.channel}"

    @property
    def share_flipped(self) -> float:
        """Share of the films whose decision flips."""
        return self.n_flips / self.n_films if self.n_films else 0.0


@dataclass(frozen=True)
class StyleStretch:
    """A stretch of S and the layer it belongs to; see
    :class:`explainers.generators.stylegan2.StyleLayer`."""

    name: str
    kind: Literal["convolution", "image"]
    resolution: int
    start: int
    stop: int


@dataclass(frozen=True)
class ParameterReading:
    """A parameter that the meter tried: its held-out score, and what reconstructions keep of it.

    ``kept`` is the correlation over films of the meter's reading of the reconstruction with that
    of the film itself; NaN where readings do not vary.
    """

    name: str
    score: float
    readable: bool
    kept: float


@dataclass(frozen=True)
class Search:
    """How a factor set was made: everything that a reader of its numbers must know.

    Parameters
    ----------
    threshold, aggregation, mode
        δ, how changes are brought down to one number, and how the sweep ran.
    least_share
        Share of films that ``aggregation="share"`` asks for.
    confidence
        The classifier is right with at least this probability on every film used.
    max_mae, max_shift
        A reconstruction with a larger error (grey levels of 255) or a larger shift of the
        probability was refused.
    n_refused
        Films that could not be inverted.
    features, steps
        Network of the feature term and steps of the back-projection.
    """

    threshold: float
    aggregation: str
    mode: str
    least_share: float
    confidence: float
    max_mae: float
    max_shift: float
    n_refused: int
    features: str
    steps: int


@dataclass(frozen=True, eq=False)
class FactorSet:
    """Selected dimensions of one generator and one classifier.

    Parameters
    ----------
    generator_digest, classifier_digest, meter_digest, cases_digest
        SHA-256 of what it was made from; the meter's is empty without a meter.
    findings
        Names of the F findings of the classifier.
    stretches
        The dimension map.
    low, high, mean, spread
        (D,) ranges of every dimension.
    n_samples, percentile
        Samples behind the ranges, and the percent left out at either end.
    made
        How it was made.
    films
        Cases swept: right, confident and faithfully reconstructed.
    factors
        Selected dimensions, by finding in the classifier's order, the strongest first.
    largest
        For every finding the dimension with the largest mean change, selected or not.
    strengths
        (D, F) mean |Δ| over films.
    readings
        What the meter can read; empty without a meter.
    maps
        Dimension to (H, W): mean absolute difference of the image, brightness in [0, 1].
    """

    generator_digest: str
    classifier_digest: str
    meter_digest: str
    cases_digest: str
    findings: tuple[str, ...]
    stretches: tuple[StyleStretch, ...]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    n_samples: int
    percentile: float
    made: Search
    films: tuple[str, ...]
    factors: tuple[SelectedFactor, ...]
    largest: tuple[SelectedFactor, ...]
    strengths: NDArray[np.float32]
    readings: tuple[ParameterReading, ...] = ()
    maps: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.n_styles
        for name in ("low", "high", "mean", "spread"):
            if getattr(self, name).shape != (n,):
                raise ExplainerError(
                    f"The factor set maps {n} dimensions but {name} has "
                    f"{getattr(self, name).shape}; find the factors again."
                )
        if self.strengths.shape != (n, len(self.findings)):
            raise ExplainerError(
                f"The factor set's strengths have shape {self.strengths.shape}; expected "
                f"({n}, {len(self.findings)}). Find the factors again."
            )
        for factor in (*self.factors, *self.largest):
            if not 0 <= factor.dimension < n or factor.finding not in self.findings:
                raise ExplainerError(
                    f"The factor set selects dimension {factor.dimension} for "
                    f"{factor.finding!r}, which it does not have; find the factors again."
                )

    @property
    def n_styles(self) -> int:
        """Dimensions D of S."""
        return self.stretches[-1].stop if self.stretches else 0

    @property
    def digest(self) -> str:
        """SHA-256 of everything but the given names, hexadecimal."""
        listed = {factor.dimension: "" for factor in (*self.factors, *self.largest)}
        unnamed = self.with_names(listed)
        plain = json.loads(json.dumps(unnamed.content()), parse_int=float)  # 0 and 0.0 are one
        total = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
        for name, array in sorted(unnamed.arrays().items()):
            total.update(name.encode())
            total.update(array.tobytes())
        return total.hexdigest()

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what is written as arrays, by name."""
        named = {name: getattr(self, name) for name in ARRAYS}
        named |= {f"map {dimension}": values for dimension, values in self.maps.items()}
        return {name: np.ascontiguousarray(value, np.float32) for name, value in named.items()}

    def content(self) -> dict[str, Any]:
        """Return what is written as JSON, by name: all fields that are no arrays."""
        fields = [f.name for f in dataclasses.fields(self) if f.name not in (*ARRAYS, "maps")]
        return {name: without_nan(getattr(self, name)) for name in fields}

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Selected dimensions, each once, in the order of :attr:`factors`."""
        return tuple(dict.fromkeys(factor.dimension for factor in self.factors))

    def selected_for(self, finding: str) -> tuple[SelectedFactor, ...]:
        """Return the selected factors of a finding, strongest first; none is no error.

        Raises
        ------
        ExplainerError
            If the set does not know the finding.
        """
        if finding not in self.findings:
            raise ExplainerError(
                f"The factor set knows nothing of {finding!r}; it was made for "
                f"{', '.join(self.findings)}."
            )
        return tuple(factor for factor in self.factors if factor.finding == finding)

    def nothing_selected(self, finding: str) -> str:
        """Return a sentence: no dimension above δ for the finding, and which came closest."""
        text = f"No dimension moves {finding} by {self.made.threshold:g} ({self.made.aggregation})"
        best = [factor for factor in self.largest if factor.finding == finding]
        if not best:
            return f"{text}; none moves it at all."
        strongest = best[0]
        size = float(self.strengths[strongest.dimension, self.findings.index(finding)])
        return f"{text}; the largest mean change is {size:.3f}, by {strongest.label}."

    def with_names(self, names: Mapping[int, str]) -> FactorSet:
        """Return a copy in which dimensions carry names; others keep theirs.

        Parameters
        ----------
        names
            Dimension to name; an empty name takes one away.

        Raises
        ------
        ExplainerError
            If a dimension was neither selected nor the largest of a finding.
        """
        known = {factor.dimension for factor in (*self.factors, *self.largest)}
        strange = sorted(set(names) - known)
        if strange:
            raise ExplainerError(
                f"Dimension {strange[0]} is no factor of this set; its factors are "
                f"{', '.join(str(dimension) for dimension in sorted(known))}."
            )

        def named(factors: Sequence[SelectedFactor]) -> tuple[SelectedFactor, ...]:
            return tuple(
                replace(factor, name=names.get(factor.dimension, factor.name).strip())
                for factor in factors
            )

        return replace(self, factors=named(self.factors), largest=named(self.largest))

    def check_networks(
        self, *, generator: str | None = None, classifier: str | None = None, n_styles: int = 0
    ) -> None:
        """Refuse networks that the set was not made with.

        Parameters
        ----------
        generator, classifier
            Digests of the networks at hand; ``None`` is not checked.
        n_styles
            Dimensions of the generator at hand; 0 is not checked.

        Raises
        ------
        ExplainerError
            If one differs.
        """
        if n_styles and n_styles != self.n_styles:
            raise ExplainerError(
                f"The factor set describes {self.n_styles} dimensions, the generator has "
                f"{n_styles}; find the factors of this generator."
            )
        pairs = (
            ("generator", generator, self.generator_digest),
            ("classifier", classifier, self.classifier_digest),
        )
        for role, given, wanted in pairs:
            if given is not None and given != wanted:
                raise ExplainerError(
                    f"The factor set was made with the {role} {wanted[:12]}…, but {given[:12]}… "
                    f"is given; open that {role}, or run `counterlight factors find` again."
                )


def place_of(stretches: Sequence[StyleStretch], dimension: int) -> tuple[StyleStretch, int]:
    """Return the layer of a dimension and its channel there.

    Raises
    ------
    ExplainerError
        If there is no such dimension.
    """
    for stretch in stretches:
        if stretch.start <= dimension < stretch.stop:
            return stretch, dimension - stretch.start
    raise ExplainerError(
        f"There is no style dimension {dimension}; expected 0 to {stretches[-1].stop - 1}."
    )


def without_nan(value: object) -> object:
    """Turn a dataclass into what JSON can hold; NaN becomes ``None``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: without_nan(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [without_nan(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
