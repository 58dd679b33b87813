"""The demo's clinical review: cards of the strongest shipped factors, on simulated films."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from commands.demo_cases import DemoCase
from commands.demo_factors import (
    CLASSIFIER,
    SHIPPED_FACTORS,
    found_films,
    open_demo_factors,
    shipped_factors,
)
from commands.prepare import InvitationLink, keep_network, refuse_frozen
from commands.progress import progress_bar
from commands.review_cards import made_cards, refuse_empty
from commands.review_study import MadeCard, prepare_review
from data.manifest import CaseSet
from data.phantom.write import write_phantoms
from data.reference import ReferenceSet
from explainers.classifiers.base import Classifier
from explainers.stylespace.cards import FactorCard, FilmCard
from explainers.stylespace.clamped import seen_logits
from explainers.stylespace.factorset import FactorSet, SelectedFactor
from explainers.stylespace.opening import keep_factors
from explainers.stylespace.toggles import StyleFactors
from pages.factoring.request import Position
from pages.factoring.styles import FilmStyles
from pages.factoring.subject import Subject, seen_size, subject_of
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import load_protocol, shipped_protocol

N_FACTORS: Final = 4
N_FILMS: Final = 5
N_EXPERTS: Final = 2
N_SEARCHED: Final = 16
"""Films found in S at most: five of each dimension are shown, those that it changes most."""
SIDE_PX: Final = 256
"""Of the films; the generator's pictures beside them are smaller still."""


def prepare_demo_review(
    folder: StudyFolder, films: Sequence[DemoCase]
) -> tuple[InvitationLink, ...]:
    """Draw the cards of the strongest shipped factors and freeze a review of them.

    Parameters
    ----------
    folder
        Where the review is to be.
    films
        Simulated films to choose from.

    Raises
    ------
    StudyError
        If no factor set is shipped, it selects nothing, or too few films can be shown.
    ExplainerError, DataError
        If a network or a film fails.
    """
    refuse_frozen(folder)
    if not shipped_factors():
        raise StudyError(
            "No factor set is shipped with this copy, so there is nothing to review. Make one "
            "with `counterlight factors find`, and its review with `counterlight review prepare`."
        )
    classifier, factors = open_demo_factors()
    refuse_empty(factors.known)
    cases = _films(folder, films)
    sure = sure_films(classifier, cases, factors)
    try:
        known = found_films(folder, cases, list(sure)[:N_SEARCHED], classifier, factors)
        keep_factors(SHIPPED_FACTORS, folder.network("factors"))
        keep_network(CLASSIFIER, folder.classifier)
    except OSError as error:
        raise StudyError(
            f"The review cannot be written to {folder.root} ({error.strerror or error}); free "
            "some space and start it again."
        ) from error
    made = demo_cards(classifier, factors, cases, known, sure)
    template = load_protocol(shipped_protocol("review"))
    plan = template.cases.model_copy(update={"per_finding": N_FILMS})
    reviewed = template.model_copy(update={"cases": plan})
    return prepare_review(folder, reviewed, made, cases.root, readers=N_EXPERTS).links


def strongest_factors(known: FactorSet) -> tuple[SelectedFactor, ...]:
    """Return dimensions by their mean change: the first of every finding, then the others."""

    def size(factor: SelectedFactor) -> float:
        return max(abs(factor.change_low), abs(factor.change_high))

    ordered = sorted(known.factors, key=size, reverse=True)
    findings = [each.finding for each in ordered]
    first = [each for n, each in enumerate(ordered) if each.finding not in findings[:n]]
    chosen: dict[int, SelectedFactor] = {}
    for each in (*first, *ordered):
        chosen.setdefault(each.dimension, each)
    return tuple(chosen.values())


