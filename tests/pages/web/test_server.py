"""The real application in its own process: what it serves, to whom, and what it never says."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import httpx
import pytest

from pages.web.gate import COOKIE
from study.clock import utc_now
from study.session import ReadingDesk
from tests.support.live_server import LiveServer, live_server
from tests.support.small_study import PROFILE
from tests.support.tiny_study import FORBIDDEN_WORDS, TinyStudy, make_tiny_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    made = make_tiny_study(tmp_path_factory.mktemp("served") / "study")
    desk = ReadingDesk(made.store(), "R1", utc_now)
    desk.keep_profile(PROFILE)
    desk.accept_instructions()
    return made


@pytest.fixture(scope="module")
def server(study: TinyStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(study.root, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def reader(server: LiveServer, study: TinyStudy) -> Iterator[httpx.Client]:
    with server.signed_in("R1") as client:
        yield client


def chunks_of(png: bytes) -> list[str]:
    """Return the names of a PNG's chunks."""
    names, at = [], 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        names.append(name.decode())
        at += 12 + length
    return names


def test_the_first_page_a_fresh_server_is_asked_for_is_refused_to_the_wrong_role(
    server: LiveServer, reader: httpx.Client
) -> None:
    answer = reader.get("/results", headers={"Accept": "text/html"})
    assert answer.status_code == 403
    assert "Streamlit" not in answer.text and "static/js" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/reading",
        "/results",
        "/_stcore/metrics",
        "/_stcore/host-config",
        "/_stcore/agent/openapi.json",
        "/media/0123.png",
        "/frames/0123456789abcdef/0/0.png",
        "/explore/0123456789abcdef/0/0.png",
        "/static/index.html",
        "/_stcore/bidi-components/counterlight.viewer/x.js",
    ],
)
def test_nothing_is_served_without_a_login(server: LiveServer, path: str) -> None:
    answer = httpx.get(server.url + path)
    assert answer.status_code == 401 and answer.text == "Sign in first."


def test_a_browser_without_a_login_is_led_to_the_form(server: LiveServer) -> None:
    answer = httpx.get(server.url, headers={"Accept": "text/html"}, follow_redirects=True)
    assert answer.url.path == "/sign-in" and "Passphrase" in answer.text


@pytest.mark.parametrize("token", [None, "f" * 64])
def test_a_websocket_without_a_login_is_refused(server: LiveServer, token: str | None) -> None:
    assert server.upgrade(token) == 403


def test_a_websocket_with_a_login_opens(server: LiveServer, reader: httpx.Client) -> None:
    assert server.upgrade(reader.cookies[COOKIE]) == 101


def test_the_agent_api_of_streamlit_is_out_of_reach(reader: httpx.Client) -> None:
    assert reader.get("/_stcore/agent/openapi.json").status_code == 404
    assert reader.post("/_stcore/agent/interact", json={}).status_code == 404


def test_a_reader_gets_the_pictures_of_the_current_case_and_of_no_other(
    server: LiveServer, reader: httpx.Client, study: TinyStudy
) -> None:
    desk = ReadingDesk(study.store(), "R1", utc_now)
    current = desk.current()
    assert current is not None
    answer = reader.get(f"/frames/{current.assignment_id}/0/0.png")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert set(chunks_of(answer.content)) == {"IHDR", "IDAT", "IEND"}
    following = desk.following()
    shown = {current.assignment_id, following.assignment_id if following else ""}
    later = [a for a in study.store().assignments("R1") if a.assignment_id not in shown]
    assert len(later) >= 4
    for assignment in later:
        assert reader.get(f"/frames/{assignment.assignment_id}/0/0.png").status_code == 404
    for path in ("9/0.png", "0/99.png", "-1/0.png", "../../x/0.png"):
        assert reader.get(f"/frames/{current.assignment_id}/{path}").status_code == 404


def test_pictures_are_kept_in_no_shared_cache(reader: httpx.Client, study: TinyStudy) -> None:
    current = ReadingDesk(study.store(), "R1", utc_now).current()
    assert current is not None
    answer = reader.get(f"/frames/{current.assignment_id}/0/0.png")
    assert answer.headers["cache-control"] == "private, no-store"
    assert "last-modified" not in answer.headers and "etag" not in answer.headers


@pytest.mark.parametrize("role", ["researcher", "coordinator"])
def test_other_roles_get_no_pictures_of_readings(
    server: LiveServer, study: TinyStudy, role: str
) -> None:
    current = ReadingDesk(study.store(), "R1", utc_now).current()
    assert current is not None
    with server.signed_in(role) as client:
        assert client.get(f"/frames/{current.assignment_id}/0/0.png").status_code == 404


def test_headers_and_pages_sent_to_a_reader_say_nothing_about_the_truth(
    reader: httpx.Client, study: TinyStudy
) -> None:
    current = ReadingDesk(study.store(), "R1", utc_now).current()
    assert current is not None
    for path in ("/", "/reading", f"/frames/{current.assignment_id}/0/0.png", "/results", "/x"):
        answer = reader.get(path)
        sent = str(answer.headers) + (answer.text if "image" not in str(answer.headers) else "")
        for word in FORBIDDEN_WORDS:
            assert word not in sent, (path, word)
