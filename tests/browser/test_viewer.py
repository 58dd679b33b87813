"""The viewer in Chromium, on a page of its own: pixels, keys, marks, log, lost connection."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.viewer_page import ViewerPage, png, raw
from pages.parts.viewer.component import Reading, ViewerPanel, ViewerSettings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

SIDE = 256
N = 7
RAMP = np.arange(SIDE * SIDE, dtype=np.uint32).reshape(SIDE, SIDE)
FILM = (RAMP * 7 % 256).astype(np.uint8)
DEEP = RAMP.astype(np.uint16)
LEVELS = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
PICTURES = {
    "/film.png": png(FILM),
    "/deep.raw": raw(DEEP),
    "/map.png": png(LEVELS),
    **{f"/{k}.png": png(np.full((SIDE, SIDE), 30 * k, np.uint8)) for k in range(N)},
    **{f"/other{k}.png": png(np.full((SIDE, SIDE), 255 - k, np.uint8)) for k in range(N)},
    "/next.png": png(FILM[::-1].copy()),
}
F = ViewerPanel("Film", "film", ("/film.png",))
DEEP_FILM = ViewerPanel("Film", "film", ("/deep.raw",), bits=16, width=SIDE, height=SIDE)
MOVING = ViewerPanel("Counterfactual", "frames", tuple(f"/{k}.png" for k in range(N)))
MAP = ViewerPanel("Map", "map", ("/map.png",), "/film.png")
SIGNED = ViewerPanel("Difference", "map", ("/map.png",), "/film.png", signed=True)
STILL = ViewerSettings(slider=False, play=False)
FULL = ViewerSettings(slider=True, play=True, origin=3)
Open = Callable[..., ViewerPage]

CANVAS = "document.querySelector('#root').shadowRoot.querySelectorAll('canvas')"


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    contexts = []

    def make(width: int = 1030, height: int = 768, query: str = "") -> ViewerPage:
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(15_000)
        contexts.append(context)
        return ViewerPage(context.new_page(), PICTURES).open(query)

    yield make
    for context in contexts:
        context.close()


def pixels(viewer: ViewerPage, panel: int = 0) -> np.ndarray:
    """Return what a panel shows, (H, W, 3), uint8."""
    viewer.page.wait_for_timeout(80)
    url: str = viewer.page.evaluate(f"{CANVAS}[{panel}].toDataURL()")
    stream = io.BytesIO(base64.b64decode(url.partition(",")[2]))
    return np.asarray(Image.open(stream).convert("RGB"))


def middle(viewer: ViewerPage, panel: int = 0) -> int:
    """Return the grey in the middle of a panel."""
    shown = pixels(viewer, panel)
    return int(shown[shown.shape[0] // 2, shown.shape[1] // 2, 0])


def film_of(shown: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Cut the film out of a panel that shows it 1:1, centred."""
    top = round(shown.shape[0] / 2 - side / 2)
    left = round(shown.shape[1] / 2 - side / 2)
    return shown[top : top + side, left : left + side]


def test_at_one_to_one_every_grey_of_an_8_bit_film_reaches_the_screen(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F,), STILL)
    viewer.page.keyboard.press("=")
    shown = film_of(pixels(viewer))
    for channel in range(3):
        assert np.array_equal(shown[..., channel], FILM)
    assert not viewer.problems


