"""The demo's factors page and its clinical review, with networks in miniature."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from commands import demo_factors, demo_review
from commands.demo_factors import keep_demo_factors, open_demo_factors
from commands.demo_review import prepare_demo_review, strongest_factors, sure_films
from commands.prepare import keep_network
from data.manifest import CaseSet
from explainers.base import ExplainerError
from pages.factoring import subject
from pages.factoring.factors import files_of, opened
from pages.factoring.styles import kept_styles, styles_folder
from study.errors import StudyError
from study.folder import StudyFolder
from study.store import StudyStore
from tests.support.tiny_factors import DIMENSIONS, write_factor_study
from tests.support.tiny_networks import FINDINGS
from tests.support.tiny_study import CASE_IDS, write_case_set


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyFolder:
    """A demo with its films in place, and a factor set that is as good as shipped."""
    path = write_factor_study(tmp_path / "shipped")
    for module in (demo_factors, demo_review):
        monkeypatch.setattr(module, "SHIPPED_FACTORS", str(path))
        monkeypatch.setattr(module, "CLASSIFIER", str(path.with_name("classifier.safetensors")))
    short = subject.ProjectionSettings(n_steps=2)
    monkeypatch.setattr(subject, "SETTINGS", short)
    made = StudyFolder(tmp_path / "study")
    write_case_set(made.cases)
    return made


def test_the_first_films_of_the_demo_open_at_once_on_the_factors_page(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keep_demo_factors(folder, n_films=2) == 2
    keep_network(demo_factors.CLASSIFIER, folder.classifier)
    files = files_of(folder)
    assert files.factors == folder.network("factors").with_suffix(".json")
    classifier, factors = opened(files)
    cases = CaseSet.open(folder.cases)
    there = [
        kept_styles(
            styles_folder(folder),
            subject.key_of(cases.entry(case_id).sha256, classifier, factors),
            factors.generator.n_styles,
            len(classifier.findings),
        )
        for case_id in CASE_IDS
    ]
    assert [each is not None for each in there] == [True, True, False]
    monkeypatch.setattr(demo_factors, "projected_films", None)  # an interrupted demo goes on
    assert keep_demo_factors(folder, n_films=2) == 2


def test_without_a_shipped_set_the_demo_has_no_factors_and_no_review(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_factors, "SHIPPED_FACTORS", "none")
    assert keep_demo_factors(folder) == 0 and not folder.network("factors").exists()
    with pytest.raises(StudyError, match="No factor set is shipped"):
        prepare_demo_review(StudyFolder(folder.root / "review"), [])


def test_a_set_of_another_classifier_is_refused(folder: StudyFolder, tmp_path: Path) -> None:
    write_factor_study(tmp_path / "shipped", classifier_digest="e" * 64)
    with pytest.raises(ExplainerError, match="classifier eeeeee"):
        keep_demo_factors(folder)


def test_films_are_judged_by_the_findings_that_are_known_about_them(folder: StudyFolder) -> None:
    classifier, factors = open_demo_factors()
    cases, number = CaseSet.open(folder.cases), FINDINGS.index("Lung Opacity")
    images = {case_id: cases.load(case_id).image for case_id in CASE_IDS}
    films = torch.cat([subject.seen_size(factors, image) for image in images.values()])
    shares = classifier.probabilities(classifier.logits(films))[:, number].tolist()
    # All of them show Lung Opacity; of Mass nothing is known.
    for confidence in (0.0, sorted(shares)[1], 1.0):
        made = dataclasses.replace(factors.known.made, confidence=confidence)
        known = dataclasses.replace(factors.known, made=made)
        sure = sure_films(classifier, cases, dataclasses.replace(factors, known=known))
        expected = [share >= confidence for share in shares]
        assert [bool(sure[case_id]) for case_id in CASE_IDS] == expected
        assert set().union(*sure.values()) <= {"Lung Opacity"}


def test_the_review_of_the_demo_shows_the_films_that_each_dimension_changes_most(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = CaseSet.open(folder.cases)
    everything = dict.fromkeys(CASE_IDS, frozenset(FINDINGS))
    monkeypatch.setattr(demo_review, "_films", lambda *_: cases)
    monkeypatch.setattr(demo_review, "sure_films", lambda *_: everything)
    monkeypatch.setattr(demo_review, "N_FILMS", 2)
    review = StudyFolder(folder.root / "review")
    links = prepare_demo_review(review, [])
    assert [each.who for each in links] == ["Reader R1", "Reader R2", "Researcher", "Coordinator"]
    store = StudyStore.open(review.database)
    shown = {a.case_id for a in store.assignments("R1")}
    assert store.protocol.design.kind == "review" and store.protocol.study.simulated is False
    store.close()
    assert len(shown) == 4 and {name.split("-")[0] for name in shown} == {
        f"d{dimension}" for dimension in DIMENSIONS
    }
    assert files_of(review).factors.is_relative_to(review.root)
    factors = open_demo_factors()[1].known
    assert [each.dimension for each in strongest_factors(factors)] == list(DIMENSIONS)
    with pytest.raises(StudyError, match="never overwritten"):
        prepare_demo_review(review, [])
