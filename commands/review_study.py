"""A clinical review as a study folder: cards become cases, and everything is frozen as usual."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from commands.prepare import InvitationLink, freeze_study, refuse_frozen
from commands.prepare_pictures import Readings
from commands.progress import progress_bar
from data.manifest import IMAGES_DIR, CaseSet, check_case_id, write_cases
from data.reference import ReferenceSet, write_references
from data.scratch import scratch_folder
from explainers.archive import ExplanationArchive
from explainers.record import Prediction
from pages.parts.review_display import CardPictures, write_card_displays
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import StudyProtocol
from study.protocol_toml import to_toml
from study.review.cards import ReviewCard, cards_path, chosen_cards, write_cards

SIMULATED_FILE = "parameters.csv"
"""Beside the cases of simulated films only."""


@dataclass(frozen=True, eq=False)
class MadeCard:
    """A card with everything that is shown on it.

    Parameters
    ----------
    card
        Dimension, film, probabilities.
    pictures
        Reconstruction, perturbed picture, animation.
    logit
        The classifier's logit on the film.
    weights_digest
        Digest of the classifier's weights.
    """

    card: ReviewCard
    pictures: CardPictures
    logit: float
    weights_digest: str


@dataclass(frozen=True)
class Prepared:
    """A review that is ready.

    Parameters
    ----------
    links
        One for each expert, a researcher and a coordinator.
    n_dimensions, n_cards
        How much there is to be judged.
    left_out
        A sentence about each dimension that was left out.
    """

    links: tuple[InvitationLink, ...]
    n_dimensions: int
    n_cards: int
    left_out: tuple[str, ...]


def review_protocol(
    template: StudyProtocol, cards: Sequence[ReviewCard], *, readers: int, simulated: bool
) -> StudyProtocol:
    """Return the protocol of a review of these cards.

    Parameters
    ----------
    template
        A review's protocol; its findings are replaced.
    cards
        As many of each dimension.
    readers
        Number of experts.
    simulated
        Whether the films are simulated; a template that says so keeps it.

    Raises
    ------
    StudyError
        If the template is no review.
    """
    if template.design.kind != "review":
        raise StudyError(
            f"The protocol {template.study.id!r} is a {template.design.kind} study; a review has "
            "design.kind = 'review'. Use counterlight prepare for others."
        )
    findings = tuple(dict.fromkeys(card.finding for card in cards))
    study = template.study.model_copy(update={"simulated": template.study.simulated or simulated})
    return template.model_copy(
        update={
            "study": study,
            "design": template.design.model_copy(update={"readers": readers}),
            "cases": template.cases.model_copy(update={"findings": findings}),
        }
    )


def prepare_review(
    folder: StudyFolder,
    template: StudyProtocol,
    made: Sequence[MadeCard],
    case_dir: Path,
    *,
    readers: int,
    leave_out: bool = False,
    announce: Callable[[tuple[InvitationLink, ...]], None] | None = None,
) -> Prepared:
    """Choose the cards, draw them, allocate and freeze.

    Parameters
    ----------
    folder
        Where the study is to be.
    template
        The review's protocol; ``cases.per_finding`` is the number of films of a dimension.
    made
        All cards that can be shown.
    case_dir
        Case set of their films.
    readers
        Number of experts.
    leave_out
        Whether dimensions with too few films are left out instead of refused.
    announce
        Called with the links when all is ready, just before the study is frozen.

    Raises
    ------
    StudyError, DataError
        Whatever stands in the way, in one sentence; nothing is frozen then.
    """
    refuse_frozen(folder)
    wanted = template.cases.per_finding
    cards, left_out = chosen_cards([m.card for m in made], wanted, leave_out=leave_out)
    simulated = (case_dir / SIMULATED_FILE).is_file()
    protocol = review_protocol(template, cards, readers=readers, simulated=simulated)
    by_id = {(m.card.card_id, m.card.finding): m for m in made}
    chosen = [by_id[card.card_id, card.finding] for card in cards]
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        _write_case_set(folder, cards, case_dir)
        write_cards(cards_path(folder), cards)
        folder.protocol.write_text(to_toml(protocol), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "the case set cannot be copied whole; is the disk full?"
        raise StudyError(
            f"The review cannot be written to {folder.root} ({reason}). Free some space, or give "
            "another folder with --out."
        ) from error
    ExplanationArchive(folder.explanations).save_predictions(
        Prediction(m.card.card_id, m.card.finding, m.logit, m.card.original, m.weights_digest)
        for m in chosen
    )
    pairs = [(m.card, m.pictures) for m in chosen]
    with progress_bar("displays") as advance:
        write_card_displays(
            folder, protocol, pairs, CaseSet.open(folder.cases).load, on_progress=advance
        )
    choices = tuple(card.choice for card in cards)
    links = freeze_study(folder, Readings(protocol, choices, ()), announce)
    n_dimensions = len({card.dimension for card in cards})
    return Prepared(links, n_dimensions, len(cards), left_out)


def _write_case_set(folder: StudyFolder, cards: Sequence[ReviewCard], case_dir: Path) -> None:
    """Write the films under the cards' identifiers, with the reference standard but no masks."""
    films, references = CaseSet.open(case_dir), ReferenceSet.open(case_dir)
    with scratch_folder(folder.root, ".copying-") as scratch:
        fresh = scratch / "cases"
        (fresh / IMAGES_DIR).mkdir(parents=True)
        entries, known = [], []
        for card in cards:
            try:
                check_case_id(card.card_id)
            except ValueError as error:
                raise StudyError(f"{error}; rename the case {card.film!r}.") from error
            image = f"{IMAGES_DIR}/{card.card_id}.png"
            shutil.copyfile(films.image_path(card.film), fresh / image)
            entries.append(replace(films.entry(card.film), case_id=card.card_id, image=image))
            known.append(
                replace(
                    references.get(card.film), case_id=card.card_id, masks={}, counterfactuals={}
                )
            )
        write_cases(fresh, entries)
        write_references(fresh, known)
        if folder.cases.exists():  # of a run that was interrupted before the study was frozen
            shutil.rmtree(folder.cases)
        fresh.rename(folder.cases)
