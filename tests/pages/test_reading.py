"""The reader's way through the study, page by page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from study.clock import utc_now
from study.errors import StoreUnavailable
from study.session import ReadingDesk
from study.store import StudyStore
from tests.support.pages import NAVIGATION, OpenPage
from tests.support.tiny_study import FORBIDDEN_WORDS, TinyStudy, make_tiny_study

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def html_of(page: AppTest) -> str:
    """Return all HTML and Markdown that the page sends."""
    parts = [element.proto.body for element in page.get("html")]
    parts += [element.value for element in page.markdown]
    return "\n".join(parts)


def begin(open_page: OpenPage, study: TinyStudy) -> AppTest:
    """Sign in, accept the instructions and arrive at the first case."""
    page = open_page(study.reader_code)
    page.button[0].click().run()
    return page.switch_page("reading.py").run()


def current_id(study: TinyStudy) -> str:
    store = study.store()
    current = ReadingDesk(store, "R1", utc_now).current()
    assert current is not None
    return current.assignment_id


def answer(page: AppTest, assignment_id: str, confidence: int, correct: int) -> AppTest:
    page.button_group(key=f"answer_{assignment_id}_confidence").set_value(confidence)
    page.button_group(key=f"answer_{assignment_id}_correct_feature").set_value(correct)
    return page


def ratings(study: TinyStudy) -> list[tuple[str, str, object]]:
    return [(r.assignment_id, r.item, r.value) for r in study.store().ratings()]


def test_a_new_reader_meets_the_instructions_first(open_page: OpenPage, study: TinyStudy) -> None:
    page = open_page(study.reader_code)
    assert not page.exception
    assert "Read three films." in html_of(page)
    assert [button.label for button in page.button] == ["I have read this and agree to take part"]


def test_accepting_the_instructions_leads_to_the_first_case(
    open_page: OpenPage, study: TinyStudy
) -> None:
    page = begin(open_page, study)
    assert not page.exception
    assert "Lung Opacity" in html_of(page) and "model says" in html_of(page)
    assert f"next_{current_id(study)}" in [button.key for button in page.button]


def test_a_submitted_case_is_in_the_store_exactly_as_answered(
    open_page: OpenPage, study: TinyStudy
) -> None:
    page = begin(open_page, study)
    first = current_id(study)
    answer(page, first, 4, 2)
    page.text_area(key=f"answer_{first}_comment").set_value("shadow at the left base")
    page.button(key=f"next_{first}").click().run()
    assert not page.exception
    assert ratings(study) == [
        (first, "confidence", 4),
        (first, "correct_feature", 2),
        (first, "comment", "shadow at the left base"),
    ]
    assert "case 2 of 3" in html_of(page)
    assert current_id(study) != first


def test_an_incomplete_case_is_not_stored_and_what_is_missing_is_marked(
    open_page: OpenPage, study: TinyStudy
) -> None:
    page = begin(open_page, study)
    first = current_id(study)
    page.button_group(key=f"answer_{first}_confidence").set_value(3)
    page.button(key=f"next_{first}").click().run()
    assert ratings(study) == [] and current_id(study) == first
    assert html_of(page).count("needs an answer") == 1
    assert f".st-key-item_answer_{first}_correct_feature" in html_of(page)


def test_answers_survive_a_reload_before_they_are_submitted(
    open_page: OpenPage, study: TinyStudy
) -> None:
    page = begin(open_page, study)
    first = current_id(study)
    answer(page, first, 5, 1).run()
    again = open_page(study.reader_code).switch_page("reading.py").run()
    assert again.button_group(key=f"answer_{first}_confidence").value == 5
    assert again.button_group(key=f"answer_{first}_correct_feature").value == 1
    assert "Saved" in html_of(again)
    again.button(key=f"next_{first}").click().run()
    assert ratings(study)[:2] == [(first, "confidence", 5), (first, "correct_feature", 1)]


def test_a_click_replayed_for_an_earlier_case_reaches_no_other_case(
    open_page: OpenPage, study: TinyStudy
) -> None:
    page = begin(open_page, study)
    first = current_id(study)
    answer(page, first, 4, 4)
    # Meanwhile the same reader submits the case in another window.
    desk = ReadingDesk(study.store(), "R1", utc_now)
    desk.submit(first, {"confidence": 1, "correct_feature": 1})
    page.button(key=f"next_{first}").click().run()
    assert not page.exception
    assert [value for _, item, value in ratings(study) if item != "comment"] == [1, 1]
    second = current_id(study)
    assert second != first
    assert page.button_group(key=f"answer_{second}_confidence").value is None


def test_answers_do_not_leak_into_the_next_case(open_page: OpenPage, study: TinyStudy) -> None:
    page = begin(open_page, study)
    first = current_id(study)
    answer(page, first, 4, 2).button(key=f"next_{first}").click().run()
    second = current_id(study)
    assert page.button_group(key=f"answer_{second}_confidence").value is None
    assert not page.text_area(key=f"answer_{second}_comment").value


def test_a_reader_can_finish_the_study(open_page: OpenPage, study: TinyStudy) -> None:
    page = begin(open_page, study)
    for _ in range(6):
        now = current_id(study)
        answer(page, now, 3, 3).button(key=f"next_{now}").click().run()
        assert not page.exception
    assert "read every case" in html_of(page)
    assert len({name for name, _, _ in ratings(study)}) == 6
    assert "All cases are read" in html_of(open_page(study.reader_code))


def test_the_worklist_says_when_the_next_session_opens(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    open_page: OpenPage,
) -> None:
    waiting = make_tiny_study(tmp_path_factory.mktemp("washout") / "study", washout_days=9)
    monkeypatch.setenv("COUNTERLIGHT_STUDY", str(waiting.root))
    desk = ReadingDesk(waiting.store(), "R1", utc_now)
    desk.accept_instructions()
    for _ in range(3):
        current = desk.current()
        assert current is not None
        desk.display(current.assignment_id)
        desk.submit(current.assignment_id, {"confidence": 3, "correct_feature": 3})
    page = AppTest.from_file(NAVIGATION, default_timeout=30)
    page.user = {"login": waiting.login(waiting.reader_code)}
    page.run()
    assert "Session 2 opens on" in html_of(page) and not page.button
    page.switch_page("reading.py").run()
    assert "This session is complete" in html_of(page)


def test_missing_pictures_are_said_in_a_sentence_and_not_shown(
    open_page: OpenPage, study: TinyStudy
) -> None:
    for record in study.folder.displays.rglob("display.json"):
        record.unlink()
    page = begin(open_page, study)
    assert not page.exception
    assert "have not been prepared" in html_of(page)
    assert study.store().events("displayed") == ()


def test_a_full_disk_is_said_and_nothing_is_claimed_to_be_saved(
    open_page: OpenPage, study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = begin(open_page, study)
    first = current_id(study)

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("The disk is full; free some space and submit again.")

    with monkeypatch.context() as patch:
        patch.setattr(StudyStore, "writing", full)
        answer(page, first, 4, 2).run()
        assert "Not saved: The disk is full" in html_of(page)
        page.button(key=f"next_{first}").click().run()
        assert not page.exception and "The disk is full" in html_of(page)
    assert page.button_group(key=f"answer_{first}_confidence").value == 4
    page.button(key=f"next_{first}").click().run()
    assert (first, "confidence", 4) in ratings(study)


def test_nothing_a_reader_is_sent_says_what_is_true(open_page: OpenPage, study: TinyStudy) -> None:
    page = begin(open_page, study)
    sent = html_of(page)
    for _ in range(6):
        now = current_id(study)
        sent += html_of(page) + "".join(str(e.proto) for e in page.get("bidi_component"))
        answer(page, now, 3, 3).button(key=f"next_{now}").click().run()
    assert f"/frames/{now}/0/0.png" in sent
    for word in FORBIDDEN_WORDS:
        assert word not in sent, word
