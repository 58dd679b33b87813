"""The explanations behind a study's pictures, those of practice cases and shams among them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from commands.explain import write_localisation
from commands.progress import progress_bar
from data.manifest import CaseSet
from data.raster import resize
from explainers.archive import ExplanationArchive
from explainers.classifiers.ours import OurClassifier, save_classifier
from explainers.parallel import explain_in_processes
from explainers.randomised import randomised_classifier
from explainers.registry import names, needed_networks, spec
from explainers.run import Pair
from pages.parts.display import Partners, randomised_archive
from study.allocation import CaseChoice, sham_partners
from study.folder import StudyFolder
from study.protocol import StudyProtocol

SETTING_FILMS: Final = 64
"""Films at most that set up a classifier with fresh weights."""


@dataclass(frozen=True)
class Readings:
    """What is read in a study.

    Parameters
    ----------
    protocol
        The validated protocol.
    choices
        Its cases.
    practice
        Its practice cases, in the order of ``protocol.practice``.
    """

    protocol: StudyProtocol
    choices: tuple[CaseChoice, ...]
    practice: tuple[CaseChoice, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Case and finding of every choice."""
        return tuple((choice.case_id, choice.finding) for choice in self.choices)

    @property
    def partners(self) -> Partners:
        """The cases whose explanations a sham shows; empty if the protocol has none."""
        if not any(condition.sham == "other_case" for condition in self.protocol.conditions):
            return {}
        return sham_partners(self.choices, self.protocol.study.seed)


def shown_methods(protocol: StudyProtocol, *, randomised: bool = False) -> tuple[str, ...]:
    """Return the methods behind a protocol's panels, each once, in the registry's order.

    Parameters
    ----------
    randomised
        Only those that a network with fresh weights is explained by.
    """
    shown = {
        panel.method
        for condition in protocol.conditions
        for panel in condition.panels
        if panel.method is not None and (not randomised or condition.sham == "randomised_model")
    }
    return tuple(n for n in names() if shown & {n, *spec(n).map_names()})


def randomised_path(folder: StudyFolder) -> Path:
    """Return where the classifier with fresh weights is kept, if a sham needs one."""
    return folder.classifier.with_name("classifier-randomised.safetensors")


def explain_readings(folder: StudyFolder, readings: Readings, network: OurClassifier) -> None:
    """Explain what readers will see, and measure its localisation; goes on where it stopped.

    Parameters
    ----------
    folder
        Holds cases, predictions and networks.
    readings
        What is read.
    network
        The classifier of the study.

    Raises
    ------
    DataError, ExplainerError
        If a film, a network or an explanation fails.
    """
    methods = shown_methods(readings.protocol)
    archive = ExplanationArchive(folder.explanations)
    practised = [(choice.case_id, choice.finding) for choice in readings.practice]
    _explain(
        folder, archive, [*readings.pairs, *practised], methods, folder.classifier, "explanations"
    )
    write_localisation(folder.cases, archive, list(readings.pairs), methods)
    of_sham = shown_methods(readings.protocol, randomised=True)
    if of_sham:
        _keep_randomised(folder, readings, network)
        archive, classifier = randomised_archive(folder), randomised_path(folder)
        _explain(folder, archive, readings.pairs, of_sham, classifier, "sham explanations")


def _explain(
    folder: StudyFolder,
    archive: ExplanationArchive,
    pairs: Sequence[Pair],
    methods: tuple[str, ...],
    classifier: Path,
    title: str,
) -> None:
    with progress_bar(title) as advance:
        explain_in_processes(
            folder.cases,
            pairs,
            methods,
            archive.root,
            classifier=str(classifier),  # what is kept is what made the pictures
            networks={role: str(folder.network(role)) for role in needed_networks(methods)},
            processes=os.cpu_count() or 1,
            on_progress=advance,
        )


def _keep_randomised(folder: StudyFolder, readings: Readings, network: OurClassifier) -> None:
    """Write the classifier with fresh weights; the same for the same study, so a rerun goes on."""
    cases = CaseSet.open(folder.cases)
    chosen = sorted({case_id for case_id, _ in readings.pairs})[:SETTING_FILMS]
    films = [resize(cases.load(case_id).image, network.input_size) for case_id in chosen]
    images = torch.from_numpy(np.clip(np.stack(films)[:, None], 0, 1))  # (N, 1, H, W)
    fresh = randomised_classifier(network, images, readings.protocol.study.seed % 2**32)
    save_classifier(randomised_path(folder), fresh)
