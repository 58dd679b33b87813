"""Factor cards as the cards of a review."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from commands.review_study import MadeCard
from explainers.classifiers.base import Classifier
from explainers.stylespace.cards import FactorCard, FilmCard
from explainers.stylespace.clamped import seen_logits
from explainers.stylespace.factorset import FactorSet, SelectedFactor
from pages.parts.review_display import CardPictures
from study.errors import StudyError
from study.review.cards import ReviewCard

N_FRAMES: Final = 17


def refuse_empty(factors: FactorSet) -> None:
    """Refuse a factor set that selects nothing.

    Raises
    ------
    StudyError
        Says for each finding which dimension came closest.
    """
    if not factors.factors:
        closest = " ".join(factors.nothing_selected(finding) for finding in factors.findings)
        raise StudyError(
            "The factor set selects no dimension, so there is nothing to review; find factors with "
            f"a lower threshold. {closest}"
        )


def made_cards(cards: Sequence[FactorCard], classifier: Classifier) -> tuple[MadeCard, ...]:
    """Turn factor cards into cards of a review.

    Parameters
    ----------
    cards
        Of the selected dimensions.
    classifier
        That the factors were found for; says the logit of each film.
    """
    return tuple(made for card in cards for made in _of_factor(card, classifier))


def fade(
    reconstruction: NDArray[np.float32], perturbed: NDArray[np.float32], n_frames: int = N_FRAMES
) -> NDArray[np.float32]:
    """Return the animation of the perturbed over the unperturbed picture, (T, H, W).

    A cross-fade in equal steps: the ends are the two pictures themselves.
    """
    weights = np.linspace(0, 1, n_frames, dtype=np.float32)[:, None, None]
    return np.clip((1 - weights) * reconstruction + weights * perturbed, 0, 1)


@torch.no_grad()
def _of_factor(card: FactorCard, classifier: Classifier) -> Iterator[MadeCard]:
    number = classifier.findings.index(card.factor.finding)
    for rank, film in enumerate(card.films, start=1):
        image = torch.from_numpy(np.ascontiguousarray(film.original))[None, None]  # (1, 1, H, W)
        logit = float(seen_logits(classifier, image)[0, number])
        yield _made(card.factor, film, rank, logit, classifier.weights_digest)


def _made(factor: SelectedFactor, film: FilmCard, rank: int, logit: float, digest: str) -> MadeCard:
    before, after = (np.clip(each, 0, 1) for each in (film.reconstruction, film.perturbed))
    return MadeCard(
        ReviewCard(
            factor.dimension,
            factor.finding,
            film.case_id,
            rank,
            "low" if film.end == "lowest" else "high",
            film.p_original,
            film.p_reconstruction,
            film.p_perturbed,
        ),
        CardPictures(before, after, fade(before, after)),
        logit,
        digest,
    )
