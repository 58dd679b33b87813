"""The embedded study, whole: films, explanations, readings by simulated readers, statistics."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from commands import demo
from commands.audit import command as audit
from commands.demo_cases import check_predictions, read_case_list, read_practice_list
from commands.export import command as export
from commands.simulate import command as simulate
from data.phantom.parameters import FINDINGS
from explainers.archive import ExplanationArchive
from study.accounts import Accounts
from study.analysis.report.analysis import analyse
from study.errors import StudyError
from study.folder import StudyFolder
from study.store import StudyStore
from tests.support.tiny_study import PASSPHRASE

N_CASES = 12


def run(command, *arguments):
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> StudyFolder:
    folder = StudyFolder(tmp_path_factory.mktemp("demo") / "study")
    with pytest.MonkeyPatch.context() as patched:  # factors: test_demo_factors
        patched.setattr("commands.demo_factors.SHIPPED_FACTORS", "none")
        demo.keep_links(folder, demo.prepare_demo(folder, N_CASES))
    return folder


@pytest.fixture(scope="module")
def finished(prepared) -> StudyFolder:
    run(simulate, prepared.root, "--seed", 3)
    return prepared


@pytest.mark.parametrize("n_cases", [48, 240])
def test_the_shipped_list_holds_as_many_true_as_false_positives_of_every_finding(n_cases):
    cases = read_case_list(demo.demo_protocol(n_cases))
    assert len({(case.seed, case.index) for case in cases}) == n_cases
    for finding in FINDINGS:
        present = [case.present for case in cases if case.finding == finding]
        assert sum(present) == len(present) / 2 == n_cases / 12


@pytest.mark.parametrize("n_cases", [48, 240])
def test_the_order_of_the_case_names_does_not_follow_the_truth(n_cases):
    cases = read_case_list(demo.demo_protocol(n_cases))
    present = np.array([case.present for case in sorted(cases, key=lambda case: case.case_id)])
    changes = int((present[1:] != present[:-1]).sum())
    assert changes > n_cases / 4


def test_the_simulator_still_draws_the_listed_severities():
    for case in read_case_list(demo.demo_protocol(240)):
        assert case.finding in case.parameters().findings_present or not case.present
        assert (case.finding in case.parameters().findings_present) == case.present


def test_a_list_that_the_simulator_contradicts_is_refused():
    case = read_case_list(demo.demo_protocol(48))[0]
    with pytest.raises(StudyError, match="select-demo"):
        replace(case, severity=case.severity + 0.1).parameters()


def test_every_case_is_a_positive_of_the_shipped_classifier(prepared):
    check_predictions(prepared, read_case_list(demo.demo_protocol(N_CASES)))


def test_a_case_that_is_no_positive_any_more_stops_the_preparation(prepared):
    table = ExplanationArchive(prepared.explanations).predictions()
    negative = table[table["probability"] < 0.5].iloc[0]
    case = replace(
        read_case_list(demo.demo_protocol(N_CASES))[0],
        case_id=negative["case_id"],
        finding=negative["finding"],
    )
    with pytest.raises(StudyError, match=r"should be a positive.*select-demo"):
        check_predictions(prepared, (case,))


def copy_of(prepared: StudyFolder, root: Path) -> StudyFolder:
    copy = StudyFolder(root)
    copy.root.mkdir()
    shutil.copyfile(prepared.database, copy.database)
    kept = prepared.root / "invitations.txt"
    shutil.copyfile(kept, copy.root / kept.name)
    return copy


ADDRESS = "http://localhost:8501"


def test_every_person_of_the_demo_gets_a_link_that_opens_their_account(prepared):
    lines = demo.invitation_lines(prepared, ADDRESS, datetime.now(UTC))
    assert [line.split()[0] for line in lines] == ["Reader", "Reader", "Researcher", "Coordinator"]
    accounts = Accounts(prepared.database)
    for line in lines:
        link = line.split()[-1]
        assert link.startswith(f"{ADDRESS}/invite/")
        assert accounts.invited(link.rpartition("/")[2], datetime.now(UTC)).role in line.lower()


def test_the_links_stay_the_same_from_start_to_start(prepared, tmp_path):
    now = datetime.now(UTC)
    first = demo.invitation_lines(prepared, ADDRESS, now)
    assert demo.invitation_lines(prepared, ADDRESS, now) == first
    assert demo.invitation_lines(prepared, "http://localhost:9000", now)[0].endswith(
        first[0].removeprefix("Reader R1").strip().removeprefix(ADDRESS)
    )
    assert (prepared.root / "invitations.txt").stat().st_mode & 0o077 == 0


def test_who_has_set_a_passphrase_is_named_and_the_others_keep_their_links(prepared, tmp_path):
    copy, now = copy_of(prepared, tmp_path / "copy"), datetime.now(UTC)
    before = demo.invitation_lines(copy, ADDRESS, now)
    token = before[0].rpartition("/")[2]
    Accounts(copy.database).accept(token, PASSPHRASE, now, "test")
    after = demo.invitation_lines(copy, ADDRESS, now)
    assert after[1:] == before[1:]
    assert "as R1" in after[0] and "/sign-in" in after[0] and token not in after[0]
    assert token not in (copy.root / "invitations.txt").read_text()


def test_lost_and_expired_links_are_issued_anew(prepared, tmp_path):
    copy, now = copy_of(prepared, tmp_path / "copy"), datetime.now(UTC)
    first = demo.invitation_lines(copy, ADDRESS, now)
    (copy.root / "invitations.txt").unlink()
    second = demo.invitation_lines(copy, ADDRESS, now)
    third = demo.invitation_lines(copy, ADDRESS, now + timedelta(days=15))
    assert set(first).isdisjoint(second) and set(second).isdisjoint(third)
    token = third[0].rpartition("/")[2]
    assert Accounts(copy.database).invited(token, now + timedelta(days=15)).name == "R1"


def test_a_frozen_demo_is_not_prepared_again(prepared):
    with pytest.raises(StudyError, match="never overwritten"):
        demo.prepare_demo(prepared, N_CASES)


def test_the_explanations_of_both_conditions_are_archived(prepared):
    archive = ExplanationArchive(prepared.explanations)
    store = StudyStore.open(prepared.database)
    pairs = {(a.case_id, a.finding) for a in store.assignments() if a.purpose == "study"}
    assert len(pairs) == N_CASES
    for method in ("input_gradients", "guided_backprop", "integrated_gradients", "latent_shift"):
        assert set(archive.pairs(method)) >= pairs
    film = archive.load(*sorted(pairs)[0], "latent_shift")
    assert film.frames.shape[0] == len(film.probabilities)
    assert film.steps[film.origin] == 0


def test_true_positives_have_localisation_and_false_positives_have_none(prepared):
    measured = pd.read_csv(prepared.localisation)
    cases = read_case_list(demo.demo_protocol(N_CASES))
    practised = {case.case_id for case in read_practice_list(demo.demo_protocol(N_CASES), N_CASES)}
    named = {case.case_id for case in cases if case.present}
    assert set(measured["case_id"]) - practised == named
    assert measured["iou"].between(0, 1).all()


def test_simulated_readers_finish_the_study_and_are_marked_everywhere(finished, tmp_path):
    store = StudyStore.open(finished.database)
    n_readings = 2 * 2 * N_CASES
    assert sum(a.purpose == "study" for a in store.assignments()) == n_readings
    run(export, finished.root, "--out", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "ratings.csv")
    assert table["simulated"].all()
    assert table["simulated_cases"].all()
    assert table["assignment_id"].nunique() == n_readings
    analysis = analyse(table)
    assert "simulated" in analysis.to_text().lower()
    likert = table[table["item"] == "confidence"]
    difference = analysis.difference("confidence", "all")
    by_hand = likert.pivot_table(index=["reader", "case_id"], columns="condition", values="value")
    assert difference.mean == pytest.approx((by_hand["B"] - by_hand["A"]).mean(), abs=1e-12)


def test_the_record_of_a_finished_study_is_intact(finished):
    assert "intact" in run(audit, finished.root)


def test_a_finished_study_takes_no_further_simulated_reading(finished):
    before = StudyStore.open(finished.database).head
    assert " 0 readings" in run(simulate, finished.root, "--seed", 4)
    assert StudyStore.open(finished.database).head == before


@pytest.mark.slow
def test_the_planted_effect_is_recovered_from_whole_demo_studies(tmp_path):
    """Ten simulated studies of 48 cases; their mean effect covers the planted one."""
    folder = StudyFolder(tmp_path / "study")
    demo.prepare_demo(folder, 48)
    means, planted = [], []
    for seed in range(10):
        copy = tmp_path / f"copy{seed}"
        shutil.copytree(folder.root, copy)
        said = run(simulate, copy, "--seed", seed, "--effect", 0.8)
        planted.append(float(said.split(": ")[-1].split()[0]))
        out = tmp_path / f"out{seed}"
        run(export, copy, "--out", out)
        analysis = analyse(pd.read_csv(out / "ratings.csv"))
        means.append(analysis.difference("confidence", "true_positive").mean)
    error = np.array(means) - np.array(planted)
    assert abs(error.mean()) < 3 * error.std(ddof=1) / np.sqrt(len(error))
