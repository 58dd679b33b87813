"""The explorer as a page: links, two classifiers, stopping, nothing that crashes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from explainers.base import ExplainerError
from explainers.record import Attribution
from pages.exploring import progress
from pages.exploring.networks import STUDY
from tests.pages.test_roles import html_of
from tests.support.pages import OpenPage
from tests.support.tiny_networks import write_networks, write_others
from tests.support.tiny_study import FINDING, MAP_PX, TinyStudy, film

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def networked(study: TinyStudy, tmp_path: Path) -> TinyStudy:
    """Give the study networks of its own, and a second classifier beside them."""
    folder = study.folder
    folder.classifier.parent.mkdir(parents=True, exist_ok=True)
    for number, source in enumerate(write_networks(tmp_path)):
        source.rename((folder.classifier, folder.network("autoencoder"))[number])
    return study


def finish(page: AppTest) -> AppTest:
    """Wait for the computation of a page."""
    work = page.session_state["work"]
    if work is not None:
        assert work.wait(60)
        page.run()
    assert not page.exception
    return page


def test_a_second_classifier_gets_its_own_row_and_curve(
    open_page: OpenPage, networked: TinyStudy
) -> None:
    page = open_page("researcher")
    assert len(page.get("plotly_chart")) == 1
    page.selectbox(key="second").set_value("phantom-shortcut").run()
    finish(page)
    assert len(page.get("plotly_chart")) == 2
    assert "phantom-shortcut" in html_of(page)
    tasks = page.session_state["results"]
    assert {task.network[0] for task in tasks} == {STUDY, "phantom-shortcut"}


def test_a_link_reproduces_film_finding_classifiers_and_methods(
    open_page: OpenPage, networked: TinyStudy
) -> None:
    page = open_page("researcher")
    page.query_params["case"] = "case-0008"
    page.query_params["second"] = "phantom-oracle"
    page.query_params["variant"] = "path"
    page.query_params["below"] = "3"
    other = AppTest.from_file(str(page._script_path), default_timeout=60)
    other.user = dict(page.user)
    for name in ("case", "second", "variant", "below"):
        other.query_params[name] = page.query_params[name]
    other.run()
    assert not other.exception
    assert other.selectbox(key="case").value == "case-0008"
    assert other.selectbox(key="second").value == "phantom-oracle"
    assert other.selectbox(key="variant").value == "latent_shift_path"
    assert other.number_input(key="below").value == 3
    other.session_state["work"].stop()


def test_a_link_reproduces_the_parameters_of_a_search(
    open_page: OpenPage, networked: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(_: object, __: object, cancelled: Callable[[], bool]) -> Attribution:
        raise ExplainerError("Not now.")

    monkeypatch.setattr(progress, "computer", lambda request, known: compute)
    monkeypatch.setattr(progress, "preparer", lambda request: lambda: None)
    write_others(networked.folder.classifier.parent)
    first = open_page("researcher")
    page = AppTest.from_file(str(first._script_path), default_timeout=60)
    page.user = dict(first.user)
    asked = {"variant": "visual rationale", "rho": "0.3", "gamma": "250", "cap": "50"}
    for name, value in asked.items():
        page.query_params[name] = value
    page.run()
    finish(page)
    assert page.selectbox(key="variant").value == "visual_rationale"
    results = page.session_state["results"]
    (task,) = [t for t in results if t.method == "visual_rationale" and not t.residual]
    assert dict(task.range.chosen) == {"rho": 0.3, "gamma": 250.0, "cap": 50}
    assert "Not now." in html_of(page)
    page.selectbox(key="variant").set_value("syce").run()
    finish(page)
    assert page.slider(key="top").value == 100
    assert {each.method for each in page.session_state["results"]} >= {"visual_rationale", "syce"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"case": "../../etc/passwd"},
        {"second": "study"},
        {"classifier": "nobody", "finding": "<b>"},
        {"variant": "visual rationale", "rho": "7", "top": "-3"},
        {"below": "-4", "fall": "nan", "variant": "bbmp", "methods": "latent_shift"},
    ],
)
def test_a_forged_link_shows_the_usual_view(
    open_page: OpenPage, study: TinyStudy, parameters: dict[str, str]
) -> None:
    first = open_page("researcher")
    page = AppTest.from_file(str(first._script_path), default_timeout=30)
    page.user = dict(first.user)
    for name, value in parameters.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert page.selectbox(key="case").value == "case-0007"
    assert page.selectbox(key="second").value == "none"
    assert "f(x), the film" in html_of(page)


def test_a_link_to_what_is_not_computed_yet_shows_the_film_and_no_error(
    open_page: OpenPage, networked: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(_: object, __: object, cancelled: Callable[[], bool]) -> Attribution:
        while not cancelled():
            threading.Event().wait(0.01)
        raise ExplainerError("Stopped.")

    monkeypatch.setattr(progress, "computer", lambda request, known: compute)
    monkeypatch.setattr(progress, "preparer", lambda request: lambda: None)
    first = open_page("researcher")
    page = AppTest.from_file(str(first._script_path), default_timeout=60)
    page.user = dict(first.user)
    page.query_params["methods"] = ["LIME"]
    page.query_params["variant"] = "path"
    page.query_params["case"] = "case-0008"
    page.run()
    assert not page.exception
    page.session_state["work"].stop()


def test_stop_ends_the_computation_and_the_rest_is_computed_only_when_asked_for(
    open_page: OpenPage, networked: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, started = threading.Event(), threading.Event()

    def compute(_: object, __: object, cancelled: Callable[[], bool]) -> Attribution:
        started.set()
        while not cancelled() and not free.is_set():
            threading.Event().wait(0.01)
        if cancelled():
            raise ExplainerError("Stopped.")
        return Attribution(film(1, MAP_PX), FINDING, 0.2, 0.55)

    monkeypatch.setattr(progress, "computer", lambda request, known: compute)
    monkeypatch.setattr(progress, "preparer", lambda request: lambda: None)
    page = open_page("researcher")
    page.button_group(key="methods").set_value(["occlusion"]).run()
    work = page.session_state["work"]
    assert started.wait(10) and work.running
    page.button(key="stop").click().run()
    assert work.wait(10) and page.session_state["work"] is None
    assert not page.exception and "Stopped" in html_of(page) and "Occlusion" in html_of(page)
    page.run()
    assert page.session_state["work"] is None
    free.set()
    page.button(key="resume").click().run()
    finish(page)
    assert "Stopped" not in html_of(page)
    assert "occlusion" in {task.method for task in page.session_state["results"]}


def test_leaving_for_another_film_stops_what_was_being_computed(
    open_page: OpenPage, networked: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(_: object, __: object, cancelled: Callable[[], bool]) -> Attribution:
        while not cancelled():
            threading.Event().wait(0.01)
        raise ExplainerError("Stopped.")

    monkeypatch.setattr(progress, "computer", lambda request, known: compute)
    monkeypatch.setattr(progress, "preparer", lambda request: lambda: None)
    page = open_page("researcher")
    page.button_group(key="methods").set_value(["lime"]).run()
    work = page.session_state["work"]
    page.selectbox(key="case").set_value("case-0009").run()
    assert work.wait(10) and page.session_state["work"] is not work
    page.session_state["work"].stop()
