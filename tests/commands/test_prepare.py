"""Preparing a study: what does not fit is said before anything is written or computed."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from commands.prepare import bring_cases, open_networks, prepare_study
from data.reference import ReferenceSet
from explainers.base import ExplainerError
from study.accounts import Accounts
from study.allocation import CaseChoice
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
def networks(tmp_path: Path) -> tuple[str, str]:
    classifier, autoencoder = write_networks(tmp_path)
    return str(classifier), str(autoencoder)


def prepare(folder: StudyFolder, networks: tuple[str, str], announce=None):
    classifier, autoencoder = networks
    return prepare_study(
        folder, protocol_for("Mass"), classifier=classifier, autoencoder=autoencoder,
        choices=CHOICES, announce=announce,
    )  # fmt: skip


def test_a_prepared_study_knows_everybody_it_gave_a_code(folder, networks):
    told = []
    codes = prepare(folder, networks, told.append)
    assert told == [codes]
    assert [code.who for code in codes] == ["Reader R1", "Reader R2", "Researcher", "Coordinator"]
    store = StudyStore.open(folder.database)
    assert len(Accounts(store).accounts()) == 4
    assert len(store.assignments()) == 8
    store.close()
    assert {path.name for path in folder.root.iterdir()} == {
        "cases", "explanations", "displays", "networks", "study.sqlite"
    }  # fmt: skip


def test_a_study_whose_codes_could_not_be_shown_is_not_frozen(folder, networks):
    def refuse(codes: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StudyError, match="not frozen"):
        prepare(folder, networks, refuse)
    assert not list(folder.root.glob("**/*.sqlite*"))
    assert prepare(folder, networks)


def test_a_study_frozen_meanwhile_is_never_replaced(folder, networks):
    with pytest.raises(StudyError, match="never overwritten"):
        prepare(folder, networks, lambda codes: folder.database.write_bytes(b"another one"))
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
    with pytest.raises(ExplainerError, match="No network at 'nowhere'"):
        open_networks(protocol, references, networks[0], "nowhere")
    assert open_networks(protocol_for("Mass"), references, networks[0], "nowhere")[1] is None


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
