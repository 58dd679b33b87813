"""Everything that a browser receives during a study is recorded, and searched for what it tells."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pages.parts.display_files import display_folder
from study.allocation import Assignment
from tests.support.keyboard_reader import KeyboardReader, keyboard_reader
from tests.support.leaks import PICTURE_CHUNKS, chunks_of, leaks, pictures_of, secrets_of, word
from tests.support.live_server import live_server
from tests.support.recorder import Piece, Recorder, recording_proxy
from tests.support.tiny_study import N_FRAMES, PASSPHRASE, TinyStudy
from tests.support.walk import to_first_reading
from tests.support.whole_study import CASE_IDS, LABELS, accept, invite, make_whole_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Download

pytestmark = pytest.mark.browser

BEFORE = -1
"""The phase before the first case; phase n is that of the reader's n-th assignment."""

_EVERYTHING_DRAWN = """() => {
    const parts = [];
    const walk = root => {
        parts.push(root.documentElement ? root.documentElement.outerHTML : root.innerHTML);
        for (const one of root.querySelectorAll('*')) {
            if (one.shadowRoot) walk(one.shadowRoot);
            if (one.value) parts.push(String(one.value));
        }
    };
    walk(document);
    return parts.join('\\n');
}"""
_EVERYTHING_KEPT = """async () => JSON.stringify({
    local: {...localStorage}, session: {...sessionStorage}, name: window.name,
    cookie: document.cookie, databases: (await indexedDB.databases()).map(one => one.name),
    caches: await caches.keys(), history: history.state, title: document.title,
    entries: performance.getEntries().map(one => one.name),
})"""

LEAKY = '''
"""Makes the pages tell what they must not: planted for a test."""
import hashlib, importlib.abc, importlib.machinery, os, sys, zlib


def leaky_bar(module):
    bar = module.bar

    def told(study, middle="", right=""):
        from pathlib import Path
        from study.folder import StudyFolder
        from study.store import StudyStore
        store = StudyStore.open(StudyFolder(Path(os.environ["COUNTERLIGHT_STUDY"])).database)
        mine = store.assignments("R1")
        theirs = [a for a in store.assignments() if a.reader_id != "R1"]
        words = [mine[-1].case_id, "True-Positive", "Latent Shift", "sham=none",
                 theirs[0].reader_id, theirs[0].assignment_id, mine[3].assignment_id,
                 mine[1].condition, study.title]
        store.close()
        return bar(study, middle + '<i title="' + " ".join(words) + '"></i>', right)

    module.bar = told


def leaky_pictures(module):
    inner = module.PictureRoutes._reading_file

    def sent(self, request, bits, media_type):
        answer = inner(self, request, bits, media_type)
        body = answer.body
        if body[:4] == bytes([137]) + b"PNG":
            text = b"tEXt" + b"Title" + bytes(1) + b"secret"
            chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
            body = body[:33] + chunk + body[33:]
        headers = {"ETag": '"' + hashlib.sha256(body).hexdigest() + '"', "X-From": "secret-source"}
        return type(answer)(body, answer.status_code, headers, media_type)

    module.PictureRoutes._reading_file = sent


LEAKS = {"pages.parts.chrome": leaky_bar, "pages.web.routes": leaky_pictures}


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name not in LEAKS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            LEAKS[name](module)

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
'''


class Watched:
    """A reader whose browser is recorded."""

    def __init__(self, reader: KeyboardReader, recorder: Recorder) -> None:
        self.reader, self.recorder = reader, recorder
        reader.page.on("download", self._downloaded)

    def _downloaded(self, download: Download) -> None:
        content = Path(download.path()).read_bytes()
        name = download.suggested_filename
        self.recorder.add(Piece("file", self.recorder.phase, name, body=content))

    def look(self) -> None:
        """Keep what the browser has drawn and stored."""
        page, phase = self.reader.page, self.recorder.phase
        drawn = page.evaluate(_EVERYTHING_DRAWN).encode()
        kept = page.evaluate(_EVERYTHING_KEPT).encode()
        cookies = json.dumps(page.context.cookies()).encode()
        self.recorder.add(Piece("dom", phase, page.url, body=drawn))
        self.recorder.add(Piece("storage", phase, page.url, body=kept + cookies))


