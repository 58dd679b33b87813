"""Attacks on the real application: its routes, its pages and its websocket behind the real gate.

Each attack is refused, and each stands in the study's record.
"""

from __future__ import annotations

import gc
import importlib.util
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.websockets import WebSocketDisconnect
from streamlit import config
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime

from pages.web.access import PAGES, pages_of
from pages.web.csrf import CSRF_HEADER, csrf_of
from pages.web.gate import COOKIE
from pages.web.sockets import RUN_AGAIN
from study.audit import verify
from study.clock import utc_now
from study.session import ReadingDesk
from tests.support.asgi import TestClient
from tests.support.small_study import PROFILE
from tests.support.tiny_study import (
    CASE_IDS,
    PASSPHRASE,
    TinyStudy,
    make_tiny_study,
    tiny_protocol,
)

APP = Path(__file__).parents[3] / "app.py"
HTML = {"Accept": "text/html,application/xhtml+xml"}
ACTIONS = ("draft", "submit", "skip", "revise", "problem", "events")
ANSWERS = {"confidence": 4, "correct_feature": 2, "comment": ""}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study in which both readers may begin with their first case."""
    made = make_tiny_study(tmp_path_factory.mktemp("attacked") / "study")
    store = made.store()
    for who in ("R1", "R2"):
        desk = ReadingDesk(store, who, utc_now)
        desk.keep_profile(PROFILE)
        desk.accept_instructions()
    store.close()
    return made.root


@pytest.fixture
def study(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyStudy:
    shutil.copytree(prepared, tmp_path / "study")
    monkeypatch.setenv("COUNTERLIGHT_STUDY", str(tmp_path / "study"))
    return TinyStudy(tmp_path / "study", tiny_protocol())


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Give a client of ``app.py`` as the server runs it; Streamlit has one server a process."""
    monkeypatch.setattr(config, "_main_script_path", None)
    monkeypatch.setattr(Runtime, "_instance", None)
    spec = importlib.util.spec_from_file_location("served_app", APP)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with TestClient(module.app, base_url="http://study.test", follow_redirects=False) as client:
        yield client
    monkeypatch.setattr(Runtime, "_instance", None)
    del client, module, spec
    with warnings.catch_warnings():  # Streamlit leaves the event loops of its sessions open
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def client(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    with served(monkeypatch) as running:
        yield running


class Attacker:
    """Somebody with a login (or none) who asks for what is not theirs."""

    def __init__(self, client: TestClient, study: TinyStudy, who: str | None) -> None:
        self.client = client
        self.token = study.login(who) if who is not None else None
        self.headers: dict[str, str] = {}
        if self.token is not None:
            self.headers = {
                "cookie": f"{COOKIE}={self.token}",
                CSRF_HEADER: csrf_of(self.token),
            }

    def get(self, path: str, **headers: str):
        return self.client.get(path, headers={**self.headers, **headers})

    def post(self, path: str, content: object, **headers: str):
        return self.client.post(path, json=content, headers={**self.headers, **headers})


def refused(study: TinyStudy) -> set[tuple[str, str, str]]:
    """Return (actor, reason, kind of path) of everything on record as refused."""
    events = study.store().events("refused")
    return {(e.actor, e.payload["reason"], e.payload["path"]) for e in events}


def first_of(study: TinyStudy, who: str) -> str:
    current = ReadingDesk(study.store(), who, utc_now).current()
    assert current is not None
    return current.assignment_id


def body_for(action: str) -> dict[str, object]:
    return {
        "draft": {"answers": ANSWERS, "number": 1},
        "submit": {"answers": ANSWERS, "client": {}},
        "skip": {"reason": "technical", "comment": ""},
        "revise": {"answers": ANSWERS, "supersedes": 1, "reason": "a slip"},
        "problem": {"text": "nothing is shown"},
        "events": {"entries": []},
    }[action]


def state_of(study: TinyStudy) -> tuple[int, int]:
    """Return what an attack must not change: ratings, and events other than refusals."""
    store = study.store()
    return len(store.ratings()), sum(e.kind not in {"refused"} for e in store.events())


def test_the_first_request_to_a_fresh_server_is_refused_like_any_other(client, study) -> None:
    assert Attacker(client, study, "R1").get("/results", **HTML).status_code == 403
    assert ("R1", "role", "page") in refused(study)


def test_an_anonymous_visitor_gets_nothing_but_the_form(client, study) -> None:
    visitor, assignment = Attacker(client, study, None), first_of(study, "R1")
    before = state_of(study)
    paths = [
        *(f"/{page.path}" for page in PAGES),
        f"/frames/{assignment}/0/0.png",
        f"/frames/{assignment}/0/0.raw",
        "/explore/abc/0/0.png",
        f"/media/{'0' * 56}.png",
        "/static/index.html",
        "/_stcore/metrics",
        "/_stcore/host-config",
        "/_stcore/stream",
        "/_stcore/upload_file/a/b",
        "/_stcore/bidi-components/x/y.js",
        "/_stcore/agent/openapi.json",
        "/component/x/index.html",
        "/app/static/x",
        "/openapi.json",
        "/docs",
        "/.git/config",
        "/study.sqlite",
    ]
    for path in paths:
        answer = visitor.get(path)
        assert (answer.status_code, answer.text) == (401, "Sign in first."), path
        page = visitor.get(path, **HTML)
        assert page.status_code in {303, 401} and "static/js" not in page.text, path
    for action in ACTIONS:
        answer = visitor.post(f"/readings/{assignment}/{action}", body_for(action))
        assert answer.status_code == 401 and answer.json()["problem"] == "Sign in first."
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass
    assert state_of(study) == before
    found = {(reason, place) for actor, reason, place in refused(study) if actor == "anonymous"}
    kinds = ("page", "frames", "explore", "media", "static", "metrics", "websocket", "readings")
    assert {("not_signed_in", kind) for kind in (*kinds, "upload", "other")} <= found


def test_a_reader_cannot_see_or_touch_another_readers_assignment(client, study) -> None:
    theirs, mine = first_of(study, "R2"), first_of(study, "R1")
    before, attacker = state_of(study), Attacker(client, study, "R1")
    for name in ("0/0.png", "1/0.png", "0/0.raw", "99/0.png"):
        answer = attacker.get(f"/frames/{theirs}/{name}")
        nothing = attacker.get(f"/frames/{'f' * 32}/{name}")
        assert answer.status_code == nothing.status_code == 404
        assert answer.text == nothing.text
    for action in ACTIONS:
        answer = attacker.post(f"/readings/{theirs}/{action}", body_for(action))
        nothing = attacker.post(f"/readings/{'f' * 32}/{action}", body_for(action))
        assert answer.status_code == nothing.status_code == 404, action
        assert answer.text == nothing.text
    assert attacker.get(f"/frames/{mine}/0/0.png").status_code == 200
    after = state_of(study)
    assert (after[0], after[1] - before[1]) == (before[0], 1)  # the attacker's own sign-in
    assert {("R1", "object", "frames"), ("R1", "object", "readings")} <= refused(study)


def test_a_reader_cannot_look_ahead(client, study) -> None:
    store = study.store()
    desk = ReadingDesk(store, "R1", utc_now)
    attacker = Attacker(client, study, "R1")
    open_now = {each.assignment_id for each in (desk.current(), desk.following()) if each}
    for assignment in store.assignments("R1"):
        wanted = 200 if assignment.assignment_id in open_now else 404
        answer = attacker.get(f"/frames/{assignment.assignment_id}/0/0.png")
        assert answer.status_code == wanted
    assert ("R1", "object", "frames") in refused(study)


def test_roles_open_nothing_of_each_other(client, study) -> None:
    assignment = first_of(study, "R1")
    routes = {
        "reader": (f"/frames/{assignment}/0/0.png",),
        "researcher": ("/explore/abc/0/0.png", "/_stcore/upload_file/a/b"),
        "coordinator": ("/_stcore/metrics",),
    }
    for who, role in (("R1", "reader"), ("researcher",) * 2, ("coordinator",) * 2):
        attacker = Attacker(client, study, who)
        for other in routes.keys() - {role}:
            for page in pages_of(other):
                answer = attacker.get(f"/{page.path}", **HTML)
                assert answer.status_code == 403 and "static/js" not in answer.text
            for path in routes[other]:
                assert attacker.get(path).status_code == 404, (who, path)
        if role != "reader":
            answer = attacker.post(f"/readings/{assignment}/submit", body_for("submit"))
            assert answer.status_code == 404
    found = {(reason, place) for _, reason, place in refused(study)}
    assert {
        ("role", kind) for kind in ("page", "metrics", "explore", "frames", "readings")
    } <= found
    assert not study.store().ratings()


def test_a_reader_gets_no_page_of_another_role_through_the_websocket(client, study) -> None:
    """The browser names the page to be run; the list of pages and the script refuse it."""
    message = BackMsg()
    message.rerun_script.page_name = "results"
    asked = message.SerializeToString()
    theirs = b"".join(said_on(client, Attacker(client, study, "coordinator"), asked))
    assert b"No ratings yet" in theirs
    attacker = Attacker(client, study, "R1")
    for name in ("results", "progress", "explorer"):
        message.rerun_script.page_name = name
        sent = b"".join(said_on(client, attacker, message.SerializeToString()))
        assert sent
        for word in (b"No ratings yet", b"true_positive", b"R2", *map(enc, CASE_IDS)):
            assert word not in sent, (name, word)


def enc(text: str) -> bytes:
    return text.encode()


def said_on(client: TestClient, who: Attacker, *messages: bytes) -> list[bytes]:
    """Send messages on a websocket and return what is said until the script has run."""
    said: list[bytes] = []
    with client.websocket_connect("/_stcore/stream", headers=who.headers) as socket:
        for message in messages:
            socket.send_bytes(message)
            while True:
                said.append(socket.receive_bytes())
                forward = ForwardMsg()
                forward.ParseFromString(said[-1])
                if forward.WhichOneof("type") == "script_finished":
                    break
    return said


@pytest.mark.parametrize("name", ["X-Counterlight-Login", "x_counterlight_login"])
def test_a_forged_identity_header_is_refused(client, study, name: str) -> None:
    coordinator = study.login("coordinator")
    for attacker in (Attacker(client, study, None), Attacker(client, study, "R1")):
        for path in ("/", "/results", "/worklist", "/_stcore/metrics"):
            assert attacker.get(path, **{name: coordinator}).status_code == 400
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(
                "/_stcore/stream", headers={**attacker.headers, name: coordinator}
            ),
        ):
            pass
    assert {
        ("anonymous", "identity_header", "page"),
        ("R1", "identity_header", "page"),
        ("R1", "identity_header", "websocket"),
    } <= refused(study)


