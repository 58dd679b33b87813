"""Requests that no browser of a reader makes, and what a proxy or an attacker may do to them."""

from __future__ import annotations

import time
from datetime import timedelta

import anyio
import pytest

from pages.web.csrf import CSRF_HEADER, csrf_of, is_csrf_of
from pages.web.entrance import Entrance
from pages.web.gate import COOKIE, MAX_BODY_BYTES
from pages.web.requests import BodyRefused, body_of, client_of, is_plain_path
from study.accounts import Accounts
from study.invitations import VALID_FOR
from tests.pages.web.conftest import START, Clock, SignIn
from tests.support.asgi import TestClient
from tests.support.event_loop import run_alone
from tests.support.tiny_study import PASSPHRASE

SAME = {"Sec-Fetch-Site": "same-origin"}


def raw(path: str, raw_path: bytes | None = None) -> dict[str, object]:
    return {"path": path, "raw_path": path.encode() if raw_path is None else raw_path}


@pytest.mark.parametrize(
    "scope",
    [
        raw("//results"),
        raw("/results//"),
        raw("/static/../_stcore/metrics"),
        raw("/static/.."),
        raw("/./results"),
        raw("/static/..;/results"),
        raw("/results;jsessionid=1"),
        raw("/static\\..\\results"),
        raw("/results\x00"),
        raw("/results\r\nX: y"),
        raw("/static/%2e%2e/results"),
        raw("/static/../results", b"/static/%2e%2e/results"),
        raw("/frames/a/0/0.png", b"/frames%2Fa/0/0.png"),
        raw("/results", b"/result%73%3b"),
        raw("/results\\", b"/results%5C"),
        raw("*"),
        raw(""),
        raw("http://evil.test/results"),
    ],
)
def test_a_path_that_two_programs_could_read_differently_is_refused(scope) -> None:
    assert not is_plain_path(scope)


@pytest.mark.parametrize(
    "path",
    ["/", "/results", "/results/", "/static/js/index.CJ6bH-Zy.js", "/frames/0a/0/12.png", "/a b"],
)
def test_ordinary_paths_are_plain(path: str) -> None:
    assert is_plain_path(raw(path))


@pytest.mark.parametrize(
    "path",
    ["/Results", "/RESULTS", "/_STCORE/metrics", "/results/x", "/_stcore/metrics/%2e%2e/health"],
)
def test_no_way_of_writing_a_path_opens_it_to_a_reader(client, sign_in: SignIn, path: str) -> None:
    sign_in(client, "R1")
    assert client.get(path).status_code in {403, 404}
    assert client.get("/progress/").status_code == 403
    assert client.get("/reading/").status_code == 200


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "X"])
def test_odd_methods_get_nowhere(client: TestClient, sign_in: SignIn, method: str) -> None:
    assert client.request(method, "/results").status_code == 401
    assert client.request(method, "/sign-in").status_code == 405
    sign_in(client, "R1")
    for path in ("/", "/worklist", "/readings/x/submit", "/frames/x/0/0.png", "/sign-out"):
        answer = client.request(method, path, headers=SAME)
        assert answer.status_code == 405 and answer.headers["allow"], path
    assert client.get("/").status_code == 200


def test_head_is_answered_like_get_and_without_a_login_like_nothing(client, sign_in) -> None:
    assert client.head("/worklist").status_code == 401
    assert client.head("/sign-in").status_code == 200
    sign_in(client, "R1")
    assert client.head("/reading").status_code == 200
    assert client.head("/results").status_code == 403


def test_only_researchers_upload_and_only_readers_post_readings(client, sign_in) -> None:
    for who, upload, post in (
        ("R1", 404, 403),
        ("researcher", 200, 404),
        ("coordinator", 404, 404),
    ):
        client.cookies.clear()
        sign_in(client, who)
        path = "/_stcore/upload_file/a/b"
        assert client.put(path, headers=SAME, content=b"x").status_code == upload, who
        assert client.post("/readings/a/submit", headers=SAME).status_code == post, who


