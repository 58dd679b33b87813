"""What the form and the viewer post, through the gate, as a browser would and as it would not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from pages.web.csrf import CSRF_HEADER, csrf_of
from pages.web.gate import COOKIE, Gate
from pages.web.readings import MAXIMUM_BODY, ReadingRoutes
from pages.web.routes import PictureRoutes
from pages.web.scratch import Scratch
from pages.web.site import Site
from study.clock import utc_now
from study.errors import StoreUnavailable
from study.session import ReadingDesk
from study.store import StudyStore
from tests.support.asgi import TestClient
from tests.support.tiny_study import TinyStudy, make_tiny_study
from tests.support.walk import to_first_reading

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FULL = {"confidence": 4, "correct_feature": 2}


@dataclass
class Browser:
    """A signed-in reader's browser, as far as our routes can tell."""

    client: TestClient
    headers: dict[str, str]

    def post(self, assignment_id: str, action: str, content: object, **more: Any) -> httpx.Response:
        return self.client.post(
            f"/readings/{assignment_id}/{action}",
            content=content if isinstance(content, bytes) else json.dumps(content),
            headers={"Content-Type": "application/json", **self.headers, **more},
        )

    def submit(self, assignment_id: str, answers: object = FULL) -> httpx.Response:
        return self.post(assignment_id, "submit", {"answers": answers, "client": {}})


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path / "study")


@pytest.fixture
def app(study: TinyStudy) -> Gate:
    site = Site(study.root)
    routes = [*PictureRoutes(site, Scratch()).routes, *ReadingRoutes(site).routes]
    return Gate(Starlette(routes=routes), accounts=study.accounts)


def browser_of(app: Gate, study: TinyStudy, who: str) -> Browser:
    login = study.login(who)
    client = TestClient(app, cookies={COOKIE: login}, raise_server_exceptions=True)
    return Browser(client, {CSRF_HEADER: csrf_of(login)})


@pytest.fixture
def reader(app: Gate, study: TinyStudy) -> Iterator[Browser]:
    yield browser_of(app, study, "R1")


def desk_of(study: TinyStudy, reader_id: str = "R1") -> ReadingDesk:
    return ReadingDesk(study.store(), reader_id, utc_now)


@pytest.fixture
def current(study: TinyStudy) -> str:
    return to_first_reading(desk_of(study))


def ratings(study: TinyStudy) -> list[tuple[str, str, object]]:
    return [(r.assignment_id, r.item, r.value) for r in study.store().ratings()]


def test_a_submission_is_acknowledged_and_in_the_store(
    reader: Browser, study: TinyStudy, current: str
) -> None:
    client = {"first_paint_ms": 120, "active_ms": 900.5, "nonsense": "x"}
    answers = {**FULL, "comment": "shadow at the left base"}
    reply = reader.post(current, "submit", {"answers": answers, "client": client})
    assert reply.status_code == 200 and set(reply.json()) == {"saved_at"}
    assert ratings(study) == [
        (current, "confidence", 4),
        (current, "correct_feature", 2),
        (current, "comment", "shadow at the left base"),
    ]
    (event,) = study.store().events("submitted")
    assert event.payload["client"] == {"first_paint_ms": 120, "active_ms": 900.5}
    assert event.created_at.isoformat() == reply.json()["saved_at"]


def test_the_same_submission_twice_is_stored_once_and_a_different_one_is_refused(
    reader: Browser, study: TinyStudy, current: str
) -> None:
    first, again = reader.submit(current), reader.submit(current)
    assert first.json() == again.json()
    other = reader.submit(current, {"confidence": 1, "correct_feature": 1})
    assert other.status_code == 409 and "already rated" in other.json()["problem"]
    assert len(study.store().events("submitted")) == 1