def test_identity_headers_of_proxies_change_nothing(client, study) -> None:
    claims = {"Remote-User": "coordinator", "X-Forwarded-User": "coordinator"}
    assert Attacker(client, study, None).get("/results", **claims).status_code == 401
    assert Attacker(client, study, "R1").get("/results", **claims).status_code == 403


def test_a_post_without_the_right_csrf_token_is_refused(client, study) -> None:
    assignment, attacker = first_of(study, "R1"), Attacker(client, study, "R1")
    other = csrf_of(study.login("R2"))
    before = state_of(study)
    for wrong in ("", "0" * 64, other):
        for action in ACTIONS:
            path = f"/readings/{assignment}/{action}"
            answer = attacker.post(path, body_for(action), **{CSRF_HEADER: wrong})
            assert answer.status_code == 403
    assert state_of(study) == before
    assert ("R1", "csrf", "readings") in refused(study)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://study.test.evil.test"},
        {"Origin": "http://study.test:8080"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_can_send_nothing(client, study, headers: dict[str, str]) -> None:
    assignment, attacker = first_of(study, "R1"), Attacker(client, study, "R1")
    answer = attacker.post(f"/readings/{assignment}/submit", body_for("submit"), **headers)
    assert answer.status_code == 403
    form = {"name": "R1", "passphrase": PASSPHRASE}
    assert client.post("/sign-in", data=form, headers=headers).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/_stcore/stream", headers={**attacker.headers, **headers}),
    ):
        pass
    assert not study.store().ratings()
    assert {
        ("R1", "cross_site", "readings"),
        ("R1", "cross_site", "websocket"),
        ("anonymous", "cross_site", "sign-in"),
    } <= refused(study)


