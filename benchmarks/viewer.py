"""Draw times of the viewer in Chromium.

``python -m benchmarks.viewer [--repeats 60] [--chromium PATH]`` prints, in milliseconds, how long
a drawing takes from the display frame in which it begins until the canvases can be read: a frame
switch at 512², a window change of four panels of 1024², 8 and 16 bits, and a zoom. Then how long
the first complete paint takes, with everything fetched ahead and without (every request is then
answered by the driver, more slowly than by a server). Pictures are noise, the hardest to look up.
Nothing is asserted: a shared machine is slower than a reader's.
"""

from __future__ import annotations

import shutil
import statistics
from dataclasses import dataclass

import click
import numpy as np

from benchmarks.viewer_page import ViewerPage, png, raw
from pages.parts.viewer.component import ViewerPanel, ViewerSettings, viewer_data

N_FRAMES = 21
FRAME_MS = 1000 / 60
BARS_MS = {
    "frame switch, 512²": FRAME_MS,
    "window, 4 × 1024²": 40.0,
    "window, 4 × 1024², 16 bits": 40.0,
}
# From before the key until the canvases can be read, which waits for all drawing to be done.
_TIME_KEYS = """async ({ keys, repeats }) => {
  const canvases = [...document.querySelector("#root").shadowRoot.querySelectorAll("canvas")];
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const times = [];
  for (let k = 0; k < repeats; k += 1) {
    await frame();
    let began = 0;
    const drawn = new Promise((done) => requestAnimationFrame(() => {
      began = performance.now();  // this callback runs right before the viewer's own
      queueMicrotask(() => done());
    }));
    const key = keys[k % keys.length];
    window.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    await drawn;
    await new Promise((done) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = done;
      channel.port2.postMessage(0);
    });
    for (const canvas of canvases) canvas.getContext("2d").getImageData(0, 0, 1, 1);
    times.push(performance.now() - began);
  }
  return times;
}"""
_TIME_SHOW = """async (data) => {
  const began = performance.now();
  const painted = new Promise((done) =>
    window.addEventListener("counterlight:painted", (e) => done(e.detail.atMs), { once: true })
  );
  window.show(data);
  return (await painted) - began;
}"""


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one kind of drawing."""

    what: str
    times_ms: tuple[float, ...]

    def line(self) -> str:
        """Return the row that is printed: median, 95th percentile, largest, share of its bar."""
        ordered = sorted(self.times_ms)
        high = ordered[int(0.95 * (len(ordered) - 1))]
        median = statistics.median(ordered)
        bar = BARS_MS.get(self.what)
        ratio = f"{median / bar:8.2f} of {bar:.1f} ms" if bar else ""
        return f"{self.what:32} {median:8.1f} {high:8.1f} {ordered[-1]:8.1f} {ratio}"


def pictures(side: int, seed: int = 0) -> dict[str, bytes]:
    """Return films, frames and a map as the viewer fetches them."""
    rng = np.random.default_rng(seed)
    deep = rng.integers(0, 65536, (1024, 1024), dtype=np.uint16)
    made = {f"/film{k}.png": png((deep >> 8).astype(np.uint8)) for k in range(4)}
    made |= {f"/deep{k}.raw": raw(deep) for k in range(4)}
    for k in range(N_FRAMES):
        made[f"/{k}.png"] = png(rng.integers(0, 256, (side, side), dtype=np.uint8))
    return made


def measure(viewer: ViewerPage, repeats: int) -> list[Timing]:
    """Take all times on one page."""
    moving = ViewerPanel("Counterfactual", "frames", tuple(f"/{k}.png" for k in range(N_FRAMES)))
    films = tuple(ViewerPanel("Film", "film", (f"/film{k}.png",)) for k in range(4))
    deep = tuple(
        ViewerPanel("Film", "film", (f"/deep{k}.raw",), bits=16, width=1024, height=1024)
        for k in range(4)
    )
    settings = ViewerSettings(slider=True, play=True, origin=N_FRAMES // 2)
    timings = []
    for what, panels, keys in (
        ("frame switch, 512²", (moving,), ["ArrowRight", "ArrowLeft"]),
        ("window, 4 × 1024²", films, ["b", "t", "i", "W"]),
        ("window, 4 × 1024², 16 bits", deep, ["b", "t", "i", "W"]),
        ("zoom, 4 × 1024²", films, ["+", "+", "_", "_"]),
    ):
        viewer.show(what, panels, settings)
        viewer.page.wait_for_timeout(500)
        times = viewer.page.evaluate(_TIME_KEYS, {"keys": keys, "repeats": repeats})
        timings.append(Timing(what, tuple(times[2:])))
    return [*timings, *_paints(viewer, moving, settings)]


def _paints(viewer: ViewerPage, moving: ViewerPanel, settings: ViewerSettings) -> list[Timing]:
    """Time the first complete paint of a film with 21 frames of 512²."""
    film = ViewerPanel("Film", "film", ("/film0.png",))
    blank = ViewerPanel("Film", "film", ("/film3.png",))
    urls = (*film.urls, *moving.urls)
    ahead, fresh = [], []
    for number in range(6):
        for times, prefetch in ((ahead, urls), (fresh, ())):
            waiting = ViewerSettings(slider=False, play=False, prefetch=prefetch)
            viewer.show(f"before{number}{bool(prefetch)}", (blank,), waiting)
            viewer.page.wait_for_timeout(1500 if prefetch else 300)
            data = viewer_data(f"now{number}{bool(prefetch)}", (film, moving), settings)
            times.append(viewer.page.evaluate(_TIME_SHOW, data))
    return [
        Timing("first paint, fetched ahead", tuple(ahead)),
        Timing("first paint, not fetched ahead", tuple(fresh)),
    ]


@click.command()
@click.option("--repeats", default=60, show_default=True, help="Keys pressed for each time.")
@click.option("--chromium", default=None, help="Path of Chromium; looked for by default.")
def main(repeats: int, chromium: str | None) -> None:
    """Print draw times of the viewer in Chromium."""
    from playwright.sync_api import sync_playwright

    program = chromium or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise click.ClickException("There is no Chromium here; name one with --chromium PATH.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1030, "height": 768})
        viewer = ViewerPage(page, pictures(512)).open()
        timings = measure(viewer, repeats)
        browser.close()
    print(f"Chromium {program}, software rendering, viewport 1030 × 768; milliseconds")
    print(f"{'':32} {'median':>8} {'95 %':>8} {'largest':>8} ratio to its bar")
    for timing in timings:
        print(timing.line())
    if viewer.problems:
        raise click.ClickException("; ".join(viewer.problems))


if __name__ == "__main__":
    main()