@pytest.fixture(scope="module")
def own(told: tuple[TinyStudy, Recorder]) -> tuple[Assignment, ...]:
    return told[0].store().assignments("R1")


@pytest.fixture(scope="module")
def told(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TinyStudy, Recorder]]:
    """A study that was read from start to end, and all that was sent meanwhile."""
    root = tmp_path_factory.mktemp("blinding")
    study, recorder = make_whole_study(root / "study"), Recorder(phase=BEFORE)
    with (
        live_server(study.root, root / "server.log") as server,
        recording_proxy(server.port, recorder) as url,
    ):
        context, reader = keyboard_reader(browser, study, url)
        _read_it_all(Watched(reader, recorder))
        assert not reader.problems
        context.close()
    yield study, recorder


def _read_it_all(watched: Watched) -> None:
    reader, recorder = watched.reader, watched.recorder
    own = reader.study.store().assignments("R1")
    reader.accept(invite(reader.study), PASSPHRASE)
    reader.consent()
    watched.look()
    reader.profile()
    watched.look()
    reader.wait_for_heading("Before you read")
    recorder.phase = 0
    reader.instructions()
    for number, reading in enumerate(own):
        reader.wait_for_case(reading.assignment_id)
        reader.page.wait_for_load_state("networkidle")  # the next case is there, too
        watched.look()
        reader.press("4")
        reader.wait_until(lambda: reader.page.locator(".item.active[data-item=trust]").count())
        reader.type("50")
        reader.press("Tab", "n")
        reader.type(f"words {number}")
        reader.wait_for_status("Saved")
        watched.look()
        reader.press("Escape")
        if reading.purpose == "practice":
            reader.finish_case(reading.assignment_id)
            reader.wait_for_heading("Practice case 1 of 1")
            watched.look()
            recorder.phase = number + 1
            reader.go_on("Begin the study")
            continue
        recorder.phase = number + 1
        reader.finish_case(reading.assignment_id)
        if number == 2:
            _look_around(watched)
    for number in range(2):
        reader.wait_for_heading(f"Looking back, {number + 1} of 2")
        watched.look()
        reader.close(3, "well")
    reader.wait_for_heading("Thank you")
    watched.look()


def _look_around(watched: Watched) -> None:
    """Open the reader's other pages in the middle of a session, and one earlier answer."""
    reader = watched.reader
    for path, heading in (
        ("/", "left in session"),
        ("/instructions", "Before you read"),
        ("/consent", "Consent"),
        ("/pause", "Take a break?"),
        ("/revise", "Earlier answers"),
    ):
        reader.page.goto(reader.url + path)
        reader.wait_for_heading(heading)
        watched.look()
    done = reader.desk().done()[0].assignment.assignment_id
    reader.page.goto(f"{reader.url}/revise?reading={done}")
    reader.wait_for_case(done)
    watched.look()
    reader.page.goto(f"{reader.url}/reading")


def test_nothing_a_reader_receives_tells_what_must_stay_hidden(
    told: tuple[TinyStudy, Recorder], own: tuple[Assignment, ...]
) -> None:
    study, recorder = told
    assert leaks(recorder.pieces, secrets_of(study, own, closing_phase=len(own))) == []


def test_everything_was_recorded_that_a_browser_can_receive(
    told: tuple[TinyStudy, Recorder], own: tuple[Assignment, ...]
) -> None:
    """The same search finds what was said, wherever it was said: it is not blind itself."""
    _, recorder = told
    kinds = Counter(piece.kind for piece in recorder.pieces)
    assert all(kinds[kind] > 3 for kind in ("asked", "answered", "to server", "to browser", "dom"))
    assert kinds["storage"] > 3 and kinds["file"] == 0  # readers are offered no file
    for kind, said in (
        ("to browser", "Lung Opacity"),  # a message of the websocket
        ("asked", "words 2"),  # an answer on its way to the server
        ("dom", "How far do you trust it"),  # in the shadow of the form
        ("dom", LABELS[0]),  # while looking back
        ("answered", "Set the passphrase"),  # a page before signing in
        ("answered", "image/png"),  # a header
        ("storage", own[3].assignment_id),  # an address that the browser remembers
    ):
        found = leaks(recorder.of(kind), word("said", said))  # type: ignore[arg-type]
        assert found, (kind, said)
    seen = {picture.assignment_id for picture in pictures_of(recorder.pieces)}
    assert seen == {reading.assignment_id for reading in own}
    hosts = {piece.head.split(b"Host: ")[1].split(b"\r\n")[0] for piece in recorder.of("asked")}
    assert len(hosts) == 1


