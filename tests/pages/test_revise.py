"""Going back: own readings of this session, newest first, where the protocol allows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.reader_study import (
    PROFILE,
    SECRETS,
    ReaderStudy,
    button,
    read_all,
    read_one,
    study_maker,
    words_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def test_the_list_is_newest_first_and_opens_a_reading(make: Make) -> None:
    study = make(n_cases=3)
    desk = study.begin()
    first, second = read_one(desk), read_one(desk)
    page = study.open(page="revise.py")
    openers = [b.key for b in page.button if b.label.startswith("Open case")]
    assert openers == [f"open_{second}", f"open_{first}"]
    button(page, "Open case 1")
    assert f"revise {first}" in words_of(page)


def test_an_opened_reading_stays_open_after_a_reload(make: Make) -> None:
    study = make(n_cases=3)
    first = read_one(study.begin())
    page = study.open()
    page.query_params["reading"] = first
    page.switch_page("revise.py").run()
    assert f"revise {first}" in words_of(page)


def test_the_history_of_an_answer_is_listed_with_its_reason(make: Make) -> None:
    study = make(n_cases=3)
    desk = study.begin()
    name = read_one(desk, confidence=2)
    desk.revise(
        name, {"confidence": 5}, supersedes=desk.done()[0].seq, reason="wrong <side> at first"
    )
    said = words_of(study.open(page="revise.py"))
    assert "answered" in said and "changed" in said
    assert "wrong &lt;side&gt; at first" in said
    values = [r.value for r in study.store().ratings(superseded=True) if r.item == "confidence"]
    assert values == [2, 5]


def test_a_skipped_reading_is_listed_and_opens_as_the_desk_allows(make: Make) -> None:
    study = make(n_cases=3)
    desk = study.begin()
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    desk.skip(current.assignment_id, "technical", "black picture")
    page = study.open(page="revise.py")
    assert "skipped" in words_of(page)
    assert ("Open case 1" in [b.label for b in page.button]) is desk.done()[0].revisable


def test_the_unaided_answer_of_a_sequential_study_stays_closed(make: Make) -> None:
    study = make(kind="sequential", n_cases=2)
    desk = study.begin()
    first, second = read_one(desk), read_one(desk)
    page = study.open(page="revise.py")
    openers = [b.key for b in page.button if b.label.startswith("Open")]
    assert f"open_{first}" not in openers and openers == [f"open_{second}"]
    assert "case 1, first answer" in words_of(page)


def test_a_study_without_revisions_says_so(make: Make) -> None:
    study = make(revisions=False)
    read_one(study.begin())
    assert "cannot be changed" in words_of(study.open(page="revise.py"))


def test_another_readers_reading_is_not_opened_by_its_address(make: Make) -> None:
    study = make()
    study.begin("R1")
    theirs = read_one(study.begin("R2"))
    page = study.open("R1")
    page.query_params["reading"] = theirs
    page.switch_page("revise.py").run()
    assert theirs not in words_of(page)
    assert "Earlier answers" in words_of(page)


def test_a_long_list_is_turned_page_by_page(make: Make) -> None:
    study = make(n_cases=11)
    desk = study.begin()
    for _ in range(10):
        read_one(desk)
    page = study.open(page="revise.py")
    assert "Page 1 of 2" in words_of(page)
    button(page, "Older")
    openers = [b.label for b in page.button if b.label.startswith("Open")]
    assert openers == ["Open case 2", "Open case 1"]
    button(page, "Newer")
    assert "Page 1 of 2" in words_of(page)


def test_nothing_is_opened_before_the_instructions_are_accepted(make: Make) -> None:
    study = make()
    study.desk().consent()
    study.desk().keep_profile(PROFILE)
    assert "Before you read" in words_of(study.open(page="revise.py"))


def test_the_list_names_neither_conditions_nor_cases(make: Make) -> None:
    study = make()
    desk = study.begin()
    read_all(desk)
    said = words_of(study.open(page="revise.py"))
    for word in (*SECRETS, "condA", "condB", "Film alone", "Map of the model"):
        assert word not in said, word
