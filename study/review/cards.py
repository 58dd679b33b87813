"""The cards of a clinical review: one dimension of the generator on one film.

A card is a case of the review's own case set: its film under another identifier, so that worklist,
record and export need to know nothing new. ``cards.csv`` says which dimension and film it is.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from study.allocation import CaseChoice
from study.errors import StudyError
from study.folder import StudyFolder

CARDS_FILE: Final = "cards.csv"

Direction: TypeAlias = Literal["low", "high"]


@dataclass(frozen=True)
class ReviewCard:
    """One dimension on one film.

    Parameters
    ----------
    dimension
        Index into the generator's style vector, from 0.
    finding
        The finding whose probability the dimension moves.
    film
        Case identifier of the film in the case set that the review was prepared from.
    rank
        Place of the film among those of the dimension, from 1: the largest change first.
    direction
        Whether the dimension is moved to the lower or to the upper end of its range.
    original, reconstruction, perturbed
        The classifier's calibrated probability of the finding on each picture, in [0, 1].

    Raises
    ------
    StudyError
        If a number is out of its range.
    """

    dimension: int
    finding: str
    film: str
    rank: int
    direction: Direction
    original: float
    reconstruction: float
    perturbed: float

    def __post_init__(self) -> None:
        shares = (self.original, self.reconstruction, self.perturbed)
        if not all(0 <= share <= 1 for share in shares):  # NaN fails too
            raise StudyError(
                f"Card {self.card_id} has the probabilities {shares}; expected three numbers from "
                "0 to 1. Make the cards again."
            )
        if self.dimension < 0 or self.rank < 1 or self.direction not in ("low", "high"):
            raise StudyError(
                f"A card has dimension {self.dimension}, rank {self.rank} and direction "
                f"{self.direction!r}; expected a dimension from 0, a rank from 1, and low or high. "
                "Make the cards again."
            )

    @property
    def card_id(self) -> str:
        """Case identifier of the card in the review's own case set."""
        return f"d{self.dimension}-{self.film}"

    @property
    def choice(self) -> CaseChoice:
        """The card as a case to be read, those of a dimension together."""
        return CaseChoice(self.card_id, self.finding, stratum=str(self.dimension))


def cards_path(folder: StudyFolder) -> Path:
    """Return where the list of a review's cards lies."""
    return folder.root / CARDS_FILE


def write_cards(path: Path, cards: Iterable[ReviewCard]) -> None:
    """Write the list of cards.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(astuple(card) for card in cards)


def read_cards(path: Path) -> tuple[ReviewCard, ...]:
    """Read the list of cards.

    Raises
    ------
    StudyError
        If it is missing or damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no CSV file"
        raise StudyError(
            f"The cards of the review cannot be read from {path} ({reason}); name the folder of a "
            "study that was made by counterlight review prepare."
        ) from error
    if not rows:
        raise StudyError(f"{path} lists no card; prepare the review again.")
    cards = []
    for number, row in enumerate(rows, start=2):
        try:
            cards.append(_card(row))
        except (KeyError, TypeError, ValueError) as error:
            raise StudyError(
                f"Line {number} of {path} is no card; expected {', '.join(_COLUMNS)}. Prepare the "
                "review again."
            ) from error
    return tuple(cards)


def chosen_cards(
    cards: Sequence[ReviewCard], n_films: int, *, leave_out: bool = False
) -> tuple[tuple[ReviewCard, ...], tuple[str, ...]]:
    """Return as many cards of every dimension, those with the largest change first.

    Parameters
    ----------
    cards
        What can be shown.
    n_films
        Films for each dimension.
    leave_out
        Whether dimensions with fewer films are left out instead of refused.

    Returns
    -------
    cards
        By dimension and rank.
    left_out
        A sentence about each dimension that was left out.

    Raises
    ------
    StudyError
        If there is no card, a film stands twice, or a dimension has too few films.
    """
    if not cards:
        raise StudyError(
            "There is nothing to review: the factors hold no selected dimension with a film. Find "
            "factors with a lower threshold (counterlight factors find), or give more films."
        )
    by_dimension: dict[int, list[ReviewCard]] = {}
    for card in sorted(cards, key=lambda c: (c.dimension, c.rank, c.finding)):
        by_dimension.setdefault(card.dimension, []).append(card)
    kept: list[ReviewCard] = []
    short: list[str] = []
    for dimension, found in by_dimension.items():
        films = list({card.film: card for card in reversed(found)}.values())[::-1]
        if len(films) < n_films:
            number = f"{len(films)} film" + ("s" if len(films) != 1 else "")
            short.append(f"Dimension {dimension} ({found[0].finding}) has {number}")
            continue
        kept += films[:n_films]
    if short and not (leave_out and kept):
        more = f" ({len(short) - 1} more dimensions are short)" if len(short) > 1 else ""
        raise StudyError(
            f"{short[0]} that the classifier gets right with confidence and that reconstruct "
            f"faithfully; the review asks for {n_films}{more}. Give more films, ask for fewer with "
            "--films, or leave such dimensions out with --leave-out."
        )
    return tuple(kept), tuple(f"{each} and is left out." for each in short)


_COLUMNS: Final = tuple(field.name for field in fields(ReviewCard))


def _card(row: dict[str, str]) -> ReviewCard:
    shares = [float(row[name]) for name in _COLUMNS[5:]]
    if not all(math.isfinite(share) for share in shares):
        raise ValueError("a probability is none")
    return ReviewCard(
        int(row["dimension"]),
        row["finding"],
        row["film"],
        int(row["rank"]),
        cast(Direction, row["direction"]),
        *shares,
    )