def test_pictures_come_in_equal_numbers_without_metadata_and_never_too_early(
    told: tuple[TinyStudy, Recorder], own: tuple[Assignment, ...]
) -> None:
    study, recorder = told
    pictures = pictures_of(recorder.pieces)
    numbers: dict[str, set[tuple[tuple[int, int], ...]]] = defaultdict(set)
    places = {reading.assignment_id: number for number, reading in enumerate(own)}
    for reading in own:
        frames = {(p.panel, p.frame) for p in pictures if p.assignment_id == reading.assignment_id}
        panels = Counter(panel for panel, _ in frames)
        numbers[reading.condition].add(tuple(sorted(panels.items())))
    still, moving = ((0, 1), (1, 1)), ((0, 1), (1, 1), (2, N_FRAMES))
    assert numbers == {"condmaps": {still}, "condshift": {moving}}
    contents = [_digests(study, reading) for reading in own]
    for picture in pictures:
        assert set(chunks_of(picture.body)) <= PICTURE_CHUNKS
        assert places[picture.assignment_id] <= picture.phase + 1
        allowed = set().union(*contents[: picture.phase + 2])
        assert hashlib.sha256(picture.body).hexdigest() in allowed


def _digests(study: TinyStudy, reading: Assignment) -> set[str]:
    folder = display_folder(
        study.folder.displays, reading.case_id, reading.finding, reading.condition
    )
    return {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.suffix in (".png", ".raw")
    }


def test_the_same_film_in_two_conditions_has_neither_address_nor_tag_in_common(
    told: tuple[TinyStudy, Recorder], own: tuple[Assignment, ...]
) -> None:
    _, recorder = told
    pictures = pictures_of(recorder.pieces)
    for case_id in CASE_IDS[:-1]:
        one, other = (reading.assignment_id for reading in own if reading.case_id == case_id)
        for name in (one, other):
            assert any(p.assignment_id == name for p in pictures)
        addresses = [
            {piece.place for piece in recorder.of("asked") if name in piece.place}
            for name in (one, other)
        ]
        assert addresses[0] and addresses[1] and not addresses[0] & addresses[1]
    assert {picture.etag for picture in pictures} == {""}
    headers = [p.head.lower() for p in recorder.of("answered") if p.place.startswith("/frames/")]
    assert not any(b"last-modified" in head or b"content-disposition" in head for head in headers)


def test_the_search_finds_what_is_planted(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second study whose pages are made to tell: were this test to fail, none above counts."""
    (tmp_path / "leaky").mkdir()
    (tmp_path / "leaky" / "sitecustomize.py").write_text(LEAKY)
    study, recorder = make_whole_study(tmp_path / "study"), Recorder(phase=1)
    accept(study)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "leaky"))
    with (
        live_server(study.root, tmp_path / "server.log") as server,
        recording_proxy(server.port, recorder) as url,
    ):
        context, reader = keyboard_reader(browser, study, url)
        name = to_first_reading(reader.desk(), {"confidence": 1, "trust": 1})
        reader.sign_in(PASSPHRASE)
        reader.go_on("Start session 1")
        reader.wait_for_case(name)
        Watched(reader, recorder).look()
        context.close()
    own = study.store().assignments("R1")
    found = leaks(recorder.pieces, secrets_of(study, own, closing_phase=len(own)))
    assert {leak.kind for leak in found} == {
        "truth", "case", "sham", "source", "method", "condition", "reader",
        "other assignment", "later assignment",
    }  # fmt: skip
    for kind in ("case", "method", "later assignment"):
        places = {leak.place.split(" /")[0] for leak in found if leak.kind == kind}
        assert "to browser" in places and any(place.startswith("dom") for place in places)
    pictures = pictures_of(recorder.pieces)
    assert pictures and all(picture.etag for picture in pictures)
    assert all(b"tEXt" in chunks_of(picture.body) for picture in pictures)
