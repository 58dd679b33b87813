"""Toggles in Chromium: keys, mouse, pictures, flicker, log, help, axe; and in a study."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from benchmarks.viewer_page import ViewerPage, png
from pages.parts.viewer.component import Switches, ViewerPanel, ViewerSettings
from tests.support.live_server import live_server
from tests.support.tiny_study import FORBIDDEN_WORDS, TinyStudy
from tests.support.tiny_toggles import NOTE, make_toggles_study
from tests.support.walk import to_first_reading
from tests.support.window import reader_context, reader_window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)

FILM = np.full((64, 64), 200, np.uint8)
PICTURES = {
    "/film.png": png(FILM),
    **{f"/{k}.png": png(np.full((64, 64), 20 * k, np.uint8)) for k in range(9)},
}
PANELS = (
    ViewerPanel("Film", "film", ("/film.png",)),
    ViewerPanel("Switched", "frames", tuple(f"/{k}.png" for k in range(9))),
)
TITLES = ("Heart size", "Factor 2 · dimension 41")
TEXTS = tuple(f"this setting: {10 * k} %" for k in range(9))


def settings(switches: Switches, origin: int = 4) -> ViewerSettings:
    return ViewerSettings(
        slider=False, play=False, origin=origin, switches=switches, log_url="/log", control_row=True
    )


@pytest.fixture(scope="module")
def viewer(browser: Browser) -> Iterator[ViewerPage]:
    context = browser.new_context(viewport={"width": 1030, "height": 768})
    context.set_default_timeout(15_000)
    yield ViewerPage(context.new_page(), PICTURES).open()
    context.close()


def grey(viewer: ViewerPage, panel: int = 1) -> int:
    """Return the grey in the middle of a panel."""
    viewer.page.wait_for_timeout(40)
    canvas = f"document.querySelector('#root').shadowRoot.querySelectorAll('canvas')[{panel}]"
    url: str = viewer.page.evaluate(f"{canvas}.toDataURL()")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    return int(shown[shown.shape[0] // 2, shown.shape[1] // 2, 0])


def seen(viewer: ViewerPage) -> set[int]:
    """Return the greys that are shown within one period of the flicker."""
    greys = set()
    for _ in range(4):
        viewer.page.wait_for_timeout(190)
        greys.add(grey(viewer))
    return greys


def logged(study: TinyStudy) -> str:
    """Return what is on record of the viewer's log."""
    return " ".join(json.dumps(event.payload) for event in study.store().events("viewer", "R1"))


def pressed(viewer: ViewerPage) -> list[str]:
    found = viewer.page.locator('.states [aria-pressed="true"]').all()
    return [str(each.get_attribute("aria-label")) for each in found]


def test_keys_and_mouse_switch_the_picture_without_any_traffic(viewer: ViewerPage) -> None:
    viewer.show("a", PANELS, settings(Switches(TITLES, TEXTS, laid=True)))
    assert (viewer.state("switches"), grey(viewer)) == ("00", 80)
    assert pressed(viewer) == ["Heart size: as it is", "Factor 2 · dimension 41: as it is"]
    n_requests = len(viewer.requests)
    keys = viewer.page.keyboard
    for key, state, level in (
        ("s", "+0", 140),
        ("s", "+0", 140),
        ("Shift+S", "00", 80),
        ("Shift+S", "-0", 20),
        ("g", "-+", 40),
        ("j", "-+", 40),
        ("1", "-+", 40),
        ("ArrowRight", "-+", 40),
        ("x", "00", 80),
    ):
        keys.press(key)
        assert (viewer.state("switches"), grey(viewer)) == (state, level), key
    viewer.page.get_by_role("group", name="Heart size").get_by_role("button").nth(2).click()
    assert (viewer.state("switches"), grey(viewer)) == ("+0", 140)
    assert viewer.page.locator(".says").inner_text() == TEXTS[7]
    assert "Heart size raised" in viewer.page.locator(".live").inner_text()
    keys.press("x")
    assert len([path for path in viewer.requests if path != "/log"]) == n_requests
    assert not viewer.problems


def test_flicker_goes_between_the_switched_picture_and_the_film_of_its_own_size(
    viewer: ViewerPage,
) -> None:
    viewer.show("a", PANELS, settings(Switches(TITLES, laid=True)))
    viewer.page.keyboard.press("f")
    assert viewer.state("flickering") == "false"  # nothing is switched: nothing to compare
    viewer.page.keyboard.press("s")
    viewer.page.keyboard.press("f")
    assert viewer.state("flickering") == "true"
    assert seen(viewer) == {140, 80}
    viewer.page.keyboard.press("g")
    assert (viewer.state("flickering"), viewer.state("switches")) == ("false", "++")
    viewer.show("b", PANELS, settings(Switches(TITLES)))
    viewer.page.keyboard.press("f")
    assert seen(viewer) == {200, 80}  # reconstruction against the film
    assert viewer.page.locator(".says").count() == 0


