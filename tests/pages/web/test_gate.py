"""The gate alone, before an application that answers everything with the account it was given."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.websockets import WebSocketDisconnect

from pages.web.access import PAGES, may_open
from pages.web.gate import COOKIE, Gate
from pages.web.headers import inline_script_hashes
from study.accounts import Accounts
from study.errors import StudyError
from tests.pages.web.conftest import Clock, SignIn, echo
from tests.support.asgi import TestClient
from tests.support.tiny_study import PASSPHRASE


@pytest.mark.parametrize(
    "path",
    ["/media/x.png", "/_stcore/metrics", "/frames/0/0/0.png", "/static/js/index.js", "/unknown"],
)
def test_anonymous_requests_are_refused(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("page", ["", *(page.path for page in PAGES)])
def test_anonymous_visits_of_a_page_lead_to_the_sign_in_form(client: TestClient, page: str) -> None:
    answer = client.get(f"/{page}", headers={"Accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_the_health_check_says_ok_and_nothing_else_to_anonymous_clients(client: TestClient) -> None:
    answer = client.get("/_stcore/health")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert "set-cookie" not in answer.headers


def test_an_anonymous_websocket_is_refused(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/_stcore/stream"):
        pass


def test_a_signed_in_websocket_opens(client: TestClient, sign_in: SignIn) -> None:
    sign_in(client, "R1")
    headers = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    with client.websocket_connect("/_stcore/stream", headers=headers):
        pass


def test_a_websocket_opened_by_another_site_is_refused(client: TestClient, sign_in: SignIn) -> None:
    sign_in(client, "R1")
    headers = {"cookie": f"{COOKIE}={client.cookies[COOKIE]}", "origin": "http://evil.test"}
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/_stcore/stream", headers=headers),
    ):
        pass


def test_the_sign_in_form_is_labelled_and_loads_nothing(client: TestClient) -> None:
    page = client.get("/sign-in").text
    for field in ("name", "passphrase"):
        assert f'<label for="{field}">' in page and f'id="{field}"' in page
    assert "<script" not in page and "src=" not in page


def test_a_right_passphrase_sets_a_cookie_out_of_reach_of_scripts(
    client: TestClient, sign_in: SignIn
) -> None:
    answer = sign_in(client, "R1")
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 303
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
    assert "secure" not in cookie


def test_behind_tls_the_cookie_is_secure(client: TestClient, sign_in: SignIn) -> None:
    answer = sign_in(client, "R1", **{"X-Forwarded-Proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_wrong_passphrase_gets_one_sentence_in_the_form(
    client: TestClient, sign_in: SignIn
) -> None:
    answer = sign_in(client, "R1", "not the passphrase")
    assert answer.status_code == 403
    assert 'role="alert"' in answer.text and "do not belong together" in answer.text
    assert "set-cookie" not in answer.headers


def test_many_wrong_passphrases_are_slowed_down(client: TestClient, sign_in: SignIn) -> None:
    for _ in range(5):
        sign_in(client, "R1", "not the passphrase")
    answer = sign_in(client, "R1")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_an_empty_or_oversized_form_is_refused(client: TestClient, sign_in: SignIn) -> None:
    assert sign_in(client, "", "").status_code == 400
    assert sign_in(client, "R1", "x" * 20_000).status_code == 413
    assert client.post("/sign-in", json={"name": "R1", "passphrase": PASSPHRASE}).status_code == 415
    many = "&".join(f"a{n}=1" for n in range(100))
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/sign-in", content=many, headers=form).status_code == 400
    assert client.post("/sign-in", content=b"\xff\x00=&&&%zz", headers=form).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
    ],
)
def test_a_form_posted_from_another_site_is_refused(
    client: TestClient, sign_in: SignIn, headers: dict[str, str]
) -> None:
    answer = sign_in(client, "R1", **headers)
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


def test_identity_headers_of_a_proxy_are_dropped(client: TestClient, sign_in: SignIn) -> None:
    sign_in(client, "R1")
    seen = client.get("/", headers={"Remote-User": "boss", "X-Forwarded-User": "boss"}).json()
    logins = [v for k, v in seen["headers"] if k.replace("_", "-") == "x-counterlight-login"]
    assert logins == [client.cookies[COOKIE]]
    assert "boss" not in json.dumps(seen) and seen["role"] == "reader"


def test_each_role_opens_its_own_pages_only(client: TestClient, sign_in: SignIn) -> None:
    for who, role in {
        "R1": "reader",
        "researcher": "researcher",
        "coordinator": "coordinator",
    }.items():
        client.cookies.clear()
        sign_in(client, who)
        for page in PAGES:
            expected = 200 if page.role == role else 403
            answer = client.get(f"/{page.path}", follow_redirects=True)
            assert answer.status_code == expected, (role, page.path)


def test_the_start_page_by_its_own_name_leads_to_the_start(
    client: TestClient, sign_in: SignIn
) -> None:
    """Streamlit serves it at "/" alone, and would say that there is no such page."""
    sign_in(client, "researcher")
    answer = client.get("/explorer?case=c1&frame=2", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?case=c1&frame=2")
    assert client.get("/").status_code == 200


def test_readers_reach_no_media_no_uploads_and_no_metrics() -> None:
    for path in (
        "/media/a.png",
        "/_stcore/upload_file/a/b",
        "/_stcore/metrics",
        "/explore/a/0/0.png",
    ):
        assert not may_open("reader", path), path


def test_signing_out_ends_the_login_everywhere(client: TestClient, sign_in: SignIn) -> None:
    sign_in(client, "R1")
    token = client.cookies[COOKIE]
    answer = client.get("/sign-out", headers={"Sec-Fetch-Site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    again = client.get("/static/a.js", headers={"cookie": f"{COOKIE}={token}"})
    assert again.status_code == 401


def test_a_link_elsewhere_cannot_sign_anybody_out(client: TestClient, sign_in: SignIn) -> None:
    sign_in(client, "R1")
    assert "form" in client.get("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).text
    assert client.post("/sign-out", headers={"Origin": "http://evil.test"}).status_code == 403
    assert client.get("/").status_code == 200


def test_a_login_left_alone_for_a_day_is_over(
    client: TestClient, sign_in: SignIn, clock: Clock
) -> None:
    sign_in(client, "R1")
    clock.now += timedelta(days=1)
    assert client.get("/static/a.js").status_code == 401


def test_every_answer_carries_the_security_headers(client: TestClient, sign_in: SignIn) -> None:
    anonymous = [client.get(p) for p in ("/sign-in", "/media/x", "/_stcore/health")]
    sign_in(client, "R1")
    for answer in [*anonymous, client.get("/"), client.get("/results")]:
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        parts = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
        scripts = parts.get("script-src", parts["default-src"])
        assert "'unsafe-inline'" not in scripts and "'unsafe-eval'" not in scripts
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


def test_a_strange_host_header_does_not_reach_the_policy(client: TestClient) -> None:
    answer = client.get("/sign-in", headers={"Host": "a;script-src *"})
    assert "script-src *" not in answer.headers["content-security-policy"]


def test_a_cookie_of_another_program_does_not_lock_readers_out(
    client: TestClient, sign_in: SignIn
) -> None:
    sign_in(client, "R1")
    token = client.cookies[COOKIE]
    client.cookies.clear()
    headers = {"cookie": f'odd={{"a": 1}}; bad name=x; {COOKIE}={token}'}
    assert client.get("/", headers=headers).status_code == 200


def test_without_a_study_visitors_get_a_sentence_and_the_log_the_reason(
    clock: Clock, sign_in: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> Accounts:
        raise StudyError("No study in /srv/study; start the server with one.")

    client = TestClient(Gate(echo, accounts=missing, clock=clock), base_url="http://study.test")
    answer = client.get("/", headers={"cookie": f"{COOKIE}=abc"})
    assert answer.status_code == 503 and "Tell the person who runs the study" in answer.text
    assert "/srv/study" not in answer.text and "/srv/study" in caplog.text
    assert sign_in(client, "R1").status_code == 503


def test_inline_scripts_of_the_index_page_are_named_by_hash(tmp_path: Path) -> None:
    index = tmp_path / "index.html"
    index.write_text("<script>let a = 1</script><script src='x.js'></script>", encoding="utf-8")
    # echo -n "let a = 1" | openssl dgst -sha256 -binary | base64
    assert len(inline_script_hashes(index)) == 1
    assert inline_script_hashes(index)[0].startswith("'sha256-")
