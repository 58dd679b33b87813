"""What one case looks like in one condition: its panels, drawn from film and explanation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data.case import Case
from data.raster import resize
from explainers.archive import ExplanationArchive, split_map_name
from explainers.record import Counterfactual, Toggles
from explainers.residual import residual_frames, residual_states
from pages.parts.display_files import DisplayRecord, PanelRecord
from pages.parts.display_order import UNCHANGED, does_not_move, is_one_way, outward
from pages.parts.display_pictures import bits_of, grey_picture, map_picture
from study.errors import StudyError
from study.protocol import Condition, Panel

LONGEST_FRAME_PX: Final = 1024
"""Longer side of residual frames at most; the film itself is shown at its own size."""

STATES_PX: Final[Mapping[int, int]] = MappingProxyType({1: 1024, 2: 768, 3: 512, 4: 288})
"""Longer side of the pictures of K switches at most, so that 3^K of them stay within reason."""

MOST_STATES_BYTES: Final = 3_200_000
"""Bytes of all pictures of the switches of one case at most: all are fetched before it is read."""


class DisplayError(StudyError):
    """Pictures that cannot be made as the protocol asks."""


@dataclass(frozen=True)
class Display:
    """The pictures of a case in a condition.

    Parameters
    ----------
    record
        Captions, kinds, counts, sizes.
    pictures
        For each panel of ``record`` the content of its files, in slider order.
    """

    record: DisplayRecord
    pictures: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True)
class _Source:
    """Where the panels of a display come from.

    Parameters
    ----------
    case
        The film that is read.
    explained
        Identifier of the case whose explanation is shown.
    finding
        The finding explained.
    archive
        Holds the explanations.
    model
        Holds explanations whose films say how large a change is to look, or ``None``.
    """

    case: Case
    explained: str
    finding: str
    archive: ExplanationArchive
    model: ExplanationArchive | None

    def film(self, method: str) -> Counterfactual:
        """Return the film of a method, in the order and the size that it is to have."""
        film = self._ordered(self.archive, method)
        return (
            film if self.model is None else of_the_size_of(self._ordered(self.model, method), film)
        )

    def _ordered(self, archive: ExplanationArchive, method: str) -> Counterfactual:
        film = _film_in(archive, self.explained, self.finding, method)
        return outward(film) if is_one_way(method) else film

    def switched(self, method: str) -> Toggles:
        """Return the pictures of a method's switches."""
        found = self.archive.load(self.explained, self.finding, method)
        if not isinstance(found, Toggles):
            raise DisplayError(
                f"{method!r} makes no pictures to switch between; use show = 'frames' or 'map' "
                "for it in the protocol."
            )
        return found

    def map(self, name: str) -> NDArray[np.float32]:
        """Return a map, (H, W)."""
        method, kind = split_map_name(name)
        if kind is None or self.model is None:
            return self.archive.load_map(self.explained, self.finding, name)
        return self.film(method).to_attribution(kind)


def build_display(
    case: Case,
    finding: str,
    condition: Condition,
    archive: ExplanationArchive,
    probability: float,
    digest: str = "",
    *,
    shown_case_id: str = "",
    size_from: ExplanationArchive | None = None,
) -> Display:
    """Draw the panels of one condition.

    Parameters
    ----------
    case
        The film, at its own resolution.
    finding
        The finding explained.
    condition
        Names the panels.
    archive
        Holds the explanations.
    probability
        The classifier's calibrated probability for the film, in [0, 1].
    digest
        Kept in the record.
    shown_case_id
        The case whose explanation is laid on the film; empty for the case itself.
    size_from
        For explanations of a randomised network: those of the trained one, whose films say how
        large the changes are to look.

    Raises
    ------
    ExplainerError
        If an explanation is missing or damaged.
    DisplayError
        If a panel asks for what its method does not make.
    """
    source = _Source(case, shown_case_id or case.case_id, finding, archive, size_from)
    panels = [_draw(panel, source) for panel in condition.panels]
    if len({record.outward for record, _ in panels if record.kind == "frames"}) > 1:
        raise DisplayError(
            f"Condition {condition.id!r} moves frames of Latent Shift and of a method that goes "
            "one way with one slider, which cannot follow both; show them in two conditions."
        )
    films = [number for number, (record, _) in enumerate(panels) if record.kind == "film"]
    if not films and any(record.kind == "map" for record, _ in panels):
        films = [len(panels)]
        film, pictures = _film("", source)
        panels.append((replace(film, hidden=True), pictures))
    records = tuple(
        replace(record, under=films[0]) if record.kind == "map" else record for record, _ in panels
    )
    spacing = case.pixel_spacing_mm
    return Display(
        DisplayRecord(
            records,
            round(float(probability), 4),
            _aspect(case),
            digest,
            None if spacing is None else float(spacing[1]),
        ),
        tuple(pictures for _, pictures in panels),
    )


_Drawn = tuple[PanelRecord, tuple[bytes, ...]]


def _draw(panel: Panel, source: _Source) -> _Drawn:
    if panel.show == "film" or panel.method is None:
        return _film(panel.title, source)
    if panel.show == "map":
        values = source.map(panel.method)
        height, width = values.shape
        still = split_map_name(panel.method)[1] is not None and not values.any()
        record = PanelRecord(
            panel.title,
            "map",
            1,
            signed=panel.signed,
            width=width,
            height=height,
            note=UNCHANGED if still else "",
        )
        return record, (map_picture(values, signed=panel.signed),)
    if panel.show == "toggles":
        return _toggles(panel, panel.method, source)
    return _frames(panel, panel.method, source)


