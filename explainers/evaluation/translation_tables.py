"""Tables of the translation of images to the other side, with the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from explainers.evaluation.published import PUBLISHED
from explainers.evaluation.summary import POOLED, patient_interval
from explainers.evaluation.translation import (
    AT_PERCENTILES,
    LOCALISATION,
    OTHER_REAL,
    REAL,
    Part,
    Parts,
    Subject,
    place_of,
)
from explainers.evaluation.translation_measures import DomainDistance, domain_distance, fit_plane
from explainers.evaluation.translators import Method
from explainers.training.films import Films

BOTH = "both"
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def differences(subject: Subject) -> str:
    """Say what differs between the paper's figures and ours."""
    images = subject.images
    n_contrasts = len(subject.contrasts)
    if not isinstance(images, Films):
        what = f"an array of images of {images.size} px"
    else:
        kind = "simulated films" if images.simulated else "films"
        what = f"{kind} of {images.size} px"
    return (
        "The paper's figures are those of one task, pneumonia against normal on real films, with a "
        "ResNet50 and a pair of generators of its own, timed on a V100 GPU. Ours are of "
        f"{n_contrasts} contrast{'s' * (n_contrasts > 1)} on {what}, with another classifier and "
        "generators of other sizes, timed on a CPU: the order of the rows compares, the level does "
        "not."
    )


@dataclass(frozen=True, eq=False)
class TranslationTables:
    """All tables of a run.

    Parameters
    ----------
    agreement, distances, localisation, seconds, places, areas
        See the functions of this module; those that there is nothing to say of are empty.
    notes
        Sentences that belong below the tables.
    """

    agreement: pd.DataFrame
    distances: pd.DataFrame
    localisation: pd.DataFrame
    seconds: pd.DataFrame
    places: pd.DataFrame
    areas: pd.DataFrame
    notes: tuple[str, ...]

    def named(self) -> Mapping[str, pd.DataFrame]:
        """Name to table, without the empty ones."""
        found = {
            "agreement": self.agreement,
            "distances": self.distances,
            "localisation": self.localisation,
            "seconds": self.seconds,
            "places": self.places,
            "areas": self.areas,
        }
        return {name: table for name, table in found.items() if len(table)}


def make_tables(subject: Subject, methods: Sequence[Method], parts: Parts) -> TranslationTables:
    """Make all tables of what was measured."""
    localisation, areas = localisation_table(subject, methods, parts), area_table(subject)
    notes = [differences(subject), *(f"{m.label}: {m.note}" for m in methods if m.note)]
    if not len(areas):
        notes.append(
            "This task has no masks of what is told apart: there is no localisation and no table "
            "of annotated areas, and the percentiles cannot be set by them."
        )
    slow = [each.label for each in methods if each.limit and each.limit < subject.limit // 2]
    if slow:
        notes.append(
            f"{', '.join(slow)} was measured on fewer images than the others, and its distances "
            "are left out, which grow as images become few."
        )
    if subject.oracle is None:
        notes.append("No independent classifier was given (--oracle): its columns are empty.")
    return TranslationTables(
        agreement_table(subject, methods, parts),
        distance_table(subject, methods, parts),
        localisation,
        seconds_table(methods, parts),
        place_table(subject, methods, parts),
        areas,
        tuple(notes),
    )


def long_rows(subject: Subject, parts: Parts) -> pd.DataFrame:
    """Every number of every image: image, patient, contrast, from, method, quantity, value."""
    names = ("stays", "stable_stays", "seen", "oracle_stays", "oracle_stable_stays")
    frames = []
    for (label, number, side), part in parts.items():
        columns = {name: getattr(part, name) for name in (*names, "stable_error", "change")}
        columns |= {name: part.overlaps[:, k] for k, name in enumerate(LOCALISATION)}
        wide = pd.DataFrame(columns).assign(
            image=_image_names(subject, part.rows),
            patient=subject.patients(part.rows),
            contrast=subject.contrasts[number].name,
            side=side,
            method=label,
        )
        keys = ["image", "patient", "contrast", "side", "method"]
        frames.append(wide.melt(keys, var_name="quantity", value_name="value"))
    return pd.concat(frames, ignore_index=True).dropna(subset=["value"])


def _image_names(subject: Subject, rows: NDArray[np.int64]) -> list[str]:
    images = subject.images
    return [str(each) for each in (images.case_ids[rows] if isinstance(images, Films) else rows)]


def direction_of(subject: Subject, number: int, side: int) -> str:
    """A direction in words."""
    contrast = subject.contrasts[number]
    if contrast.negative is None:
        return "present → absent" if side else "absent → present"
    names = subject.classifier.findings
    ends = (names[contrast.negative], names[contrast.positive])
    return f"{ends[side]} → {ends[1 - side]}"


def agreement_table(subject: Subject, methods: Sequence[Method], parts: Parts) -> pd.DataFrame:
    """Agreement of both classifiers, per contrast and direction, and over all of them.

    Shares in [0, 1] with 95 % bootstrap intervals over patients; those of the independent
    classifier are of images that it put where the classifier did. Grey levels are of 255.
    """
    lines: list[dict[str, object]] = []
    for method in methods:
        chosen = _of(parts, method.label)
        if not chosen or all(np.isnan(part.stays).all() for part in chosen.values()):
            continue
        figures = PUBLISHED.get(method.published)
        for number, side in sorted(chosen):
            direction = direction_of(subject, number, side)
            name = subject.contrasts[number].name
            found = [chosen[number, side]]
            lines.append({"method": method.label, "contrast": name, "direction": direction})
            lines[-1] |= _agreement(subject, found)
        if len(chosen) > 1:
            lines.append({"method": method.label, "contrast": POOLED, "direction": BOTH})
            lines[-1] |= _agreement(subject, list(chosen.values()))
        lines[-1] |= {"paper_adversarial": figures.adversarial if figures else None}
    return pd.DataFrame(lines)


def _agreement(subject: Subject, found: Sequence[Part]) -> dict[str, object]:
    def joined(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(part, name) for part in found])

    patients = [each for part in found for each in subject.patients(part.rows)]
    codes = pd.factorize(pd.Series(patients))[0]
    seen = joined("seen") == 1
    stays = joined("stays")
    line: dict[str, object] = {"n_images": len(stays)}
    for name, values, among in (
        ("adversarial", stays, np.ones(len(stays), bool)),
        ("stable", joined("stable_stays"), np.ones(len(stays), bool)),
        ("oracle_turned", 1 - joined("oracle_stays"), seen),
        ("oracle_stable", joined("oracle_stable_stays"), seen),
    ):
        mean, low, high = _interval(values[among], codes[among])
        line |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    line["n_oracle"] = int(seen.sum())
    for name in ("stable_error", "change"):
        line[f"{name}_grey"] = 255 * _mean(joined(name))
    return line


