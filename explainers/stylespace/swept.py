"""Held-out films in S, and what every dimension does to the classifier on them; parts are kept.

Every batch of projections and every film of the sweep is a file of its own in the work folder: an
interrupted search goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.generators.stylegan2 import Generator
from explainers.stylespace.chosen import ChosenFilms
from explainers.stylespace.encoder import StyleEncoder
from explainers.stylespace.meter import Meter
from explainers.stylespace.perceptual import Features
from explainers.stylespace.projection import Projection, ProjectionSettings, project
from explainers.stylespace.ranges import StyleRanges, style_ranges
from explainers.stylespace.screening import screened_ends
from explainers.stylespace.selection import Aggregation
from explainers.stylespace.stages import Stages
from explainers.stylespace.sweep import Mode, Sweep, sweep

StageProgress = Callable[[str], OnProgress]
"""Given the name of a stage, returns where its progress goes."""


@dataclass(frozen=True)
class FindSettings:
    """How factors are found.

    Parameters
    ----------
    findings
        For which dimensions are selected; empty for all.
    threshold, aggregation, least_share, limit
        See :func:`explainers.stylespace.selection.selected`.
    mode
        Of the sweep.
    n_samples, percentile
        Of the ranges.
    confidence
        With which the classifier has to be right on a film.
    max_mae, max_shift
        Above which a reconstruction is refused: grey levels of 255, probability.
    n_steps, batch_size
        Of the back-projection.
    """

    findings: tuple[str, ...] = ()
    threshold: float = 0.3
    aggregation: Aggregation = "mean"
    least_share: float = 0.05
    limit: int | None = None
    mode: Mode = "screened"
    n_samples: int = 20_000
    percentile: float = 0.0
    confidence: float = 0.9
    max_mae: float = 12.0
    max_shift: float = 0.2
    n_steps: int = 500
    batch_size: int = 16


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of a search and their digests.

    Parameters
    ----------
    generator, generator_digest
        The generator.
    classifier
        The classifier to be explained.
    meter
        Reads known parameters; ``None`` on films that no simulator made.
    features, features_name
        Of the back-projection's feature term, and what to call them.
    encoder
        Where the back-projection begins; ``None`` for the mean style.
    """

    generator: Generator
    generator_digest: str
    classifier: Classifier
    meter: Meter | None = None
    features: Features | None = None
    features_name: str = ""
    encoder: StyleEncoder | None = None


@dataclass(frozen=True, eq=False)
class SweptFilms:
    """Films with their place in S and their sweep: what cards are drawn from.

    Parameters
    ----------
    films
        N of them.
    ranges
        Of the generator.
    projection
        Of the N films.
    sweep
        Of the N films.
    usable
        (N, F): right, confident and faithfully reconstructed.
    """

    films: ChosenFilms
    ranges: StyleRanges
    projection: Projection
    sweep: Sweep
    usable: NDArray[np.bool_]


def sweep_films(
    networks: Networks,
    films: ChosenFilms,
    settings: FindSettings,
    stages: Stages,
    *,
    on_stage: StageProgress | None = None,
    cancelled: Cancelled | None = None,
) -> SweptFilms:
    """Bring films into S and sweep those that got there; every finished part is kept.

    Raises
    ------
    ExplainerError
        If no film can be inverted (says how near the best came), or it is cancelled.
    """
    telling = on_stage or (lambda _: lambda done, total: None)
    ranges = _ranges(networks, settings, stages, telling("samples of styles"), cancelled)
    projection = _projection(networks, films, ranges, settings, stages, telling, cancelled)
    n_findings = len(networks.classifier.findings)
    faithful = np.stack(
        [
            projection.faithful(f, max_mae=settings.max_mae, max_shift=settings.max_shift)
            for f in range(n_findings)
        ],
        axis=1,
    )
    usable = faithful & films.sure
    if not usable.any():
        raise ExplainerError(
            f"None of the {len(films.case_ids)} films could be inverted: the best reconstruction "
            f"is {projection.mae.min():.1f} grey levels off (at most {settings.max_mae:g} are "
            f"accepted) and the median shift of the probability is "
            f"{np.median(np.abs(projection.shift)):.2f} (at most {settings.max_shift:g}). Train "
            "the generator longer, or raise --max-mae or --max-shift."
        )
    swept = _swept(networks, projection, ranges, usable, settings, stages, telling, cancelled)
    return SweptFilms(films, ranges, projection, swept, usable)


