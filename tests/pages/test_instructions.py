"""Instructions: accepted once, and at hand ever after."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pages.parts.desk_view import place
from tests.support.reader_study import PROFILE, ReaderStudy, button, study_maker, words_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def arrived(study: ReaderStudy) -> ReaderStudy:
    desk = study.desk()
    if study.protocol.study.consent:
        desk.consent()
    desk.keep_profile(PROFILE)
    return study


def test_the_instructions_hold_the_authors_words_and_the_rule_of_the_named_finding(
    make: Make,
) -> None:
    said = words_of(arrived(make()).open())
    assert "Read each film." in said
    assert "Judge only the finding named beside the film." in said


def test_accepting_leads_to_practice_and_is_recorded_once(make: Make) -> None:
    study = arrived(make())
    page = button(study.open(), "I have read this")
    assert len(study.store().events("instructions_accepted", "R1")) == 1
    assert "practice " in words_of(page)
    again = study.open(page="instructions.py")
    assert [b.label for b in again.button] == ["Go on reading"]


def test_without_practice_accepting_leads_to_the_first_case(make: Make) -> None:
    study = arrived(make(practice=False))
    button(study.open(), "I have read this")
    assert study.desk().step().kind == "reading"


def test_the_rules_say_what_the_protocol_makes_so(make: Make) -> None:
    said = words_of(arrived(make(revisions=True)).open())
    assert "2 practice cases. Practice does not count." in said
    assert "go back and change an answer" in said
    assert "skip it and say why" in said


def test_a_study_without_revisions_promises_none(make: Make) -> None:
    said = words_of(arrived(make(revisions=False, practice=False)).open())
    assert "go back" not in said and "Practice" not in said


def test_no_page_of_the_beginning_shouts(make: Make) -> None:
    assert "!" not in words_of(arrived(make()).open())


def test_the_page_for_readers_lists_every_key_of_the_viewer() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "reading-room.md").read_text(encoding="utf-8")
    table = (root / "pages" / "parts" / "viewer" / "src" / "keys.ts").read_text(encoding="utf-8")
    shown = re.findall(r'shown: "([^"]+)"', table)
    assert len(shown) > 20
    first_cells = " ".join(line.split("|")[1] for line in page.splitlines() if line.startswith("|"))
    for key in shown:
        assert re.search(rf"(?<![^\s,]){re.escape(key)}(?![^\s,])", first_cells), key


def test_the_keys_that_are_told_before_the_first_case_exist() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "reading-room.md").read_text(encoding="utf-8")
    source = (root / "pages" / "instructions.py").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", source, flags=re.MULTILINE)
    keys = [key.strip() for row in rows[2:] for key in row.split(",")]
    assert len(keys) > 10
    assert all(key in page for key in keys), keys


@pytest.mark.parametrize("reader_id", ["R1", "R2"])
def test_a_reader_of_a_parallel_group_is_told_of_the_groups_own_practice(
    make: Make, reader_id: str
) -> None:
    study = make(kind="parallel")
    desk = study.desk(reader_id)
    desk.consent()
    desk.keep_profile(PROFILE)
    assert len(study.protocol.practice) == 2
    assert "You begin with 1 practice case." in words_of(study.open(reader_id))
    desk.accept_instructions()
    assert "You begin with 1 practice case." in words_of(study.open(reader_id))  # the worklist
    case = desk.current()
    assert case is not None
    assert place(study.protocol, case, 1, 1) == "practice case 1 of 1"
