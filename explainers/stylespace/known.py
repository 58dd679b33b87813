"""What a dimension does to known parameters and where: the film with it clamped, less the film.

Both ends of its range in turn, on every film; readings come from a :class:`Meter`. Effects are
means over films with t intervals over films. An effect counts as significant where its interval
excludes 0 after a Bonferroni correction for the number of readable parameters and the two ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from explainers.base import Cancelled, ExplainerError
from explainers.generators.stylegan2 import Generator, to_brightness
from explainers.stylespace.clamped import clamped_images, known_film
from explainers.stylespace.factorset import KnownEffect, ParameterReading
from explainers.stylespace.meter import Meter
from explainers.stylespace.ranges import StyleRanges

_LEVEL = 0.95
_TOGETHER = 32


@dataclass(frozen=True, eq=False)
class FilmEffect:
    """What dimensions do to one film.

    Parameters
    ----------
    readings
        (K, 2, R) change of the meter's readings at low and high; R = 0 without a meter.
    changes
        (K, 2, H, W) change of the brightness.
    """

    readings: NDArray[np.float32]
    changes: NDArray[np.float32]


@torch.no_grad()
def film_effect(
    generator: Generator,
    styles: Tensor,
    ranges: StyleRanges,
    dimensions: Sequence[int],
    meter: Meter | None,
    *,
    cancelled: Cancelled | None = None,
) -> FilmEffect:
    """Clamp dimensions of a film to both ends and look at the pictures.

    Parameters
    ----------
    generator
        The generator.
    styles
        (D,) of the film.
    ranges
        Ends of the dimensions.
    dimensions
        K indices into S.
    meter
        Reads parameters; ``None`` for the pictures alone.
    cancelled
        Asked between layers.

    Raises
    ------
    ExplainerError
        If a dimension does not exist, or it is cancelled.
    """
    known = known_film(generator, styles)
    at_rest = to_brightness(known.image)
    read_at_rest = meter.read(at_rest) if meter is not None else np.zeros((1, 0), np.float32)
    size = generator.shape.size
    readings = np.zeros((len(dimensions), 2, read_at_rest.shape[1]), np.float32)
    changes = np.zeros((len(dimensions), 2, size, size), np.float32)
    by_layer: dict[int, list[int]] = {}
    for place, dimension in enumerate(dimensions):
        by_layer.setdefault(layer_of(generator, dimension), []).append(place)
    for number, places in by_layer.items():
        if cancelled is not None and cancelled():
            raise ExplainerError("Stopped; run the same command again to go on.")
        for start in range(0, len(places), _TOGETHER):
            part = places[start : start + _TOGETHER]
            own = torch.tensor([dimensions[place] for place in part])
            both, ends = torch.cat([own, own]), torch.cat([ranges.low[own], ranges.high[own]])
            images = to_brightness(clamped_images(generator, known, number, both, ends))
            moved = (images - at_rest)[:, 0].numpy()
            changes[part, 0], changes[part, 1] = moved[: len(part)], moved[len(part) :]
            if meter is not None:
                read = meter.read(images) - read_at_rest
                readings[part, 0], readings[part, 1] = read[: len(part)], read[len(part) :]
    return FilmEffect(readings, changes)


def known_effects(changes: NDArray[np.floating], meter: Meter) -> tuple[KnownEffect, ...]:
    """Bring one dimension's changes of readings over films down to effects, the largest first.

    Parameters
    ----------
    changes
        (N, 2, R) change of every reading on every film, at low and high.
    meter
        That read them; only what it can read is reported.

    Raises
    ------
    ExplainerError
        If the numbers do not fit the meter.
    """
    if changes.ndim != 3 or changes.shape[1:] != (2, len(meter.readings)):
        raise ExplainerError(
            f"Changes of shape {changes.shape} do not fit a meter of {len(meter.readings)} "
            "parameters."
        )
    n_tests = max(2 * len(meter.readable), 1)
    found = []
    for place in meter.readable:
        reading, quality = meter.readings[place], meter.quality[place]
        low, high = changes[:, 0, place].astype(float), changes[:, 1, place].astype(float)
        strict = 1 - (1 - _LEVEL) / n_tests
        significant = any(_excludes_zero(interval_of(end, strict)) for end in (low, high))
        found.append(
            KnownEffect(
                parameter=reading.name,
                about=reading.about,
                group=reading.group,
                unit="sd" if reading.kind == "continuous" else "log-odds",
                change_low=float(low.mean()),
                change_high=float(high.mean()),
                low_interval=interval_of(low, _LEVEL),
                high_interval=interval_of(high, _LEVEL),
                size=float(max(abs(low.mean()), abs(high.mean())) / max(quality.spread, 1e-6)),
                significant=significant,
                r2=quality.score,
            )
        )
    return tuple(sorted(found, key=lambda effect: -effect.size))


def interval_of(values: NDArray[np.floating], level: float) -> tuple[float, float]:
    """Return the t interval of a mean; infinite for fewer than two values."""
    n = len(values)
    if n < 2:
        return (-float("inf"), float("inf"))
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / np.sqrt(n)
    reach = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
    return (mean - reach, mean + reach)


def parameter_readings(
    meter: Meter, films: NDArray[np.float32], reconstructions: NDArray[np.float32]
) -> tuple[ParameterReading, ...]:
    """Say of every parameter how well it is read, and what of it reconstructions keep.

    Parameters
    ----------
    meter
        The meter.
    films, reconstructions
        (N, H, W) in [0, 1].
    """
    before = meter.read(torch.from_numpy(films)[:, None])
    after = meter.read(torch.from_numpy(reconstructions)[:, None])
    readable = set(meter.readable)
    return tuple(
        ParameterReading(
            reading.name,
            quality.score,
            place in readable,
            _correlation(before[:, place], after[:, place]),
        )
        for place, (reading, quality) in enumerate(
            zip(meter.readings, meter.quality, strict=bool(meter.quality))
        )
    )


def layer_of(generator: Generator, dimension: int) -> int:
    """Return the index of the layer that a dimension belongs to.

    Raises
    ------
    ExplainerError
        If there is no such dimension.
    """
    for number, layer in enumerate(generator.layers):
        if layer.start <= dimension < layer.stop:
            return number
    raise ExplainerError(
        f"There is no style dimension {dimension}; expected 0 to {generator.n_styles - 1}."
    )


def _excludes_zero(interval: tuple[float, float]) -> bool:
    return interval[0] > 0 or interval[1] < 0


def _correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    if len(one) < 3 or one.std() < 1e-8 or other.std() < 1e-8:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