def _interval(
    values: NDArray[np.float64], codes: NDArray[np.integer]
) -> tuple[float, float, float]:
    known = ~np.isnan(values)
    if not known.any():
        return (float("nan"),) * 3
    low, high = patient_interval(values[known], pd.factorize(codes[known])[0])
    return float(values[known].mean()), low, high


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def distance_table(subject: Subject, methods: Sequence[Method], parts: Parts) -> pd.DataFrame:
    """Fréchet and Jensen–Shannon distance in the VAE's space, and ratios to real0–real1.

    Adversarial images are compared with the real ones of the side they went to, stable ones with
    those of their own. Distances of few images are too large: that of other real images from the
    real ones is what a perfect translation would have.
    """
    lines = []
    for number, contrast in enumerate(subject.contrasts):
        reals = [parts[REAL, number, side].embeddings for side in (0, 1)]
        plane = fit_plane(np.concatenate(reals))
        for side in (0, 1):
            here, there = reals[side], reals[1 - side]
            rows: list[tuple[str, int, DomainDistance, float]] = []
            other = parts.get((OTHER_REAL, number, 1 - side))
            if other is None:
                label, rest, again = "Halves of the real images", there[::2], there[1::2]
            else:
                label, rest, again = OTHER_REAL, other.embeddings, there
            floor = domain_distance(rest, again, here, plane)
            rows.append((label, len(rest), floor, float("nan")))
            for method in methods:
                part = parts.get((method.label, number, side))
                if part is None or np.isnan(part.embeddings).any():
                    continue
                if len(part.rows) < len(here) // 2:
                    continue  # its distances would be too large for its number alone
                reached = domain_distance(part.embeddings, there, here, plane)
                own = domain_distance(part.stable_embeddings, here, there, plane)
                rows.append((method.label, len(part.rows), reached, own.frechet_ratio))
            for label, n_images, distance, stable in rows:
                lines.append(
                    {
                        "method": label,
                        "contrast": contrast.name,
                        "direction": direction_of(subject, number, side),
                        "n_images": n_images,
                        "frechet": distance.frechet,
                        "frechet_ratio": distance.frechet_ratio,
                        "jensen_shannon": distance.jensen_shannon,
                        "jensen_shannon_ratio": distance.jensen_shannon_ratio,
                        "stable_frechet_ratio": stable,
                    }
                )
    table = pd.DataFrame(lines)
    if len(subject.contrasts) < 2:
        return table
    numbers = [name for name in table.columns if name.startswith(("frechet_r", "jensen_shannon_r"))]
    means = table.groupby("method", sort=False)[[*numbers, "stable_frechet_ratio"]].mean()
    pooled = means.reset_index().assign(contrast=POOLED, direction=BOTH)
    return pd.concat([table, pooled], ignore_index=True)[list(table.columns)]


def localisation_table(subject: Subject, methods: Sequence[Method], parts: Parts) -> pd.DataFrame:
    """IoU at matched area and at fixed percentiles, and NCC, on images with the finding."""
    lines = []
    for method in methods:
        chosen = [part for (_, side), part in _of(parts, method.label).items() if side == 1]
        numbers = [number for number, side in _of(parts, method.label) if side == 1]
        known = [part.overlaps[~np.isnan(part.overlaps[:, 0])] for part in chosen]
        if not sum(len(each) for each in known):
            continue
        for number, overlaps in zip(numbers, known, strict=True):
            if len(overlaps):
                lines.append(_located(method.label, subject.contrasts[number].name, overlaps))
        if len(chosen) > 1:
            lines.append(_located(method.label, POOLED, np.concatenate(known)))
        figures = PUBLISHED.get(method.published)
        if figures and figures.iou:
            for percentile, value in zip((90, 95, 98), figures.iou, strict=True):
                lines[-1][f"paper_iou_p{percentile}"] = value
            lines[-1]["paper_ncc"] = figures.ncc
    return pd.DataFrame(lines)


