"""The discriminator of a finished generator, kept beside it for projections.

A projection may ask it how much a reconstruction looks like a film; it plays no other part, and
a generator without one is complete. docs/back-projection.md says what the term is worth.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from explainers.base import ExplainerError
from explainers.checkpoint import file_digest, read_network, write_network
from explainers.generators.stylegan2 import Discriminator, StyleGANShape
from explainers.training.state import STATE_FILE
from explainers.training.stylegan2 import load_generator, shape_of, shape_record

KIND = "stylegan2_discriminator"


def discriminator_path(generator: Path) -> Path:
    """Return where the discriminator of a generator lies: ``<name>-discriminator.safetensors``."""
    return generator.with_name(f"{generator.stem}-discriminator.safetensors")


def publish_discriminator(generator: Path, folder: Path) -> Path:
    """Write the discriminator of a training beside its generator.

    Parameters
    ----------
    generator
        The generator's file, already written.
    folder
        Folder of the training, with its last checkpoint.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ExplainerError
        If generator or checkpoint are missing or do not fit, or the disk refuses.
    """
    shape = load_generator(generator).shape
    discriminator = recovered_discriminator(folder / STATE_FILE, shape)
    path = discriminator_path(generator)
    save_discriminator(path, discriminator, file_digest(generator))
    return path


def save_discriminator(path: Path, discriminator: Discriminator, generator_digest: str) -> str:
    """Write a discriminator to a ``.safetensors`` file and return its digest.

    Parameters
    ----------
    path
        The file.
    discriminator
        As the training left it.
    generator_digest
        SHA-256 of the generator's file.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {**shape_record(discriminator.shape), "generator_digest": generator_digest}
    return write_network(path, discriminator, KIND, header)


def load_discriminator(
    path_or_name: str | Path, *, generator_digest: str | None = None
) -> Discriminator:
    """Load a discriminator; frozen, in float32.

    Parameters
    ----------
    path_or_name
        A file, or the name of a shipped one.
    generator_digest
        The generator whose films it shall judge; not checked if not given.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind or generator, or does not fit its
        architecture.
    """
    saved = read_network(path_or_name, KIND)
    belongs = str(saved.field("generator_digest"))
    if generator_digest is not None and belongs != generator_digest:
        raise ExplainerError(
            f"{saved.path.name} was trained with the generator {belongs[:12]}, not with "
            f"{generator_digest[:12]}; project without it, or name the other generator."
        )
    with torch.random.fork_rng(devices=[]):
        discriminator = Discriminator(shape_of(saved))
    saved.fill(discriminator)
    return discriminator


def recovered_discriminator(state: Path, shape: StyleGANShape) -> Discriminator:
    """Return the discriminator of a training from its checkpoint, finished or not; frozen.

    Parameters
    ----------
    state
        The training's ``state.safetensors``.
    shape
        Sizes of the training.

    Raises
    ------
    ExplainerError
        If the file is unreadable or holds no discriminator of this shape.
    """
    start = "discriminator."
    with torch.random.fork_rng(devices=[]):
        discriminator = Discriminator(shape)
    try:
        with safe_open(state, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(start)]  # noqa: SIM118
            tensors = {name.removeprefix(start): file.get_tensor(name) for name in names}
        discriminator.load_state_dict(tensors)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ExplainerError(
            f"{state} holds no discriminator of {shape.size} px with these channels; name the "
            "state.safetensors of the training that made the generator."
        ) from error
    return discriminator.eval().requires_grad_(False)
