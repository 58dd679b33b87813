"""The gate before an application that answers everything with the account it was given."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pages.web.gate import ACCOUNT_KEY, Gate
from study.accounts import Accounts
from study.allocation import CaseChoice, allocate
from study.store import StudyStore
from tests.support.asgi import TestClient
from tests.support.tiny_study import (
    CASE_IDS,
    FINDING,
    PASSPHRASE,
    accept_all,
    quick_accounts,
    tiny_protocol,
)

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SignIn = Callable[..., object]


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


async def echo(scope, receive, send) -> None:
    """Answer with what arrived behind the gate."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
        return
    account = scope.get(ACCOUNT_KEY)
    body = b""
    if scope["method"] != "GET":
        body = (await receive())["body"]
    seen = {
        "role": account.role if account else None,
        "headers": [[k.decode(), v.decode()] for k, v in scope["headers"]],
        "n_bytes": len(body),
    }
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"server", b"uvicorn")],
        }
    )
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Accounts:
    """Return accounts R1, R2, researcher and coordinator, each with a passphrase."""
    protocol = tiny_protocol()
    choices = [CaseChoice(case_id, FINDING) for case_id in CASE_IDS]
    readings = allocate(protocol, choices, 1, ["R1", "R2"], entropy=b"e" * 32)
    store = StudyStore.create(tmp_path / "study.sqlite", protocol, readings, clock=clock)
    made = quick_accounts(store)
    accept_all(made, START)
    return made


@pytest.fixture
def client(accounts: Accounts, clock: Clock) -> TestClient:
    gate = Gate(echo, accounts=lambda: accounts, clock=clock)
    return TestClient(gate, base_url="http://study.test", follow_redirects=False)


@pytest.fixture
def sign_in() -> SignIn:
    """Return a function that sends the sign-in form."""

    def send(client: TestClient, who: str, passphrase: str = PASSPHRASE, **headers: str):
        form = {"name": who, "passphrase": passphrase}
        return client.post("/sign-in", data=form, headers=headers)

    return send
