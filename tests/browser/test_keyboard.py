"""A whole study, from the invitation to the last question, without a mouse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.keyboard_reader import KeyboardReader, keyboard_reader
from tests.support.live_server import LiveServer, live_server
from tests.support.tiny_study import N_FRAMES, PASSPHRASE, TinyStudy
from tests.support.whole_study import invite, make_whole_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

ORIGIN = str(N_FRAMES // 2)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    root = tmp_path_factory.mktemp("keyboard") / "study"
    return make_whole_study(root, n_cases=2, break_every=1)


@pytest.fixture(scope="module")
def server(
    browser: Browser, study: TinyStudy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with live_server(study.root, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


@pytest.fixture
def reader(browser: Browser, study: TinyStudy, server: LiveServer) -> Iterator[KeyboardReader]:
    context, reader = keyboard_reader(browser, study, server.url)
    yield reader
    context.close()


def test_a_study_is_read_from_invitation_to_thanks_without_a_mouse(
    reader: KeyboardReader, study: TinyStudy
) -> None:
    reader.accept(invite(study), PASSPHRASE)
    practised = reader.to_practice()
    _move_and_window_the_film(reader)
    _answer(reader, confidence="2", trust="70")
    reader.finish_case(practised)
    reader.wait_for_heading("Practice case 1 of 1")
    reader.go_on("Begin the study")
    for number in range(4):
        reader.wait_until(lambda: reader.desk().step().kind in ("reading", "break"))
        if reader.desk().step().kind == "break":
            _take_the_break_that_is_offered(reader)
        name = reader.current().assignment_id
        reader.wait_for_case(name)
        if number == 0:
            _pause_and_come_back(reader)
            _mark_points(reader)
        if number == 2:
            _skip(reader)
            continue
        _answer(reader, confidence=str(number + 1), trust="55", comment=f"case {number}: 1 ? r c")
        reader.finish_case(name)
        if number == 0:
            _change_the_earlier_answer(reader, name)
    for number, liked in enumerate((2, 5)):
        reader.wait_until(lambda n=number: _closed(study) == n)
        reader.wait_for_heading(f"Looking back, {number + 1} of 2")
        reader.close(liked, "more of it")
    reader.wait_for_heading("Thank you")
    _everything_is_on_record(study)
    assert reader.pointed() == [] and not reader.problems
    reader.tab_to("Sign out")
    reader.press("Enter")
    reader.page.get_by_role("button", name="Sign in").wait_for()


def _closed(study: TinyStudy) -> int:
    return len(study.store().events("closing"))


def _move_and_window_the_film(reader: KeyboardReader) -> None:
    """Frames by arrows and by the slider, window and level, maps hidden and shown, help."""
    assert reader.state("frame") == ORIGIN
    reader.press("ArrowRight")
    assert reader.state("frame") == str(int(ORIGIN) + 1)
    reader.press("Home", "o")
    assert reader.state("frame") == ORIGIN
    window = reader.state("window")
    reader.press("b", "t")
    assert reader.state("window") != window
    reader.press("0")
    assert reader.state("window") == window
    assert reader.state("overlays") == "true"
    reader.press("h")
    assert reader.state("overlays") == "false"
    reader.press("h", "i", "i")
    reader.press("?")
    help_box = reader.page.locator(".viewer").get_by_role("dialog")
    help_box.wait_for()
    reader.press("Escape")
    help_box.wait_for(state="hidden")
    reader.tab_to("removed to present")  # the slider itself
    assert reader.focused()["role"] in ("range", "slider")
    reader.press("ArrowLeft")
    assert reader.state("frame") == str(int(ORIGIN) - 1)
    reader.press("o")
    assert reader.pointed() == []


def _answer(reader: KeyboardReader, *, confidence: str, trust: str, comment: str = "") -> None:
    """Digits answer the marked question; a scale takes a number, N leads to the text."""
    reader.press(confidence)
    reader.wait_until(lambda: reader.page.locator(".item.active[data-item=trust]").count() == 1)
    reader.type(trust)
    if comment:
        reader.press("Tab", "n")
        reader.type(comment)
        reader.press("Escape")
    reader.wait_for_status("Saved")


def _pause_and_come_back(reader: KeyboardReader) -> None:
    name = reader.current().assignment_id
    reader.tab_to("Pause")
    reader.press("Enter")
    reader.wait_for_heading("Take a break?")
    reader.go_on("Begin the break")
    reader.wait_for_heading("You are on a break")
    reader.go_on("Go on reading")
    reader.wait_for_case(name)


def _take_the_break_that_is_offered(reader: KeyboardReader) -> None:
    reader.wait_for_heading("Time for a break")
    reader.go_on("Go on reading")
    reader.wait_until(lambda: reader.desk().step().kind == "reading")


def _mark_points(reader: KeyboardReader) -> None:
    reader.tab_to("Mark a point")
    reader.press("Space")
    reader.wait_until(lambda: reader.state("marking") == "true")
    reader.press("ArrowRight", "ArrowDown", "Space")
    item = reader.page.locator('.item[data-item="place"]')
    item.get_by_text("1 of 2").wait_for()
    reader.press("Shift+ArrowLeft", "ArrowUp", "ArrowUp", "Space")
    item.get_by_text("2 of 2").wait_for()
    reader.press("Delete")
    item.get_by_text("1 of 2").wait_for()
    reader.tab_to("Mark a point")
    reader.press("Space")  # ends marking; the arrows belong to the frames again
    reader.wait_until(lambda: reader.state("marking") == "false")


def _skip(reader: KeyboardReader) -> None:
    name = reader.current().assignment_id
    reader.tab_to("Skip this case")
    reader.press("Enter")
    dialog = reader.page.get_by_role("dialog", name="Skip this case")
    dialog.wait_for()
    reader.press("Space")  # the focus is on the first reason
    reader.press("ArrowDown")  # a technical problem
    reader.tab_to("Skip the case")
    reader.press("Enter")
    reader.wait_until(
        lambda: all(
            step is None or step.assignment_id != name for step in (reader.desk().current(),)
        )
    )
    dialog.wait_for(state="detached")


def _change_the_earlier_answer(reader: KeyboardReader, name: str) -> None:
    """By the link of the bar; a break may be offered first."""
    reader.wait_until(lambda: reader.desk().step().kind in ("reading", "break"))
    if reader.desk().step().kind == "break":
        _take_the_break_that_is_offered(reader)
    reader.wait_for_case(reader.current().assignment_id)
    reader.tab_to("Go back")
    reader.press("Enter")
    reader.wait_for_heading("Earlier answers")
    reader.tab_to("Open case 1")
    reader.press("Enter")
    reader.wait_for_case(name)
    reader.tab_to("1", group="1How confident")
    reader.press("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "Space")
    reader.tab_to("Reason for the change")
    reader.type("a slip")
    reader.press("Control+Enter")
    reader.wait_for_heading("Earlier answers")
    reader.tab_to("Go on reading")
    reader.press("Enter")


def _everything_is_on_record(study: TinyStudy) -> None:
    store = study.store()
    kinds = {event.kind for event in store.events()}
    assert kinds >= {
        "consented", "profile", "instructions_accepted", "practised", "feedback_read",
        "displayed", "submitted", "skipped", "revised", "break_started", "break_ended",
        "closing", "viewer",
    }  # fmt: skip
    (profile,) = store.events("profile")
    given = profile.payload["profile"]
    assert (given["role"], given["years_of_practice"]) == ("radiologist", 12)
    assert (given["prior_ai_use"], given["display"]) == ("tried", "diagnostic")
    ratings = {(r.assignment_id, r.item): r.value for r in store.ratings()}
    first, second, third, fourth = (
        a.assignment_id for a in store.assignments("R1") if a.purpose == "study"
    )
    assert ratings[first, "confidence"] == 5  # as changed
    assert ratings[first, "comment"] == "case 0: 1 ? r c"
    assert len(ratings[first, "place"]) == 1  # type: ignore[arg-type]
    assert (ratings[second, "confidence"], ratings[fourth, "confidence"]) == (2, 4)
    assert ratings[second, "trust"] == 55
    (skipped,) = store.events("skipped")
    assert (skipped.subject, skipped.payload["reason"]) == (third, "technical")
    liked = [event.payload["answers"]["liked"] for event in store.events("closing")]
    assert liked == [2, 5]
