"""Before a server starts: the study and the address are looked at."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import commands.serve
from commands.serve import CASES_VARIABLE, offered_cases, require_free, serve
from pages.exploring.films import case_sets
from study.errors import StudyError
from tests.support.tiny_networks import write_case_set
from tests.support.tiny_study import make_tiny_study


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 5000, b"garbage" * 500])
def test_a_damaged_study_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "study.sqlite").write_bytes(content)
    with pytest.raises(StudyError, match=r"study\.sqlite.*(backup|prepared study)\.$"):
        serve(tmp_path, port=8501)


def test_a_port_in_use_is_refused_and_another_one_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StudyError, match=f"Port {port} on 127.0.0.1 is in use"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)


@pytest.mark.parametrize("address", ["no such host", "203.0.113.9"])
def test_an_address_of_another_machine_is_refused(address):
    with pytest.raises(StudyError, match=r"is no address of this machine|Nothing can listen"):
        require_free(address, 8501)


def test_case_sets_that_are_named_reach_the_explorer_by_their_whole_path(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    study = make_tiny_study(tmp_path / "study")
    for name in ("first", "second"):
        write_case_set(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CASES_VARIABLE, "/kept")
    started = []
    monkeypatch.setattr(commands.serve, "require_free", lambda address, port: None)
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setattr(
        os, "execvpe", lambda file, arguments, environment: started.append(environment)
    )
    serve(study.root, port=8501, more_cases=[Path("first"), Path("second")])
    named = started[0][CASES_VARIABLE].split(os.pathsep)
    assert named == ["/kept", str(tmp_path / "first"), str(tmp_path / "second")]
    assert list(case_sets(study.folder, started[0])) == ["the study's", "first", "second"]


def test_a_folder_without_cases_is_not_offered(tmp_path):
    with pytest.raises(StudyError, match=r"holds no case set \(cases\.csv is missing\)"):
        offered_cases([tmp_path], {})
    folder = tmp_path / f"a{os.pathsep}b"
    folder.mkdir()
    (folder / "cases.csv").touch()
    with pytest.raises(StudyError, match="separates folders"):
        offered_cases([folder], {})
    assert offered_cases([], {CASES_VARIABLE: "/kept"}) == {}


@pytest.mark.parametrize(
    ("address", "told"),
    [("localhost", False), ("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)],
)
def test_an_address_for_others_comes_with_a_word_about_encryption(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys, address: str, told: bool
):
    study = make_tiny_study(tmp_path / "study")
    monkeypatch.setattr(commands.serve, "require_free", lambda address, port: None)
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setattr(os, "execvpe", lambda file, arguments, environment: None)
    serve(study.root, port=8501, address=address)
    assert ("TLS" in capsys.readouterr().err) == told
