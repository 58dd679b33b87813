"""A reader's way through a study in Chromium, by keyboard, with everything that goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from study.events import Event
from study.export import study_table
from tests.support.kinds_study import make_kinds_study
from tests.support.live_server import LiveServer, live_server
from tests.support.tiny_study import FORBIDDEN_WORDS, N_FRAMES, TinyStudy, make_tiny_study
from tests.support.walk import to_first_reading
from tests.support.window import (
    ReaderWindow,
    Window,
    reader_context,
    reader_window,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

pytestmark = pytest.mark.browser

ORIGIN = str(N_FRAMES // 2)
N_READERS = 10


class Room:
    """A study being served, and windows of one of its readers."""

    def __init__(
        self, browser: Browser, study: TinyStudy, server: LiveServer, reader_id: str
    ) -> None:
        self.study, self.server, self.reader_id = study, server, reader_id
        self.context: BrowserContext = reader_context(browser, study, server.url, reader_id)

    def window(self) -> ReaderWindow:
        """Open a window on the case whose turn it is, and wait for it."""
        window = reader_window(self.context, self.study, self.server.url, self.reader_id)
        window.open()
        window.wait_for_case(window.current().assignment_id)
        return window

    def ratings(self) -> dict[tuple[str, str], object]:
        """Return this reader's ratings: by assignment and item."""
        return ratings(self.study, self.reader_id)

    def events(self, kind: str) -> list[Event]:
        """Return what is on record about this reader."""
        return list(self.study.store().events(kind, self.reader_id))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("browser") / "study", readers=N_READERS)