def _located(label: str, contrast: str, overlaps: NDArray[np.float64]) -> dict[str, object]:
    means = dict(zip(LOCALISATION, overlaps.mean(axis=0).tolist(), strict=True))
    return {"method": label, "contrast": contrast, "n_images": len(overlaps), **means}


def seconds_table(methods: Sequence[Method], parts: Parts) -> pd.DataFrame:
    """Seconds per explanation, beside the paper's on a V100."""
    lines = []
    for method in methods:
        chosen = _of(parts, method.label).values()
        n_images = sum(len(part.rows) for part in chosen)
        if not n_images:
            continue
        figures = PUBLISHED.get(method.published)
        spent = sum(float(part.seconds[0]) for part in chosen)
        lines.append(
            {
                "method": method.label,
                "n_images": n_images,
                "seconds": spent / n_images,
                "paper_seconds_v100": figures.seconds if figures else None,
            }
        )
    return pd.DataFrame(lines)


def place_table(subject: Subject, methods: Sequence[Method], parts: Parts) -> pd.DataFrame:
    """How much the perturbed place varies from image to image, in each direction.

    ``sd_row`` and ``sd_column`` are standard deviations of the map's centre of gravity, in percent
    of the side; ``overlap`` is the mean share that two maps of different images have in common (on
    16 × 16 cells; 1: always the same place). "Masks" has them of the reference standard: a
    generator that puts every finding in one place has less variation than those.
    """
    lines = []
    for number, contrast in enumerate(subject.contrasts):
        masks = _mask_places(subject, number)
        if masks is not None:
            lines.append(_varies(contrast.name, "reference", "Masks", *masks))
        for method in methods:
            for side in (0, 1):
                part = parts.get((method.label, number, side))
                if part is None:
                    continue
                known = ~np.isnan(part.centroids[:, 0])
                if known.sum() > 1:
                    direction = direction_of(subject, number, side)
                    places = part.centroids[known], part.coarse[known]
                    lines.append(_varies(contrast.name, direction, method.label, *places))
    return pd.DataFrame(lines)


def _mask_places(
    subject: Subject, number: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    masks = subject.masks(number, subject.sides[number][1])
    if masks is None:
        return None
    places = [place_of(each) for each in masks if each.any()]
    if len(places) < 2:
        return None
    return np.stack([each[0] for each in places]), np.stack([each[1] for each in places])


def _varies(
    contrast: str,
    direction: str,
    label: str,
    centres: NDArray[np.float64],
    coarse: NDArray[np.float64],
) -> dict[str, object]:
    spread = 100 * centres.std(axis=0, ddof=1)
    return {
        "method": label,
        "contrast": contrast,
        "direction": direction,
        "n_images": len(centres),
        "sd_row_percent": float(spread[0]),
        "sd_column_percent": float(spread[1]),
        "overlap": mean_overlap(coarse),
    }


def mean_overlap(coarse: NDArray[np.floating], *, most: int = 100) -> float:
    """Mean over pairs of the first ``most`` maps (N, K) of Σ min(p, q); in [0, 1]."""
    chosen = np.asarray(coarse, float)[:most]
    shared = [np.minimum(chosen[n], chosen[n + 1 :]).sum(axis=1) for n in range(len(chosen) - 1)]
    return float(np.concatenate(shared).mean())


def area_table(subject: Subject) -> pd.DataFrame:
    """Quantiles of the annotated area, and the percentile of a map that leaves as much.

    The paper chooses its percentiles by such a table: a map thresholded at 100 · (1 − area) marks
    as large an area as the median mask.
    """
    lines = []
    for number, contrast in enumerate(subject.contrasts):
        masks = subject.masks(number, subject.sides[number][1])
        areas = [] if masks is None else [each.mean() for each in masks if each.any()]
        if not areas:
            continue
        found = np.quantile(areas, _QUANTILES)
        line: dict[str, object] = {"contrast": contrast.name, "n_masks": len(areas)}
        for quantile, area in zip(_QUANTILES, found, strict=True):
            line[f"area_q{100 * quantile:g}_percent"] = 100 * float(area)
        for quantile, area in zip(_QUANTILES[1:4], found[1:4], strict=True):
            line[f"percentile_of_q{100 * quantile:g}"] = 100 * (1 - float(area))
        line["percentiles_used"] = " / ".join(f"{each:g}" for each in AT_PERCENTILES)
        lines.append(line)
    return pd.DataFrame(lines)


def _of(parts: Parts, label: str) -> dict[tuple[int, int], Part]:
    return {(number, side): part for (name, number, side), part in parts.items() if name == label}