def test_a_narrow_window_tells_16_bit_greys_apart_that_8_bits_would_not(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (DEEP_FILM,), STILL)
    viewer.page.keyboard.press("=")
    assert np.array_equal(film_of(pixels(viewer))[..., 0], np.rint(DEEP / 257).astype(np.uint8))
    viewer.page.mouse.move(500, 300)
    viewer.page.mouse.down()
    for x in range(500, 200, -20):  # to a window of one 255th of the range
        viewer.page.mouse.move(x, 300)
    viewer.page.mouse.up()
    viewer.page.keyboard.press("Shift+ArrowUp")
    assert viewer.state("window") == "1/128"
    rows = film_of(pixels(viewer))[SIDE // 2 - 1 : SIDE // 2 + 1, :, 0]
    assert len(np.unique(rows)) > 200


def test_window_presets_invert_and_reset_are_for_all_panels(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F, MOVING), FULL)
    page = viewer.page
    assert viewer.state("window") == "255/128" and middle(viewer, 1) == 90
    page.keyboard.press("i")
    assert middle(viewer, 1) == 165
    page.keyboard.press("i")
    page.get_by_label("Window").select_option("lungs")
    assert viewer.state("window") == "150/85"
    assert middle(viewer, 1) == round((90 - 85) / 150 * 255 + 127.5)
    page.keyboard.press("w")
    assert viewer.state("window") == "140/175"
    page.keyboard.press("b")
    assert viewer.state("window") == "140/167"
    page.mouse.move(200, 300)
    page.mouse.wheel(0, -300)
    assert float(viewer.state("zoom") or 0) > 1.5
    page.keyboard.press("0")
    assert viewer.state("window") == "255/128" and viewer.state("zoom") == "1.000"


def test_unlinked_panels_are_windowed_one_by_one(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (MOVING, MOVING), FULL)
    page = viewer.page
    page.locator("canvas").nth(1).focus()
    page.keyboard.press("l")
    page.keyboard.press("i")
    assert (middle(viewer, 0), middle(viewer, 1)) == (90, 165)
    page.keyboard.press("l")
    assert (middle(viewer, 0), middle(viewer, 1)) == (165, 165)


def test_frames_move_by_slider_keys_and_wheel_without_asking_the_server(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F, MOVING), FULL)
    page, asked = viewer.page, len(viewer.requests)
    slider = page.locator(".slider")
    assert viewer.state("frame") == "3" and slider.get_attribute("aria-valuetext") == "original"
    for key, frame in (("ArrowLeft", 2), ("Home", 0), ("End", 6), ("o", 3), ("ArrowRight", 4)):
        page.keyboard.press(key)
        assert viewer.state("frame") == str(frame)
        assert middle(viewer, 1) == 30 * frame
    assert slider.get_attribute("aria-valuetext") == "1 of 3 towards present"
    box = page.locator("canvas").nth(1).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.wheel(0, 100)
    page.wait_for_timeout(100)
    assert viewer.state("frame") == "5" and viewer.state("zoom") == "1.000"
    slider.fill("1")
    assert viewer.state("frame") == "1"
    slider.press("ArrowRight")
    assert viewer.state("frame") == "2"
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.mouse.down()
    page.mouse.move(300, 200)
    page.mouse.up()
    page.wait_for_timeout(100)
    assert float(viewer.state("zoom") or 0) > 1.2
    assert len(viewer.requests) == asked and not viewer.problems


def test_playing_speed_and_direction(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (MOVING,), ViewerSettings(slider=True, play=True, fps=30))
    page = viewer.page
    page.keyboard.press(" ")
    assert viewer.state("playing") == "true"
    page.wait_for_timeout(500)
    page.keyboard.press(" ")
    assert viewer.state("playing") == "false"
    page.keyboard.press("]")
    assert page.get_by_label("Speed").input_value() == "2×"
    page.keyboard.press("p")
    turns = page.get_by_role("button", name="Back and forth")
    assert turns.get_attribute("aria-pressed") == "false"
    page.keyboard.press("ArrowLeft")
    assert viewer.state("playing") == "false"


def test_flicker_shows_the_original_film_and_says_which_is_shown(opened: Open) -> None:
    viewer = opened()
    white = ViewerPanel("Film", "film", ("/other0.png",))
    viewer.show("a", (white, MOVING), FULL)
    viewer.page.keyboard.press("f")
    seen = set()
    for _ in range(14):
        caption = viewer.page.locator(".caption").nth(1).inner_text()
        seen.add((caption, middle(viewer, 1)))
    assert ("original film", 255) in seen and ("Counterfactual", 180) in seen
    viewer.page.keyboard.press("f")
    assert viewer.state("flickering") == "false" and middle(viewer, 1) == 180


def test_without_controls_nothing_moves(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F, MOVING), ViewerSettings(slider=False, play=False, origin=3))
    for key in ("ArrowLeft", " ", "f", "o", "Home"):
        viewer.page.keyboard.press(key)
    assert viewer.state("frame") == "3" and viewer.state("playing") == "false"


