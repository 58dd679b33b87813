"""Preparing a study: what does not fit is said before anything is written or computed."""

from __future__ import annotations

import errno
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from commands.prepare import bring_cases, open_networks, prepare_study
from commands.prepare_pictures import randomised_path, shown_methods
from data.manifest import CaseSet
from data.reference import ReferenceSet
from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError
from explainers.checkpoint import file_digest
from explainers.classifiers.ours import load_classifier
from explainers.networks import Networks
from explainers.run import explain_cases
from pages.parts.display import randomised_archive
from pages.parts.display_files import display_folder, read_record
from study.accounts import Accounts
from study.allocation import CaseChoice, sham_partners
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import StudyProtocol, parse_protocol
from study.store import StudyStore
from tests.support.small_study import TOML
from tests.support.tiny_networks import write_case_set, write_networks

CHOICES = (CaseChoice("c0001", "Mass", "0"), CaseChoice("c0002", "Mass", "1"))


def protocol_for(*findings: str, method: str = "integrated_gradients") -> StudyProtocol:
    text = TOML.format(washout_days=0, readers=2, revisions="false", per_finding=2)
    for old, new in (
        ('["Mass", "Lung Opacity"]', json.dumps(findings)),
        ('show = "frames", method = "latent_shift"', f'show = "map", method = "{method}"'),
        ('controls = ["slider"]', ""),
    ):
        text = text.replace(old, new)
    return parse_protocol(text)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    write_case_set(tmp_path / "study" / "cases")
    return StudyFolder(tmp_path / "study")


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explain in this process: starting others takes longer than explaining tiny films."""

    def explain(cases_dir, pairs, methods, archive_dir, *, classifier, networks, **_):
        return explain_cases(
            CaseSet.open(cases_dir), pairs, methods, ExplanationArchive(archive_dir),
            classifier=load_classifier(classifier),
            networks=Networks(networks),
        )  # fmt: skip

    monkeypatch.setattr("commands.prepare_pictures.explain_in_processes", explain)


@pytest.fixture
def networks(tmp_path: Path) -> tuple[str, str]:
    classifier, autoencoder = write_networks(tmp_path)
    return str(classifier), str(autoencoder)


def prepare(folder: StudyFolder, networks: tuple[str, str], announce=None):
    classifier, autoencoder = networks
    return prepare_study(
        folder, protocol_for("Mass"), classifier=classifier,
        networks=Networks({"autoencoder": autoencoder}),
        choices=CHOICES, announce=announce,
    )  # fmt: skip


def test_a_prepared_study_knows_everybody_it_gave_a_link(folder, networks):
    told = []
    links = prepare(folder, networks, told.append)
    assert told == [links]
    assert [link.who for link in links] == ["Reader R1", "Reader R2", "Researcher", "Coordinator"]
    assert all(re.fullmatch("/invite/[0-9a-f]{64}", link.path) for link in links)
    assert len({link.path for link in links}) == 4
    store = StudyStore.open(folder.database)
    assert len(Accounts(store).accounts()) == 4
    assert len(store.assignments()) == 8
    store.close()
    assert {path.name for path in folder.root.iterdir()} == {
        "cases", "explanations", "displays", "networks", "study.sqlite"
    }  # fmt: skip


def test_a_study_whose_links_could_not_be_shown_is_not_frozen(folder, networks):
    def refuse(links: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StudyError, match="not frozen"):
        prepare(folder, networks, refuse)
    assert not list(folder.root.glob("**/*.sqlite*"))
    assert prepare(folder, networks)


def test_a_study_frozen_meanwhile_is_never_replaced(folder, networks):
    with pytest.raises(StudyError, match="never overwritten"):
        prepare(folder, networks, lambda links: folder.database.write_bytes(b"another one"))
    assert folder.database.read_bytes() == b"another one"
    with pytest.raises(StudyError, match="never overwritten"):
        prepare(folder, networks)


def test_a_finding_without_reference_is_named(folder, networks):
    references = ReferenceSet.open(folder.cases)
    with pytest.raises(StudyError, match=r"reference standard .* knows nothing of 'Nodule'"):
        open_networks(protocol_for("Mass", "Nodule"), references, *networks)


def test_a_classifier_with_other_findings_is_refused(folder, networks, monkeypatch):
    references = ReferenceSet.open(folder.cases)
    stranger = SimpleNamespace(findings=("Fracture",))
    monkeypatch.setattr("commands.prepare.load_classifier", lambda name: stranger)
    with pytest.raises(StudyError, match=r"The classifier .* knows nothing of 'Mass'"):
        open_networks(protocol_for("Mass"), references, *networks)


def test_a_missing_autoencoder_is_said_before_anything_is_computed(folder, networks):
    references = ReferenceSet.open(folder.cases)
    protocol = protocol_for("Mass", method="latent_shift-max")
    nowhere = Networks({"autoencoder": "nowhere"})
    with pytest.raises(ExplainerError, match="No network at 'nowhere'"):
        open_networks(protocol, references, networks[0], nowhere)
    open_networks(protocol_for("Mass"), references, networks[0], nowhere)  # maps need none


def test_a_study_begun_with_other_cases_is_not_mixed_with_new_ones(folder, tmp_path):
    write_case_set(tmp_path / "own")
    bring_cases(tmp_path / "own", folder)  # the same films: an interrupted run goes on
    with (tmp_path / "own" / "reference.csv").open("a") as table:
        table.write("\n")
    with pytest.raises(StudyError, match=r"another case set \(reference.csv differs"):
        bring_cases(tmp_path / "own", folder)


def test_cases_that_cannot_be_copied_leave_nothing(tmp_path, monkeypatch):
    write_case_set(tmp_path / "own")

    def refuse(source: Path, target: Path) -> None:
        target.mkdir()
        raise shutil.Error([("a", "b", "[Errno 28] No space left on device")])

    monkeypatch.setattr("commands.prepare.shutil.copytree", refuse)
    with pytest.raises(StudyError, match=r"cannot be copied .* is the disk full"):
        bring_cases(tmp_path / "own", StudyFolder(tmp_path / "study"))
    assert list((tmp_path / "study").iterdir()) == []


def sham_protocol(sham: str, *, practised: bool = False) -> StudyProtocol:
    """Two maps of the case against the same panels as a sham, with a practice case if wanted."""
    text = TOML.format(washout_days=0, readers=2, revisions="false", per_finding=2)
    shown = (
        '[{ show = "film" }, { show = "map", method = "integrated_gradients" }, '
        '{ show = "frames", method = "latent_shift" }]'
    )
    for old, new in (
        ('["Mass", "Lung Opacity"]', '["Mass"]'),
        ('[{ show = "film" }, { show = "map", method = "input_gradients" }]', shown),
        (
            '[{ show = "film" }, { show = "frames", method = "latent_shift" }]\n'
            'controls = ["slider"]',
            f'{shown}\nsham = "{sham}"',
        ),
    ):
        assert old in text
        text = text.replace(old, new)
    if practised:
        text += '[[practice]]\nfinding = "Mass"\ncondition = "A"\nfeedback = "So."\n'
    return parse_protocol(text)


def prepared(folder: StudyFolder, networks: tuple[str, str], protocol: StudyProtocol, **cases):
    prepare_study(
        folder, protocol, classifier=networks[0], networks=Networks({"autoencoder": networks[1]}),
        choices=CHOICES, **cases,
    )  # fmt: skip
    store = StudyStore.open(folder.database)
    try:
        return store.assignments()
    finally:
        store.close()


def test_a_sham_by_another_case_is_prepared_and_recorded_with_every_reading(
    folder, networks, one_process
):
    found = prepared(folder, networks, sham_protocol("other_case"))
    partners = sham_partners(CHOICES, 5)
    shown = {a.shown_case_id for a in found if a.condition == "A"}
    assert shown == {""}
    for each in found:
        if each.condition == "B":
            assert each.shown_case_id == partners[each.case_id, "Mass"] != each.case_id
    one, two = (
        display_folder(folder.displays, case_id, "Mass", condition) / "panel1" / "0.png"
        for case_id, condition in (("c0001", "B"), ("c0002", "A"))
    )
    assert one.read_bytes() == two.read_bytes()  # the map of the other case
    assert not randomised_path(folder).exists()


def test_a_sham_by_a_randomised_model_is_prepared_from_a_network_of_its_own(
    folder, networks, one_process
):
    protocol = sham_protocol("randomised_model")
    assert shown_methods(protocol, randomised=True) == ("integrated_gradients", "latent_shift")
    found = prepared(folder, networks, protocol)
    assert {a.shown_case_id for a in found} == {""}
    archive = randomised_archive(folder)
    provenance = archive.provenance("c0001", "Mass", "latent_shift")
    assert provenance.weights_digest["classifier"] == file_digest(randomised_path(folder))
    assert file_digest(randomised_path(folder)) != file_digest(folder.classifier)
    real, fake = (display_folder(folder.displays, "c0001", "Mass", condition) for condition in "AB")
    assert read_record(real).panels == read_record(fake).panels
    assert (real / "panel0" / "0.png").read_bytes() == (fake / "panel0" / "0.png").read_bytes()
    assert (real / "panel1" / "0.png").read_bytes() != (fake / "panel1" / "0.png").read_bytes()


def test_an_interrupted_sham_goes_on_with_the_same_network(
    folder, networks, one_process, monkeypatch
):
    protocol = sham_protocol("randomised_model")

    def fail(*_: object, **__: object) -> None:
        raise StudyError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr("commands.prepare.write_displays", fail)
        with pytest.raises(StudyError, match="stopped"):
            prepared(folder, networks, protocol)
    before = file_digest(randomised_path(folder))
    made = randomised_archive(folder).provenance("c0001", "Mass", "latent_shift").created
    prepared(folder, networks, protocol)
    assert file_digest(randomised_path(folder)) == before
    assert randomised_archive(folder).provenance("c0001", "Mass", "latent_shift").created == made


def test_practice_is_prepared_and_allocated_before_the_first_session(folder, networks, one_process):
    protocol = sham_protocol("other_case", practised=True)
    found = prepared(folder, networks, protocol, practice=(CaseChoice("c0003", "Mass"),))
    first = [a for a in found if a.session == 0]
    assert [(a.reader_id, a.position, a.case_id, a.purpose) for a in first] == [
        ("R1", 1, "c0003", "practice"),
        ("R2", 1, "c0003", "practice"),
    ]
    assert read_record(display_folder(folder.displays, "c0003", "Mass", "A")).panels
    assert not display_folder(folder.displays, "c0003", "Mass", "B").exists()


def test_a_practice_case_of_the_study_stops_the_preparation(folder, networks, one_process):
    with pytest.raises(StudyError, match="also a case of the study"):
        prepared(
            folder, networks, sham_protocol("other_case", practised=True), practice=CHOICES[:1]
        )
    assert not folder.database.exists()
