"""The reading page as the server makes it: what is sent, derived from the store at every run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.desk_view import percent, place
from study.clock import utc_now
from study.protocol import parse_protocol
from study.session import ReadingDesk
from tests.support.pages import OpenPage
from tests.support.tiny_study import FORBIDDEN_WORDS, PROTOCOL, TinyStudy
from tests.support.walk import to_first_reading

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FULL = {"confidence": 4, "correct_feature": 2}


def desk_of(study: TinyStudy) -> ReadingDesk:
    return ReadingDesk(study.store(), "R1", utc_now)


def html_of(page: AppTest) -> str:
    """Return all HTML and Markdown that the page sends."""
    parts = [element.proto.body for element in page.get("html")]
    parts += [element.value for element in page.markdown]
    return "\n".join(parts)


def data_of(page: AppTest) -> dict[str, dict[str, Any]]:
    """Return the data of the components on the page, by the component's name."""
    return {
        element.proto.component_name.rpartition(".")[2]: json.loads(element.proto.json)
        for element in page.get("bidi_component")
    }


def keys_of(page: AppTest) -> list[str]:
    return [element.proto.id for element in page.get("bidi_component")]


def open_reading(open_page: OpenPage) -> AppTest:
    page = open_page("R1").switch_page("reading.py").run()
    assert not page.exception
    return page


def test_the_current_case_is_shown_with_its_questions(
    open_page: OpenPage, study: TinyStudy
) -> None:
    name = to_first_reading(desk_of(study))
    page = open_reading(open_page)
    form = data_of(page)["form"]
    assert form["id"] == name and form["finding"] == "Lung Opacity"
    assert [item["id"] for item in form["items"]] == ["confidence", "correct_feature", "comment"]
    assert form["items"][0]["low"] == "not at all" and form["items"][0]["points"] == 5
    assert form["probability"].startswith("model says ")
    assert "case 1 of 3" in html_of(page) and "Session 1 of 2" in html_of(page)
    assert all(name in key for key in keys_of(page))


def test_the_page_follows_the_store_and_nothing_else(open_page: OpenPage, study: TinyStudy) -> None:
    desk = desk_of(study)
    first = to_first_reading(desk)
    page = open_reading(open_page)
    desk.submit(first, FULL)  # by the form, in another window, on another machine
    page.run()
    form = data_of(page)["form"]
    second = desk.current()
    assert second is not None and form["id"] == second.assignment_id != first
    assert form["answers"] == {} and form["number"] == 0 and form["savedAt"]
    assert "case 2 of 3" in html_of(page)


def test_displaying_a_case_is_recorded_once(open_page: OpenPage, study: TinyStudy) -> None:
    to_first_reading(desk_of(study))
    open_reading(open_page).run()
    open_reading(open_page)
    assert len(study.store().events("displayed")) == 1


def test_a_draft_comes_back_with_its_number(open_page: OpenPage, study: TinyStudy) -> None:
    desk = desk_of(study)
    name = to_first_reading(desk)
    saved_at = desk.keep_draft(name, {"confidence": 5, "comment": "left base"}, 17)
    form = data_of(open_reading(open_page))["form"]
    assert form["answers"] == {"confidence": 5, "comment": "left base"}
    assert (form["number"], form["savedAt"]) == (17, saved_at.isoformat())


def test_the_addresses_of_the_next_case_alone_are_sent_ahead(
    open_page: OpenPage, study: TinyStudy
) -> None:
    desk = desk_of(study)
    name = to_first_reading(desk)
    viewer = data_of(open_reading(open_page))["viewer"]
    following = desk.following()
    assert following is not None
    assert {url.split("/")[2] for url in viewer["prefetch"]} == {following.assignment_id}
    assert {url.split("/")[2] for panel in viewer["panels"] for url in panel["urls"]} == {name}
    assert viewer["logUrl"] == f"/readings/{name}/events" and viewer["csrf"]


def test_a_reader_who_has_not_begun_and_one_who_has_finished_are_led_elsewhere(
    open_page: OpenPage, study: TinyStudy
) -> None:
    assert "form" not in data_of(open_reading(open_page))
    desk = desk_of(study)
    for _ in range(6):
        desk.submit(to_first_reading(desk), FULL)
        if desk.current() is None:
            break
    page = open_reading(open_page)
    assert "form" not in data_of(page)
    assert "Thank you" in html_of(page) or any("Thank you" in h.value for h in page.subheader)


def test_missing_pictures_are_said_in_a_sentence_and_the_case_does_not_count_as_shown(
    open_page: OpenPage, study: TinyStudy
) -> None:
    desk = desk_of(study)
    desk.submit(to_first_reading(desk), FULL)
    for record in study.folder.displays.rglob("display.json"):
        record.unlink()
    page = open_reading(open_page)
    assert "have not been prepared" in html_of(page)
    assert len(study.store().events("displayed")) == 1


def test_nothing_a_reader_is_sent_says_what_is_true_or_how_the_case_is_explained(
    open_page: OpenPage, study: TinyStudy
) -> None:
    desk, sent = desk_of(study), ""
    labels = [condition.label for condition in study.protocol.conditions]
    for _ in range(6):
        name = to_first_reading(desk)
        page = open_reading(open_page)
        sent += html_of(page) + json.dumps(data_of(page)) + "".join(keys_of(page))
        desk.submit(name, FULL)
        if desk.current() is None:
            break
    assert "Lung Opacity" in sent
    for word in (*FORBIDDEN_WORDS, *labels):
        assert word not in sent, word


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.0, "under 1 %"), (0.009, "under 1 %"), (0.5, "50 %"), (0.714, "71 %"), (1.0, "over 99 %")],
)
def test_no_prediction_is_said_to_be_certain(probability: float, words: str) -> None:
    assert percent(probability) == words


def test_two_readings_of_a_sequential_case_are_one_case_to_the_reader(study: TinyStudy) -> None:
    text = PROTOCOL.format(washout_days=0, presentation="")
    text = text.replace('"crossover"', '"sequential"').replace("sessions = 2", "sessions = 1")
    one = '    { show = "map", method = "integrated_gradients", title = "Map 1" },\n'
    protocol = parse_protocol(text.replace(one, ""))
    assert protocol.design.kind == "sequential"
    readings = study.store().assignments("R1")
    said = [place(protocol, a, 6) for a in sorted(readings, key=lambda a: a.position)[::2]]
    assert said == [
        "case 1 of 3, first answer",
        "case 1 of 3, second answer",
        "case 2 of 3, first answer",
    ]