def test_maps_are_coloured_here_and_hidden_with_one_key(opened: Open) -> None:
    viewer = opened()
    flat = {"/film.png": png(np.full((SIDE, SIDE), 100, np.uint8))}
    viewer.pictures = {**PICTURES, **flat}
    viewer.show("a", (MAP, SIGNED), STILL)
    page = viewer.page
    page.keyboard.press("=")
    signed = film_of(pixels(viewer, 1)).astype(int)
    orange, zero, purple = signed[9, 4], signed[9, 128], signed[9, 252]
    assert orange[0] > orange[2] + 60 and purple[2] > purple[1] + 20
    assert np.ptp(zero[:3]) == 0 and zero[0] == 100
    strongest = film_of(pixels(viewer, 0))[9, 250]
    page.get_by_label("Colours of maps").select_option("viridis")
    assert not np.array_equal(film_of(pixels(viewer, 0))[9, 250], strongest)
    legends = page.locator(".legend")
    assert legends.nth(1).inner_text().split() == ["removed", "added"]
    page.keyboard.press("h")
    assert np.ptp(film_of(pixels(viewer, 1))) == 0
    assert not legends.first.is_visible()
    page.keyboard.press("H")
    page.get_by_label("Strength of the map").fill("0")
    assert np.ptp(film_of(pixels(viewer, 1))) == 0


def test_the_scale_bar_is_right_at_every_zoom(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F,), ViewerSettings(slider=False, play=False, spacing_mm=1.5))
    bar = viewer.page.locator(".scale")
    for _ in range(6):
        viewer.page.wait_for_timeout(60)
        zoom = float(viewer.state("zoom") or 0)
        panel = viewer.page.locator(".panel").bounding_box()
        drawn = bar.bounding_box()
        assert panel is not None and drawn is not None
        px_per_mm = min(panel["width"], panel["height"]) * zoom / (SIDE * 1.5)
        mm = float(bar.get_attribute("data-mm") or 0)
        assert drawn["width"] == pytest.approx(mm * px_per_mm, rel=0.01, abs=0.3)
        viewer.page.keyboard.press("+")
    viewer.show("b", (F,), STILL)
    assert not bar.is_visible()


def test_sides_and_probability_are_shown_only_when_asked_for(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F,), STILL)
    assert viewer.page.locator(".side, .probability").count() == 0
    told = ViewerSettings(slider=False, play=False, side_labels=True, probability="model says 71 %")
    viewer.show("b", (F,), told)
    assert viewer.page.locator(".side").all_inner_texts() == ["R", "L"]
    assert viewer.page.locator(".probability").inner_text() == "model says 71 %"


def test_marks_are_set_with_mouse_and_keys_and_told_to_the_form(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F, MOVING), FULL)
    page = viewer.page
    ask = "window.dispatchEvent(new CustomEvent('counterlight:mark', {{detail: {}}}))"
    wanted = "{view: 'a', item: 'where', kind: 'box', max: 2, marks: [], label: 'Where'}"
    page.evaluate(ask.format(wanted))
    box = page.locator("canvas").nth(1).bounding_box()
    assert box is not None
    side = min(box["width"], box["height"])
    x0 = box["x"] + (box["width"] - side) / 2
    y0 = box["y"] + (box["height"] - side) / 2
    page.mouse.move(x0 + 0.25 * side, y0 + 0.5 * side)
    page.mouse.down()
    page.mouse.move(x0 + 0.5 * side, y0 + 0.75 * side, steps=4)
    page.mouse.up()
    (mark,) = viewer.events("marks")[-1]["marks"]
    assert mark == pytest.approx([0.25, 0.5, 0.5, 0.75], abs=0.01)
    assert viewer.state("window") == "255/128"
    for key in ("ArrowRight", "ArrowRight", " ", "ArrowRight", "ArrowDown", " "):
        page.keyboard.press(key)
    told = viewer.events("marks")[-1]
    assert (told["view"], told["item"], len(told["marks"])) == ("a", "where", 2)
    page.keyboard.press("Delete")
    assert len(viewer.events("marks")[-1]["marks"]) == 1
    page.evaluate(ask.format("{view: 'a', item: 'where', kind: null}"))
    assert viewer.state("marking") == "false"
    page.keyboard.press("ArrowLeft")
    assert viewer.state("frame") == "2"
    page.evaluate(ask.format("{view: 'another', item: 'x', kind: 'point', max: 1, marks: []}"))
    assert viewer.state("marking") == "false"


