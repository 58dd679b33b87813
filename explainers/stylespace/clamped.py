"""Images with one dimension of S changed, made from what is already known of the unchanged one.

What lies below the changed layer does not change: the states between the layers are kept once per
film, and only the layers from the changed one on run again. A dimension of a projection to the
image changes nothing but the image: its effect passes through doublings alone and costs no
convolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from explainers.classifiers.base import Classifier
from explainers.differentiation import to_input_range
from explainers.generators.stylegan2 import Generator, Modulated, SynthesisState


@dataclass(frozen=True, eq=False)
class KnownFilm:
    """A film of the generator with everything that stands between its layers.

    Parameters
    ----------
    styles
        (D,).
    states
        What stands before each layer, of one image, and after the last.
    """

    styles: Tensor
    states: tuple[SynthesisState, ...]

    @property
    def image(self) -> Tensor:
        """The image (1, 1, size, size), about [−1, 1]."""
        image = self.states[-1].image
        assert image is not None
        return image


@torch.no_grad()
def known_film(generator: Generator, styles: Tensor) -> KnownFilm:
    """Run the generator once and keep every state.

    Parameters
    ----------
    generator
        The generator.
    styles
        (D,).
    """
    batch = styles[None]
    states = [generator.begin(1)]
    for number in range(len(generator.layers)):
        states.append(generator.advance(number, states[-1], batch))
    return KnownFilm(styles, tuple(states))


@torch.no_grad()
def clamped_images(
    generator: Generator, film: KnownFilm, layer: int, dimensions: Tensor, values: Tensor
) -> Tensor:
    """Return the images (M, 1, size, size) of the film with one dimension each set to a value.

    Parameters
    ----------
    generator
        The generator.
    film
        From :func:`known_film`.
    layer
        Index of the layer whose dimensions are changed.
    dimensions
        (M,) indices into S, all of that layer.
    values
        (M,) what they are set to.
    """
    if generator.layers[layer].kind == "image":
        return _projected(generator, film, layer, dimensions, values)
    styles = film.styles.repeat(len(dimensions), 1)
    styles[torch.arange(len(dimensions)), dimensions] = values
    before = film.states[layer]
    state = SynthesisState(
        before.maps.expand(len(dimensions), -1, -1, -1),
        None if before.image is None else before.image.expand(len(dimensions), -1, -1, -1),
    )
    for number in range(layer, len(generator.layers)):
        state = generator.advance(number, state, styles)
    assert state.image is not None
    return state.image


def _projected(
    generator: Generator, film: KnownFilm, layer: int, dimensions: Tensor, values: Tensor
) -> Tensor:
    """Add the change of one projection to the finished image."""
    place = generator.layers[layer].place
    projection = generator.projections[place]
    channels = dimensions - generator.layers[layer].start
    assert isinstance(projection, Modulated)
    weights = projection.scaled_weight()[0, :, 0, 0]  # the projection is linear in the styles
    change = (values - film.styles[dimensions]) * weights[channels]  # (M,)
    added = film.states[layer].maps[0, channels] * change[:, None, None]  # (M, h, w)
    grown = added[:, None]
    for _ in range(place + 1, len(generator.projections)):
        grown = generator.enlarged(grown)
    return film.image + grown


def enlarged(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return images at a classifier's input size; unchanged where they have it."""
    if tuple(images.shape[-2:]) == size:
        return images
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


def seen_logits(classifier: Classifier, images: Tensor) -> Tensor:
    """Logits (N, F) of images (N, 1, H, W) in [0, 1], at the classifier's size and in its range."""
    return classifier.logits(to_input_range(enlarged(images, classifier.input_size), classifier))
