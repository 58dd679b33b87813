"""The factors of a study as the page shows them, and where they and their networks lie.

Only :func:`files_of` decides which files are used.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from explainers.base import ExplainerError
from explainers.stylespace.factorset import FactorSet, SelectedFactor
from pages.exploring.networks import SHIPPED, STUDY, available
from study.errors import StudyError
from study.folder import StudyFolder
from study.review.names import names_path, read_names

if TYPE_CHECKING:
    from explainers.classifiers.base import Classifier
    from explainers.stylespace.toggles import StyleFactors

COMMAND: Final = "counterlight factors find"
"""Makes a factor set."""
SHIPPED_FACTORS: Final = SHIPPED / "phantom-factors.json"


@dataclass(frozen=True)
class FactorFiles:
    """Where the classifier and the factor set of a study lie.

    Parameters
    ----------
    classifier
        Weights of the classifier that is explained.
    findings
        What it predicts.
    factors
        The JSON file of the factor set; its generator lies beside it or is a shipped one.
    names
        Where the study keeps the names that experts gave to dimensions; need not be there.
    """

    classifier: Path
    findings: tuple[str, ...]
    factors: Path
    names: Path

    @property
    def stamp(self) -> str:
        """Text that is another one when a file is replaced."""
        there = [each for each in (self.classifier, self.factors, self.names) if each.is_file()]
        states = [each.stat() for each in there]
        return " ".join(f"{state.st_mtime_ns}.{state.st_size}" for state in states)


@dataclass(frozen=True)
class Card:
    """What a card says of its dimension.

    Parameters
    ----------
    dimension
        Index into S.
    title
        The name that an expert gave it, or where it acts.
    place
        Where it acts, where the title does not say so.
    known
        What it moves on simulated films, measured; empty if that is not known.
    region
        Where in the thorax most of the change lies; empty if that is not known.
    change_low, change_high
        Mean change of the finding's probability over the sweep's films at the two ends.
    share
        Share of the sweep's films that it moves by the threshold.
    """

    dimension: int
    title: str
    place: str
    known: str
    region: str
    change_low: float
    change_high: float
    share: float


@dataclass(frozen=True)
class Cards:
    """The dimensions that can be moved for a finding, strongest first.

    Parameters
    ----------
    cards
        Those that were selected; where none was, the strongest alone.
    remark
        A sentence where none was selected.
    """

    cards: tuple[Card, ...]
    remark: str = ""

    @property
    def dimensions(self) -> tuple[int, ...]:
        """What can be moved."""
        return tuple(card.dimension for card in self.cards)


def files_of(folder: StudyFolder) -> FactorFiles:
    """Return the classifier and the factor set of a study; a shipped set where it keeps none.

    Raises
    ------
    ExplainerError
        If something is missing; the sentence says how to make it.
    """
    own = next(each for each in available(folder) if each.name == STUDY)
    if not own.path.is_file() or not own.findings:
        raise ExplainerError(
            "This study keeps no classifier of ours, so no factor can be moved. Prepare the study "
            "again with its classifier."
        )
    kept = folder.network("factors").with_suffix(".json")
    found = [each for each in (kept, SHIPPED_FACTORS) if each.is_file()]
    if not found:
        raise ExplainerError(
            f"This study has no factor set. Make one with `{COMMAND}` and put its files into "
            f"{kept.parent.name}/ of the study, as {kept.name} and factors.safetensors."
        )
    return FactorFiles(own.path, own.findings, found[0], names_path(folder))


def opened(files: FactorFiles) -> tuple[Classifier, StyleFactors]:
    """Load the networks; each set of files once. They are this page's own copies.

    The explorer hangs hooks on its classifier while it computes; nothing of that reaches here.

    Raises
    ------
    ExplainerError
        If a file cannot be read, or the factor set belongs to another classifier.
    """
    return _opened(files, files.stamp)


@functools.lru_cache(maxsize=2)
def _opened(files: FactorFiles, _stamp: str) -> tuple[Classifier, StyleFactors]:
    from explainers.classifiers.opening import open_classifier
    from explainers.stylespace.opening import open_factors

    classifier = open_classifier(str(files.classifier))
    factors = open_factors(str(files.factors), names={})  # those of now: given_names
    check_belongs(factors.known.classifier_digest, classifier.weights_digest)
    return classifier, factors


def check_belongs(found_with: str, classifier: str) -> None:
    """Check that a factor set was found with the study's classifier.

    Parameters
    ----------
    found_with, classifier
        Digests; an empty one fits every other.

    Raises
    ------
    ExplainerError
        If they differ.
    """
    if found_with and classifier and found_with != classifier:
        raise ExplainerError(
            "The factor set was found with another classifier than the study's; run "
            f"`{COMMAND}` with the study's classifier."
        )


def cards_of(known: FactorSet, finding: str, names: Mapping[int, str]) -> Cards:
    """Return the cards of a finding.

    Parameters
    ----------
    known
        The factor set.
    finding
        What is looked at.
    names
        Given names by dimension; they come before those of the factor set.
    """
    selected = tuple(_card(each, names) for each in known.factors if each.finding == finding)
    if selected:
        return Cards(selected)
    if finding not in known.findings:
        return Cards(
            (), f"The factor set knows nothing of {finding}; run `{COMMAND}` with this classifier."
        )
    largest = tuple(_card(each, names) for each in known.largest if each.finding == finding)
    return Cards(largest, known.nothing_selected(finding))


def given_names(path: Path) -> Mapping[int, str]:
    """Return the names that experts gave to dimensions; none where the file is not there.

    Parameters
    ----------
    path
        From :func:`study.review.names.names_path`.

    Raises
    ------
    ExplainerError
        If the file is damaged.
    """
    try:
        return read_names(path)
    except StudyError as error:
        raise ExplainerError(str(error)) from error


def _card(factor: SelectedFactor, names: Mapping[int, str]) -> Card:
    place = f"dimension {factor.dimension} · layer {factor.resolution} px"
    name = names.get(factor.dimension, "") or factor.name.strip()
    regions = sorted(factor.regions, key=lambda each: -each.share)[:1]
    return Card(
        dimension=factor.dimension,
        title=name or f"Dimension {factor.dimension} · layer {factor.resolution} px",
        place=place if name else "",
        known=_known(factor),
        region=f"{regions[0].region} {100 * regions[0].share:.0f} %" if regions else "",
        change_low=factor.change_low,
        change_high=factor.change_high,
        share=factor.share,
    )


def _known(factor: SelectedFactor) -> str:
    """Say what a dimension moves most on simulated films; nothing where that is not known."""
    effect = factor.measured_factor
    if effect is None:
        return ""
    low, high = (
        f"{value:+.2g}".replace("-", "−") for value in (effect.change_low, effect.change_high)
    )
    return f"{effect.label} {low} … {high} {effect.unit}"