def _film(title: str, source: _Source) -> _Drawn:
    image = source.case.image
    bits = bits_of(image)
    height, width = image.shape
    record = PanelRecord(title, "film", 1, bits=bits, width=width, height=height)
    return record, (grey_picture(image, bits),)


def _frames(panel: Panel, method: str, source: _Source) -> _Drawn:
    explanation = source.film(method)
    bits = bits_of(source.case.image)
    if panel.frames == "decoded":
        if source.explained != source.case.case_id:
            raise DisplayError(
                "Decoded frames of another case would show its film; "
                "use frames = 'residual' in the protocol."
            )
        frames, bits = explanation.frames, 8
    else:
        frames = residual_frames(fitted(source.case.image, LONGEST_FRAME_PX), explanation)
    n_frames, height, width = frames.shape
    record = PanelRecord(
        panel.title,
        "frames",
        n_frames,
        origin=explanation.origin,
        bits=bits,
        width=width,
        height=height,
        outward=is_one_way(method),
        note=UNCHANGED if does_not_move(explanation) else "",
    )
    return record, tuple(grey_picture(frame, bits) for frame in frames)


def _toggles(panel: Panel, method: str, source: _Source) -> _Drawn:
    explanation = source.switched(method)
    n_switches, laid = len(explanation.dimensions), panel.frames == "residual"
    if laid:
        film = fitted(source.case.image, STATES_PX[n_switches])
        frames = film[None] if explanation.note else residual_states(film, explanation)
    elif source.explained != source.case.case_id:
        raise DisplayError(
            "Decoded pictures of another case would show its film; "
            "use frames = 'residual' in the protocol."
        )
    else:
        frames = explanation.frames
    pictures = tuple(grey_picture(frame) for frame in frames)
    n_bytes = sum(map(len, pictures))
    if n_bytes > MOST_STATES_BYTES:
        raise DisplayError(
            f"The {len(pictures)} pictures of {n_switches} switches of case "
            f"{source.case.case_id!r} take {n_bytes / 1e6:.1f} MB, and a reader waits for all of "
            f"them; at most {MOST_STATES_BYTES / 1e6:.1f} MB are sent. Lower n_factors, or use "
            "frames = 'decoded' in the protocol."
        )
    record = PanelRecord(
        panel.title,
        "toggles",
        len(pictures),
        origin=explanation.origin,
        width=frames.shape[2],
        height=frames.shape[1],
        switches=tuple(each.title for each in explanation.dimensions),
        probabilities=tuple(round(float(p), 4) for p in explanation.probabilities),
        laid=laid,
        note=explanation.note,
    )
    return record, pictures


def _film_in(
    archive: ExplanationArchive, case_id: str, finding: str, method: str
) -> Counterfactual:
    explanation = archive.load(case_id, finding, method)
    if isinstance(explanation, Toggles):
        raise DisplayError(
            f"{method!r} makes pictures to switch between, not a moving film; "
            "use show = 'toggles' for it in the protocol."
        )
    if not isinstance(explanation, Counterfactual):
        raise DisplayError(
            f"{method!r} makes a single map, not a moving film; "
            "use show = 'map' for it in the protocol."
        )
    return explanation


def of_the_size_of(model: Counterfactual, film: Counterfactual) -> Counterfactual:
    """Scale the changes of a film so that every frame changes as much as that of a model film.

    How much a frame changes is the root mean square of x'_λ − x'_0. A sham whose changes were
    larger or smaller than real ones would be found out.

    Raises
    ------
    DisplayError
        If the films differ in the number or the size of their frames, or in the place of the
        original.
    """
    if model.frames.shape != film.frames.shape or model.origin != film.origin:
        raise DisplayError(
            f"A sham of {film.frames.shape} frames with the original at {film.origin} does not "
            f"stand for an explanation of {model.frames.shape} with the original at "
            f"{model.origin}; explain both with the same parameters."
        )
    change = (film.frames - film.reconstruction).astype(np.float64)  # (T, h, w)
    found = np.sqrt(np.square(change).mean(axis=(1, 2)))
    wanted = np.sqrt(
        np.square(model.frames - model.reconstruction, dtype=np.float64).mean(axis=(1, 2))
    )
    factor = np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)  # (T,)
    frames = film.reconstruction + factor[:, None, None] * change
    return replace(film, frames=np.clip(frames, 0, 1).astype(np.float32))


def fitted(image: NDArray[np.float32], longest_px: int) -> NDArray[np.float32]:
    """Return an image (H, W) whose longer side is at most ``longest_px``, shrunk if it is not."""
    height, width = image.shape
    share = longest_px / max(height, width)
    if share >= 1:
        return image
    size = (max(1, round(height * share)), max(1, round(width * share)))
    return np.clip(resize(image, size), 0, 1)


def _aspect(case: Case) -> float:
    """Return width over height of the film on screen, pixels being what they are."""
    rows, columns = case.image.shape
    row_mm, column_mm = case.pixel_spacing_mm or (1.0, 1.0)
    return round(columns * column_mm / (rows * row_mm), 5)
