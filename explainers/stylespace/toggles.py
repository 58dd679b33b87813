"""A film with the dimensions that the classifier listens to switched down, as they are, or up.

The film's styles are found by back-projection; then every combination of −, 0 and + of the K
strongest dimensions of the finding is decoded: the pictures that a reader switches between. The
ends are those of the factor set, the ranges over many samples of the generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from explainers.attribution.batches import check_batch_size
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import (
    checked_targets,
    device_of,
    left_as_found,
    predict,
    stop_if,
)
from explainers.generators.stylegan2 import Generator, to_brightness
from explainers.record import MOST_TOGGLES, Goal, ToggleDimension, Toggles, toggle_states
from explainers.stylespace.clamped import enlarged
from explainers.stylespace.encoder import StyleEncoder
from explainers.stylespace.factorset import FactorSet, SelectedFactor
from explainers.stylespace.projection import Features, Projection, ProjectionSettings, project
from explainers.stylespace.ranges import StyleRanges

_BATCH = 9


@dataclass(frozen=True, eq=False)
class StyleFactors:
    """A generator with what is known of its dimensions: the network of the role ``factors``.

    Parameters
    ----------
    generator
        The generator that the factors were found in.
    known
        The factors.
    ranges
        Lowest, highest, mean and spread of every dimension.
    weights_digest
        Of generator and factors together.
    features
        Feature maps for the back-projection, or ``None``.
    encoder
        Guesses where the back-projection begins, or ``None``: the mean style.
    files
        What it was opened from, by the ending that a copy of the file has in a study.
    """

    generator: Generator = field(repr=False)
    known: FactorSet = field(repr=False)
    ranges: StyleRanges = field(repr=False)
    weights_digest: str
    features: Features | None = field(default=None, repr=False)
    encoder: StyleEncoder | None = field(default=None, repr=False)
    files: Mapping[str, Path] = field(default_factory=dict, repr=False)

    @property
    def input_size(self) -> tuple[int, int]:
        """Rows and columns of the films that the generator draws."""
        return (self.generator.shape.size, self.generator.shape.size)

    @property
    def input_range(self) -> tuple[float, float]:
        """Of a film."""
        return (0.0, 1.0)


@dataclass(frozen=True)
class StyleSpaceToggles:
    """StyleSpace dimensions as switches.

    Parameters
    ----------
    classifier
        The classifier that is explained; the factors have to be found with it.
    factors
        Generator and factors.
    n_factors
        Dimensions to be switched, 1 to 4; fewer where the finding has fewer.
    n_steps
        Steps of the back-projection.
    max_mae
        Mean absolute error of a reconstruction in grey levels of 255 above which a film is not
        explained; 0: as for the films that the factors were found on.
    max_shift
        Largest difference of the probabilities of reconstruction and film; 0: likewise.
    batch_size
        Films at once; no influence on the result.

    Raises
    ------
    ExplainerError
        If a parameter is out of range, or the factors were found with another classifier.
    """

    name: ClassVar[str] = "stylespace"

    classifier: Classifier = field(repr=False)
    factors: StyleFactors = field(repr=False)
    n_factors: int = 3
    n_steps: int = 200
    max_mae: float = 0.0
    max_shift: float = 0.0
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)
        if not 1 <= self.n_factors <= MOST_TOGGLES:
            raise ExplainerError(
                f"n_factors is {self.n_factors}; 1 to {MOST_TOGGLES} dimensions can be switched."
            )
        if self.n_steps < 1 or not 0 <= self.max_mae <= 255 or not 0 <= self.max_shift <= 1:
            raise ExplainerError(
                f"n_steps is {self.n_steps}, max_mae {self.max_mae:g} and max_shift "
                f"{self.max_shift:g}; expected at least one step, an error in [0, 255] and a shift "
                "in [0, 1], where 0 stands for the limits of the factor set."
            )
        self.factors.known.check_networks(classifier=self.classifier.weights_digest)

    def explain(
        self,
        images: Tensor,
        goals: Sequence[Goal],
        *,
        on_progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Sequence[Toggles]:
        """Explain one goal per image; see :class:`explainers.base.Explainer`.

        A film that cannot be reconstructed well enough comes back with a ``note`` that gives the
        error, and its reconstruction alone.

        Raises
        ------
        ExplainerError
            If images and goals do not fit, a finding has no dimension above the threshold of the
            factor set, or it is cancelled.
        """
        checked_targets(self.classifier, images, goals)
        for goal in goals:
            self.dimensions(goal.finding)
        found: list[Toggles] = []
        with left_as_found(self.classifier, self.factors.generator):
            for start in range(0, len(images), self.batch_size):
                stop_if(cancelled)
                part = images[start : start + self.batch_size]
                projection = self.projected(part, cancelled=cancelled)
                chosen = goals[start : start + len(part)]
                for row, goal in enumerate(chosen):
                    found.append(self.switched(projection, row, goal.finding, part[row : row + 1]))
                    if on_progress is not None:
                        on_progress(len(found), len(images))
        return found

    def projected(self, images: Tensor, *, cancelled: Cancelled | None = None) -> Projection:
        """Return the styles of films (N, 1, H, W) of the classifier's size, in [0, 1]."""
        factors, generator = self.factors, self.factors.generator
        films = enlarged(images, factors.input_size).clamp(0, 1)
        start = None
        if factors.encoder is not None:
            with torch.no_grad():
                start = factors.encoder(films)
        with left_as_found(self.classifier, generator), torch.enable_grad():
            return project(
                generator,
                self.classifier,
                films,
                factors.ranges,
                settings=ProjectionSettings(n_steps=self.n_steps, batch_size=self.batch_size),
                features=factors.features,
                start=start,
                cancelled=cancelled,
            )

    def dimensions(self, finding: str) -> tuple[ToggleDimension, ...]:
        """Return the dimensions that are switched for a finding, strongest first.

        Raises
        ------
        ExplainerError
            If none was selected; says which comes closest.
        """
        known = self.factors.known
        selected = known.selected_for(finding)[: self.n_factors]
        if not selected:
            raise ExplainerError(
                f"{known.nothing_selected(finding)} Find factors with a lower threshold, or leave "
                "the finding out."
            )
        return tuple(self._switch(number, each) for number, each in enumerate(selected, start=1))

    def _switch(self, number: int, factor: SelectedFactor) -> ToggleDimension:
        ranges, d = self.factors.ranges, factor.dimension
        title = factor.name.strip() or f"Factor {number} · dimension {d}"
        return ToggleDimension(d, title, float(ranges.low[d]), float(ranges.high[d]))

    @torch.no_grad()
    def switched(self, projection: Projection, row: int, finding: str, image: Tensor) -> Toggles:
        """Decode all states of one projected film.

        Parameters
        ----------
        projection
            Of several films.
        row
            Which of them.
        finding
            What is explained.
        image
            (1, 1, H, W), the film itself, at the classifier's size.
        """
        index = self.classifier.findings.index(finding)
        dimensions = self.dimensions(finding)
        note = self._note(projection, row, index)
        states = [(0,) * len(dimensions)] if note else toggle_states(len(dimensions))
        styles = projection.styles[row].repeat(len(states), 1)
        for column, each in enumerate(dimensions):
            for state, digits in enumerate(states):
                if digits[column]:
                    styles[state, each.dimension] = each.high if digits[column] > 0 else each.low
        generator = self.factors.generator
        drawn = torch.cat(
            [to_brightness(generator.synthesise(part)) for part in styles.split(_BATCH)]
        )  # (3^K, 1, size, size)
        return Toggles(
            frames=drawn[:, 0].cpu().numpy().astype(np.float32),
            dimensions=dimensions,
            probabilities=self._predicted(drawn)[:, index].astype(np.float64),
            finding=finding,
            probability_image=float(self._predicted(image)[0, index]),
            mean_error=float(projection.mae[row]),
            note=note,
        )

    def _note(self, projection: Projection, row: int, index: int) -> str:
        """Say why a film is not explained; nothing if it is."""
        error, shift = float(projection.mae[row]), abs(float(projection.shift[row, index]))
        max_mae = self.max_mae or self.factors.known.made.max_mae
        max_shift = self.max_shift or self.factors.known.made.max_shift
        if not error <= max_mae:
            return (
                "No picture can be switched here: the generator cannot draw this film (mean error "
                f"{error:.1f} grey levels of 255, allowed are {max_mae:g})."
            )
        if not shift <= max_shift:
            return (
                "No picture can be switched here: the model takes the generator's picture of this "
                f"film for another one (its prediction differs by {100 * shift:.0f} percentage "
                f"points, allowed are {100 * max_shift:.0f})."
            )
        return ""

    def _predicted(self, images: Tensor) -> np.ndarray:
        """Return probabilities (N, F)."""
        device = device_of(self.classifier)
        parts = [
            predict(self.classifier, enlarged(part, self.classifier.input_size).to(device))[1]
            for part in images.split(_BATCH)
        ]
        return torch.cat(parts).cpu().numpy()
