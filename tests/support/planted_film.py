"""A film enough like a chest for findings to be planted into it, and a case set of such films."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.manifest import CaseEntry, sha256_of, write_cases
from data.raster import write_png
from data.reference import Reference, write_references

SHAPE = (120, 150)


def lung_mask(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Two ellipses cut off below, (H, W) bool."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    v, u = y / shape[0], x / shape[1]
    halves = [((u - c) / 0.16) ** 2 + ((v - 0.5) / 0.40) ** 2 < 1 for c in (0.27, 0.73)]
    return (halves[0] | halves[1]) & (v < 0.78)


def chest_film(seed: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Grey film uint8: bright body, dark lungs, ribs, vessels and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    lungs = lung_mask(shape)
    film = np.where(lungs, 0.25, 0.72) + 0.03 * np.sin(y / 4.0 + x / 25) * lungs
    film[:, shape[1] // 2 - 6 : shape[1] // 2 + 6] += 0.06
    film += rng.normal(0, 0.012, shape)
    return np.rint(film.clip(0, 1) * 255).astype(np.uint8)


def write_healthy_cases(root: Path, n: int = 6, *, splits: bool = True) -> Path:
    """Write ``n`` healthy films of ``n / 2`` patients and one film with a finding."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    entries, references = [], []
    for index in range(n + 1):
        case_id = f"real-{index}"
        image, mask = root / "images" / f"{case_id}.png", root / "masks" / f"{case_id}__lungs.png"
        write_png(image, chest_film(index))
        write_png(mask, lung_mask())
        entries.append(
            CaseEntry(case_id, f"images/{case_id}.png", "CR", None, *SHAPE, sha256_of(image))
        )
        patient = index // 2
        split = ("train", "test", "val")[patient % 3] if splits else ""
        references.append(
            Reference(
                case_id,
                f"p{patient}",
                "a clinic",
                "a reader",
                split,
                {"Pneumonia": index == n},
                {"lungs": mask},
                {},
                {"image_licence": "CC BY 4.0"},
            )
        )
    write_cases(root, entries)
    write_references(root, references)
    return root
