"""The viewer on a page of its own, without Streamlit: for its benchmark and its browser tests.

Nothing is served: Playwright answers every request of the page from memory.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pages.parts.viewer.component import ViewerPanel, ViewerSettings, viewer_data

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

ORIGIN: Final = "http://viewer.test"
SOURCES: Final = Path(__file__).parents[1] / "pages" / "parts" / "viewer"
_HTML: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Viewer</title>
<style>body { margin: 0; background: #0b0d10; }</style></head>
<body><main><h1 style="position:absolute;clip-path:inset(50%)">Viewer</h1><div id="root"></div>
</main>
<script type="module">
import mount from "/viewer.js";
const shadow = document.getElementById("root").attachShadow({ mode: "open" });
const style = document.createElement("style");
style.textContent = await (await fetch("/viewer.css")).text();
window.events = [];
for (const name of ["painted", "marks", "paused"])
  window.addEventListener("counterlight:" + name, (event) =>
    window.events.push({ name, ...event.detail }));
window.show = (data) => {
  window.clean?.();
  const host = Object.assign(document.createElement("div"), { className: "viewer" });
  shadow.replaceChildren(style, host);
  window.again(data);
};
window.again = (data) => { window.clean = mount({ data, parentElement: shadow }); };
window.isThere = true;
</script></body></html>"""


def png(samples: NDArray[np.uint8]) -> bytes:
    """Encode (H, W) as grey PNG."""
    stream = io.BytesIO()
    Image.fromarray(samples).save(stream, "PNG")
    return stream.getvalue()


def raw(samples: NDArray[np.uint16]) -> bytes:
    """Encode (H, W) as little-endian uint16 behind zlib."""
    return zlib.compress(samples.astype("<u2").tobytes(), 1)


@dataclass
class ViewerPage:
    """A browser page with the viewer on it.

    Parameters
    ----------
    page
        Playwright's page.
    pictures
        What the page may fetch, by path.
    """

    page: Page
    pictures: Mapping[str, bytes]
    requests: list[str] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cut: bool = False

    def open(self, query: str = "") -> ViewerPage:
        """Load the page; nothing is shown yet."""
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.route(f"{ORIGIN}/**", self._answer)
        self.page.goto(f"{ORIGIN}/{query}")
        self.page.wait_for_function("window.isThere")
        return self

    def show(
        self,
        view_id: str,
        panels: tuple[ViewerPanel, ...],
        settings: ViewerSettings,
        *,
        again: bool = False,
        wait: bool = True,
    ) -> None:
        """Mount the viewer, or (``again``) hand new data to the one that is there."""
        data = json.dumps(viewer_data(view_id, panels, settings))
        self.page.evaluate(f"window.{'again' if again else 'show'}({data})")
        if wait:
            self.page.locator(".viewer[data-state=ready]").wait_for()

    def state(self, name: str) -> str | None:
        """Return what the viewer says about itself."""
        return self.page.locator(".viewer").get_attribute(f"data-{name}")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what was dispatched to the page under a name."""
        heard: list[dict[str, Any]] = self.page.evaluate("window.events")
        return [event for event in heard if event["name"] == name]

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN).partition("?")[0]
        self.requests.append(path)
        if self.cut:
            route.abort()
        elif route.request.method == "POST":
            content = route.request.post_data_json
            self.posts.append({"path": path, "headers": route.request.headers, "content": content})
            route.fulfill(json={"kept": len(content["entries"])})
        elif path == "/":
            route.fulfill(body=_HTML, content_type="text/html")
        elif path in ("/viewer.js", "/viewer.css"):
            kind = "text/javascript" if path.endswith("js") else "text/css"
            route.fulfill(body=(SOURCES / path[1:]).read_bytes(), content_type=kind)
        elif path in self.pictures:
            route.fulfill(body=self.pictures[path], content_type="application/octet-stream")
        else:
            route.fulfill(status=404)
