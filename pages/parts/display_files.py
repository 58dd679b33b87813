"""What a reader sees of one case in one condition, as it lies on disk.

Layout below ``displays/`` of a study::

    <case_id>__<finding>/<condition>/display.json
                                    /panel<k>/<t>.png    8 bits a pixel
                                    /panel<k>/<t>.raw    16 bits a pixel

A ``.raw`` picture is zlib-compressed: rows from top to bottom, unsigned, little-endian.
``display.json`` holds captions, kinds, counts and sizes; it names neither method nor reference,
nor whose explanation is shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from data.case import slug
from study.errors import StudyError

DISPLAY_FILE: Final = "display.json"
FORMAT_VERSION: Final = 2


Bits: TypeAlias = Literal[8, 16]

SUFFIXES: Final[Mapping[Bits, str]] = MappingProxyType({8: ".png", 16: ".raw"})
"""How the name of a picture ends, by its bits a pixel."""


class DisplayMissing(StudyError):
    """Pictures of a reading that were not prepared, or are damaged."""


@dataclass(frozen=True)
class PanelRecord:
    """One panel.

    Parameters
    ----------
    title
        Caption that the reader sees.
    kind
        ``"film"``, ``"map"`` (grey; the viewer colours it over a film), ``"frames"`` or
        ``"toggles"`` (pictures of all states, ordered as numbers of base 3 with the digits −, 0, +
        and the first switch as the leading digit).
    n_frames
        Number of pictures, 1 unless ``kind`` is ``"frames"`` or ``"toggles"``.
    origin
        Index of the frame at the original film's position.
    under
        For a map, the number of the panel that holds the film below it.
    hidden
        Whether the panel is only there to lie below a map.
    signed
        For a map: 128 is zero and 1 … 255 are -1 … +1 of its scale; if not signed, 0 … 255 are
        0 … 1 of it.
    bits
        Bits of a pixel; 16 where the film has more than 8.
    width, height
        Size of the pictures, in pixels.
    switches
        For toggles, what is switched: a title for each.
    probabilities
        For toggles, the classifier's calibrated probability of every picture, in [0, 1].
    laid
        For toggles, whether the changes are laid on the film, so that the picture at ``origin`` is
        the film; else that is the reconstruction.
    note
        For toggles, why nothing can be switched; for frames, that they do not move; else empty.
    outward
        For frames, whether they lead from the original film to the change, whichever way the
        prediction goes; else they lead from the lowest to the highest prediction.
    """

    title: str
    kind: Literal["film", "map", "frames", "toggles"]
    n_frames: int
    origin: int = 0
    under: int | None = None
    hidden: bool = False
    signed: bool = False
    bits: Bits = 8
    width: int = 0
    height: int = 0
    switches: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    laid: bool = False
    note: str = ""
    outward: bool = False


@dataclass(frozen=True)
class DisplayRecord:
    """All panels of a case in a condition.

    Parameters
    ----------
    panels
        From left to right, hidden ones last.
    probability
        The classifier's calibrated probability for the finding, in [0, 1].
    aspect
        Width of the film divided by its height, as it is to be drawn.
    digest
        Of everything the pictures were made from.
    pixel_spacing_mm
        Width of a pixel of the film (distance between its columns) in millimetres, or ``None``.
    """

    panels: tuple[PanelRecord, ...]
    probability: float
    aspect: float
    digest: str
    pixel_spacing_mm: float | None = None


def display_folder(displays: Path, case_id: str, finding: str, condition: str) -> Path:
    """Return the folder of one display."""
    return displays / f"{case_id}__{slug(finding)}" / condition


def picture_path(folder: Path, panel: int, frame: int, bits: Bits = 8) -> Path:
    """Return the file of one picture of a display."""
    return folder / f"panel{panel}" / f"{frame}{SUFFIXES[bits]}"


def write_record(folder: Path, record: DisplayRecord) -> None:
    """Write ``display.json`` into an existing folder."""
    content = {"format_version": FORMAT_VERSION, **asdict(record)}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / DISPLAY_FILE).write_text(text + "\n", encoding="utf-8")


def read_record(folder: Path) -> DisplayRecord:
    """Read ``display.json``.

    Raises
    ------
    DisplayMissing
        If it is not there or cannot be used.
    """
    path = folder / DISPLAY_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format_version") != FORMAT_VERSION:
            raise ValueError("another format")
        panels = tuple(_panel(panel) for panel in content.pop("panels"))
        if any(panel.bits not in SUFFIXES for panel in panels):
            raise ValueError("another depth")
        return DisplayRecord(panels=panels, **content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DisplayMissing(
            "The pictures of this case have not been prepared. "
            "Ask the coordinator to run `counterlight prepare` for this study."
        ) from error


def _panel(given: Mapping[str, Any]) -> PanelRecord:
    panel = PanelRecord(**given)
    switches, probabilities = tuple(panel.switches), tuple(panel.probabilities)
    if probabilities and len(probabilities) != panel.n_frames:
        raise ValueError("pictures and probabilities differ in number")
    if panel.kind == "toggles" and not panel.note and panel.n_frames != 3 ** len(switches):
        raise ValueError("pictures and switches differ in number")
    return replace(panel, switches=switches, probabilities=probabilities)