def test_an_invitation_cannot_be_used_again(client, study) -> None:
    accounts = study.accounts()
    reader = next(each for each in accounts.accounts() if each.name == "R1")
    path = accounts.reinvite(reader.account_id, utc_now()).path
    form = {"passphrase": PASSPHRASE, "repeat": PASSPHRASE}
    assert client.post(path, data=form).status_code == 303
    client.cookies.clear()
    theirs = {
        "passphrase": "a passphrase of the attacker",
        "repeat": "a passphrase of the attacker",
    }
    for answer in (client.get(path), client.post(path, data=theirs)):
        assert answer.status_code == 403 and "set-cookie" not in answer.headers
    assert client.get("/invite/" + "0" * 64).status_code == 403
    assert study.login("R1")
    assert ("anonymous", "invitation", "invite") in refused(study)


def test_a_cookie_kept_from_before_opens_nothing_after_signing_out(client, study) -> None:
    attacker, assignment = Attacker(client, study, "R1"), first_of(study, "R1")
    assert attacker.get("/sign-out", **{"Sec-Fetch-Site": "same-origin"}).status_code == 303
    assert attacker.get("/", **{}).status_code == 401
    assert attacker.get(f"/frames/{assignment}/0/0.png").status_code == 401
    answer = attacker.post(f"/readings/{assignment}/submit", body_for("submit"))
    assert answer.status_code == 401
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/_stcore/stream", headers=attacker.headers),
    ):
        pass
    assert {
        ("anonymous", "not_signed_in", "frames"),
        ("anonymous", "not_signed_in", "readings"),
        ("anonymous", "not_signed_in", "websocket"),
    } <= refused(study)


