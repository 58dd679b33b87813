"""What no browser of a reader may receive, and a search for it in what one has received."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st
from google.protobuf.message import DecodeError, Message
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from explainers.registry import map_names, names
from study.allocation import Assignment
from tests.support.recorder import Piece
from tests.support.tiny_study import TinyStudy
from tests.support.whole_study import CASE_IDS, CONDITIONS, LABELS, OTHER_READER

TRUTH: Final = (
    "true[ _-]?positive", "false[ _-]?positive", "ground[ _-]?truth", "reference[ _-]?standard",
    "correctness", "stratum", "biopsy", "patient-", "patient_id", "established_by",
    "finding:", "mask:", "counterfactual:", "reference.csv",
)  # fmt: skip
"""Words and columns of the reference standard (regular expressions)."""
SHAM: Final = ("sham", "other_case", "randomised", "shown_case", "explained_case")
SOURCES: Final = ("secret-source", "images/", "explanations/", "displays/", "cases.csv")
PICTURE_CHUNKS: Final = frozenset({b"IHDR", b"IDAT", b"IEND"})

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
_ESCAPED = re.compile(rb"(?:\\+u00|\\+x|%)([0-9A-Fa-f]{2})|&#x([0-9A-Fa-f]{2});")
_PICTURE = re.compile(r"^/frames/([0-9a-f]{32})/(\d+)/(\d+)\.(?:png|raw)$")


@dataclass(frozen=True)
class Secret:
    """Something that must not be sent.

    Parameters
    ----------
    kind
        What sort of thing it is.
    pattern
        How it would look, in bytes.
    until
        The first phase in which it may be sent; ``None``: never.
    """

    kind: str
    pattern: re.Pattern[bytes]
    until: int | None = None


@dataclass(frozen=True)
class Leak:
    """A secret that was found."""

    kind: str
    found: str
    place: str
    phase: int


def word(kind: str, *patterns: str, until: int | None = None) -> list[Secret]:
    """Return secrets for words that stand alone, in upper or lower case."""
    return [
        Secret(
            kind,
            re.compile(rb"(?i)(?<![a-z0-9])" + pattern.encode() + rb"(?![a-z0-9])"),
            until,
        )
        for pattern in patterns
    ]


def part(kind: str, *patterns: str, until: int | None = None) -> list[Secret]:
    """Return secrets for what must not even be a part of a word."""
    return [Secret(kind, re.compile(rb"(?i)" + each.encode()), until) for each in patterns]


def secrets_of(study: TinyStudy, own: Sequence[Assignment], closing_phase: int) -> list[Secret]:
    """Return everything that must not be sent to a reader, and until when.

    Parameters
    ----------
    study
        A whole study.
    own
        The reader's assignments in order; the reader is at the n-th of them in phase n, and
        before the first in phase -1.
    closing_phase
        The phase of the closing questions, in which conditions are named.
    """
    methods = {*names(), *map_names(), *(m.replace("_", " ") for m in names())}
    found = [
        *part("truth", *TRUTH),
        *part("case", *CASE_IDS),
        *part("sham", *SHAM),
        *part("source", *SOURCES, re.escape(str(study.root))),
        *word("method", *(re.escape(method) for method in sorted(methods))),
        *part("condition", *CONDITIONS),
        *part("condition", *LABELS, until=closing_phase),
        *part("reader", OTHER_READER),
    ]
    for assignment in study.store().assignments():
        if assignment.reader_id != own[0].reader_id:
            found += part("other assignment", assignment.assignment_id)
    for number, assignment in enumerate(own):
        same = number > 0 and own[number - 1].session == assignment.session
        found += part(
            "later assignment", assignment.assignment_id, until=number - 1 if same else number
        )
    return found


def leaks(pieces: Iterable[Piece], secrets: Sequence[Secret]) -> list[Leak]:
    """Search pieces for secrets, in every form in which a browser could read them."""
    public = PublicFiles()
    found: dict[tuple[str, str, str], Leak] = {}
    for piece in pieces:
        if piece.kind == "answered" and public.is_known(piece.body):
            texts = [piece.head]
        else:
            texts = list(forms_of(piece))
        for secret in secrets:
            if secret.until is not None and piece.phase >= secret.until:
                continue
            for text in texts:
                hit = secret.pattern.search(text)
                if hit is not None:
                    leak = Leak(
                        secret.kind,
                        text[max(0, hit.start() - 30) : hit.end() + 30].decode("latin-1"),
                        f"{piece.kind} {piece.place}",
                        piece.phase,
                    )
                    found.setdefault((secret.kind, hit.group().decode("latin-1"), leak.place), leak)
                    break
    return list(found.values())


class PublicFiles:
    """The files of Streamlit's own page, which are the same for every study and every reader."""

    def __init__(self) -> None:
        static = Path(st.__file__).parent / "static"
        self._known = {path.read_bytes() for path in static.rglob("*") if path.is_file()}

    def is_known(self, body: bytes) -> bool:
        """Say whether an answer is such a file, byte by byte."""
        return body in self._known


