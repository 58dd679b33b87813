"""A search of its own to the decision boundary, judged on the frame that keeps the film's detail.

A fall by 0.30 cannot flip a prediction of 0.9, and a film that ends where the *decoded* frame is
negative may still be positive once the film's own detail is added back. So the search is repeated
with lower targets until the residual frame x + (x'_λ − x'_0) is negative, or the method gives up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from explainers.base import Cancelled, Explainer, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import device_of, predict, stop_if
from explainers.evaluation.counterfactual_measures import OPERATING_POINT, first_below
from explainers.record import Counterfactual, Goal
from explainers.residual import residual_frames

TARGETS = (0.45, 0.2, 0.08, 0.03, 0.01)
"""Probabilities asked of the decoded frame, one search after the other."""

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Walk:
    """One film from the unchanged frame down to its lowest, decoded and with the film's detail.

    Parameters
    ----------
    decoded, residual
        (K, H, W), in [0, 1]: x'_λ, and x + (x'_λ − x'_0); frame 0 is x'_0, and x itself.
    f_decoded, f_residual
        (K,), the classifier's probability of each.
    reached
        Whether the film's lowest frame obtained what the search was for.
    seconds
        Wall time of this case's share of the searches.
    boundary
        Probability at or below which the way down may end; the operating point by default, less
        for counterfactuals that are to be beyond doubt.
    flip, end
        Index of the first residual frame that is negative, or ``None``; and of the first one at
        or below ``boundary``, the operating λ, which is the lowest frame where there is none.
    """

    decoded: NDArray[np.float32]
    residual: NDArray[np.float32]
    f_decoded: NDArray[np.float64]
    f_residual: NDArray[np.float64]
    reached: bool
    seconds: float
    boundary: float = OPERATING_POINT

    @property
    def flip(self) -> int | None:
        return first_below(self.f_residual)

    @property
    def end(self) -> int:
        found = first_below(self.f_residual, self.boundary)
        return len(self.residual) - 1 if found is None else found

    @property
    def is_complete(self) -> bool:
        """Whether a residual frame is at or below the boundary."""
        return bool((self.f_residual <= self.boundary).any())

    @property
    def shares(self) -> NDArray[np.float64]:
        """Position of every frame on the way down, (K,): 0 unchanged, 1 the lowest frame."""
        return np.linspace(0, 1, len(self.residual)) if len(self.residual) > 1 else np.zeros(1)


def probabilities_of(
    classifier: Classifier, images: NDArray[np.floating], finding: str
) -> NDArray[np.float64]:
    """Return the probability of one finding, (M,), in images (M, H, W) of the classifier's size.

    Raises
    ------
    ExplainerError
        If the classifier does not know the finding or predicts NaN.
    """
    if finding not in classifier.findings:
        raise ExplainerError(
            f"The classifier does not know {finding!r}; it predicts "
            f"{', '.join(classifier.findings)}."
        )
    target = classifier.findings.index(finding)
    tensor = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None]
    device = device_of(classifier)
    found = [
        predict(classifier, part.to(device))[1][:, target].cpu().numpy().astype(np.float64)
        for part in tensor.split(_BATCH)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def explain_films(
    explainer: Explainer,
    images: NDArray[np.float32],
    findings: Sequence[str],
    target: float | None,
    *,
    cancelled: Cancelled | None = None,
) -> list[Counterfactual]:
    """Make one film per image of (N, H, W), to ``target`` or as far as the method goes by default.

    Raises
    ------
    ExplainerError
        If the method returns maps instead of films.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(images, np.float32))[:, None]
    goals = [Goal(finding, target=target) for finding in findings]
    made = explainer.explain(tensor, goals, cancelled=cancelled)
    films = [each for each in made if isinstance(each, Counterfactual)]
    if len(films) < len(made):
        raise ExplainerError(
            f"{explainer.name} returns maps, not films; only counterfactual methods can be "
            "measured here."
        )
    return films


def walk_down(
    image: NDArray[np.float32],
    film: Counterfactual,
    classifier: Classifier,
    seconds: float,
    boundary: float = OPERATING_POINT,
) -> Walk:
    """Follow a film downward and ask the classifier about every residual frame.

    Parameters
    ----------
    image
        (H, W), the film's own image at the classifier's size.
    """
    down = slice(film.origin, None, -1)
    residual = residual_frames(image, film)[down]
    return Walk(
        decoded=film.frames[down],
        residual=residual,
        f_decoded=film.probabilities[down],
        f_residual=probabilities_of(classifier, residual, film.finding),
        reached=film.reached_low,
        seconds=seconds,
        boundary=boundary,
    )


def search_flips(
    explainer: Explainer,
    classifier: Classifier,
    images: NDArray[np.float32],
    findings: Sequence[str],
    *,
    targets: Sequence[float] = TARGETS,
    boundary: float = OPERATING_POINT,
    cancelled: Cancelled | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Walk]:
    """Search for the decision boundary of every image.

    Parameters
    ----------
    explainer
        A counterfactual method.
    classifier
        The classifier it explains.
    images
        (N, H, W), in [0, 1], of the classifier's size.
    findings
        N findings.
    targets
        Probabilities of the decoded frame to search for, falling; those above the boundary are
        passed over. The next one is tried for the
        images whose residual frames are all above the boundary still, unless the method could
        not obtain the one before.
    boundary
        Probability of the residual frame at which a search may end.

    Returns
    -------
    list of Walk
        The last film of every image; its time is that of all its searches.

    Raises
    ------
    ExplainerError
        If the method returns no films, or a network computes NaN.
    """
    walks: list[Walk | None] = [None] * len(images)
    seconds = np.zeros(len(images))
    for target in [each for each in targets if each < boundary] or [0.9 * boundary]:
        pending = [
            number
            for number, walk in enumerate(walks)
            if walk is None or (walk.reached and not walk.is_complete)
        ]
        if not pending:
            break
        stop_if(cancelled)
        start = clock()
        chosen = [findings[number] for number in pending]
        films = explain_films(explainer, images[pending], chosen, target, cancelled=cancelled)
        seconds[pending] += (clock() - start) / len(pending)
        for number, film in zip(pending, films, strict=True):
            walks[number] = walk_down(
                images[number], film, classifier, float(seconds[number]), boundary
            )
    return [walk for walk in walks if walk is not None]


def is_positive(probability: float) -> bool:
    """Say whether a calibrated probability lies above the operating point."""
    return probability > OPERATING_POINT
