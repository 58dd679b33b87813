"""A reader's page without a browser: Streamlit's websocket, spoken as its own client speaks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.BidiComponent_pb2 import BidiComponent
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from pages.web.gate import COOKIE

FORM: Final = "counterlight.form"
VIEWER: Final = "counterlight.viewer"
_MIDDLE_RUNS: Final = (
    ForwardMsg.FINISHED_EARLY_FOR_RERUN,
    ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
)


@dataclass(frozen=True)
class Shown:
    """What one run of the script has put on the page.

    Parameters
    ----------
    form, viewer
        Data of the two components; empty if the page has none.
    form_widget
        Identifier by which the form's trigger is known to the server.
    n_bytes
        Bytes received.
    """

    form: Mapping[str, Any] = field(default_factory=dict)
    viewer: Mapping[str, Any] = field(default_factory=dict)
    form_widget: str = ""
    n_bytes: int = 0

    @property
    def assignment_id(self) -> str:
        """The reading on the page; empty if there is none."""
        return str(self.form.get("id", ""))

    @property
    def csrf(self) -> str:
        """The token that the page's own requests carry."""
        return str(self.form.get("csrf", ""))

    @property
    def urls(self) -> tuple[str, ...]:
        """Addresses of the pictures of the reading on the page."""
        return tuple(url for panel in self.viewer.get("panels", ()) for url in panel["urls"])

    @property
    def prefetch(self) -> tuple[str, ...]:
        """Addresses of the pictures of the next reading."""
        return tuple(self.viewer.get("prefetch", ()))


class PageClient:
    """One open page: a websocket that belongs to a login.

    Parameters
    ----------
    socket
        Open websocket.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, url: str, login: str, *, timeout_s: float = 20.0) -> PageClient:
        """Open the websocket of a server at ``url`` (``http://…``, no trailing slash).

        Raises
        ------
        OSError, websockets.exceptions.WebSocketException
            If it cannot be reached or refuses.
        """
        address = f"{url.replace('http', 'ws', 1)}/_stcore/stream"
        socket = await connect(
            address,
            origin=url,  # type: ignore[arg-type]
            additional_headers={"Cookie": f"{COOKIE}={login}"},
            subprotocols=["streamlit"],  # type: ignore[list-item]
            max_size=None,
            open_timeout=timeout_s,
            close_timeout=1,
            proxy=None,
            compression=None,
        )
        return cls(socket)

    async def run(
        self,
        page: str = "reading",
        *,
        query: str = "",
        done: Shown | None = None,
        history: bool = False,
    ) -> Shown:
        """Have the page's script run and return what it shows.

        Parameters
        ----------
        page
            Address of the page, without slashes.
        query
            What follows ``?`` in the address.
        done
            The page on which the form has said that it is done, as its trigger does.
        history
            Whether this is the browser's back button.
        """
        message = BackMsg()
        rerun = message.rerun_script
        rerun.page_name = page
        rerun.query_string = query
        rerun.is_history_navigation = history
        rerun.context_info.timezone = "UTC"
        if done is not None and done.form_widget:
            state = rerun.widget_states.widgets.add()
            state.id = f"$$STREAMLIT_INTERNAL_KEY_{done.form_widget}__events"
            state.json_trigger_value = json.dumps([{"event": "done", "value": done.assignment_id}])
        await self._socket.send(message.SerializeToString())
        return await self._until_finished()

    async def _until_finished(self) -> Shown:
        shown, n_bytes = Shown(), 0
        async for received in self._socket:
            n_bytes += len(received)
            forward = ForwardMsg()
            forward.ParseFromString(received if isinstance(received, bytes) else received.encode())
            kind = forward.WhichOneof("type")
            if kind == "new_session":
                shown = Shown()
            elif kind == "delta" and forward.delta.WhichOneof("type") == "new_element":
                element = forward.delta.new_element
                if element.WhichOneof("type") == "bidi_component":
                    shown = _with(shown, element.bidi_component)
            elif kind == "script_finished" and forward.script_finished not in _MIDDLE_RUNS:
                return Shown(shown.form, shown.viewer, shown.form_widget, n_bytes)
        raise ConnectionError("The page's websocket was closed before its script had run.")

    async def close(self) -> None:
        """Leave the page in good order."""
        await self._socket.close()

    def vanish(self) -> None:
        """Break the connection without a word, as a browser does that is killed."""
        self._socket.transport.abort()


def _with(shown: Shown, component: BidiComponent) -> Shown:
    given = component.json or component.mixed.json or "{}"
    data = json.loads(given)
    if component.component_name == FORM:
        return Shown(data, shown.viewer, component.id)
    if component.component_name == VIEWER:
        return Shown(shown.form, data, shown.form_widget)
    return shown