@pytest.mark.parametrize(
    ("answers", "item"),
    [
        ({"confidence": 4}, "correct_feature"),
        ({**FULL, "confidence": 6}, "confidence"),
        ({**FULL, "confidence": True}, "confidence"),
        ({**FULL, "confidence": "4"}, "confidence"),
        ({**FULL, "confidence": [4]}, "confidence"),
        ({**FULL, "comment": {"a": 1}}, "comment"),
        ({**FULL, "reference": 1}, "reference"),
    ],
)
def test_a_forged_answer_is_refused_with_a_sentence_and_its_item(
    reader: Browser, study: TinyStudy, current: str, answers: dict[str, object], item: str
) -> None:
    reply = reader.submit(current, answers)
    assert reply.status_code == 422
    assert reply.json()["item"] == item and reply.json()["problem"].endswith(".")
    assert ratings(study) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"answers": {}, "client": {}, "more": 1}',
        b'{"answers": {}}',
        b'{"answers": [], "client": {}}',
        b'{"answers": null, "client": {}}',
        b'{"answers": {}, "client": 3}',
        b'{"answers": {"confidence": NaN}, "client": {}}',
        b'{"answers": {"confidence": 1e999, "correct_feature": 2}, "client": {}}',
        b'{"answers": {"confidence": 1, "confidence": 2}, "client": {}}',
        b"\xff\xfe{}",
        b"[" * 60_000,
        b'{"answers": {"confidence": ' + b"9" * 5000 + b'}, "client": {}}',
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_refused_with_a_sentence(
    reader: Browser, study: TinyStudy, current: str, content: bytes
) -> None:
    reply = reader.post(current, "submit", content)
    assert reply.status_code == 422
    assert set(reply.json()) == {"problem", "item"} and reply.json()["problem"].endswith(".")
    assert "Traceback" not in reply.text
    assert ratings(study) == []


def test_a_body_over_64_kb_and_one_that_is_no_json_are_refused(
    reader: Browser, current: str
) -> None:
    long = {"answers": {**FULL, "comment": "x" * MAXIMUM_BODY}, "client": {}}
    assert reader.post(current, "submit", long).status_code == 413
    form = reader.post(current, "submit", b"answers=1", **{"Content-Type": "text/plain"})
    assert form.status_code == 415 and form.json()["problem"].endswith(".")


def test_foreign_absent_and_later_readings_get_the_same_answers(
    app: Gate, reader: Browser, study: TinyStudy, current: str
) -> None:
    others = study.store().assignments("R2")[0].assignment_id
    to_first_reading(desk_of(study, "R2"))
    for name in (others, "0" * 32, "x", "%00", "..%2f"):
        reply = reader.submit(name)
        assert (reply.status_code, reply.json()) == (404, {"problem": "Not found.", "item": None})
    later = study.store().assignments("R1")[-1].assignment_id
    reply = reader.submit(later)
    assert reply.status_code == 409 and reply.json()["item"] is None
    assert ratings(study) == []


def test_other_roles_and_requests_without_the_token_are_refused(
    app: Gate, study: TinyStudy, current: str
) -> None:
    content = {"answers": FULL, "client": {}}
    for who in ("researcher", "coordinator"):
        assert browser_of(app, study, who).post(current, "submit", content).status_code in (
            403,
            404,
        )
    without = browser_of(app, study, "R1")
    without.headers = {}
    assert without.post(current, "submit", content).status_code == 403
    without.headers = {CSRF_HEADER: csrf_of("another login")}
    assert without.post(current, "submit", content).status_code == 403
    assert ratings(study) == []


def test_unknown_actions_and_other_methods_are_not_found(reader: Browser, current: str) -> None:
    assert reader.post(current, "delete", {}).status_code == 404
    assert reader.post(current, "submit/more", {}).status_code == 404
    assert reader.client.get(f"/readings/{current}/draft").status_code in (404, 405)


def test_a_draft_is_kept_and_an_old_one_never_replaces_a_newer(
    reader: Browser, study: TinyStudy, current: str
) -> None:
    newer = reader.post(current, "draft", {"answers": {"confidence": 5}, "number": 9})
    older = reader.post(current, "draft", {"answers": {"confidence": 1}, "number": 8})
    assert newer.status_code == older.status_code == 200
    assert older.json() == newer.json()
    draft = desk_of(study).draft(current)
    assert draft is not None and draft.answers == {"confidence": 5} and draft.number == 9


