"""Tables of the translation of images to the other side, with the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from explainers.evaluation.published import PUBLISHED
from explainers.evaluation.summary import POOLED, patient_interval, share_interval
from explainers.evaluation.translation import (
    OTHER_REAL,
    REAL,
    Parts,
    Subject,
    direction_of,
)
from explainers.evaluation.translation_measures import DomainDistance, domain_distance, fit_plane
from explainers.evaluation.translation_parts import Part
from explainers.evaluation.translation_places import area_table, place_table
from explainers.evaluation.translators import Method
from explainers.training.films import Films

BOTH = "both"
_COLLAPSED = 0.05


def differences(subject: Subject) -> str:
    """Say what differs between the paper's figures and ours."""
    images = subject.images
    n_contrasts = len(subject.contrasts)
    if not isinstance(images, Films):
        what = f"images of {images.size} px that are no films"
    else:
        what = f"{images.kind} of {images.size} px"
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
    notes += collapsed_notes(subject, methods, parts)
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
        columns |= {name: part.overlaps[:, k] for k, name in enumerate(subject.localisation)}
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


def agreement_table(subject: Subject, methods: Sequence[Method], parts: Parts) -> pd.DataFrame:
    """Agreement of both classifiers, per contrast and direction, and over all of them.

    Shares in [0, 1] with 95 % intervals (:func:`.summary.share_interval`); those of the independent
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
            name = POOLED if len(subject.contrasts) > 1 else name
            lines.append({"method": method.label, "contrast": name, "direction": BOTH})
            lines[-1] |= _agreement(subject, list(chosen.values()))
        lines[-1] |= {"paper_adversarial": figures.adversarial if figures else None}
    table = pd.DataFrame(lines)
    if "adversarial_high" in table:  # the paper's figure stands beside ours
        place = list(table.columns).index("adversarial_high") + 1
        table.insert(place, "paper_adversarial", table.pop("paper_adversarial"))
    return table


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
        mean, low, high = _interval(share_interval, values[among], codes[among])
        line |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    line["n_oracle"] = int(seen.sum())
    for name in ("stable_error", "change"):
        line[f"{name}_grey"] = 255 * _mean(joined(name))
    return line


def _interval(
    interval: Callable[[NDArray[np.float64], NDArray[np.integer]], tuple[float, float]],
    values: NDArray[np.float64],
    codes: NDArray[np.integer],
) -> tuple[float, float, float]:
    """Mean of the values that are known, and its interval."""
    known = ~np.isnan(values)
    if not known.any():
        return (float("nan"),) * 3
    low, high = interval(values[known], pd.factorize(codes[known])[0])
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


def collapsed_notes(subject: Subject, methods: Sequence[Method], parts: Parts) -> list[str]:
    """Say which generators draw about the same image for all, so that agreement is no praise."""
    notes = []
    for method in methods:
        directions = [
            direction_of(subject, number, side)
            for (number, side), part in sorted(_of(parts, method.label).items())
            if part.embeddings.var(axis=0).sum()
            < _COLLAPSED * parts[REAL, number, 1 - side].embeddings.var(axis=0).sum()
        ]
        if directions and method.draws_anew:
            notes.append(
                f"{method.label} draws about the same image for all ({', '.join(directions)}): its "
                f"embeddings have less than {100 * _COLLAPSED:.0f} % of the variance of real ones, "
                "and what the classifiers say of that one image says nothing of the method."
            )
    return notes


def localisation_table(subject: Subject, methods: Sequence[Method], parts: Parts) -> pd.DataFrame:
    """IoU at matched area and at fixed percentiles, and NCC, on images with the finding.

    With 95 % bootstrap intervals over patients. Doing nothing is a constant map: chance.
    """
    lines = []
    for method in methods:
        chosen = {number: part for (number, side), part in _of(parts, method.label).items() if side}
        known = {n: part for n, part in chosen.items() if not np.isnan(part.overlaps[:, 0]).all()}
        for number, part in known.items():
            lines.append(_located(subject, method.label, subject.contrasts[number].name, [part]))
        if len(known) > 1:
            lines.append(_located(subject, method.label, POOLED, list(known.values())))
        figures = PUBLISHED.get(method.published)
        if known and figures and figures.iou:
            for percentile, value in zip((90, 95, 98), figures.iou, strict=True):
                lines[-1][f"paper_iou_p{percentile}"] = value
            lines[-1]["paper_ncc"] = figures.ncc
    return pd.DataFrame(lines)


def _located(
    subject: Subject, label: str, contrast: str, found: Sequence[Part]
) -> dict[str, object]:
    overlaps = np.concatenate([part.overlaps for part in found])
    patients = [each for part in found for each in subject.patients(part.rows)]
    codes = pd.factorize(pd.Series(patients))[0]
    n_images = int((~np.isnan(overlaps[:, 0])).sum())
    line: dict[str, object] = {"method": label, "contrast": contrast, "n_images": n_images}
    for place, name in enumerate(subject.localisation):
        mean, low, high = _interval(patient_interval, overlaps[:, place], codes)
        line[name] = mean
        if name in ("iou", "ncc"):
            line |= {f"{name}_low": low, f"{name}_high": high}
    return line


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


def _of(parts: Parts, label: str) -> dict[tuple[int, int], Part]:
    return {(number, side): part for (name, number, side), part in parts.items() if name == label}
