"""A factor set with the networks that it was made with, by what a person typed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch

from data.scratch import replacing
from explainers.base import ExplainerError
from explainers.checkpoint import WEIGHTS_DIRECTORY, file_digest, read_kind
from explainers.classifiers.ours import load_classifier
from explainers.stylespace.encoder import KIND as ENCODER_KIND
from explainers.stylespace.encoder import StyleEncoder, load_encoder
from explainers.stylespace.factorfile import factors_path, read_factor_set
from explainers.stylespace.factorset import FactorSet
from explainers.stylespace.perceptual import classifier_features
from explainers.stylespace.ranges import StyleRanges
from explainers.stylespace.toggles import StyleFactors
from explainers.training.stylegan2 import load_generator

GENERATOR_KIND: Final = "stylegan2"
NAMES_FILE: Final = "names.json"
"""Names that experts gave to dimensions: a JSON object of dimension to name."""


def open_factors(text: str, names: Mapping[int, str] | None = None) -> StyleFactors:
    """Open a factor set with its generator and what the back-projection takes.

    The networks are looked for beside the factor set and among the shipped ones: the generator and
    the classifier of the features by the digests that the set states, and an encoder of that
    generator, where there is one.

    Parameters
    ----------
    text
        The ``.json`` file of a factor set, or the name of a shipped one.
    names
        Names that experts gave to dimensions; if not given, those of :func:`names_file`.

    Raises
    ------
    ExplainerError
        If the set cannot be read, one of its networks is not there, or a name is of no factor.
    """
    path = factors_path(text)
    known = read_factor_set(path)
    known = known.with_names(_kept_names(path, known) if names is None else names)
    folders = tuple(dict.fromkeys((path.parent.resolve(), WEIGHTS_DIRECTORY.resolve())))
    files = {".json": path, ".safetensors": path.with_suffix(".safetensors")}
    files["-generator.safetensors"] = _network_file(
        folders, GENERATOR_KIND, known.generator_digest, "generator that the factors were found in"
    )
    generator = load_generator(files["-generator.safetensors"])
    known.check_networks(n_styles=generator.n_styles)
    features, encoder = None, None
    if known.made.features:
        place = _network_file(
            folders,
            "classifier",
            known.made.features,
            "classifier whose features the back-projection compares",
        )
        files["-features.safetensors"] = place
        features = classifier_features(load_classifier(place))
    found = _encoder_of(known, folders)
    if found is not None:
        files["-encoder.safetensors"], encoder = found
    return StyleFactors(
        generator=generator,
        known=known,
        ranges=ranges_of(known),
        weights_digest=_digest(known, "" if encoder is None else encoder.weights_digest),
        features=features,
        encoder=encoder,
        files=files,
    )


def keep_factors(text: str, target: Path) -> tuple[Path, ...]:
    """Copy a factor set with its networks into a study, and given names where it has none.

    Parameters
    ----------
    text
        As :func:`open_factors` takes it.
    target
        Where the arrays of the set go, e.g. ``networks/factors.safetensors``; the other files get
        names that begin with its stem. :func:`open_factors` opens the copy. Given names go to
        :func:`names_file` of the copy; a study that has settled names of its own keeps them.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    ExplainerError
        As :func:`open_factors`.
    OSError
        If the disk refuses.
    """
    opened = open_factors(text)
    kept = []
    target.parent.mkdir(parents=True, exist_ok=True)
    for ending, source in opened.files.items():
        kept.append(target.with_name(target.stem + ending))
        with replacing(kept[-1]) as fresh:
            shutil.copyfile(source, fresh)
    names, settled = names_file(factors_path(text)), names_file(target)
    if names.is_file() and not settled.exists():
        kept.append(settled)
        with replacing(settled) as fresh:
            shutil.copyfile(names, fresh)
    return tuple(kept)


def names_file(path: Path) -> Path:
    """Return where the given names of a factor set lie; the file need not exist.

    Parameters
    ----------
    path
        A file of the set. In ``networks/`` of a study its names are the study's, one folder up
        (where :func:`study.review.names.names_path` has them); elsewhere they lie beside it.
    """
    folder = path.resolve().parent
    return (folder.parent if folder.name == "networks" else folder) / NAMES_FILE


def _kept_names(path: Path, known: FactorSet) -> dict[int, str]:
    """Return the given names of dimensions that are factors of the set."""
    file = names_file(path)
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        given = {int(dimension): str(name) for dimension, name in content.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise ExplainerError(
            f"The names in {file} cannot be read ({error}); expected a JSON object of dimension to "
            'name, such as {"1234": "heart size"}. Correct or delete the file.'
        ) from error
    factors = {each.dimension for each in (*known.factors, *known.largest)}
    return {dimension: name for dimension, name in given.items() if dimension in factors}


def ranges_of(known: FactorSet) -> StyleRanges:
    """Return the ranges of a factor set for the back-projection."""
    ends = (known.low, known.high, known.mean, known.spread)
    low, high, mean, spread = (torch.from_numpy(each.copy()).float() for each in ends)
    return StyleRanges(low, high, mean, spread, known.n_samples, known.percentile)


def _digest(known: FactorSet, encoder: str) -> str:
    """Digest of set, generator (which the set states), encoder, and the names that are shown."""
    titles = [f"{each.dimension}={each.name}" for each in known.factors]
    return hashlib.sha256("\n".join([known.digest, encoder, *titles]).encode()).hexdigest()


def _network_file(folders: Sequence[Path], kind: str, digest: str, what: str) -> Path:
    """Return the file of a kind with a digest."""
    for path in _of_kind(folders, kind):
        if file_digest(path) == digest:
            return path
    raise ExplainerError(
        f"The {what} ({digest[:12]}…) is not in {folders[0]}; put its .safetensors file beside "
        "the factor set."
    )


def _encoder_of(known: FactorSet, folders: Sequence[Path]) -> tuple[Path, StyleEncoder] | None:
    for path in _of_kind(folders, ENCODER_KIND):
        try:
            return path, load_encoder(path, generator_digest=known.generator_digest)
        except ExplainerError:
            continue  # of another generator
    return None


def _of_kind(folders: Sequence[Path], kind: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.glob("*.safetensors")):
            try:
                if read_kind(path) == kind:
                    yield path
            except ExplainerError:
                continue  # not a network of ours, such as the arrays of a factor set