@pytest.mark.parametrize("number", [-1, 1.5, True, "1", None, 2**53])
def test_a_draft_without_a_proper_number_is_refused(
    reader: Browser, study: TinyStudy, current: str, number: object
) -> None:
    reply = reader.post(current, "draft", {"answers": {}, "number": number})
    assert reply.status_code == 422 and "number" in reply.json()["problem"]
    assert desk_of(study).draft(current) is None


def test_a_late_draft_of_a_submitted_reading_leaves_nothing(
    reader: Browser, study: TinyStudy, current: str
) -> None:
    reader.submit(current)
    late = reader.post(current, "draft", {"answers": {"confidence": 1}, "number": 99})
    assert late.status_code == 409
    assert desk_of(study).draft(current) is None


def test_a_skipped_reading_is_recorded_with_its_reason_and_the_next_one_comes(
    reader: Browser, study: TinyStudy, current: str
) -> None:
    body = {"reason": "image_quality", "comment": "underexposed"}
    assert reader.post(current, "skip", body).status_code == 200
    (event,) = study.store().events("skipped")
    assert (event.subject, event.payload["reason"]) == (current, "image_quality")
    following = desk_of(study).current()
    assert following is not None and following.assignment_id != current
    unknown = reader.post(following.assignment_id, "skip", {"reason": "bored", "comment": ""})
    assert unknown.status_code in (409, 422) and unknown.json()["problem"].endswith(".")


def test_a_problem_is_recorded_with_its_case(
    reader: Browser, study: TinyStudy, current: str
) -> None:
    assert reader.post(current, "problem", {"text": "The film is rotated."}).status_code == 200
    (event,) = study.store().events("problem_reported")
    assert event.subject == current and event.payload["text"] == "The film is rotated."
    assert reader.post(current, "problem", {"text": "  "}).status_code == 422


def test_the_viewers_log_is_kept_as_far_as_it_is_one(
    reader: Browser, study: TinyStudy, current: str
) -> None:
    entries = [
        {"at_ms": 10, "kind": "frame", "value": 3},
        {"at_ms": 20, "kind": "<script>", "value": 3},
        "nonsense",
    ]
    reply = reader.post(current, "events", {"entries": entries})
    assert reply.status_code == 200 and reply.json() == {"kept": 1}
    assert reader.post(current, "events", {"entries": {}}).status_code == 422


def test_without_revisions_in_the_protocol_no_answer_changes(
    reader: Browser, study: TinyStudy, current: str
) -> None:
    reader.submit(current)
    (event,) = study.store().events("submitted")
    body = {"answers": FULL, "supersedes": event.seq, "reason": "slip"}
    refused = reader.post(current, "revise", body)
    assert refused.status_code == 422 and "cannot be changed" in refused.json()["problem"]
    assert reader.post(current, "revise", {**body, "reason": " "}).status_code == 422


def test_a_full_disk_is_said_without_naming_files(
    reader: Browser, study: TinyStudy, current: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable(f"Nothing was saved to {study.root}: the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(StudyStore, "writing", full)
        reply = reader.submit(current)
    assert reply.status_code == 503
    assert "cannot save at present" in reply.json()["problem"]
    assert str(study.root) not in reply.text
    assert reader.submit(current).status_code == 200


def test_pictures_are_sent_for_the_current_and_the_following_reading_only(
    app: Gate, reader: Browser, study: TinyStudy, current: str
) -> None:
    desk = desk_of(study)
    following = desk.following()
    assert following is not None
    seen = {
        a.assignment_id: reader.client.get(f"/frames/{a.assignment_id}/0/0.png").status_code
        for a in study.store().assignments()
    }
    allowed = {name for name, status in seen.items() if status == 200}
    assert allowed == {current, following.assignment_id}
    picture = reader.client.get(f"/frames/{current}/0/0.png")
    assert picture.headers["content-type"] == "image/png"
    assert "private" in picture.headers["cache-control"]
    assert reader.client.get(f"/frames/{current}/0/0.raw").status_code == 404