def test_a_revoked_reader_is_out_at_once_on_every_route_and_on_the_open_page(client, study) -> None:
    attacker, assignment = Attacker(client, study, "R1"), first_of(study, "R1")
    accounts = study.accounts()
    with client.websocket_connect("/_stcore/stream", headers=attacker.headers) as socket:
        socket.send_bytes(RUN_AGAIN)
        until_finished(socket)
        reader = next(each for each in accounts.accounts() if each.name == "R1")
        accounts.revoke(reader.account_id, utc_now())
        assert attacker.get(f"/frames/{assignment}/0/0.png").status_code == 401
        answer = attacker.post(f"/readings/{assignment}/draft", body_for("draft"))
        assert answer.status_code == 401
        socket.send_bytes(RUN_AGAIN)
        said = until_finished(socket)
        assert b"You are signed out" in said and assignment.encode() not in said
    assert ("anonymous", "not_signed_in", "frames") in refused(study)


def until_finished(socket) -> bytes:
    said = b""
    while True:
        part = socket.receive_bytes()
        said += part
        forward = ForwardMsg()
        forward.ParseFromString(part)
        if forward.WhichOneof("type") == "script_finished":
            return said


def test_a_replayed_submission_changes_nothing(client, study) -> None:
    assignment, attacker = first_of(study, "R1"), Attacker(client, study, "R1")
    ReadingDesk(study.store(), "R1", utc_now).display(assignment)
    path = f"/readings/{assignment}/submit"
    first = attacker.post(path, body_for("submit"))
    assert first.status_code == 200
    ratings = study.store().ratings()
    assert attacker.post(path, body_for("submit")).json() == first.json()
    forged = {**body_for("submit"), "answers": {**ANSWERS, "confidence": 1}}
    assert attacker.post(path, forged).status_code == 409
    assert study.store().ratings() == ratings
    assert ("R1", "conflict", "readings") in refused(study)


@pytest.mark.parametrize(
    "answers",
    [
        {**ANSWERS, "confidence": 6},
        {**ANSWERS, "confidence": "4"},
        {**ANSWERS, "confidence": True},
        {**ANSWERS, "confidence": None},
        {**ANSWERS, "extra": 1},
        {"confidence": 4},
        {**ANSWERS, "comment": "x" * 60_000},
        [],
        None,
    ],
)
def test_a_forged_answer_is_refused(client, study, answers: object) -> None:
    assignment, attacker = first_of(study, "R1"), Attacker(client, study, "R1")
    ReadingDesk(study.store(), "R1", utc_now).display(assignment)
    path = f"/readings/{assignment}/submit"
    assert attacker.post(path, {"answers": answers, "client": {}}).status_code == 422
    assert not study.store().ratings()
    assert ("R1", "invalid", "readings") in refused(study)


def test_a_flood_of_attacks_leaves_a_handful_of_events_and_an_intact_chain(
    study, monkeypatch
) -> None:
    with served(monkeypatch) as client:
        attacker = Attacker(client, study, "R1")
        for _ in range(40):
            attacker.get("/results", **HTML)
            client.get("/media/x")
        assert len(study.store().events("refused")) == 2
    counts = Counter()  # the rest is written when the server stops
    for event in study.store().events("refused"):
        counts[event.actor, event.payload["reason"]] += event.payload["count"]
    assert counts == {("R1", "role"): 40, ("anonymous", "not_signed_in"): 40}
    assert verify(study.folder.database).intact
