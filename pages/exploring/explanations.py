"""Explanations of one film: from the archive where they are there, else computed now.

Torch is imported only when something has to be computed, so that an archived case appears at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError
from explainers.record import MAP_KINDS, Attribution, Counterfactual
from explainers.registry import names, spec
from pages.exploring.films import Film
from study.folder import StudyFolder

if TYPE_CHECKING:
    from explainers.classifiers.base import Classifier
    from explainers.generators.base import Autoencoder


@dataclass(frozen=True)
class Explained:
    """What is known about one finding in one film.

    Parameters
    ----------
    finding
        The finding.
    probability
        f(x), calibrated, in [0, 1]; ``None`` if nothing could be computed.
    maps
        Map name to values (H, W), in the order shown.
    film
        The moving film, or ``None``.
    problem
        Why something is missing; empty if nothing is.
    """

    finding: str
    probability: float | None
    maps: Mapping[str, NDArray[np.float32]]
    film: Counterfactual | None
    problem: str = ""


@st.cache_resource(show_spinner=False)
def networks(classifier: Path, autoencoder: Path) -> tuple[Classifier, Autoencoder | None]:
    """Return the networks that the study was prepared with, loaded once.

    Raises
    ------
    ExplainerError
        If the classifier is missing, or a file is damaged.
    """
    from explainers.classifiers.ours import load_classifier
    from explainers.generators.autoencoder import load_autoencoder

    generator = load_autoencoder(autoencoder) if autoencoder.is_file() else None
    return load_classifier(classifier), generator


def explain(
    film: Film,
    finding: str,
    folder: StudyFolder,
    on_progress: Callable[[float, str], None],
) -> Explained:
    """Return every explanation of a finding in a film.

    Parameters
    ----------
    film
        The film.
    finding
        The finding.
    folder
        The study: its archive is asked first; what is missing there is computed by its networks.
    on_progress
        Called with the share done, in [0, 1], and what is being computed.
    """
    archive = ExplanationArchive(folder.explanations)
    found: dict[str, Attribution | Counterfactual] = {}
    problem = ""
    for number, method in enumerate(names()):
        if film.case_id is not None and archive.has(film.case_id, finding, method):
            found[method] = archive.load(film.case_id, finding, method)
            continue
        on_progress(number / len(names()), spec(method).title)
        try:
            found[method] = _compute(film, finding, method, folder)
        except ExplainerError as error:
            problem = str(error)
    return _explained(finding, found, problem)


def _compute(
    film: Film, finding: str, method: str, folder: StudyFolder
) -> Attribution | Counterfactual:
    from explainers.run import explain_image

    classifier, autoencoder = networks(folder.classifier, folder.autoencoder)
    return explain_image(
        film.image, finding, [method], classifier=classifier, autoencoder=autoencoder
    )[method]


def _explained(
    finding: str, found: Mapping[str, Attribution | Counterfactual], problem: str
) -> Explained:
    maps: dict[str, NDArray[np.float32]] = {}
    film, probability = None, None
    for method, explanation in found.items():
        if isinstance(explanation, Attribution):
            maps[method] = explanation.values
            probability = explanation.probability
        else:
            film, probability = explanation, explanation.probability_image
            for kind in MAP_KINDS:
                maps[f"{method}-{kind}"] = explanation.to_attribution(kind)
    return Explained(finding, probability, maps, film, problem)


def map_title(name: str) -> str:
    """Return a map's name for people: ``"latent_shift-max"`` becomes ``"Latent Shift, max"``."""
    method, dash, kind = name.rpartition("-")
    return f"{spec(method).title}, {kind}" if dash else spec(name).title
