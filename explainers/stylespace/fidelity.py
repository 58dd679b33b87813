"""Whether a film was reconstructed well enough to be explained: a record per film, and a table.

A film that the generator cannot draw, or draws so that the classifier sees something else, is not
explained by what its reconstruction shows. It is refused with its reconstruction error.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explainers.base import ExplainerError
from explainers.stylespace.projection import Projection


@dataclass(frozen=True)
class FidelityLimits:
    """From where on a reconstruction is refused.

    Parameters
    ----------
    max_mae
        Mean absolute error in grey levels of 255.
    max_shift
        Absolute difference of the classifier's probability of the finding.

    Raises
    ------
    ExplainerError
        If a limit is not above 0.
    """

    max_mae: float = 15.0
    max_shift: float = 0.1

    def __post_init__(self) -> None:
        if not self.max_mae > 0 or not self.max_shift > 0:
            raise ExplainerError(
                f"Limits of reconstructions lie above 0; got an error of {self.max_mae:g} grey "
                f"levels and a difference of {self.max_shift:g}."
            )


@dataclass(frozen=True)
class FilmFidelity:
    """How well one film was reconstructed.

    Parameters
    ----------
    case_id
        The film.
    mae
        Mean absolute error in grey levels of 255.
    findings, shifts
        Names, and C(G(S)) − C(x) of each.
    limits
        What is still accepted.
    """

    case_id: str
    mae: float
    findings: tuple[str, ...]
    shifts: tuple[float, ...]
    limits: FidelityLimits

    @property
    def largest_shift(self) -> float:
        """Largest absolute difference over the findings."""
        return max(map(abs, self.shifts))

    def refused(self, finding: str) -> str:
        """Return why the film is not explained for a finding; empty if it may be.

        Raises
        ------
        ExplainerError
            If the finding is unknown.
        """
        if finding not in self.findings:
            raise ExplainerError(
                f"Unknown finding {finding!r}; the classifier knows {', '.join(self.findings)}."
            )
        shift = self.shifts[self.findings.index(finding)]
        if self.mae > self.limits.max_mae:
            return (
                f"The generator cannot draw this film well enough: mean error {self.mae:.1f} of "
                f"255 grey levels, at most {self.limits.max_mae:g} is accepted."
            )
        if abs(shift) > self.limits.max_shift:
            return (
                f"The classifier sees the reconstruction differently: {finding} {shift:+.2f}, at "
                f"most {self.limits.max_shift:g} is accepted."
            )
        return ""


def fidelity(
    projection: Projection,
    case_ids: Sequence[str],
    findings: Sequence[str],
    limits: FidelityLimits | None = None,
) -> tuple[FilmFidelity, ...]:
    """Judge every film of a projection.

    Parameters
    ----------
    projection
        N films.
    case_ids
        N names.
    findings
        The classifier's.
    limits
        What is still accepted.

    Raises
    ------
    ExplainerError
        If names, findings and projection do not fit each other.
    """
    if projection.shift.shape != (len(case_ids), len(findings)):
        raise ExplainerError(
            f"{len(case_ids)} films and {len(findings)} findings were named; the projection has "
            f"{projection.shift.shape[0]} and {projection.shift.shape[1]}."
        )
    kept = limits or FidelityLimits()
    return tuple(
        FilmFidelity(case_id, float(mae), tuple(findings), tuple(map(float, shifts)), kept)
        for case_id, mae, shifts in zip(case_ids, projection.mae, projection.shift, strict=True)
    )


def fidelity_csv(films: Sequence[FilmFidelity]) -> str:
    """Return a table: film, error, difference of every finding, and which are refused.

    Raises
    ------
    ExplainerError
        If there is no film.
    """
    if not films:
        raise ExplainerError("There is no reconstructed film to report on; project one first.")
    findings = films[0].findings
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["case_id", "mae", *[f"shift:{name}" for name in findings], "refused"])
    for film in films:
        refused = "; ".join(name for name in findings if film.refused(name))
        table.writerow(
            [film.case_id, f"{film.mae:.3f}", *[f"{s:.4f}" for s in film.shifts], refused]
        )
    return text.getvalue()


def summary(films: Sequence[FilmFidelity]) -> str:
    """Return one sentence on all films, or that there is none."""
    if not films:
        return "No film was reconstructed."
    errors = np.array([film.mae for film in films])
    refused = sum(any(film.refused(name) for name in film.findings) for film in films)
    return (
        f"{len(films)} films: mean error {errors.mean():.1f} of 255 grey levels (worst "
        f"{errors.max():.1f}), largest difference of a probability "
        f"{max(film.largest_shift for film in films):.2f}; {refused} refused for some finding."
    )
