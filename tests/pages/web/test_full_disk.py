"""On a full disk the gate lets through whom it knows, and refuses whom it would have refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from pages.web.gate import Gate
from study.accounts import Accounts
from study.errors import StoreUnavailable, StudyError
from study.store import StudyStore
from tests.pages.web.conftest import Clock, SignIn, echo
from tests.support.asgi import TestClient

LATER = timedelta(minutes=2)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Have every write refused from the moment at which the test calls ``setattr``."""
    with monkeypatch.context() as patch:
        yield patch


def fill(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("Nothing was saved to study.sqlite: the disk is full.")

    patch.setattr(StudyStore, "writing", refuse)


def test_whoever_is_signed_in_stays_so(
    client: TestClient, sign_in: SignIn, clock: Clock, full: pytest.MonkeyPatch
) -> None:
    sign_in(client, "R1")
    fill(full)
    clock.now += LATER  # the next request would be noted as the login's last
    answer = client.get("/reading", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["role"]) == (200, "reader")


def test_a_refusal_that_cannot_be_noted_is_a_refusal(
    client: TestClient, sign_in: SignIn, full: pytest.MonkeyPatch
) -> None:
    fill(full)
    assert client.get("/frames/0/0/0.png").status_code == 401


def test_counts_that_cannot_be_written_do_not_spoil_an_answer(
    client: TestClient, sign_in: SignIn, clock: Clock, full: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert client.get("/frames/0/0/0.png").status_code == 401
    sign_in(client, "R1")
    fill(full)
    clock.now += LATER  # the counts of the first minute are due
    assert client.get("/reading", headers={"Accept": "text/html"}).status_code == 200


def test_a_post_to_a_study_that_cannot_be_opened_is_answered_as_the_form_reads_it() -> None:
    def missing() -> Accounts:
        raise StudyError("There is no study in /srv/study.")

    browser = TestClient(Gate(echo, accounts=missing))
    answer = browser.post("/readings/x/submit", json={})
    assert answer.status_code == 503
    assert "cannot be opened" in answer.json()["problem"] and "/srv" not in answer.text
