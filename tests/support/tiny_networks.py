"""Our own networks, tiny and untrained, and a case set that they can look at: 32 × 32 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from data.manifest import CaseEntry, CaseSet, sha256_of, write_cases
from data.raster import write_png
from data.reference import Reference, write_references
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier, save_classifier
from explainers.generators.autoencoder import OurAutoencoder, save_autoencoder
from explainers.generators.networks import AutoencoderShape, build_autoencoder

SIDE = 32
FILM_SIDE = 64
FINDINGS = ("Mass", "Lung Opacity")
CASE_IDS = ("c0001", "c0002", "c0003")


def write_networks(folder: Path) -> tuple[Path, Path]:
    """Write an untrained classifier and autoencoder; return their files."""
    shape = AutoencoderShape(4, (4, 4, 8, 8), (8, 8, 8, 4, 4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        network = build_classifier("smaller", len(FINDINGS))
        autoencoder = OurAutoencoder(build_autoencoder(shape), shape, (SIDE, SIDE))
    calibration = Calibration((1.0, 2.0), (0.5, 0.0))
    classifier = OurClassifier(network, FINDINGS, (SIDE, SIDE), calibration, "", "smaller")
    save_classifier(folder / "classifier.safetensors", classifier)
    save_autoencoder(folder / "autoencoder.safetensors", autoencoder)
    return folder / "classifier.safetensors", folder / "autoencoder.safetensors"


def write_case_set(root: Path) -> CaseSet:
    """Write three films; the first two have a mass with its mask."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    entries, references = [], []
    for number, case_id in enumerate(CASE_IDS):
        path = root / "images" / f"{case_id}.png"
        film = np.random.default_rng(number).random((FILM_SIDE, FILM_SIDE), dtype=np.float32)
        masks = {}
        if number < 2:
            mask = np.zeros((FILM_SIDE, FILM_SIDE), bool)
            mask[20:30, 20:35] = True
            film[mask] = 0.9
            masks = {"Mass": root / "masks" / f"{case_id}.png"}
            write_png(masks["Mass"], mask)
        write_png(path, film)
        entries.append(
            CaseEntry(case_id, f"images/{path.name}", "DX", None, *film.shape, sha256_of(path))
        )
        references.append(
            Reference(
                case_id, f"p{number}", "made", "by construction", "test", {"Mass": True}, masks
            )
        )
    write_cases(root, entries)
    write_references(root, references)
    return CaseSet.open(root)
