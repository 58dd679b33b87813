"""A clinical review in miniature: two dimensions on three films, two experts; no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from commands.review_study import MadeCard, prepare_review
from pages.parts.review_display import CardPictures
from study.folder import StudyFolder
from study.invitations import INVITE
from study.profile import ReaderProfile
from study.protocol import StudyProtocol, load_protocol, shipped_protocol
from study.review.cards import ReviewCard
from study.session import ReadingDesk
from study.store import StudyStore
from tests.support.tiny_study import (
    CASE_IDS,
    FINDING,
    MAP_PX,
    PASSPHRASE,
    TinyStudy,
    film,
    quick_accounts,
    write_case_set,
)

DIMENSIONS = (7, 1234)
N_FILMS = len(CASE_IDS)
N_FRAMES = 9
PROFILE = ReaderProfile(
    role="radiologist",
    years_of_practice=12,
    subspecialty="thorax",
    prior_ai_use="tried",
    display="diagnostic",
    attested=True,
)


def review_template(n_films: int = N_FILMS) -> StudyProtocol:
    """Return the shipped protocol of a review, for fewer films of each dimension."""
    template = load_protocol(shipped_protocol("review"))
    cases = template.cases.model_copy(update={"per_finding": n_films})
    return template.model_copy(update={"cases": cases})


def made_card(dimension: int, rank: int, film_id: str, side_px: int = MAP_PX) -> MadeCard:
    """Return a card whose dimension brightens a spot; the picture is not of a chest."""
    y, x = np.mgrid[0:side_px, 0:side_px] / side_px
    spot = np.exp(-((x - 0.3 - 0.4 * (dimension % 2)) ** 2 + (y - 0.5) ** 2) / 0.02)
    base = film(rank, side_px)
    frames = np.clip(base + np.linspace(0, 0.4, N_FRAMES)[:, None, None] * spot, 0, 1)
    return MadeCard(
        ReviewCard(dimension, FINDING, film_id, rank, "high", 0.93, 0.91, 0.3 - 0.02 * rank),
        CardPictures(base, frames[-1].astype(np.float32), frames.astype(np.float32)),
        logit=1.4,
        weights_digest="w" * 64,
    )


def made_cards(
    dimensions: Sequence[int] = DIMENSIONS,
    case_ids: Sequence[str] = CASE_IDS,
    side_px: int = MAP_PX,
) -> list[MadeCard]:
    """Return the cards of every dimension on every film."""
    return [
        made_card(dimension, rank, film_id, side_px)
        for dimension in dimensions
        for rank, film_id in enumerate(case_ids, start=1)
    ]


def make_tiny_review(
    root: Path,
    *,
    experts: int = 2,
    made: Sequence[MadeCard] | None = None,
    case_ids: Sequence[str] = CASE_IDS,
) -> TinyStudy:
    """Prepare a review whose accounts R1, R2, researcher and coordinator can sign in."""
    cases = root.parent / f"{root.name}-films"
    write_case_set(cases, case_ids)
    prepared = prepare_review(
        StudyFolder(root),
        review_template(len(case_ids)),
        made or made_cards(case_ids=case_ids),
        cases,
        readers=experts,
    )
    accounts, now = quick_accounts(StudyFolder(root).database), datetime.now(UTC)
    for link in prepared.links:
        accounts.accept(link.path.removeprefix(INVITE), PASSPHRASE, now, "test")
    store = StudyStore.open(StudyFolder(root).database)
    return TinyStudy(root, store.protocol)


def begin(desk: ReadingDesk) -> None:
    """Take an expert to the first card."""
    desk.keep_profile(PROFILE)
    desk.accept_instructions()


def judge_all(
    study: TinyStudy, reader_id: str, answers: Mapping[int, Mapping[str, object]]
) -> None:
    """Let an expert judge every card, by its dimension."""
    desk = ReadingDesk(study.store(), reader_id, lambda: datetime.now(UTC))
    begin(desk)
    while (assignment := desk.current()) is not None:
        dimension = int(assignment.case_id[1:].split("-")[0])
        desk.display(assignment.assignment_id)
        desk.submit(assignment.assignment_id, answers[dimension])


YES: Mapping[str, object] = {
    "meaningful": "yes",
    "description": "Heart size",
    "relevance": "yes",
    "relevance_words": "enlarged heart",
}
NO: Mapping[str, object] = {"meaningful": "no", "relevance": "no"}
