"""A simulated finding blended into a real film: exactly where it is, and nothing else changed.

The film stays as it is; a finding adds attenuation to it, and takes away the vessels where the
lung that carries them is filled or gone. Bones, the film's own noise and everything outside the
finding are the film's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from data.phantom.streams import smoothstep
from data.planted.effects import CHANGES
from data.planted.lungs import BoolArray, Chest, FloatArray, Lung
from data.planted.recipe import CannotPlant, Planting

SPILL = 0.12
"""How far fluid and consolidation reach over the drawn border, as a share of the lung's width."""
_VISIBLE = 0.07  # share of the contrast between lung and mediastinum below which nothing is seen
_MIN_MASK_SHARE = 4e-4  # of the film: about 40 pixels at 320 px


@dataclass(frozen=True, eq=False)
class Planted:
    """A film with a planted finding.

    Parameters
    ----------
    image
        (H, W) float32 in [0, 1]; equal to the film wherever ``changed`` is False.
    mask
        (H, W) bool, where the finding is seen: inside the lung mask.
    changed
        (H, W) bool, every pixel that may differ from the film: the mask and its soft rim. The rim
        leaves the lung mask by at most :data:`SPILL` of the lung's width.
    """

    image: FloatArray
    mask: BoolArray
    changed: BoolArray


def plant(film: FloatArray, chest: Chest, planting: Planting) -> Planted:
    """Blend a simulated finding into a real film.

    Parameters
    ----------
    film
        (H, W) float32 in [0, 1].
    chest
        The same film as opened by :func:`data.lungs.open_chest`.
    planting
        What to plant.

    Raises
    ------
    CannotPlant
        If next to nothing of the finding would be seen there.
    """
    lung = chest.lungs[planting.side]
    change = CHANGES[planting.finding](chest, lung, planting)
    edge = _spilling(chest, lung) if change.spills else _fading(chest, lung)
    added = change.added * edge
    quiet = np.clip(change.quiet * edge, 0, 1)
    near = gaussian_filter(np.abs(added), 1.0) > 0.01
    changed = (edge > 0) & (near | (quiet > 0.02))
    # as a difference of smooth films, so that noise keeps its strength in grey levels
    step = _level(chest.sharp + added) - _level(chest.sharp) - quiet * chest.texture
    image = np.where(changed, np.clip(film + step, 0, 1), film).astype(np.float32)
    seen = (np.abs(added) > _VISIBLE * chest.contrast) | (quiet > 0.5)
    mask = lung.mask & change.shape & changed & seen
    if mask.mean() < _MIN_MASK_SHARE:
        raise CannotPlant(
            f"{planting.finding} of severity {planting.severity:.2f} would hardly be seen in the "
            f"{'right' if planting.side == 'R' else 'left'} lung (mask of {int(mask.sum())} "
            "pixels); choose another place, a higher severity or another film."
        )
    return Planted(image, mask, changed)


def _level(attenuation: FloatArray) -> FloatArray:
    """Grey level of an attenuation, in (0, 1)."""
    return np.asarray(1 / (1 + np.exp(-attenuation)), dtype=np.float32)


def _fading(chest: Chest, lung: Lung) -> FloatArray:
    """1 inside the lung, falling to 0 at its border; (H, W)."""
    return smoothstep(lung.inner, 0.3, max(1.5, 2.5 * chest.unit))


def _spilling(chest: Chest, lung: Lung) -> FloatArray:
    """1 inside the lung, falling to 0 a little below it where the film is still dark; (H, W).

    Outlines drawn by hand leave a seam of lung above the diaphragm, which fluid would not.
    """
    reach = max(2.0, SPILL * lung.width)
    rows = np.arange(lung.mask.shape[0], dtype=np.float32)[:, None]
    last = np.maximum.accumulate(np.where(lung.mask, rows, -np.inf), axis=0)
    under = np.where(lung.mask, 0, rows - last).astype(np.float32)
    dark = smoothstep(0.65 - (chest.sharp - chest.air) / chest.contrast, 0.0, 0.2)
    dark = np.minimum.accumulate(np.where(np.isfinite(under) & (under > 0), dark, 1), axis=0)
    lateral = smoothstep(lung.coordinates()[0], 0.15, 0.4)  # a drawn border is soft at the heart
    inside = np.maximum(smoothstep(lung.inner, 0.3, 5 * chest.unit), lateral)
    edge = np.where(lung.mask, inside, (1 - smoothstep(under, 0.4 * reach, reach)) * dark)
    for other in chest.lungs.values():
        edge = np.where(other.mask, np.float32(other is lung), edge)
    return np.asarray(edge, dtype=np.float32)
