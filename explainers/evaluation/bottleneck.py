"""The bottleneck sweep: several autoencoders, one classifier, the same films (paper: App. D).

A larger bottleneck reconstructs better and localises better, but lets the gradient change single
spots instead of structures; each autoencoder is measured for both sides of that bargain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.reference import ReferenceSet
from explainers import registry
from explainers.base import Explainer, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.evaluation.bench import COLUMNS, Quantity, Setting
from explainers.evaluation.counterfactual_measures import (
    GREY_LEVELS,
    SPOT_SHARE,
    fine_share,
    n_spots,
)
from explainers.evaluation.counterfactual_subject import Subject, read_subjects
from explainers.evaluation.flips import explain_films, search_flips
from explainers.evaluation.localisation import iou_at_matched_area
from explainers.generators.base import Autoencoder
from explainers.record import Counterfactual, MapKind
from explainers.run import Pair

if TYPE_CHECKING:
    import plotly.graph_objects as go

METHOD = "latent_shift"
_MAP: MapKind = "max"
_BATCH = 8
_MIN_CANDIDATES = 2

QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "mae": Quantity("Mean absolute error of the reconstruction", "grey levels", "lower"),
        "prediction_shift": Quantity("|f(x) − f(D(E(x)))|", "probability", "lower"),
        "iou": Quantity("IoU of latent_shift-max at matched area", "share", "higher"),
        "flip": Quantity("Flips the classifier (residual frame)", "share", "higher"),
        "excluded": Quantity("Left out of the flips: the film is negative", "share", None),
        "fine_share": Quantity(
            "Energy of the change in structures narrower than 8 px", "share", "lower"
        ),
        "n_spots": Quantity(
            f"Pieces that the strongest {SPOT_SHARE:.0%} of pixels fall into", "number", "lower"
        ),
    }
)
"""What is measured of each autoencoder.

The change is that of the default film, lowest frame minus reconstruction.
"""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One autoencoder of a sweep.

    Parameters
    ----------
    label
        How it is called in tables and figures.
    autoencoder
        E and D.
    """

    label: str
    autoencoder: Autoencoder

    def __repr__(self) -> str:
        return f"Candidate({self.label!r}, {self.size}, {self.autoencoder.weights_digest[:16]!r})"

    @property
    def size(self) -> int:
        """Numbers in one latent."""
        return math.prod(self.autoencoder.latent_shape)


@dataclass(frozen=True, eq=False)
class Example:
    """What is drawn of one case and autoencoder.

    Parameters
    ----------
    image, reconstruction, map
        (H, W) at the classifier's size; the map is latent_shift-max.
    """

    case_id: str
    finding: str
    label: str
    image: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    map: NDArray[np.float32]


def check_candidates(candidates: Sequence[Candidate], classifier: Classifier) -> None:
    """Refuse sweeps that compare nothing, or networks that do not fit together.

    Raises
    ------
    ExplainerError
        If there are fewer than two autoencoders, two have one label, or one takes images of
        another size than the classifier.
    """
    labels = [each.label for each in candidates]
    if len(labels) < _MIN_CANDIDATES:
        raise ExplainerError(
            f"A sweep compares at least {_MIN_CANDIDATES} autoencoders; {len(labels)} given. "
            "Name more with --autoencoder."
        )
    twice = [each for each in dict.fromkeys(labels) if labels.count(each) > 1]
    if twice:
        raise ExplainerError(f"Two autoencoders are called {twice[0]!r}; name each one once.")
    for each in candidates:
        if tuple(each.autoencoder.input_size) != tuple(classifier.input_size):
            raise ExplainerError(
                f"The autoencoder {each.label!r} takes images of {each.autoencoder.input_size} "
                f"pixels, the classifier of {classifier.input_size}; use networks of one size."
            )