def test_every_change_is_logged_with_all_states(viewer: ViewerPage) -> None:
    viewer.show("a", PANELS, settings(Switches(TITLES, laid=True)))
    viewer.page.wait_for_timeout(100)
    viewer.posts.clear()
    for key in ("s", "Shift+G", "x"):
        viewer.page.keyboard.press(key)
    viewer.page.evaluate("window.clean()")
    viewer.page.wait_for_timeout(100)
    entries = [each for post in viewer.posts for each in post["content"]["entries"]]
    assert [e["value"] for e in entries if e["kind"] == "toggle"] == ["+0", "+-", "00"]


def test_help_lists_the_keys_of_the_switches_that_are_there(viewer: ViewerPage) -> None:
    viewer.show("a", PANELS, settings(Switches(TITLES, laid=True)))
    viewer.page.keyboard.press("?")
    text = viewer.page.locator(".help").inner_text()
    viewer.page.keyboard.press("Escape")
    for words in ("Shift S", "second factor up", "all factors back to 0", "flicker between"):
        assert words in text
    assert "third factor" not in text and "next frame" not in text


def test_a_film_that_cannot_be_switched_has_the_reason_in_place_of_the_switches(
    viewer: ViewerPage,
) -> None:
    single = (PANELS[0], ViewerPanel("Switched", "frames", ("/4.png",)))
    viewer.show("a", single, settings(Switches(TITLES, laid=True, note=NOTE), origin=0))
    assert viewer.page.locator(".switches").inner_text() == NOTE
    assert viewer.page.locator(".states").count() == 0
    for key in ("s", "x", "f"):
        viewer.page.keyboard.press(key)
    assert (viewer.state("flickering"), grey(viewer)) == ("false", 80)


def test_axe_finds_nothing_and_four_long_names_take_one_row(viewer: ViewerPage) -> None:
    titles = (
        "Size of the heart and of the vessels",
        *(f"Factor {n} · dimension 41{n}" for n in (2, 3, 4)),
    )
    pictures = tuple(f"/{k % 9}.png" for k in range(81))
    panels = (PANELS[0], ViewerPanel("Switched", "frames", pictures))
    texts = ("this setting: over 99 %",) * 81
    for width, height in ((1920, 1080), (1030, 768)):
        viewer.page.set_viewport_size({"width": width, "height": height})
        viewer.show(f"{width}", panels, settings(Switches(titles, texts, laid=True), origin=40))
        viewer.page.keyboard.press("k")
        assert viewer.state("switches") == "000+"
        row = viewer.page.locator(".slider-row").bounding_box()
        last = viewer.page.get_by_role("button", name="Flicker").bounding_box()
        assert row is not None and last is not None
        assert row["height"] < 60 and last["x"] + last["width"] <= width
    found = axe.Axe().run(viewer.page)
    assert not found.response["violations"], found.generate_report()


@pytest.mark.slow
def test_a_reader_switches_in_a_study_and_the_log_is_kept(browser: Browser, tmp_path: Path) -> None:
    study = make_toggles_study(tmp_path / "study")
    with live_server(study.root, tmp_path / "server.log") as server:
        context = reader_context(browser, study, server.url, "R1")
        window = reader_window(context, study, server.url, "R1")
        to_first_reading(window.desk())
        while window.current().condition != "B":
            desk, other = window.desk(), window.current().assignment_id
            desk.display(other)
            desk.submit(other, {"confidence": 4, "correct_feature": 4})
        window.open()
        aid = window.current().assignment_id
        window.wait_for_case(aid)
        window.page.wait_for_timeout(400)
        before = len([url for url in window.requests if "/frames/" in url])
        for key in ("s", "Shift+G", "r", "c"):
            window.page.keyboard.press(key)
        assert window.page.locator(".viewer").get_attribute("data-switches") == "+-"
        assert len([url for url in window.requests if "/frames/" in url]) == before
        window.page.reload()
        window.wait_for_case(aid)
        window.wait_until(lambda: "toggle" in logged(study))
        assert '"+-"' in logged(study)
        assert not [word for word in (*FORBIDDEN_WORDS, "stylespace") if word in window.sent[-1]]
        context.close()
