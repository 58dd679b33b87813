"""A film in S whose dimensions are moved: picture and predictions at any position, in one step.

What lies below the lowest moved layer is kept (:mod:`explainers.stylespace.clamped`), so a change
costs the layers above it and one look of the classifier. One thread computes: networks of this size
are no faster with more, and much slower where other programs want the processor as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from data.raster import resize
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import left_as_found, predict
from explainers.generators.stylegan2 import to_brightness
from explainers.stylespace.clamped import KnownFilm, clamped_images, enlarged, known_film
from explainers.stylespace.projection import ProjectionSettings, project
from explainers.stylespace.toggles import StyleFactors, StyleSpaceToggles
from pages.factoring.request import Positions, value_at
from pages.factoring.styles import FilmStyles, StylesKey

N_FRAMES: Final = 7
"""Frames of a card, from the lowest to the highest value; the middle one is the reconstruction."""
SETTINGS: Final = ProjectionSettings(n_steps=StyleSpaceToggles.n_steps)
"""As a study's condition projects its films."""
GUESSED_STEPS: Final = 60
"""Steps of a search that an encoder begins; it starts where others get in three times as many."""


@dataclass(frozen=True, eq=False)
class Moved:
    """The film with dimensions moved.

    Parameters
    ----------
    image
        (H, W), float32, in [0, 1].
    probabilities
        (F,), calibrated.
    """

    image: NDArray[np.float32]
    probabilities: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Subject:
    """One film in S, ready to be moved.

    Parameters
    ----------
    classifier, factors
        The networks.
    known
        The film's styles and all states of the generator.
    styles
        How well the film got there.
    film
        (F,) probabilities of the film itself.
    reconstruction
        The film as the generator draws it, nothing moved.
    """

    classifier: Classifier
    factors: StyleFactors
    known: KnownFilm
    styles: FilmStyles
    film: NDArray[np.float64]
    reconstruction: Moved

    def moved(self, positions: Positions) -> Moved:
        """Return the film with dimensions at these positions.

        Raises
        ------
        ExplainerError
            If a dimension does not exist or a prediction is not finite.
        """
        if not positions:
            return self.reconstruction
        generator, styles = self.factors.generator, self.known.styles.clone()
        if max(each.dimension for each in positions) >= len(styles):
            raise ExplainerError(
                f"The generator has {len(styles)} dimensions; the link names one beyond them."
            )
        for each in positions:
            styles[each.dimension] = self.value(each.dimension, each.at)
        lowest = min(each.dimension for each in positions)
        layer = next(n for n, each in enumerate(generator.layers) if lowest < each.stop)
        with one_thread(), torch.inference_mode():
            state = self.known.states[layer]
            for number in range(layer, len(generator.layers)):
                state = generator.advance(number, state, styles[None])
            assert state.image is not None
            return _seen(self.classifier, to_brightness(state.image))

    def value(self, dimension: int, at: float) -> float:
        """Return the value of a dimension at a position in [-1, 1]."""
        ranges = self.factors.ranges
        low, own, high = (each[dimension] for each in (ranges.low, self.known.styles, ranges.high))
        return value_at(at, float(low), float(own), float(high))

    def frames(self, dimension: int) -> NDArray[np.float32]:
        """Return one dimension from its lowest to its highest value, (T, H, W) in [0, 1]."""
        generator = self.factors.generator
        layer = next(n for n, each in enumerate(generator.layers) if dimension < each.stop)
        values = [self.value(dimension, at) for at in np.linspace(-1, 1, N_FRAMES)]
        with one_thread(), torch.inference_mode():
            drawn = clamped_images(
                generator,
                self.known,
                layer,
                torch.full((N_FRAMES,), dimension),
                torch.tensor(values, dtype=torch.float32),
            )
        return to_brightness(drawn)[:, 0].numpy()


def seen_size(factors: StyleFactors, image: NDArray[np.float32]) -> torch.Tensor:
    """Return a film (1, 1, size, size) as the generator draws films, in [0, 1]."""
    small = np.clip(resize(image, factors.input_size), 0, 1).astype(np.float32)
    return torch.from_numpy(small)[None, None]


def projected(
    classifier: Classifier,
    factors: StyleFactors,
    image: NDArray[np.float32],
    on_progress: OnProgress,
    cancelled: Cancelled,
) -> FilmStyles:
    """Find a film (H, W) in S: takes about a second for ten steps.

    Raises
    ------
    ExplainerError
        If the search fails or is cancelled.
    """
    return projected_films(classifier, factors, [image], on_progress, cancelled)[0]


def projected_films(
    classifier: Classifier,
    factors: StyleFactors,
    images: Sequence[NDArray[np.float32]],
    on_progress: OnProgress,
    cancelled: Cancelled,
) -> tuple[FilmStyles, ...]:
    """Find films (H, W) in S together; each lands where it would alone.

    Raises
    ------
    ExplainerError
        If the search fails or is cancelled.
    """
    films = torch.cat([seen_size(factors, image) for image in images])
    with left_as_found(classifier, factors.generator), one_thread():
        start = None
        if factors.encoder is not None:
            with torch.no_grad():
                start = factors.encoder(films)
        found = project(
            factors.generator,
            classifier,
            films,
            factors.ranges,
            settings=_settings(factors),
            features=factors.features,
            start=start,
            on_progress=on_progress,
            cancelled=cancelled,
        )
    styles = found.styles.detach().numpy()
    return tuple(
        FilmStyles(styles[row], float(found.mae[row]), found.shift[row])
        for row in range(len(images))
    )


def subject_of(
    classifier: Classifier,
    factors: StyleFactors,
    image: NDArray[np.float32],
    styles: FilmStyles,
) -> Subject:
    """Return a film (H, W) with known styles, ready to be moved."""
    with one_thread(), torch.inference_mode():
        known = known_film(factors.generator, torch.from_numpy(styles.styles))
        film = _seen(classifier, seen_size(factors, image))
        reconstruction = _seen(classifier, to_brightness(known.image))
    return Subject(classifier, factors, known, styles, film.probabilities, reconstruction)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seen(classifier: Classifier, image: torch.Tensor) -> Moved:
    """Return an image (1, 1, H, W) with what the classifier says of it."""
    _, probabilities = predict(classifier, enlarged(image, classifier.input_size))
    return Moved(image[0, 0].numpy(), probabilities[0].double().numpy())


def key_of(film: str, classifier: Classifier, factors: StyleFactors) -> StylesKey:
    """Return what decides a film's styles; ``film`` is the digest of its pixels."""
    encoder = "" if factors.encoder is None else factors.encoder.weights_digest
    generator = f"{factors.known.generator_digest} {encoder} {factors.features is not None}"
    return StylesKey(film, generator, classifier.weights_digest, repr(_settings(factors)))


def _settings(factors: StyleFactors) -> ProjectionSettings:
    """Return the settings of the search: fewer steps where an encoder begins it."""
    if factors.encoder is None:
        return SETTINGS
    return replace(SETTINGS, n_steps=min(SETTINGS.n_steps, GUESSED_STEPS))