def test_a_post_of_ours_needs_the_csrf_token_of_its_own_login(client, sign_in) -> None:
    sign_in(client, "R2")
    other = csrf_of(client.cookies[COOKIE])
    client.cookies.clear()
    sign_in(client, "R1")
    right = csrf_of(client.cookies[COOKIE])
    path = "/readings/a/draft"
    for wrong in (None, "", other, right[:-1], right.upper(), client.cookies[COOKIE], "é"):
        headers = {} if wrong is None else {CSRF_HEADER: wrong.encode("utf-8")}
        answer = client.post(path, json={}, headers=headers)
        assert answer.status_code == 403 and "reload" in answer.json()["problem"], wrong
    assert client.post(path, json={}, params={"csrf": right}).status_code == 403
    twice = [(CSRF_HEADER, right), (CSRF_HEADER, right)]
    assert client.post(path, json={}, headers=twice).status_code == 403
    answer = client.post(path, json={}, headers={CSRF_HEADER: right})
    assert answer.status_code == 200 and right not in answer.text


def test_a_csrf_token_says_nothing_of_the_login_and_ends_with_it() -> None:
    token = "ab" * 32
    assert csrf_of(token) == csrf_of(token) != csrf_of("ac" * 32)
    assert token not in csrf_of(token) and len(csrf_of(token)) == 64
    assert is_csrf_of(token, csrf_of(token)) and not is_csrf_of(token, None)


