"""Our own networks, tiny and untrained, and a case set that they can look at: 32 × 32 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import torch

from data.manifest import CaseEntry, CaseSet, sha256_of, write_cases
from data.raster import write_png
from data.reference import Reference, write_references
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier, save_classifier
from explainers.generators.autoencoder import OurAutoencoder, save_autoencoder
from explainers.generators.mgen import MaskGenerator, MaskShape, save_mgen
from explainers.generators.networks import AutoencoderShape, build_autoencoder
from explainers.generators.paired import Contrast, PairedGenerators, PairedShape, save_paired
from explainers.generators.structure_class import (
    StructureClassGenerator,
    StructureClassShape,
    save_structure_class,
)
from explainers.generators.stylegan2 import StyleGANShape
from explainers.generators.wgan import WGAN, Encoder, Generator, WGANShape, save_wgan

SIDE = 32
FILM_SIDE = 64
FINDINGS = ("Mass", "Lung Opacity")
CASE_IDS = ("c0001", "c0002", "c0003")

_SEARCH: Final = {"restarts": 1, "iterations": 4}
SHORT: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "visual_rationale": {"cap": 4, "refine": 2, "frames": 5},
        "structure_class_traversal": {**_SEARCH, "n_steps": 4},
        "path_gradients": {**_SEARCH, "n_steps": 4},
        "stylespace": {"n_steps": 2, "n_factors": 1},
        "latent_shift_optimised": {"max_steps": 20},
        "bbmp": {"n_iterations": 20},
    }
)
"""Parameters by method that keep searches short."""


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


def write_others(folder: Path, classifier_digest: str = "") -> dict[str, Path]:
    """Write untrained networks of every other role that is one file; return them by role.

    Parameters
    ----------
    folder
        Where they go; must exist.
    classifier_digest
        Of the classifier that they say they were trained against.
    """
    files = {name: folder / f"{name}.safetensors" for name in ("wgan", "structure_class")}
    synthesis = StyleGANShape(size=SIDE, channel_base=64, channel_limit=4, latent=6, n_mapping=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12)
        shape = WGANShape(SIDE, latent=6, channel_base=64, channel_limit=8, critic_base=64)
        save_wgan(files["wgan"], WGAN(Generator(shape), Encoder(shape), reconstruction_error=0.4))
        sizes = StructureClassShape(FINDINGS, synthesis, block=2, hidden=4, code=4)
        save_structure_class(
            files["structure_class"], StructureClassGenerator(sizes), classifier_digest
        )
        contrasts = [Contrast(name, number) for number, name in enumerate(FINDINGS)]
        for system in ("syce", "cyce"):
            files[system] = folder / f"{system}.safetensors"
            pair = PairedShape(SIDE, (4, 4), n_contrasts=len(contrasts))
            save_paired(files[system], PairedGenerators(system, pair, contrasts, classifier_digest))
        files["mgen"] = folder / "mgen.safetensors"
        mask = MaskShape(SIDE, (4, 4), blur=0.05)
        save_mgen(files["mgen"], MaskGenerator(mask, contrasts, classifier_digest))
    return files


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
