"""What the form and the viewer post: drafts, submissions, skips, revisions, problems, events.

Bodies are read as what they are, foreign input: JSON of at most 64 kB with exactly the entries
expected. Reading the body is asynchronous; everything that touches the store runs in a thread.
A reading that is somebody else's and one that does not exist get the same answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn, TypeAlias

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pages.web.gate import ACCOUNT_KEY
from pages.web.site import Site
from study.accounts import Account
from study.clock import utc_now
from study.errors import (
    AlreadyRated,
    InvalidAnswer,
    NotCurrent,
    StoreUnavailable,
    StudyError,
    UnknownAssignment,
)
from study.session import ReadingDesk
from study.viewer_log import parse_entries

MAXIMUM_BODY: Final = 64 * 1024
MAXIMUM_DRAFT_NUMBER: Final = 2**53

_HEADERS: Final = {"Cache-Control": "no-store"}
_LOG: Final = logging.getLogger("counterlight")
_NOT_SAVED: Final = (
    "The server cannot save at present; nothing is lost here. "
    "Tell the person who runs the study if this lasts."
)

Content: TypeAlias = Mapping[str, object]


class Malformed(StudyError):
    """A body that is not what the route expects.

    Parameters
    ----------
    message
        One sentence.
    status
        HTTP status of the answer.
    """

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Reading:
    """A reading of the account that posts."""

    desk: ReadingDesk
    assignment_id: str
    now: Callable[[], datetime]


class ReadingRoutes:
    """The routes under ``/readings/``.

    Parameters
    ----------
    site
        The study served.
    clock
        Returns the present moment, timezone-aware.
    """

    def __init__(self, site: Site, clock: Callable[[], datetime] = utc_now) -> None:
        self._site = site
        self._clock = clock

    @property
    def routes(self) -> list[Route]:
        """Starlette routes, to be served behind the gate, which checks the CSRF token."""
        return [
            Route("/readings/{assignment_id}/{action}", self.answer, methods=["POST"]),
            Route("/readings/{rest:path}", lambda _: _missing(), methods=["GET", "POST"]),
        ]

    async def answer(self, request: Request) -> Response:
        """Answer one post."""
        account = request.scope.get(ACCOUNT_KEY)
        act = _ACTIONS.get(request.path_params["action"])
        reader_id = account.reader_id if isinstance(account, Account) else None
        if act is None or reader_id is None:
            return _missing()
        try:
            body = await _body(request)
        except Malformed as refusal:
            return _refused(str(refusal), refusal.status)
        except ClientDisconnect:
            return _refused("The request was cut off; send it again.", 400)
        return await to_thread.run_sync(
            self._act, act, reader_id, request.path_params["assignment_id"], body
        )

    def _act(self, act: _Action, reader_id: str, assignment_id: str, body: bytes) -> Response:
        """Do what was asked, in a thread; every refusal becomes a sentence."""
        try:
            desk = ReadingDesk(self._site.store(), reader_id, self._clock)
            if not desk.owns(assignment_id):
                return _missing()
            said = act(_Reading(desk, assignment_id, self._clock), _content(body))
        except UnknownAssignment:
            return _missing()
        except InvalidAnswer as refusal:
            return _refused(str(refusal), 422, refusal.item)
        except Malformed as refusal:
            return _refused(str(refusal), refusal.status)
        except (AlreadyRated, NotCurrent) as refusal:
            return _refused(str(refusal), 409)
        except StoreUnavailable as error:
            _LOG.error("%s", error)  # for whoever runs the server; it names files
            return _refused(_NOT_SAVED, 503)
        except StudyError as refusal:
            return _refused(str(refusal), 422)
        return JSONResponse(said, headers=_HEADERS)


_Action: TypeAlias = Callable[[_Reading, Content], dict[str, object]]


def _draft(reading: _Reading, content: Content) -> dict[str, object]:
    _expect(content, "answers", "number")
    number = _whole(content, "number", MAXIMUM_DRAFT_NUMBER)
    saved_at = reading.desk.keep_draft(reading.assignment_id, _answers(content), number)
    return {"saved_at": saved_at.isoformat()}


def _submit(reading: _Reading, content: Content) -> dict[str, object]:
    _expect(content, "answers", "client")
    client = _mapping(content, "client")
    receipt = reading.desk.submit(reading.assignment_id, _answers(content), client)
    return {"saved_at": receipt.saved_at.isoformat()}


def _skip(reading: _Reading, content: Content) -> dict[str, object]:
    _expect(content, "reason", "comment")
    reason, comment = _text(content, "reason"), _text(content, "comment")
    receipt = reading.desk.skip(reading.assignment_id, reason, comment)  # type: ignore[arg-type]
    return {"saved_at": receipt.saved_at.isoformat()}


def _revise(reading: _Reading, content: Content) -> dict[str, object]:
    _expect(content, "answers", "supersedes", "reason")
    reason = _text(content, "reason")
    if not reason.strip():
        raise Malformed("A changed answer needs a reason; say in a few words why.")
    receipt = reading.desk.revise(
        reading.assignment_id,
        _answers(content),
        supersedes=_whole(content, "supersedes", MAXIMUM_DRAFT_NUMBER),
        reason=reason,
    )
    return {"saved_at": receipt.saved_at.isoformat()}


def _problem(reading: _Reading, content: Content) -> dict[str, object]:
    _expect(content, "text")
    receipt = reading.desk.report_problem(reading.assignment_id, _text(content, "text"))
    return {"saved_at": receipt.saved_at.isoformat()}


def _events(reading: _Reading, content: Content) -> dict[str, object]:
    _expect(content, "entries")
    if not isinstance(content["entries"], list):
        raise _wrong("entries", content["entries"], "a list")
    entries, n_discarded = parse_entries(content["entries"])
    kept = reading.desk.log_viewer(reading.assignment_id, entries, n_discarded=n_discarded)
    return {"kept": kept}


_ACTIONS: Final[Mapping[str, _Action]] = {
    "draft": _draft,
    "submit": _submit,
    "skip": _skip,
    "revise": _revise,
    "problem": _problem,
    "events": _events,
}


async def _body(request: Request) -> bytes:
    """Read a JSON body of at most 64 kB."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise Malformed("The content type must be application/json.", 415)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAXIMUM_BODY:
            raise Malformed(f"The request is longer than {MAXIMUM_BODY} bytes; shorten it.", 413)
    return body


