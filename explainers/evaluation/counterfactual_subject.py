"""One case of the bench ``counterfactual``: image, truth, and what can be said of a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.manifest import CaseSet
from data.raster import resize
from data.reference import ReferenceSet
from explainers.classifiers.base import Classifier
from explainers.evaluation.counterfactual_measures import change_of, coverage, errors
from explainers.evaluation.flips import Walk, is_positive, probabilities_of
from explainers.run import Pair

Cell = tuple[str, float, float]
"""Quantity, place on a curve (NaN where none), value."""

_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Truth:
    """What the film would be without the finding, at the classifier's size.

    Parameters
    ----------
    image
        (H, W), in [0, 1].
    covered
        (H, W), share of every pixel inside the finding's mask, or ``None`` without a mask.
    """

    image: NDArray[np.float32]
    covered: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class Subject:
    """One case and finding to be measured: image, truth, and who judges it.

    Parameters
    ----------
    image
        (H, W), in [0, 1], at the classifier's size.
    probability
        f(x).
    truth
        Where the case set knows the true counterfactual.
    oracle
        The independent classifier where there is one that knows the finding, else ``None``.
    """

    case_id: str
    finding: str
    image: NDArray[np.float32]
    probability: float
    truth: Truth | None
    oracle: Classifier | None

    @property
    def counts(self) -> bool:
        """Whether the film is positive, so that there is something to flip."""
        return is_positive(self.probability)

    def oracle_cells(self, frame: NDArray[np.float32]) -> list[Cell]:
        """Ask the independent classifier about the film and a changed frame."""
        if self.oracle is None:
            return []
        pair = np.stack([self.image, frame])
        small = np.clip(resize(pair, self.oracle.input_size), 0, 1)
        before, after = probabilities_of(self.oracle, small, self.finding)
        if not is_positive(before):
            return []
        return [
            ("flip_oracle", _NAN, float(not is_positive(after))),
            ("oracle_change", _NAN, float(after - before)),
        ]

    def change_cells(self, frame: NDArray[np.float32]) -> list[Cell]:
        """Say how far a frame is from the image."""
        change = change_of(self.image, frame)
        return known_cells(
            {"change_l1": change.l1, "change_l2": change.l2, "changed_share": change.share}
        )

    def error_cells(
        self, residual: NDArray[np.float32], decoded: NDArray[np.float32]
    ) -> list[Cell]:
        """Compare two frames with the true counterfactual, and with doing nothing."""
        if self.truth is None:
            return []
        truth = self.truth
        nothing = errors(self.image, truth.image, truth.covered)
        of_residual = errors(residual, truth.image, truth.covered)
        of_decoded = errors(decoded, truth.image, truth.covered)
        saved = nothing.inside - of_residual.inside
        values = {
            "error_inside": of_residual.inside,
            "error_outside": of_residual.outside,
            "error_film": of_residual.film,
            "error_inside_decoded": of_decoded.inside,
            "error_outside_decoded": of_decoded.outside,
            "error_film_decoded": of_decoded.film,
            "error_reduction": saved / nothing.inside if nothing.inside > 0 else _NAN,
            "saved_inside": saved,
            "saved_film": nothing.film - of_residual.film,
        }
        return known_cells(values)

    def curve_cells(self, walk: Walk) -> list[Cell]:
        """Return probability and error of every frame of the way down, and the best of them."""
        cells = [
            ("curve_probability", float(x), float(p))
            for x, p in zip(walk.shares, walk.f_residual, strict=True)
        ]
        if self.truth is None:
            return cells
        found = [errors(frame, self.truth.image, self.truth.covered) for frame in walk.residual]
        for x, each in zip(walk.shares, found, strict=True):
            cells += known_cells(
                {"curve_error_inside": each.inside, "curve_error_film": each.film}, float(x)
            )
        inside = [each.inside for each in found]
        cells += known_cells(
            {
                "hindsight_error_inside": min(inside),
                "hindsight_error_film": min(each.film for each in found),
            }
        )
        return cells


def read_subjects(
    cases: CaseSet,
    references: ReferenceSet | None,
    classifier: Classifier,
    oracle: Classifier | None,
    pairs: Sequence[Pair],
) -> list[Subject]:
    """Read films at the classifier's size, and what is known of them without the finding.

    Raises
    ------
    DataError
        If a file cannot be read.
    ExplainerError
        If the classifier does not know a finding.
    """
    subjects = []
    for case_id, finding in pairs:
        image = _at_size(cases.load(case_id).image, classifier)
        judge = oracle if oracle is not None and finding in oracle.findings else None
        probability = float(probabilities_of(classifier, image[None], finding)[0])
        truth = read_truth(references, classifier, case_id, finding)
        subjects.append(Subject(case_id, finding, image, probability, truth, judge))
    return subjects


def read_truth(
    references: ReferenceSet | None, classifier: Classifier, case_id: str, finding: str
) -> Truth | None:
    """Read the true counterfactual of a case, ``None`` where the case set has none."""
    if references is None or case_id not in references:
        return None
    film = references.counterfactual(case_id, finding)
    if film is None:
        return None
    mask = references.mask(case_id, finding)
    covered = None if mask is None else coverage(mask, classifier.input_size)
    return Truth(_at_size(film, classifier), covered)


def _at_size(image: NDArray[np.float32], classifier: Classifier) -> NDArray[np.float32]:
    return np.clip(resize(image, classifier.input_size), 0, 1)


def known_cells(values: Mapping[str, float], x: float = _NAN) -> list[Cell]:
    """Turn numbers into cells, leaving out those that do not exist."""
    return [(name, x, value) for name, value in values.items() if np.isfinite(value)]
