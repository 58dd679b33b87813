"""The explorer in Chromium: scrubbing asks the server nothing, and a link shows the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.live_server import LiveServer, live_server
from tests.support.tiny_networks import write_networks, write_others
from tests.support.tiny_study import N_FRAMES, TinyStudy, make_tiny_study
from tests.support.window import open_window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    root = tmp_path_factory.mktemp("explorer")
    made = make_tiny_study(root / "study")
    made.folder.classifier.parent.mkdir(parents=True, exist_ok=True)
    for source, target in zip(
        write_networks(root),
        (made.folder.classifier, made.folder.network("autoencoder")),
        strict=True,
    ):
        source.rename(target)
    return made


@pytest.fixture(scope="module")
def server(study: TinyStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(study.root, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


def test_scrubbing_asks_nothing_and_the_address_shows_the_same_again(
    browser: Browser, server: LiveServer, study: TinyStudy
) -> None:
    window = open_window(browser)
    page = window.page
    frames_sent: list[object] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda sent: frames_sent.append(sent)))
    window.sign_in(server.url, "researcher")
    viewer = page.locator(".viewer[data-state=ready]")
    viewer.wait_for()
    page.wait_for_selector(".js-plotly-plot")
    page.get_by_text("residual 0.").wait_for(timeout=60_000)  # predicted after the first paint
    page.wait_for_timeout(1500)
    before = len(window.requests), len(frames_sent)
    assert viewer.get_attribute("data-mode") == "residual"
    for index in (0, 3, 1, N_FRAMES - 1):
        page.locator(".slider").fill(str(index))
        assert f"frame {index + 1} of {N_FRAMES}" in page.locator(".reading").inner_text()
    page.get_by_role("button", name="decoded").click()
    page.locator(".opacity input").fill("40")
    page.wait_for_timeout(600)
    asked = window.requests[before[0] :]  # a browser may look for the icon of a new address
    assert [url for url in asked if not url.endswith("/favicon.png")] == []
    assert len(frames_sent) == before[1]
    link = page.url
    kept = parse_qs(urlsplit(link).query)
    assert kept["frame"] == [str(N_FRAMES - 1)] and kept["shown"] == ["decoded"]
    page.goto(f"{link}&case=case-0008")
    viewer.wait_for()
    assert viewer.get_attribute("data-frame") == str(N_FRAMES - 1)
    assert viewer.get_attribute("data-mode") == "decoded"
    assert page.get_by_role("combobox", name="Film").input_value() == "case-0008"
    page.wait_for_timeout(1000)
    assert parse_qs(urlsplit(page.url).query)["frame"] == [str(N_FRAMES - 1)]
    assert not window.problems


def test_a_click_in_the_curve_moves_the_film_there(
    browser: Browser, server: LiveServer, study: TinyStudy
) -> None:
    window = open_window(browser)
    page = window.page
    window.sign_in(server.url, "researcher")
    viewer = page.locator(".viewer[data-state=ready]")
    viewer.wait_for()
    page.get_by_text("residual 0.").wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    pictures = sum("/explore/" in url for url in window.requests)
    points = page.locator(".js-plotly-plot .scatterlayer .trace").first.locator(".point")
    assert points.count() == N_FRAMES
    box = points.nth(1).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)
    page.locator(".viewer[data-frame='1']").wait_for()
    assert sum("/explore/" in url for url in window.requests) == pictures
    page.locator(".slider").fill("0")  # and it may be moved on from there
    page.wait_for_timeout(800)
    assert viewer.get_attribute("data-frame") == "0"
    assert not window.problems


def test_numbers_are_downloaded_and_a_stop_button_stops(
    browser: Browser, server: LiveServer, study: TinyStudy
) -> None:
    window = open_window(browser)
    page = window.page
    window.sign_in(server.url, "researcher")
    page.locator(".viewer[data-state=ready]").wait_for()
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Numbers (CSV)").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert sum(",probability_frame," in row for row in rows) == N_FRAMES
    page.goto(f"{server.url}/?below=40&above=40&methods=BBMP+mask&methods=LIME")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Compute the rest").wait_for()
    assert page.get_by_text("Stopped; not computed").count() == 1
    page.wait_for_timeout(1500)
    assert page.get_by_role("button", name="Stop").count() == 0
    assert not window.problems


def test_another_variant_is_drawn_with_its_colours_and_is_part_of_the_address(
    browser: Browser, server: LiveServer, study: TinyStudy
) -> None:
    write_others(study.folder.classifier.parent)
    window = open_window(browser)
    page = window.page
    window.sign_in(server.url, "researcher")
    page.locator(".viewer[data-state=ready]").wait_for()
    page.goto(f"{server.url}/?variant=SyCE&top=20&methods=")  # no map is there before it is made
    page.get_by_text("Explanation |s − a|, top 20 %").wait_for(timeout=60_000)
    page.get_by_text("f of the adversarial image").wait_for()
    assert page.get_by_label("Colours of maps").input_value() == "inferno"
    kept = parse_qs(urlsplit(page.url).query)
    assert kept["variant"] == ["SyCE"] and kept["top"] == ["20"]
    assert not window.problems