def forms_of(piece: Piece) -> Iterator[bytes]:
    """Yield a piece as it was sent, and as it can be read: decompressed, decoded, unescaped."""
    yield piece.place.encode()
    yield piece.head
    yield piece.body
    inside = piece.body
    if piece.place.endswith(".raw") or piece.body[:1] == b"\x78":
        with contextlib.suppress(zlib.error):
            yield zlib.decompress(piece.body)
    if piece.kind in ("to browser", "to server"):
        inside = b"\n".join(strings_of(piece))
        yield inside
    yield _ESCAPED.sub(lambda hit: bytes.fromhex((hit[1] or hit[2]).decode()), inside)
    for run in _BASE64.findall(inside):
        with contextlib.suppress(binascii.Error, ValueError):
            yield base64.b64decode(run + b"=" * (-len(run) % 4))


def strings_of(piece: Piece) -> list[bytes]:
    """Return every text and every byte string in a message of Streamlit's websocket."""
    message: Message = ForwardMsg() if piece.kind == "to browser" else BackMsg()
    try:
        message.ParseFromString(piece.body)
    except DecodeError:  # a ping
        return []
    return list(_strings(message))


def _strings(value: Any) -> Iterator[bytes]:
    if isinstance(value, Message):
        for _, content in value.ListFields():
            yield from _strings(content)
    elif isinstance(value, str):
        yield value.encode()
        with contextlib.suppress(json.JSONDecodeError):
            if value[:1] in "[{":
                yield json.dumps(json.loads(value), ensure_ascii=False).encode()
    elif isinstance(value, bytes):
        yield value
    elif hasattr(value, "items"):
        for key, content in value.items():
            yield from _strings(key)
            yield from _strings(content)
    elif hasattr(value, "__iter__"):
        for content in value:
            yield from _strings(content)


@dataclass(frozen=True)
class Picture:
    """A picture that was sent.

    Parameters
    ----------
    assignment_id, panel, frame
        As its address says.
    phase
        When.
    etag
        The answer's entity tag; empty if there is none.
    body
        Content.
    """

    assignment_id: str
    panel: int
    frame: int
    phase: int
    etag: str
    body: bytes


def pictures_of(pieces: Iterable[Piece]) -> list[Picture]:
    """Return the pictures of readings that were sent."""
    found = []
    for piece in pieces:
        address = _PICTURE.match(piece.place)
        if piece.kind == "answered" and address and piece.head.split(b" ")[1] == b"200":
            etag = re.search(rb"(?im)^etag:[ \t]*(\S+)", piece.head)
            name, panel, frame = address.groups()
            found.append(
                Picture(
                    name,
                    int(panel),
                    int(frame),
                    piece.phase,
                    etag.group(1).decode() if etag else "",
                    piece.body,
                )
            )
    return found


def chunks_of(png: bytes) -> list[bytes]:
    """Return the types of a PNG's chunks, and ``b"tail"`` if something follows the last."""
    if not png.startswith(b"\x89PNG\r\n\x1a\n"):
        return [b"not a PNG"]
    at, found = 8, []
    while at + 8 <= len(png):
        size, name = struct.unpack(">I4s", png[at : at + 8])
        found.append(name)
        at += 12 + size
        if name == b"IEND":
            break
    return [*found, b"tail"] if at < len(png) else found