def test_a_right_csrf_token_does_not_excuse_another_site(client, sign_in) -> None:
    sign_in(client, "R1")
    right = {CSRF_HEADER: csrf_of(client.cookies[COOKIE])}
    for more in ({"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "same-site"}):
        assert client.post("/readings/a/draft", json={}, headers=right | more).status_code == 403
    two = [("Origin", "http://study.test"), ("Origin", "http://evil.test"), *right.items()]
    assert client.post("/readings/a/draft", json={}, headers=two).status_code == 403


def test_a_body_over_64_kb_does_not_reach_the_route(client, sign_in) -> None:
    sign_in(client, "R1")
    headers = {CSRF_HEADER: csrf_of(client.cookies[COOKIE])}
    largest = client.post("/readings/a/draft", content=b"x" * MAX_BODY_BYTES, headers=headers)
    assert largest.json()["n_bytes"] == MAX_BODY_BYTES
    longer = client.post("/readings/a/draft", content=b"x" * (MAX_BODY_BYTES + 1), headers=headers)
    assert longer.status_code == 413 and "64 kB" in longer.json()["problem"]

    def in_pieces():
        for _ in range(100):
            yield b"x" * 1000

    pieces = client.post("/readings/a/draft", content=in_pieces(), headers=headers)
    assert pieces.status_code == 413


def test_a_slow_or_broken_body_is_given_up() -> None:
    async def never() -> dict[str, object]:
        await anyio.sleep_forever()
        raise AssertionError

    async def gone() -> dict[str, object]:
        return {"type": "http.disconnect"}

    began = time.monotonic()
    with pytest.raises(BodyRefused) as slow:
        run_alone(lambda: body_of(never, 100, 0.05))
    assert slow.value.status == 408 and time.monotonic() - began < 5
    with pytest.raises(BodyRefused) as broken:
        run_alone(lambda: body_of(gone, 100))
    assert broken.value.status == 400


def test_two_login_cookies_are_taken_for_none(client: TestClient, sign_in: SignIn) -> None:
    sign_in(client, "R1")
    mine = client.cookies[COOKIE]
    client.cookies.clear()
    for planted in (f"{COOKIE}={mine}; {COOKIE}={'0' * 64}", f"{COOKIE}=x; {COOKIE}={mine}"):
        assert client.get("/", headers={"cookie": planted}).status_code == 401
    same = client.get("/", headers={"cookie": f"{COOKIE}={mine}; a=b; {COOKIE}={mine}"})
    assert same.status_code == 200
    for odd in (f"{COOKIE}=", f"{COOKIE}={'x' * 10_000}", f"{COOKIE}=\x00", "=;=;;", f"{COOKIE}"):
        assert client.get("/", headers={"cookie": odd}).status_code == 401


def test_behind_tls_cookies_belong_to_this_host_alone(client: TestClient, sign_in: SignIn) -> None:
    tls = {"X-Forwarded-Proto": "https"}
    answer = sign_in(client, "R1", **tls)
    for cookie in answer.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-counterlight_") and "Path=/" in cookie
        assert "Secure" in cookie and "HttpOnly" in cookie and "Domain" not in cookie
    assert "max-age" in answer.headers["strict-transport-security"]
    token = answer.headers.get_list("set-cookie")[0].partition("=")[2].partition(";")[0]
    client.cookies.clear()
    as_host = {"cookie": f"__Host-{COOKIE}={token}"}
    assert client.get("/", headers=tls | as_host).status_code == 200
    assert client.get("/", headers=tls | {"cookie": f"{COOKIE}={token}"}).status_code == 401


def test_signing_in_again_ends_the_login_before(client: TestClient, sign_in: SignIn) -> None:
    sign_in(client, "R1")
    first = client.cookies[COOKIE]
    sign_in(client, "coordinator")
    client.cookies.clear()
    assert client.get("/", headers={"cookie": f"{COOKIE}={first}"}).status_code == 401


def test_signing_out_by_form_needs_its_token(client: TestClient, sign_in: SignIn) -> None:
    sign_in(client, "R1")
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/sign-out", content=b"", headers=form).status_code == 200
    assert client.get("/").status_code == 200
    page = client.get("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).text
    csrf = csrf_of(client.cookies[COOKIE])
    assert csrf in page
    answer = client.post("/sign-out", data={"csrf": csrf})
    assert answer.headers["location"] == "/sign-in"
    assert answer.headers["clear-site-data"] == '"storage"'
    assert client.get("/").status_code == 401


def test_an_invitation_is_a_plain_form_that_sets_a_passphrase_once(
    client: TestClient, accounts: Accounts, clock: Clock
) -> None:
    invitation = accounts.invite("coordinator", None, "Grace Hopper", START)
    page = client.get(invitation.path)
    assert page.status_code == 200 and "coordinator-2" in page.text
    assert "<script" not in page.text and "src=" not in page.text and "Hopper" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for field in ("name", "passphrase", "repeat"):
        assert f'<label for="{field}">' in page.text
    for passphrase, repeat, words in (
        (PASSPHRASE, "another", "differ"),
        ("short", "short", "12 are the least"),
        ("coordinator-2", "coordinator-2", "guess"),
        ("", "", "12 are the least"),
    ):
        form = {"passphrase": passphrase, "repeat": repeat}
        answer = client.post(invitation.path, data=form)
        assert answer.status_code == 400 and words in answer.text, words
        assert 'role="alert"' in answer.text
    form = {"passphrase": PASSPHRASE, "repeat": PASSPHRASE}
    other = client.post(invitation.path, data=form, headers={"Origin": "http://evil.test"})
    assert other.status_code == 403 and "set-cookie" not in other.headers
    answer = client.post(invitation.path, data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/").json()["role"] == "coordinator"
    for again in (client.get(invitation.path), client.post(invitation.path, data=form)):
        assert again.status_code == 403 and "used already" in again.text
        assert "set-cookie" not in again.headers


def test_an_expired_or_unknown_invitation_says_what_to_do(client, accounts, clock) -> None:
    path = accounts.invite("coordinator", None, "", START).path
    clock.now += VALID_FOR
    assert "expired" in client.get(path).text
    for odd in ("/invite/", "/invite/x", f"{path}0", f"{path}/"):
        answer = client.get(odd)
        assert answer.status_code == 403 and "ask the coordinator" in answer.text, odd


def test_looking_at_an_invitation_does_not_use_it(client, accounts, clock) -> None:
    path = accounts.invite("coordinator", None, "", START).path
    for _ in range(3):
        assert client.head(path).status_code == client.get(path).status_code == 200
    clock.now += timedelta(days=1)
    assert client.post(path, data={"passphrase": PASSPHRASE, "repeat": PASSPHRASE}).is_redirect


def test_what_was_typed_comes_back_as_text_and_the_passphrase_not_at_all(client, sign_in) -> None:
    page = sign_in(client, '"><script>alert(1)</script>', "secret words of mine").text
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "secret words of mine" not in page


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_network_is_one_client(address: str, client: str) -> None:
    assert client_of({"client": (address, 1)}) == client


def test_a_queue_of_sign_ins_is_bounded(accounts: Accounts, clock: Clock) -> None:
    """A hundred wait their turn, two at a time; whoever comes on top is asked to come back."""
    running, most = 0, 0

    async def many() -> list[str | None]:
        async def opened() -> Accounts:
            return accounts

        entrance = Entrance(opened, clock)
        found: list[str | None] = []

        def work() -> str:
            nonlocal running, most
            running += 1
            most = max(most, running)
            time.sleep(0.002)
            running -= 1
            return "token"

        async def one() -> None:
            found.append(await entrance._hashed(work))

        async with anyio.create_task_group() as tasks:
            for _ in range(130):
                tasks.start_soon(one)
        return found

    found = run_alone(many)
    assert (found.count("token"), found.count(None)) == (100, 30)
    assert most <= 2