def _ranges(
    networks: Networks,
    settings: FindSettings,
    stages: Stages,
    on_progress: OnProgress,
    cancelled: Cancelled | None,
) -> StyleRanges:
    def make() -> dict[str, NDArray[np.float32]]:
        found = style_ranges(
            networks.generator,
            n_samples=settings.n_samples,
            percentile=settings.percentile,
            on_progress=on_progress,
            cancelled=cancelled,
        )
        return {name: getattr(found, name).numpy() for name in ("low", "high", "mean", "spread")}

    parts = {
        "generator": networks.generator_digest,
        "n_samples": settings.n_samples,
        "percentile": settings.percentile,
    }
    kept = stages.made("ranges", parts, make)
    ends = {name: torch.from_numpy(np.array(values)) for name, values in kept.items()}
    return StyleRanges(**ends, n_samples=settings.n_samples, percentile=settings.percentile)


def _projection(
    networks: Networks,
    films: ChosenFilms,
    ranges: StyleRanges,
    settings: FindSettings,
    stages: Stages,
    telling: StageProgress,
    cancelled: Cancelled | None,
) -> Projection:
    """Project in batches, each of which is kept."""
    options = ProjectionSettings(n_steps=settings.n_steps, batch_size=settings.batch_size)
    on_progress = telling("steps of back-projection")
    starts = range(0, len(films.case_ids), settings.batch_size)
    total, found = len(starts) * settings.n_steps, []
    for number, start in enumerate(starts):
        images = torch.from_numpy(films.images[start : start + settings.batch_size])[:, None]

        def make(
            images: torch.Tensor = images, before: int = number * settings.n_steps
        ) -> dict[str, NDArray[np.float32]]:
            with torch.no_grad():
                begun = None if networks.encoder is None else networks.encoder(images)
            one = project(
                networks.generator,
                networks.classifier,
                images,
                ranges,
                settings=options,
                features=networks.features,
                start=begun,
                on_progress=lambda done, _: on_progress(before + done, total),
                cancelled=cancelled,
            )
            return {
                "styles": one.styles.numpy(),
                "images": one.images,
                "mae": one.mae,
                "shift": one.shift,
            }

        parts = {
            "networks": _digests(networks),
            "options": asdict(options),
            "ranges": [ranges.n_samples, ranges.percentile],
            "films": films.digests[start : start + settings.batch_size],
        }
        found.append(stages.made("projection", parts, make))
        on_progress((number + 1) * settings.n_steps, total)
    joined = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    styles = torch.from_numpy(joined["styles"])
    return Projection(styles, joined["images"], joined["mae"], joined["shift"])


def _digests(networks: Networks) -> list[str]:
    encoder = "" if networks.encoder is None else networks.encoder.weights_digest
    classifier = networks.classifier.weights_digest
    return [networks.generator_digest, classifier, networks.features_name, encoder]


def _swept(
    networks: Networks,
    projection: Projection,
    ranges: StyleRanges,
    usable: NDArray[np.bool_],
    settings: FindSettings,
    stages: Stages,
    telling: StageProgress,
    cancelled: Cancelled | None,
) -> Sweep:
    """Sweep film by film; films that are not usable stay unmeasured."""
    generator, classifier = networks.generator, networks.classifier
    n, n_findings = len(usable), usable.shape[1]
    changes = np.full((n, generator.n_styles, 2, n_findings), np.nan, np.float32)
    at_rest = np.full((n, n_findings), np.nan, np.float32)
    rows = np.flatnonzero(usable.any(axis=1))
    ends = np.ones((len(rows), generator.n_styles, 2), bool)
    if settings.mode == "screened":
        styles = projection.styles[rows]
        ends = screened_ends(generator, classifier, styles, ranges, settings.threshold)
    on_progress = telling("films swept")
    for done, (row, of_film) in enumerate(zip(rows, ends, strict=True), start=1):
        styles = projection.styles[row : row + 1]

        def make(
            styles: torch.Tensor = styles, of_film: NDArray[np.bool_] = of_film
        ) -> dict[str, NDArray[np.float32]]:
            one = sweep(
                generator,
                classifier,
                styles,
                ranges,
                mode=settings.mode,
                ends=of_film[None],
                cancelled=cancelled,
            )
            return {"changes": one.changes[0], "probabilities": one.probabilities[0]}

        parts = {
            "networks": _digests(networks)[:2],
            "ranges": [ranges.n_samples, ranges.percentile],
            "mode": settings.mode,
            "ends": hashlib.sha256(of_film.tobytes()).hexdigest(),
            "styles": array_digest(styles.numpy()),
        }
        kept = stages.made("sweep", parts, make)
        changes[row], at_rest[row] = kept["changes"], kept["probabilities"]
        on_progress(done, len(rows))
    return Sweep(changes, at_rest, tuple(classifier.findings), settings.mode)


def array_digest(values: NDArray[np.float32]) -> str:
    """SHA-256 of an array's numbers, hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
