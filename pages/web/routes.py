"""Our own routes: pictures by URL, each to the one account that may see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pages.parts.display_files import Bits, display_folder, picture_path
from pages.web.gate import ACCOUNT_KEY
from pages.web.scratch import Scratch
from pages.web.site import Site
from study.accounts import Account
from study.clock import utc_now
from study.errors import StudyError
from study.session import ReadingDesk

_HEADERS: Final = {"Cache-Control": "private, no-store"}


class PictureRoutes:
    """The routes that hand out pictures.

    What is not there and what is not allowed get the same answer, so that nothing can be learned
    by asking.

    Parameters
    ----------
    site
        The study served.
    explored
        Pictures of the explorer.
    clock
        Returns the present moment, timezone-aware.
    """

    def __init__(
        self, site: Site, explored: Scratch, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._site = site
        self._explored = explored
        self._clock = clock

    @property
    def routes(self) -> list[Route]:
        """Starlette routes, to be served behind the gate."""
        return [
            Route("/frames/{assignment_id}/{panel:int}/{frame:int}.png", self.reading_picture),
            Route("/frames/{assignment_id}/{panel:int}/{frame:int}.raw", self.reading_raw),
            Route("/explore/{token}/{panel:int}/{frame:int}.png", self.explored_picture),
            # Without these, any other address there would get Streamlit's index page.
            Route("/frames/{rest:path}", lambda _: _missing()),
            Route("/explore/{rest:path}", lambda _: _missing()),
        ]

    def reading_picture(self, request: Request) -> Response:
        """Send an 8-bit picture of a reading that is the account's and may be seen now."""
        return self._reading_file(request, 8, "image/png")

    def reading_raw(self, request: Request) -> Response:
        """Send a 16-bit picture of a reading that is the account's and may be seen now."""
        return self._reading_file(request, 16, "application/octet-stream")

    def _reading_file(self, request: Request, bits: Bits, media_type: str) -> Response:
        account = _account(request, "reader")
        if account is None or account.reader_id is None:
            return _missing()
        parameters = request.path_params
        try:
            store = self._site.store()
            desk = ReadingDesk(store, account.reader_id, self._clock)
            if not desk.visible(parameters["assignment_id"]):
                return _missing()
            assignment = store.assignment(parameters["assignment_id"])
        except StudyError:
            return _missing()
        folder = display_folder(
            self._site.folder.displays,
            assignment.case_id,
            assignment.finding,
            assignment.condition,
        )
        path = picture_path(folder, parameters["panel"], parameters["frame"], bits)
        try:
            return Response(path.read_bytes(), media_type=media_type, headers=_HEADERS)
        except OSError:
            return _missing()

    def explored_picture(self, request: Request) -> Response:
        """Send a picture that the explorer made for this account."""
        account = _account(request, "researcher")
        if account is None:
            return _missing()
        values = request.path_params
        picture = self._explored.get(
            values["token"], account.account_id, values["panel"], values["frame"]
        )
        return _png(picture) if picture is not None else _missing()


def _account(request: Request, role: str) -> Account | None:
    """Return the account that the gate verified, if it has this role."""
    account = request.scope.get(ACCOUNT_KEY)
    return account if isinstance(account, Account) and account.role == role else None


def _png(picture: bytes) -> Response:
    return Response(picture, media_type="image/png", headers=_HEADERS)


def _missing() -> Response:
    return PlainTextResponse("Not found.", 404, _HEADERS)