@torch.no_grad()
def sure_films(
    classifier: Classifier, cases: CaseSet, factors: StyleFactors
) -> dict[str, frozenset[str]]:
    """Return the findings that the classifier is right and sure about, by film, most first."""
    references = ReferenceSet.open(cases.root)
    found: dict[str, frozenset[str]] = {}
    for case_id in cases.case_ids:
        film = seen_size(factors, cases.load(case_id).image)
        shares = classifier.probabilities(seen_logits(classifier, film))[0].tolist()
        truth = references.get(case_id).findings
        known = [
            (name, truth[name], share)
            for name, share in zip(classifier.findings, shares, strict=True)
            if truth.get(name) is not None
        ]
        found[case_id] = frozenset(
            name
            for name, present, share in known
            if (share if present else 1 - share) >= factors.known.made.confidence
        )
    return dict(sorted(found.items(), key=lambda film: -len(film[1])))


def demo_cards(
    classifier: Classifier,
    factors: StyleFactors,
    cases: CaseSet,
    known: Mapping[str, FilmStyles],
    sure: Mapping[str, frozenset[str]],
) -> tuple[MadeCard, ...]:
    """Draw the films that the strongest dimensions change most; who has too few is passed over.

    Parameters
    ----------
    classifier, factors
        Networks.
    cases
        Case set of the films.
    known
        Films in S.
    sure
        From :func:`sure_films`.
    """
    images = {case_id: cases.load(case_id).image for case_id in known}
    subjects = {
        case_id: subject_of(classifier, factors, images[case_id], styles)
        for case_id, styles in known.items()
    }
    drawn: list[FactorCard] = []
    for factor in strongest_factors(factors.known):
        films = [
            _card(case_id, subjects[case_id], factor, images[case_id])
            for case_id in known
            if factor.finding in sure[case_id] and _faithful(subjects[case_id], factor.finding)
        ]
        films.sort(key=lambda film: -abs(film.p_perturbed - film.p_reconstruction))
        if len(films) >= N_FILMS:
            drawn.append(FactorCard(factor, tuple(films[:N_FILMS])))
        if len(drawn) == N_FACTORS:
            break
    return made_cards(drawn, classifier)


def _films(folder: StudyFolder, films: Sequence[DemoCase]) -> CaseSet:
    """Render the films; those that are complete are kept."""
    root = folder.root / "films"
    folder.root.mkdir(parents=True, exist_ok=True)
    with progress_bar("simulated films", len(films)) as advance:
        write_phantoms(
            root,
            n=len(films),
            size=SIDE_PX,
            seed=films[0].seed,
            processes=os.cpu_count() or 1,
            on_progress=advance,
            parameters=[film.parameters() for film in films],
            counterfactuals=False,
        )
    return CaseSet.open(root)


def _faithful(subject: Subject, finding: str) -> bool:
    """Say whether the reconstruction may stand for the film, by the limits of the factor set."""
    made, number = subject.factors.known.made, subject.classifier.findings.index(finding)
    shift = abs(float(subject.styles.shift[number]))
    return subject.styles.mae <= made.max_mae and shift <= made.max_shift


def _card(
    case_id: str, subject: Subject, factor: SelectedFactor, image: NDArray[np.float32]
) -> FilmCard:
    """Draw a film with a dimension at the end that changes the finding more."""
    number = subject.classifier.findings.index(factor.finding)
    rest = subject.reconstruction
    ends = [subject.moved((Position(factor.dimension, at),)) for at in (-1.0, 1.0)]
    changes = [abs(float(end.probabilities[number] - rest.probabilities[number])) for end in ends]
    chosen = int(np.argmax(changes))
    return FilmCard(
        case_id=case_id,
        original=seen_size(subject.factors, image)[0, 0].numpy(),
        reconstruction=rest.image,
        perturbed=ends[chosen].image,
        frames=np.stack([end.image for end in ends]),
        end=("lowest", "highest")[chosen],
        p_original=float(subject.film[number]),
        p_reconstruction=float(rest.probabilities[number]),
        p_perturbed=float(ends[chosen].probabilities[number]),
        mae=subject.styles.mae,
    )
