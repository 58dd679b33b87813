"""From a film and a finding to a desk where factors can be moved; done beside the page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from explainers.base import Cancelled, ExplainerError
from pages.exploring.films import Film
from pages.factoring.factors import Cards, FactorFiles, cards_of, given_names, opened
from pages.factoring.styles import FilmStyles, keep_styles, kept_styles
from pages.factoring.work import Report, Stage

if TYPE_CHECKING:
    from explainers.classifiers.base import Classifier
    from explainers.stylespace.toggles import StyleFactors
    from pages.factoring.subject import Subject


@dataclass(frozen=True)
class Wanted:
    """What is to be prepared; equal ones need preparing once.

    Parameters
    ----------
    film
        Digest of the film's pixels.
    finding
        What is looked at.
    stamp
        Of the files of networks and factor set.
    """

    film: str
    finding: str
    stamp: str


@dataclass(frozen=True, eq=False)
class Desk:
    """A film in S with the cards of a finding.

    Parameters
    ----------
    subject
        The film, ready to be moved.
    cards
        What can be moved.
    strips
        Dimension to its frames (T, H, W) in [0, 1], lowest to highest value.
    doubt
        Why the film's explanation is not to be trusted; empty if there is no reason.
    digests
        ``factors``, ``generator``, ``classifier``.
    """

    subject: Subject
    cards: Cards
    strips: Mapping[int, NDArray[np.float32]]
    doubt: str
    digests: Mapping[str, str]


def maker(
    film: Film,
    finding: str,
    files: FactorFiles,
    kept: Path,
    before: Subject | None = None,
) -> Callable[[Report, Cancelled], Desk]:
    """Return the function that prepares a desk.

    Parameters
    ----------
    film, finding
        What is looked at.
    files
        Networks and factor set.
    kept
        Folder of films in S; an upload is neither looked for nor written there.
    before
        The same film, prepared for another finding.
    """

    def make(report: Report, cancelled: Cancelled) -> Desk:
        from pages.factoring.subject import subject_of

        classifier, factors = opened(files)
        if finding not in classifier.findings:
            raise ExplainerError(
                f"The study's classifier does not know {finding}; it predicts "
                f"{', '.join(classifier.findings)}."
            )
        subject = before
        if subject is None:
            styles = _styles(film, classifier, factors, kept, report, cancelled)
            subject = subject_of(classifier, factors, film.image, styles)
        cards = cards_of(factors.known, finding, given_names(files.names))
        strips = {}
        for number, dimension in enumerate(cards.dimensions):
            if cancelled():
                raise ExplainerError("Stopped while the cards were drawn.")
            report(Stage("Drawing the cards", number, len(cards.cards)))
            strips[dimension] = subject.frames(dimension)
        digests = {
            "factors": factors.known.digest,
            "generator": factors.known.generator_digest,
            "classifier": classifier.weights_digest,
        }
        return Desk(subject, cards, strips, _doubt(subject, finding), digests)

    return make


def _styles(
    film: Film,
    classifier: Classifier,
    factors: StyleFactors,
    kept: Path,
    report: Report,
    cancelled: Cancelled,
) -> FilmStyles:
    from pages.factoring.subject import key_of, projected

    key = key_of(film.digest, classifier, factors)
    stored = film.case_id is not None
    n_styles, n_findings = factors.generator.n_styles, len(classifier.findings)
    if stored and (found := kept_styles(kept, key, n_styles, n_findings)) is not None:
        return found
    words = "Searching for the film among the generator’s"
    made = projected(
        classifier,
        factors,
        film.image,
        lambda done, total: report(Stage(words, done, total)),
        cancelled,
    )
    if stored:
        # A study on a full or read-only disk is searched anew next time.
        with contextlib.suppress(OSError):
            keep_styles(kept, key, made)
    return made


def _doubt(subject: Subject, finding: str) -> str:
    """Say why a reconstruction does not stand for its film."""
    made = subject.factors.known.made
    place = subject.classifier.findings.index(finding)
    error, shift = subject.styles.mae, float(subject.styles.shift[place])
    if not error <= made.max_mae:
        return (
            f"The generator cannot draw this film: its reconstruction is {error:.1f} grey levels "
            f"of 255 off on average, {made.max_mae:g} are allowed."
        )
    if not abs(shift) <= made.max_shift:
        return (
            f"The classifier takes the reconstruction for another film: its probability of "
            f"{finding} differs by {shift:+.2f}, {made.max_shift:g} is allowed."
        ).replace("-", "−")
    return ""
