"""The shipped factor set in the demo: kept with the study, and the first films found in S."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from commands.progress import progress_bar
from data.manifest import CaseSet
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.classifiers.opening import open_classifier
from explainers.stylespace.factorfile import factors_path
from explainers.stylespace.opening import keep_factors, open_factors
from explainers.stylespace.toggles import StyleFactors
from pages.factoring.styles import FilmStyles, keep_styles, kept_styles, styles_folder
from pages.factoring.subject import key_of, projected_films
from study.errors import StudyError
from study.folder import StudyFolder

SHIPPED_FACTORS: Final = "phantom-factors"
CLASSIFIER: Final = "phantom-classifier"
FILMS_AT_ONCE: Final = 12
"""Films of the demo found in S beforehand, the first of the factors page's list; the page finds the
others when they are asked for."""


def shipped_factors() -> bool:
    """Say whether a factor set comes with this copy of Counterlight."""
    try:
        return factors_path(SHIPPED_FACTORS).is_file()
    except ExplainerError:
        return False


def keep_demo_factors(folder: StudyFolder, *, n_films: int = FILMS_AT_ONCE) -> int:
    """Keep the shipped factor set in the demo and find its first films in S.

    Films found before are not searched again. Without a shipped set nothing is done.

    Parameters
    ----------
    folder
        The demo, with its case set in place.
    n_films
        How many films.

    Returns
    -------
    int
        Films of the study that open at once.

    Raises
    ------
    StudyError
        If the disk refuses.
    ExplainerError
        If a network is not there, or the set belongs to another classifier.
    """
    if not shipped_factors():
        return 0
    try:
        keep_factors(SHIPPED_FACTORS, folder.network("factors"))
        classifier, factors = open_demo_factors()
        return len(found_films(folder, CaseSet.open(folder.cases), n_films, classifier, factors))
    except OSError as error:
        raise StudyError(
            f"The factor set cannot be kept in {folder.root} ({error.strerror or error}); free "
            "some space and start the demo again."
        ) from error


def open_demo_factors() -> tuple[Classifier, StyleFactors]:
    """Open the shipped factor set with its networks and the classifier it was found with.

    Raises
    ------
    ExplainerError
        If one of them is missing or they do not belong together.
    """
    classifier, factors = open_classifier(CLASSIFIER), open_factors(SHIPPED_FACTORS)
    factors.known.check_networks(classifier=classifier.weights_digest)
    return classifier, factors


def found_films(
    folder: StudyFolder,
    cases: CaseSet,
    wanted: int | Sequence[str],
    classifier: Classifier,
    factors: StyleFactors,
) -> dict[str, FilmStyles]:
    """Find films in S, and keep them where the factors page looks for them.

    Parameters
    ----------
    folder
        The study that they are kept in.
    cases
        The films.
    wanted
        The first so many, or these cases.
    classifier, factors
        Networks.

    Raises
    ------
    ExplainerError
        If the search fails.
    OSError
        If the disk refuses.
    """
    ids = cases.case_ids[:wanted] if isinstance(wanted, int) else wanted
    root, n_styles = styles_folder(folder), factors.generator.n_styles
    keys = {each: key_of(cases.entry(each).sha256, classifier, factors) for each in ids}
    found: dict[str, FilmStyles] = {}
    for each, key in keys.items():
        kept = kept_styles(root, key, n_styles, len(classifier.findings))
        if kept is not None:
            found[each] = kept
    missing = [each for each in ids if each not in found]
    if missing:
        root.mkdir(parents=True, exist_ok=True)
        with progress_bar("steps of back-projection") as advance:
            made = projected_films(
                classifier,
                factors,
                [cases.load(each).image for each in missing],
                advance,
                lambda: False,
            )
        for each, styles in zip(missing, made, strict=True):
            keep_styles(root, keys[each], styles)
            found[each] = styles
    return {each: found[each] for each in ids}