@pytest.fixture(scope="module")
def server(
    browser: Browser, study: TinyStudy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with live_server(study.root, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def kinds(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TinyStudy, LiveServer]]:
    made = make_kinds_study(tmp_path_factory.mktemp("kinds") / "study")
    with live_server(made.root, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield made, running


@pytest.fixture(scope="module")
def others() -> Iterator[str]:
    """Readers who have not begun, one for each test; R1 reads the whole study."""
    return (f"R{number}" for number in range(2, N_READERS + 1))


@pytest.fixture
def room(
    browser: Browser, study: TinyStudy, server: LiveServer, others: Iterator[str]
) -> Iterator[Room]:
    """A reader of the shared study with the first case on the table."""
    opened = Room(browser, study, server, next(others))
    window = reader_window(opened.context, study, server.url, opened.reader_id)
    to_first_reading(window.desk())
    window.page.close()
    yield opened
    opened.context.close()


def scrub(window: Window) -> None:
    """Move through the moving film by keys and slider, and check that nothing is fetched."""
    page = window.page
    page.wait_for_timeout(400)  # the prefetch of the next case
    before = len([url for url in window.requests if "/frames/" in url])
    assert page.locator(".viewer").get_attribute("data-frame") == ORIGIN
    window_keys = ("ArrowLeft",) * 3
    for key in window_keys:
        page.keyboard.press(key)
    assert page.locator(".viewer").get_attribute("data-frame") == "0"
    for key in ("h", "i", "r", "c", "H", "I"):
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert len([url for url in window.requests if "/frames/" in url]) == before
    assert page.locator('[role="dialog"]:visible').count() == 0


def ratings(study: TinyStudy, reader_id: str = "R1") -> dict[tuple[str, str], object]:
    found = study.store().ratings()
    return {(r.assignment_id, r.item): r.value for r in found if r.reader_id == reader_id}


def test_a_study_is_read_by_keyboard_with_a_reload_and_a_restart_and_arrives_exactly(
    browser: Browser, server: LiveServer, study: TinyStudy
) -> None:
    window = reader_window(reader_context(browser, study, server.url), study, server.url)
    page = window.page
    to_first_reading(window.desk())
    window.open()
    expected: dict[tuple[str, str], object] = {}
    for number in range(6):
        reading = window.current()
        name = reading.assignment_id
        window.wait_for_case(name)
        assert window.fits() and window.film_share() >= 0.75
        if reading.condition == "B":
            scrub(window)
        confidence, correct = number % 5 + 1, 5 - number % 5
        words = f"case {number}: rc 1 2 3 ?"
        window.press(str(confidence), "n")
        page.keyboard.type(words)
        window.wait_for_status("Saved")
        if number == 1:
            page.reload()
            window.wait_for_case(name)
            assert window.chosen("confidence") == [str(confidence)]
            assert page.locator("textarea").input_value() == words
        if number == 3:
            server.restart()
        window.press("Escape", str(correct), "Enter")
        window.wait_until_stored(name)
        expected |= {
            (name, "confidence"): confidence,
            (name, "correct_feature"): correct,
            (name, "comment"): words,
        }
    page.get_by_text("Thank you").wait_for()
    assert ratings(study) == expected
    assert not window.problems
    _nothing_leaked(window)
    _the_export_says(study)


def _nothing_leaked(window: Window) -> None:
    """Nothing sent about the study names a case, a method, a source, a label or the truth."""
    texts = [*window.sent, *window.requests]
    assert any("Lung Opacity" in text for text in texts)
    for word in (*FORBIDDEN_WORDS, "Map and moving film"):
        assert not any(word in text for text in texts), word
    own = re.compile(r"(https?|ws)://127\.0\.0\.1:\d+/(?!media/)|blob:|data:")
    assert not [url for url in window.requests if not own.match(url)]


def _the_export_says(study: TinyStudy) -> None:
    """The table that is analysed and downloaded has the same numbers."""
    table = study_table(study.root)
    shown = {
        (row.assignment_id, row.item): row.value
        for row in table.itertuples()
        if row.value is not None
    }
    for (assignment_id, item), value in ratings(study).items():
        if item != "comment":
            assert float(str(shown[assignment_id, item])) == value


def test_every_kind_of_question_is_answered_by_keyboard_alone(
    browser: Browser, kinds: tuple[TinyStudy, LiveServer]
) -> None:
    study, server = kinds
    window = reader_window(reader_context(browser, study, server.url), study, server.url)
    page = window.page
    first = to_first_reading(window.desk())
    assert window.current().purpose == "practice"
    window.open()
    window.wait_for_case(first)
    assert page.get_by_text("does not count").count() == 1
    assert page.get_by_text("Skip this case").count() == 0
    # A digit answers the question that is open and opens the next; a scale takes a number.
    window.press("4", "7", "0")
    window.press("Tab")  # out of the number, to the film's quality
    window.press("2")
    window.item("signs").locator('[role="checkbox"]').first.focus()
    window.press("3", "1")
    assert window.chosen("signs") == ["lost edge", "air in the bronchi"]
    window.item("place").get_by_role("button", name="Mark a point").focus()
    window.press("Space")  # marking: arrows move the cross-hair, Space sets a point
    window.press("ArrowRight", "ArrowDown", "Space")
    window.item("place").get_by_text("1 of 2").wait_for()
    window.press("Enter")
    window.wait_until(lambda: bool(study.store().events("practised", subject=first)))
    (event,) = study.store().events("practised")
    answers = event.payload["answers"]
    assert [answers[name] for name in ("confidence", "trust", "quality")] == [4, 70, "fair"]
    assert answers["signs"] == ["edge", "air"] and answers["comment"] is None
    ((x, y),) = answers["place"]
    assert 0 <= x <= 1 and 0 <= y <= 1
    assert "map_helps" not in answers  # asked in the other condition only
    page.get_by_text("The opacity lies at the left base.").wait_for()
    window.go_on("Begin the study")
    page.get_by_text("Every kind of question").wait_for()
    window.wait_until(lambda: window.desk().step().kind == "reading")
    window.wait_for_case(window.current().assignment_id)
    assert not window.problems


def test_what_is_missing_is_outlined_and_named_and_the_form_does_not_move(room: Room) -> None:
    window = room.window()
    page = window.page
    before = [page.locator(name).bounding_box() for name in (".submit", ".last", "textarea")]
    window.press("3", "Enter")
    page.locator(".reading-form .message").get_by_text(
        "Still to answer: Is the model looking"
    ).wait_for()
    assert page.locator(".item.missing").get_attribute("data-item") == "correct_feature"
    after = [page.locator(name).bounding_box() for name in (".submit", ".last", "textarea")]
    assert after == before
    assert room.ratings() == {}
    window.press("2")
    assert page.locator(".item.missing").count() == 0


def test_a_double_click_and_a_held_enter_submit_one_case_once(room: Room) -> None:
    window = room.window()
    first = window.current().assignment_id
    window.press("3", "4")
    window.page.locator(".submit").dblclick()
    window.press("Enter", "Enter")
    window.wait_until_stored(first)
    second = window.current().assignment_id
    window.wait_for_case(second)
    assert {name for name, _ in room.ratings()} == {first}
    assert len(room.events("submitted")) == 1
    assert window.chosen("confidence") == []


def test_a_text_written_without_a_connection_is_kept_and_saved_when_it_is_back(room: Room) -> None:
    window = room.window()
    page, name = window.page, window.current().assignment_id
    window.press("2", "5", "n")
    page.keyboard.type("before ")
    window.wait_for_status("Saved")
    room.context.set_offline(True)
    page.keyboard.type("during")
    page.locator(".reading-form .status").get_by_text("Connection lost").wait_for()
    window.press("Control+Enter")
    page.locator(".reading-form .message").get_by_text("The connection is lost").wait_for()
    page.wait_for_timeout(1500)
    assert room.ratings() == {}
    room.context.set_offline(False)
    window.wait_until_stored(name)
    assert room.ratings()[name, "comment"] == "before during"
    assert len(room.events("submitted")) == 1
    window.wait_for_case(window.current().assignment_id)


def test_answers_given_without_a_connection_survive_a_reload(room: Room) -> None:
    window = room.window()
    page, name = window.page, window.current().assignment_id
    page.route("**/readings/**", lambda route: route.abort())
    window.press("2", "n")
    page.keyboard.type("kept here")
    page.locator(".reading-form .status").get_by_text("Connection lost").wait_for()
    assert window.desk().draft(name) is None
    page.unroute("**/readings/**")
    page.route("**/readings/**", lambda route: route.abort(), times=1)  # the parting post
    page.reload()
    window.wait_for_case(name)
    assert window.chosen("confidence") == ["2"]
    assert page.locator("textarea").input_value() == "kept here"
    window.wait_for_status("Saved")
    draft = window.desk().draft(name)
    assert draft is not None and draft.answers == {"confidence": 2, "comment": "kept here"}


def test_two_windows_share_answers_and_one_submission_moves_both_on(room: Room) -> None:
    one, two = room.window(), room.window()
    name = one.current().assignment_id
    one.press("5")
    two.item("confidence").locator('[aria-checked="true"]').wait_for()
    assert two.chosen("confidence") == ["5"]
    two.press("Tab")
    one.press("1", "Enter")
    one.wait_until_stored(name)
    following = one.current().assignment_id
    one.wait_for_case(following)
    two.wait_for_case(following)
    two.page.locator(".reading-form .message").get_by_text("finished in another window").wait_for()
    assert room.ratings()[name, "confidence"] == 5
    assert len(room.events("submitted")) == 1


def test_a_reading_finished_on_another_machine_is_said_and_the_next_one_comes(room: Room) -> None:
    window = room.window()
    name = window.current().assignment_id
    window.desk().submit(name, {"confidence": 1, "correct_feature": 1})
    window.press("5", "5", "Enter")
    following = window.current().assignment_id
    window.wait_for_case(following)
    window.page.locator(".reading-form .message").get_by_text("already").or_(
        window.page.locator(".reading-form .message").get_by_text("done")
    ).wait_for()
    assert room.ratings()[name, "confidence"] == 1


def test_a_case_is_skipped_with_a_reason_and_a_problem_is_reported(room: Room) -> None:
    window = room.window()
    page, name = window.page, window.current().assignment_id
    page.get_by_role("button", name="Report a problem").click()
    page.get_by_label("What is wrong?").fill("The film is upside down. 1 2 3")
    window.press("Tab", "Tab", "Enter")
    page.locator(".reading-form .message").get_by_text("Problem reported").wait_for()
    (problem,) = room.events("problem_reported")
    assert problem.subject == name
    assert window.chosen("confidence") == []  # digits in the dialog answer nothing
    page.get_by_role("button", name="Skip this case").click()
    page.get_by_role("button", name="Skip the case").click()
    page.get_by_text("Choose a reason.").wait_for()
    page.get_by_label("The image quality is not sufficient").check()
    page.get_by_role("button", name="Skip the case").click()
    window.wait_until_stored(name)
    (skipped,) = room.events("skipped")
    assert (skipped.subject, skipped.payload["reason"]) == (name, "image_quality")
    window.wait_for_case(window.current().assignment_id)


def test_an_answer_is_revised_with_a_reason_and_the_earlier_one_stays(
    browser: Browser, kinds: tuple[TinyStudy, LiveServer]
) -> None:
    study, server = kinds
    window = reader_window(reader_context(browser, study, server.url), study, server.url)
    page, desk = window.page, window.desk()
    name = to_first_reading(desk, {"confidence": 1, "trust": 1, "quality": "good"})
    answers: dict[str, object] = {"confidence": 2, "trust": 30, "quality": "poor"}
    if window.current().condition == "B":
        answers["map_helps"] = 1
    desk.submit(name, answers)
    window.open(f"/revise?reading={name}")
    window.wait_for_case(name)
    assert window.chosen("confidence") == ["2"] and window.chosen("quality") == ["poor"]
    window.item("confidence").get_by_role("radio", name="5", exact=True).click()
    window.press("Enter")
    page.locator(".reading-form .message").get_by_text("Say in a few words").wait_for()
    page.get_by_label("Reason for the change").fill("slip of the finger")
    window.press("Control+Enter")
    page.get_by_text("Earlier answers").first.wait_for()
    page.locator(".reading-form").wait_for(state="detached")
    assert ratings(study)[name, "confidence"] == 5
    (revised,) = study.store().events("revised")
    assert revised.payload["reason"] == "slip of the finger"
    assert not window.problems


def test_a_lost_connection_is_said_and_the_original_presentation_plays_by_itself(
    browser: Browser, tmp_path: Path
) -> None:
    study = make_tiny_study(tmp_path / "study", autoplay=True)
    with live_server(study.root, tmp_path / "server.log") as server:
        context = reader_context(browser, study, server.url)
        window = reader_window(context, study, server.url)
        page, desk = window.page, window.desk()
        name = to_first_reading(desk)
        while (reading := desk.current()) is not None and reading.condition != "B":
            desk.submit(name, {"confidence": 3, "correct_feature": 3})
            name = to_first_reading(desk)
        page.route("**/frames/**", lambda route: route.abort())
        window.open()
        page.get_by_text("The connection is lost").wait_for()
        page.unroute("**/frames/**")
        page.wait_for_selector(".viewer[data-state=ready][data-playing=true]")
        assert page.locator(".slider").count() == 0 and page.locator(".play").count() == 0
        seen = set()
        for _ in range(20):
            seen.add(page.locator(".viewer").get_attribute("data-frame"))
            page.wait_for_timeout(60)
        assert len(seen) >= 3