def test_the_help_lists_the_keys_and_keeps_the_focus(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F, MOVING), FULL)
    page = viewer.page
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    for words in ("previous frame", "play or pause", "unlink", "1:1", "more contrast", "flicker"):
        assert words in dialog.inner_text()
    assert "hide or show all maps" not in dialog.inner_text()  # there are none
    assert viewer.events("paused")[-1]["paused"] is True
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert viewer.state("frame") == "3"
    page.keyboard.press("Escape")
    assert not dialog.is_visible() and viewer.events("paused")[-1]["paused"] is False


def test_r_and_c_reach_nobody_else_and_a_dialog_of_the_page_pauses_the_keys(opened: Open) -> None:
    viewer = opened()
    page = viewer.page
    page.evaluate(
        "window.heard = []; for (const name of ['keydown', 'keyup'])"
        " document.addEventListener(name, (event) => window.heard.push(event.key))"
    )
    viewer.show("a", (F, MOVING), FULL)
    for key in ("r", "c", "R", "C", "3", "Enter", "n"):
        page.keyboard.press(key)
    assert set(page.evaluate("window.heard")) == {"3", "Enter", "n"}
    say = "window.dispatchEvent(new CustomEvent('counterlight:paused', {detail: {paused: %s}}))"
    page.evaluate(say % "true")
    page.keyboard.press("ArrowLeft")
    assert viewer.state("frame") == "3"
    page.evaluate(say % "false")
    page.keyboard.press("ArrowLeft")
    assert viewer.state("frame") == "2"


def test_what_the_reader_does_is_posted_with_the_token_and_counts_from_the_paint(
    opened: Open,
) -> None:
    viewer = opened()
    logged = ViewerSettings(
        slider=True, play=True, origin=3, log_url="/readings/a/events", csrf="secret"
    )
    viewer.show("a", (F, MOVING), logged)
    viewer.page.wait_for_timeout(200)
    (painted,) = viewer.events("painted")
    assert painted["view"] == "a" and painted["atMs"] > 0
    viewer.page.keyboard.press("ArrowLeft")
    viewer.page.wait_for_timeout(200)
    viewer.page.keyboard.press("i")
    viewer.page.wait_for_timeout(5200)
    (post,) = viewer.posts
    assert post["path"] == "/readings/a/events"
    assert post["headers"]["x-counterlight-csrf"] == "secret"
    entries = post["content"]["entries"]
    assert [each["kind"] for each in entries] == ["paint", "frame", "invert"]
    assert entries[1]["value"] == 2 and all(isinstance(each["at_ms"], int) for each in entries)
    viewer.page.keyboard.press("0")
    viewer.show("b", (F,), STILL)  # the next reading: what is left of this one is sent
    viewer.page.wait_for_timeout(300)
    assert [each["kind"] for each in viewer.posts[-1]["content"]["entries"]] == ["reset"]


def test_a_lost_connection_is_said_once_and_pictures_come_when_it_is_back(opened: Open) -> None:
    viewer = opened()
    viewer.cut = True
    viewer.show("a", (F, MOVING), FULL, wait=False)
    message = viewer.page.locator(".message")
    message.get_by_text("The connection is lost").wait_for()
    viewer.cut = False
    viewer.page.locator(".viewer[data-state=ready]").wait_for()
    assert message.inner_text() == ""
    gone = ViewerPanel("Film", "film", ("/gone.png",))
    viewer.show("b", (gone,), STILL, wait=False)
    viewer.page.locator(".viewer[data-state=error]").wait_for()
    assert "missing" in message.inner_text()