@dataclass(frozen=True)
class Bottleneck:
    """Several autoencoders on the same films; ``method`` in its rows is the autoencoder.

    Parameters
    ----------
    candidates
        The autoencoders.
    """

    name: ClassVar[str] = "bottleneck"
    title: ClassVar[str] = "Size of the bottleneck"
    description: ClassVar[str] = (
        "Latent Shift (one-step) with several autoencoders and one classifier on the same films. A "
        "larger bottleneck keeps more of the film, and lets the gradient change single spots "
        "instead of structures. IoU is that of latent_shift-max at matched area where there is a "
        "mask; flips come from searches of their own and are judged on the residual frame; fine "
        "structures and pieces are those of the change over the default range."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = QUANTITIES

    candidates: tuple[Candidate, ...]

    def measure(
        self, setting: Setting, classifier_label: str, pairs: Sequence[Pair]
    ) -> pd.DataFrame:
        """Measure every autoencoder on some pairs of case and finding.

        Raises
        ------
        DataError
            If a film or mask cannot be read.
        ExplainerError
            If the autoencoders do not fit, or a network computes NaN.
        """
        classifier = setting.classifiers[classifier_label]
        check_candidates(self.candidates, classifier)
        subjects = read_subjects(setting.cases, setting.references, classifier, None, pairs)
        rows: list[tuple[str, str, str, str, str, float, float]] = []
        for candidate in self.candidates:
            measured = _measure(subjects, setting.references, classifier, candidate)
            for subject, values in zip(subjects, measured, strict=True):
                place = (subject.case_id, subject.finding, classifier_label, candidate.label)
                rows += [(*place, name, float("nan"), value) for name, value in values.items()]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def figures(self, table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
        """Draw every quantity against the size of the bottleneck."""
        from explainers.evaluation.bottleneck_pictures import draw

        sizes = {each.label: each.size for each in self.candidates}
        return draw(summary, self.quantities, sizes)


def make_examples(
    setting: Setting, classifier: Classifier, candidates: Sequence[Candidate], n_examples: int
) -> list[Example]:
    """Explain a few pairs with every autoencoder, to be drawn.

    Parameters
    ----------
    n_examples
        Pairs: the first of every finding, then the second of every finding, and so on.

    Raises
    ------
    DataError
        If a film cannot be read.
    ExplainerError
        If a network computes NaN.
    """
    pairs = choose_examples(setting.pairs, n_examples)
    subjects = read_subjects(setting.cases, None, classifier, None, pairs)
    examples = []
    for candidate in candidates:
        for subject, film in zip(subjects, _films(subjects, classifier, candidate), strict=True):
            examples.append(_example(subject, candidate, film))
    return examples


def choose_examples(pairs: Sequence[Pair], n_examples: int) -> list[Pair]:
    """Return the first pair of every finding, then the second of every finding, and so on."""
    turns: dict[Pair, int] = {}
    seen: dict[str, int] = {}
    for pair in pairs:
        turns[pair] = seen.get(pair[1], 0)
        seen[pair[1]] = turns[pair] + 1
    return sorted(turns, key=lambda pair: turns[pair])[:n_examples]


def _explainer(classifier: Classifier, candidate: Candidate) -> Explainer:
    return registry.create(
        METHOD,
        classifier=classifier,
        networks={"autoencoder": candidate.autoencoder},
        batch_size=_BATCH,
    )


def _films(
    subjects: Sequence[Subject], classifier: Classifier, candidate: Candidate
) -> list[Counterfactual]:
    """Make the default film of every subject."""
    images = np.stack([each.image for each in subjects])
    findings = [each.finding for each in subjects]
    return explain_films(_explainer(classifier, candidate), images, findings, None)


def _measure(
    subjects: Sequence[Subject],
    references: ReferenceSet | None,
    classifier: Classifier,
    candidate: Candidate,
) -> list[dict[str, float]]:
    """Measure one autoencoder on some subjects: values by quantity."""
    found = [
        _values(subject, film, references)
        for subject, film in zip(subjects, _films(subjects, classifier, candidate), strict=True)
    ]
    counting = [number for number, each in enumerate(subjects) if each.counts]
    if counting:
        walks = search_flips(
            _explainer(classifier, candidate),
            classifier,
            np.stack([subjects[number].image for number in counting]),
            [subjects[number].finding for number in counting],
        )
        for number, walk in zip(counting, walks, strict=True):
            found[number]["flip"] = float(walk.flip is not None)
    return found


def _values(
    subject: Subject, film: Counterfactual, references: ReferenceSet | None
) -> dict[str, float]:
    """Measure what needs no search of its own."""
    change = film.frames[0] - film.reconstruction
    magnitude = film.to_attribution(_MAP)
    values = {
        "mae": float(np.abs(subject.image - film.reconstruction).mean()) * GREY_LEVELS,
        "prediction_shift": abs(subject.probability - film.probability_reconstruction),
        "excluded": float(not subject.counts),
        "fine_share": fine_share(change),
    }
    if magnitude.max() > 0:
        values["n_spots"] = float(n_spots(magnitude))
    mask = None
    if references is not None and subject.case_id in references:
        mask = references.mask(subject.case_id, subject.finding)
    if mask is not None and mask.any():
        values["iou"] = iou_at_matched_area(magnitude, mask)
    return {name: value for name, value in values.items() if np.isfinite(value)}


def _example(subject: Subject, candidate: Candidate, film: Counterfactual) -> Example:
    return Example(
        case_id=subject.case_id,
        finding=subject.finding,
        label=candidate.label,
        image=subject.image,
        reconstruction=film.reconstruction,
        map=film.to_attribution(_MAP),
    )
