"""From a generator, a classifier and held-out films to a factor set, in stages that are kept.

Films that the classifier gets right with confidence → their styles → the sweep → the selected
dimensions → what those do to known parameters, and where in the thorax. Every batch of projections
and every film of a later stage is a file of its own in the work folder: an interrupted search goes
on where it stopped, and another δ or aggregation costs no new sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from explainers.base import Cancelled, ExplainerError
from explainers.generators.stylegan2 import Generator
from explainers.stylespace.chosen import ChosenFilms
from explainers.stylespace.factorset import (
    FactorSet,
    KnownEffect,
    ParameterReading,
    RegionShare,
    Search,
    SelectedFactor,
    StyleStretch,
    place_of,
)
from explainers.stylespace.known import film_effect, known_effects, parameter_readings
from explainers.stylespace.meter import Meter
from explainers.stylespace.selection import (
    Factor,
    aggregated,
    flips,
    selected,
    strongest,
)
from explainers.stylespace.stages import Stages
from explainers.stylespace.sweep import Sweep
from explainers.stylespace.swept import (
    FindSettings,
    Networks,
    StageProgress,
    SweptFilms,
    array_digest,
    sweep_films,
)
from explainers.stylespace.thorax import region_shares


def find_factors(
    networks: Networks,
    films: ChosenFilms,
    settings: FindSettings,
    stages: Stages,
    *,
    cases_digest: str,
    on_stage: StageProgress | None = None,
    cancelled: Cancelled | None = None,
) -> FactorSet:
    """Find the dimensions that move the classifier.

    Parameters
    ----------
    networks
        Generator, classifier and what else is used.
    films
        From :func:`explainers.stylespace.chosen.choose_films`.
    settings
        Thresholds and sizes.
    stages
        Where finished parts are kept.
    cases_digest
        Of the case set.
    on_stage, cancelled
        Progress per stage; asked between steps.

    Raises
    ------
    ExplainerError
        If no film can be inverted, a finding is unknown, or it is cancelled.
    """
    swept = sweep_films(networks, films, settings, stages, on_stage=on_stage, cancelled=cancelled)
    wanted = settings.findings or networks.classifier.findings
    factors, largest, strengths = _selection(swept, wanted, settings)
    dimensions = tuple(dict.fromkeys(f.dimension for f in (*factors, *largest)))
    known, regions, maps = _measured(networks, swept, dimensions, stages, on_stage, cancelled)
    stretches = stretches_of(networks.generator)

    def full(factor: Factor) -> SelectedFactor:
        number = networks.classifier.findings.index(factor.finding)
        rows = np.flatnonzero(swept.usable[:, number])
        stretch, channel = place_of(stretches, factor.dimension)
        own = _of_rows(swept.sweep, rows)
        flipped = flips(own, factor.finding, factor.dimension)
        sizes = np.abs(np.nan_to_num(own.changes[:, factor.dimension, :, number])).max(axis=1)
        return SelectedFactor(
            dimension=factor.dimension,
            layer=stretch.name,
            resolution=stretch.resolution,
            channel=channel,
            finding=factor.finding,
            change=factor.change,
            change_low=factor.mean_low,
            change_high=factor.mean_high,
            share=float((sizes >= settings.threshold).mean()),
            n_flips=int(flipped.sum()),
            n_films=factor.n_films,
            known=known.get(factor.dimension, ()),
            regions=regions.get(factor.dimension, ()),
        )

    ranges = swept.ranges
    inside = np.flatnonzero(swept.usable.any(axis=1))
    return FactorSet(
        generator_digest=networks.generator_digest,
        classifier_digest=networks.classifier.weights_digest,
        meter_digest="" if networks.meter is None else networks.meter.weights_digest,
        cases_digest=cases_digest,
        findings=networks.classifier.findings,
        stretches=stretches,
        low=ranges.low.numpy(),
        high=ranges.high.numpy(),
        mean=ranges.mean.numpy(),
        spread=ranges.spread.numpy(),
        n_samples=ranges.n_samples,
        percentile=ranges.percentile,
        made=_search(networks, settings, len(films.case_ids) - len(inside)),
        films=tuple(films.case_ids[row] for row in inside),
        factors=tuple(full(factor) for factor in factors),
        largest=tuple(full(factor) for factor in largest),
        strengths=strengths,
        readings=_readings(networks.meter, swept),
        maps=maps,
    )


def stretches_of(generator: Generator) -> tuple[StyleStretch, ...]:
    """Return the dimension map of a generator."""
    return tuple(
        StyleStretch(layer.name, layer.kind, layer.resolution, layer.start, layer.stop)
        for layer in generator.layers
    )


def _search(networks: Networks, settings: FindSettings, n_refused: int) -> Search:
    return Search(
        threshold=settings.threshold,
        aggregation=settings.aggregation,
        mode=settings.mode,
        least_share=settings.least_share,
        confidence=settings.confidence,
        max_mae=settings.max_mae,
        max_shift=settings.max_shift,
        n_refused=n_refused,
        features=networks.features_name,
        steps=settings.n_steps,
    )


def _selection(
    swept: SweptFilms, wanted: Sequence[str], settings: FindSettings
) -> tuple[list[Factor], list[Factor], NDArray[np.float32]]:
    """Return selected factors, the largest per finding, and mean |Δ| (D, F)."""
    whole = swept.sweep
    strengths = np.zeros((whole.changes.shape[1], len(whole.findings)), np.float32)
    factors: list[Factor] = []
    largest: list[Factor] = []
    for finding in wanted:
        if finding not in whole.findings:
            raise ExplainerError(
                f"The classifier does not know {finding!r}; it predicts "
                f"{', '.join(whole.findings)}."
            )
    for number, finding in enumerate(whole.findings):
        rows = np.flatnonzero(swept.usable[:, number])
        if finding not in wanted or not len(rows):
            continue
        own = _of_rows(whole, rows)
        strengths[:, number] = aggregated(own, finding)
        factors += selected(
            own,
            finding,
            aggregation=settings.aggregation,
            threshold=settings.threshold,
            least_share=settings.least_share,
            limit=settings.limit,
        )
        largest += [
            f for f in strongest(own, finding, threshold=settings.threshold) if f.change > 0
        ]
    return factors, largest, strengths


def _measured(
    networks: Networks,
    swept: SweptFilms,
    dimensions: tuple[int, ...],
    stages: Stages,
    on_stage: StageProgress | None,
    cancelled: Cancelled | None,
) -> tuple[
    dict[int, tuple[KnownEffect, ...]],
    dict[int, tuple[RegionShare, ...]],
    dict[int, NDArray[np.float32]],
]:
    """Return known effects, regions and maps of dimensions, over all usable films."""
    rows = np.flatnonzero(swept.usable.any(axis=1))
    if not dimensions:
        return {}, {}, {}
    on_progress = on_stage("films measured") if on_stage else None
    readings, changes = [], []
    for done, row in enumerate(rows, start=1):
        styles = swept.projection.styles[row]

        def make(styles: torch.Tensor = styles) -> dict[str, NDArray[np.float32]]:
            effect = film_effect(
                networks.generator,
                styles,
                swept.ranges,
                dimensions,
                networks.meter,
                cancelled=cancelled,
            )
            return {"readings": effect.readings, "changes": np.abs(effect.changes).mean(axis=1)}

        parts = {
            "generator": networks.generator_digest,
            "meter": "" if networks.meter is None else networks.meter.weights_digest,
            "ranges": [swept.ranges.n_samples, swept.ranges.percentile],
            "dimensions": dimensions,
            "styles": array_digest(styles.numpy()),
        }
        kept = stages.made("effect", parts, make)
        readings.append(kept["readings"])
        changes.append(kept["changes"])
        if on_progress is not None:
            on_progress(done, len(rows))
    of_parameters, of_pixels = np.stack(readings), np.stack(changes)
    regions = [swept.films.regions[row] for row in rows]
    known = {}
    if networks.meter is not None:
        known = {
            d: known_effects(of_parameters[:, k], networks.meter) for k, d in enumerate(dimensions)
        }
    places = {d: region_shares(list(of_pixels[:, k]), regions) for k, d in enumerate(dimensions)}
    return known, places, {d: of_pixels[:, k].mean(axis=0) for k, d in enumerate(dimensions)}


def _readings(meter: Meter | None, swept: SweptFilms) -> tuple[ParameterReading, ...]:
    if meter is None:
        return ()
    rows = np.flatnonzero(swept.usable.any(axis=1))
    return parameter_readings(meter, swept.films.images[rows], swept.projection.images[rows])


def _of_rows(whole: Sweep, rows: NDArray[np.int64]) -> Sweep:
    return replace(whole, changes=whole.changes[rows], probabilities=whole.probabilities[rows])
