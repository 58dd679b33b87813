"""The pictures of a review's cards, made before the first judgement (NumPy side only)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data.case import Case
from pages.parts.answer_words import percent
from pages.parts.display import write_display
from pages.parts.display_files import DisplayRecord, PanelRecord, display_folder, read_record
from pages.parts.display_panels import Display, DisplayError
from pages.parts.display_pictures import bits_of, grey_picture
from study.folder import StudyFolder
from study.protocol import Panel, StudyProtocol
from study.review.cards import ReviewCard

DRAWING_VERSION: Final = 1
"""Part of every display's digest; raised when the drawing changes."""


@dataclass(frozen=True, eq=False)
class CardPictures:
    """What is seen on a card beside its film.

    Parameters
    ----------
    reconstruction, perturbed
        What the generator makes of the film, and that with one dimension changed: (H, W), float32,
        in [0, 1].
    frames
        From the reconstruction to the perturbed picture, (T, H, W), in [0, 1]; T from 2 on.
    """

    reconstruction: NDArray[np.float32]
    perturbed: NDArray[np.float32]
    frames: NDArray[np.float32]

    def __post_init__(self) -> None:
        shape = self.reconstruction.shape
        fits = self.perturbed.shape == shape and self.frames.shape[1:] == shape
        if len(shape) != 2 or not fits or len(self.frames) < 2:
            raise DisplayError(
                f"The pictures of a card have the shapes {shape}, {self.perturbed.shape} and "
                f"{self.frames.shape}; expected (H, W) twice and (T, H, W) with at least two "
                "frames. Make the cards again."
            )
        for values in (self.reconstruction, self.perturbed, self.frames):
            if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
                raise DisplayError(
                    "A picture of a card has values outside 0 to 1, or none at all; make the "
                    "cards again."
                )


def build_card(
    card: ReviewCard, case: Case, pictures: CardPictures, protocol: StudyProtocol
) -> Display:
    """Draw the panels of a card, in the protocol's order, with a probability in each caption.

    Parameters
    ----------
    card
        Says the probabilities.
    case
        Its film, at its own resolution.
    pictures
        Everything else.
    protocol
        Of a review: names the panels, and says whether probabilities are shown.
    """
    shown = {
        "film": (case.image[None], bits_of(case.image), card.original),
        "reconstruction": (pictures.reconstruction[None], 8, card.reconstruction),
        "perturbed": (pictures.perturbed[None], 8, card.perturbed),
        "frames": (pictures.frames, 8, None),
    }
    panels, encoded = [], []
    for panel in protocol.conditions[0].panels:
        frames, bits, probability = shown[panel.show]
        n_frames, height, width = frames.shape
        panels.append(
            PanelRecord(
                _title(panel, probability if protocol.display.show_probability else None),
                "frames" if panel.show == "frames" else "film",
                n_frames,
                bits=bits,
                width=width,
                height=height,
            )
        )
        encoded.append(tuple(grey_picture(frame, bits) for frame in frames))
    rows, columns = case.image.shape
    row_mm, column_mm = case.pixel_spacing_mm or (1.0, 1.0)
    record = DisplayRecord(
        tuple(panels),
        round(card.original, 4),
        round(columns * column_mm / (rows * row_mm), 5),
        _digest(card, encoded),
        None if case.pixel_spacing_mm is None else float(column_mm),
    )
    return Display(record, tuple(encoded))


def write_card_displays(
    folder: StudyFolder,
    protocol: StudyProtocol,
    cards: Sequence[tuple[ReviewCard, CardPictures]],
    load: Callable[[str], Case],
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw the displays of all cards.

    Parameters
    ----------
    folder
        The study.
    protocol
        Of a review.
    cards
        With their pictures.
    load
        Returns the film of a case identifier of the review's case set.
    on_progress
        Called with (cards done, cards in all).

    Raises
    ------
    DisplayError
        If the cards have animations of different lengths, or the disk refuses.
    """
    lengths = sorted({len(pictures.frames) for _, pictures in cards})
    if len(lengths) > 1:
        raise DisplayError(
            f"Some animations have {lengths[0]} frames and others {lengths[-1]}; make all cards "
            "with the same settings."
        )
    condition = protocol.conditions[0].id
    for done, (card, pictures) in enumerate(cards, start=1):
        target = display_folder(folder.displays, card.card_id, card.finding, condition)
        write_display(target, build_card(card, load(card.card_id), pictures, protocol))
        if on_progress is not None:
            on_progress(done, len(cards))


def animation_ends(
    folder: StudyFolder, protocol: StudyProtocol, card: ReviewCard
) -> tuple[bytes, bytes]:
    """Return a card's first and last frame as PNG: unperturbed and perturbed.

    Raises
    ------
    DisplayMissing
        If the pictures are not there.
    DisplayError
        If they cannot be read.
    """
    condition = protocol.conditions[0].id
    target = display_folder(folder.displays, card.card_id, card.finding, condition)
    record = read_record(target)
    number = next(n for n, panel in enumerate(record.panels) if panel.kind == "frames")
    files = [
        target / f"panel{number}" / f"{t}.png" for t in (0, record.panels[number].n_frames - 1)
    ]
    try:
        return files[0].read_bytes(), files[1].read_bytes()
    except OSError as error:
        raise DisplayError(
            f"The animation of card {card.card_id} cannot be read "
            f"({error.strerror or error}); prepare the review again."
        ) from error


def _title(panel: Panel, probability: float | None) -> str:
    return panel.title if probability is None else f"{panel.title} · {percent(probability)}"


def _digest(card: ReviewCard, encoded: Sequence[Sequence[bytes]]) -> str:
    whole = hashlib.sha256(f"{DRAWING_VERSION}/{card!r}".encode())
    for pictures in encoded:
        for picture in pictures:
            whole.update(picture)
    return whole.hexdigest()