def test_the_next_reading_is_fetched_ahead_and_drawn_without_asking(opened: Open) -> None:
    viewer = opened()
    ahead = ViewerSettings(slider=False, play=False, prefetch=("/next.png", "/deep.raw"))
    viewer.show("a", (F,), ahead)
    viewer.page.wait_for_timeout(300)
    assert viewer.requests.count("/next.png") == 1
    following = ViewerPanel("Film", "film", ("/next.png",))
    viewer.show("b", (following, DEEP_FILM), STILL)
    assert viewer.requests.count("/next.png") == 1 and viewer.requests.count("/deep.raw") == 1
    viewer.page.keyboard.press("=")
    assert np.array_equal(film_of(pixels(viewer, 0))[..., 0], FILM[::-1])
    viewer.show("c", (F,), STILL)  # the first reading is long forgotten
    assert viewer.requests.count("/film.png") == 2


def test_the_same_data_again_changes_nothing_and_other_data_starts_afresh(opened: Open) -> None:
    viewer = opened()
    viewer.show("a", (F, MOVING), FULL)
    viewer.page.keyboard.press("ArrowLeft")
    viewer.page.keyboard.press("i")
    asked = len(viewer.requests)
    viewer.show("a", (F, MOVING), FULL, again=True)
    assert viewer.state("frame") == "2" and len(viewer.requests) == asked
    viewer.show("b", (F, MOVING), FULL, again=True)
    assert viewer.state("frame") == "3"
    viewer.page.keyboard.press("ArrowLeft")
    assert viewer.state("frame") == "2"  # once, not once for each instance


def test_the_explorer_goes_on_where_it_was(opened: Open) -> None:
    viewer = opened(query="?frame=1&shown=decoded")
    both = ViewerPanel(
        "Counterfactual",
        "frames",
        MOVING.urls,
        other_urls=tuple(f"/other{k}.png" for k in range(N)),
    )
    words = tuple(f"frame {k}" for k in range(N))
    common: dict[str, Any] = {
        "slider": True,
        "play": True,
        "origin": 3,
        "keep": "film",
        "modes": ("residual", "decoded"),
        "frame_parameter": "frame",
        "mode_parameter": "shown",
        "readings": (Reading("Prediction", "f(x) 0.4", words),),
    }
    viewer.show("a", (F, both), ViewerSettings(**common))
    assert (viewer.state("frame"), viewer.state("mode")) == ("1", "decoded")
    assert middle(viewer, 1) == 254
    viewer.page.keyboard.press("d")
    assert middle(viewer, 1) == 30
    viewer.page.keyboard.press("i")
    viewer.page.keyboard.press("ArrowRight")
    viewer.page.wait_for_timeout(400)
    assert viewer.page.url.endswith("?frame=2")
    viewer.show("b", (F, both, MAP), ViewerSettings(**common), again=True)
    assert (viewer.state("frame"), viewer.state("mode")) == ("2", "residual")
    assert "inverted" in viewer.page.locator(".numbers").inner_text()
    assert "frame 2" in viewer.page.locator(".reading").inner_text()
    wished = ViewerSettings(**common, go_to=(5, 1))
    viewer.show("b", (F, both, MAP), wished, again=True)
    assert viewer.state("frame") == "5"


@pytest.mark.parametrize(("width", "height"), [(1030, 768), (2900, 2160)])
def test_everything_fits_and_can_be_read_and_reached(opened: Open, width: int, height: int) -> None:
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    viewer = opened(width, height)
    settings = ViewerSettings(
        slider=True, play=True, origin=3, spacing_mm=1, side_labels=True, reserved_px=0
    )
    viewer.show("a", (F, MOVING, MAP, SIGNED), settings)
    page = viewer.page
    assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    inside = page.locator(".viewer").bounding_box()
    assert inside is not None
    for button in page.locator("button.tool:visible, .choice").all():
        box = button.bounding_box()
        assert box is not None and box["x"] + box["width"] <= inside["width"] + 1
        assert box["y"] + box["height"] <= inside["height"] + 1
    found = axe_module.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    reached = []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(() => { const at = document.querySelector('#root').shadowRoot.activeElement;"
                " return at && (at.getAttribute('aria-label') || at.textContent); })()"
            )
        )
    order = ["Film", "Difference", "removed to present", "Invert", "Keys and mouse"]
    assert [name for name in reached if name in order][: len(order)] == order
