"""A case set of 48 tiny films: a bright square is a mass, a bright base an effusion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.manifest import CaseEntry, sha256_of, write_cases
from data.raster import write_png
from data.reference import Reference, write_references
from explainers.training.films import Films, open_films

SIDE = 32


def write_tiny_case_set(root: Path, n: int = 48, *, split: str = "", seed: int = 0) -> Path:
    """Write ``n`` films of ``n / 2`` patients; every fourth effusion label is unknown."""
    generator = np.random.default_rng(seed)
    for folder in ("images", "masks", "counterfactuals"):
        (root / folder).mkdir(parents=True)
    entries, references = [], []
    for index in range(n):
        case_id = f"c{index:04d}"
        has_mass, has_effusion = index % 2 == 0, index % 3 == 0
        film = 0.3 + 0.05 * generator.random((SIDE, SIDE))
        if has_effusion:
            film[24:] += 0.3
        without_mass = film.copy()
        mask = np.zeros((SIDE, SIDE), bool)
        masks, counterfactuals = {}, {}
        if has_mass:
            mask[8:14, 18:24] = True
            film[mask] += 0.4
            masks["Mass"] = root / "masks" / f"{case_id}.png"
            counterfactuals["Mass"] = root / "counterfactuals" / f"{case_id}.png"
            write_png(masks["Mass"], mask)
            write_png(counterfactuals["Mass"], without_mass)
        image = root / "images" / f"{case_id}.png"
        write_png(image, film)
        entries.append(
            CaseEntry(case_id, f"images/{image.name}", "DX", None, SIDE, SIDE, sha256_of(image))
        )
        effusion = None if index % 4 == 3 else has_effusion
        labels = {"Mass": has_mass, "Effusion": effusion}
        patient = f"p{index // 2}"
        references.append(
            Reference(case_id, patient, "tiny", "simulator", split, labels, masks, counterfactuals)
        )
    write_cases(root, entries)
    write_references(root, references)
    rows = [f"c{i:04d},{i % 5 / 5 if i % 2 == 0 else 0},{i % 7 == 0}" for i in range(n)]
    (root / "parameters.csv").write_text("case_id,mass_severity,chest_tube\n" + "\n".join(rows))
    return root


@pytest.fixture(scope="session")
def make_case_set() -> Callable[..., Path]:
    return write_tiny_case_set


@pytest.fixture(scope="session")
def case_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_case_set(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="session")
def films(case_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Films:
    return open_films(case_set, SIDE, tmp_path_factory.mktemp("cache"), validation_share=0.3)