def _content(body: bytes) -> Content:
    """Read JSON strictly: one object, no entry twice, no number that is none.

    Raises
    ------
    Malformed
        If it is anything else.
    """
    try:
        content = json.loads(
            body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise Malformed("The request is not valid JSON; reload the page and try again.") from error
    if not isinstance(content, dict):
        raise Malformed(f"The request is {_name(content)}; expected a JSON object.")
    return content


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("an entry appears twice")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _expect(content: Content, *names: str) -> None:
    if set(content) != set(names):
        wanted = ", ".join(names)
        raise Malformed(f"The request must have exactly the entries {wanted}; reload the page.")


def _answers(content: Content) -> Content:
    return _mapping(content, "answers")


def _mapping(content: Content, name: str) -> Content:
    value = content[name]
    if not isinstance(value, dict):
        raise _wrong(name, value, "an object")
    return value


def _whole(content: Content, name: str, most: int) -> int:
    value = content[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < most:
        raise _wrong(name, value, "a whole number from 0 on")
    return value


def _text(content: Content, name: str) -> str:
    value = content[name]
    if not isinstance(value, str):
        raise _wrong(name, value, "a text")
    return value


def _wrong(name: str, value: object, wanted: str) -> Malformed:
    return Malformed(f"The entry {name} is {_name(value)}; expected {wanted}.")


def _name(value: object) -> str:
    """Say of what kind a JSON value is, without repeating it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    kinds = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return kinds.get(type(value), "something else")


def _refused(problem: str, status: int, item: str | None = None) -> Response:
    return JSONResponse({"problem": problem, "item": item}, status, headers=_HEADERS)


def _missing() -> Response:
    return _refused("Not found.", 404)
