"""A study may show films of methods that go one way, and their maps."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.prepare import prepare_study
from data.manifest import CaseSet
from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.networks import Networks
from explainers.run import explain_cases
from pages.parts.display_files import display_folder, read_record
from study.folder import StudyFolder
from study.protocol import Condition, Panel
from tests.commands.test_prepare import CHOICES, protocol_for
from tests.support.tiny_networks import SHORT, write_case_set, write_networks, write_others

FILMS = ("visual_rationale", "syce")


@pytest.fixture
def short_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explain in this process, with searches of a few steps."""

    def explain(cases_dir, pairs, methods, archive_dir, *, classifier, networks, **_):
        return explain_cases(
            CaseSet.open(cases_dir), pairs, methods, ExplanationArchive(archive_dir),
            classifier=load_classifier(classifier),
            networks=Networks(networks),
            parameters={name: SHORT[name] for name in methods if name in SHORT},
        )  # fmt: skip

    monkeypatch.setattr("commands.prepare_pictures.explain_in_processes", explain)


def protocol():
    conditions = [
        Condition(
            id=letter,
            label=method,
            panels=(
                Panel(show="film"),
                Panel(show="map", method="visual_rationale-max"),
                Panel(show="frames", method=method, frames=frames),
            ),
            controls=("slider",),
        )
        for letter, method, frames in zip("AB", FILMS, ("residual", "decoded"), strict=True)
    ]
    return protocol_for("Mass").model_copy(update={"conditions": tuple(conditions)})


def test_conditions_with_one_way_films_are_prepared_alike_for_every_case(
    tmp_path: Path, short_searches: None
) -> None:
    write_case_set(tmp_path / "study" / "cases")
    folder = StudyFolder(tmp_path / "study")
    classifier, _ = write_networks(tmp_path)
    files = write_others(tmp_path)
    networks = Networks({role: str(path) for role, path in files.items()})
    assert prepare_study(
        folder, protocol(), classifier=str(classifier), networks=networks, choices=CHOICES
    )
    for condition, n_frames in zip("AB", (5, 9), strict=True):
        for choice in CHOICES:
            place = display_folder(folder.displays, choice.case_id, "Mass", condition)
            moving = read_record(place).panels[2]
            assert (moving.n_frames, moving.origin, moving.outward) == (n_frames, 0, True)
    kept = {path.stem for path in folder.classifier.parent.glob("*.safetensors")}
    assert kept == {"classifier", "wgan", "syce"}


def test_a_network_that_is_not_there_is_named_before_anything_is_explained(tmp_path: Path) -> None:
    write_case_set(tmp_path / "study" / "cases")
    folder = StudyFolder(tmp_path / "study")
    classifier, _ = write_networks(tmp_path)
    networks = Networks({"wgan": "nowhere.safetensors"})
    with pytest.raises(ExplainerError, match="nowhere"):
        prepare_study(
            folder, protocol(), classifier=str(classifier), networks=networks, choices=CHOICES
        )
    assert not folder.explanations.exists()
