"""A study without pictures, for the pages around the reading; made in a fraction of a second."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.parts import desk_view, display_files
from pages.parts.context import Visit
from study.allocation import Assignment, CaseChoice, allocate
from study.folder import StudyFolder
from study.profile import ReaderProfile
from study.protocol import StudyProtocol, parse_protocol
from study.session import ReadingDesk
from study.store import StudyStore
from tests.support.pages import NAVIGATION
from tests.support.tiny_study import FINDING, PASSPHRASE, accept_all, quick_accounts

CONSENT = "I take part of my own will.\nI may stop at any time."
FEEDBACK = ("The heart is <b>not</b> enlarged here.", "Look at the left base.")
SECRETS = ("true_positive", "false_positive", "input_gradients", "secretcase")
"""Words that no page of a reader may hold."""

PROFILE = ReaderProfile(
    role="radiologist",
    years_of_practice=7,
    subspecialty="chest",
    prior_ai_use="tried",
    display="diagnostic",
    attested=True,
)

_PROTOCOL = """
format_version = 1
[study]
id = "small"
title = "Small study"
instructions = "Read each film."
consent = {consent}
consent_version = "2.1"
seed = 7
simulated = true
[design]
kind = "{kind}"
sessions = {sessions}
washout_days = {washout_days}
readers = 2
revisions = {revisions}
break_every = {break_every}
[cases]
findings = ["Lung Opacity"]
per_finding = {n_cases}
false_positive_share = 0
[[conditions]]
id = "condA"
label = "Film alone"
panels = [{{ show = "film" }}]
[[conditions]]
id = "condB"
label = "Map of the model"
panels = [{{ show = "film" }}, {{ show = "map", method = "input_gradients" }}]
[[items]]
id = "confidence"
kind = "likert"
question = "How confident are you?"
low = "not at all"
high = "very"
[[items]]
id = "comment"
kind = "text"
question = "Comment"
required = false
[analysis]
primary = "confidence"
contrast = ["condB", "condA"]
"""

_PRACTICE = """
[[practice]]
finding = "Lung Opacity"
condition = "condA"
feedback = "The heart is <b>not</b> enlarged here."
case_id = "secretcase-p1"
[[practice]]
finding = "Lung Opacity"
condition = "condB"
feedback = "Look at the left base."
case_id = "secretcase-p2"
"""

_CLOSING = """
[[closing]]
id = "help"
kind = "likert"
question = "Did it help?"
low = "no"
high = "a lot"
[[closing]]
id = "trust"
kind = "scale"
question = "How far did you trust it?"
low = "not at all"
high = "fully"
[[closing]]
id = "again"
kind = "choice"
question = "Would you use it?"
options = [{ id = "y", label = "yes" }, { id = "n", label = "no" }]
[[closing]]
id = "why"
kind = "multi_choice"
question = "What was good?"
required = false
options = [{ id = "speed", label = "it is fast" }, { id = "clear", label = "it is clear" }]
[[closing]]
id = "words"
kind = "text"
question = "Anything else"
required = false
"""


@dataclass(frozen=True)
class ReaderStudy:
    """A study on disk, and its readers' desks.

    Parameters
    ----------
    root
        Directory.
    protocol
        As frozen.
    """

    root: Path
    protocol: StudyProtocol
    _logins: dict[str, str] = field(default_factory=dict)

    def store(self) -> StudyStore:
        """Open the store once more."""
        return StudyStore.open(StudyFolder(self.root).database)

    def desk(self, reader_id: str = "R1", *, later: timedelta = timedelta()) -> ReadingDesk:
        """Open a reader's desk, if need be in the future."""
        return ReadingDesk(self.store(), reader_id, lambda: datetime.now(UTC) + later)

    def open(self, who: str = "R1", page: str | None = None) -> AppTest:
        """Open the application as somebody, on the start page or on ``page``."""
        if who not in self._logins:
            accounts = quick_accounts(self.store())
            self._logins[who] = accounts.sign_in(who, PASSPHRASE, datetime.now(UTC), "test")
        opened = AppTest.from_file(str(NAVIGATION), default_timeout=30)
        opened.user = {"login": self._logins[who]}
        opened.run()
        if page is not None:
            opened.switch_page(page).run()
        assert not opened.exception, opened.exception
        return opened

    def begin(self, reader_id: str = "R1") -> ReadingDesk:
        """Do everything that comes before the first case that counts."""
        desk = self.desk(reader_id)
        if self.protocol.study.consent:
            desk.consent()
        desk.keep_profile(PROFILE)
        desk.accept_instructions()
        while desk.step().kind == "practice":
            practise(desk)
            assignment = desk.step().assignment
            assert assignment is not None
            desk.read_feedback(assignment.assignment_id)
        return desk


def make_reader_study(
    root: Path,
    *,
    consent: str = CONSENT,
    practice: bool = True,
    closing: bool = True,
    kind: str = "crossover",
    washout_days: float = 0,
    revisions: bool = True,
    break_every: int = 0,
    n_cases: int = 2,
) -> ReaderStudy:
    """Freeze a study for readers R1 and R2."""
    text = _PROTOCOL.format(
        consent=repr(consent) if "\n" not in consent else f'"""{consent}"""',
        kind=kind,
        sessions=2 if kind == "crossover" else 1,
        washout_days=washout_days,
        revisions=str(revisions).lower(),
        break_every=break_every,
        n_cases=n_cases,
    )
    text += (_PRACTICE if practice else "") + (_CLOSING if closing else "")
    protocol = parse_protocol(text)
    choices = [CaseChoice(f"secretcase-{n}", FINDING, str(n)) for n in range(n_cases)]
    tried = [CaseChoice(str(p.case_id), p.finding) for p in protocol.practice]
    entropy = hashlib.sha256(str(root).encode()).digest()
    assignments = allocate(protocol, choices, 7, ["R1", "R2"], entropy=entropy, practice=tried)
    root.mkdir(parents=True, exist_ok=True)
    store = StudyStore.create(StudyFolder(root).database, protocol, assignments)
    accept_all(quick_accounts(store), datetime.now(UTC))
    return ReaderStudy(root, protocol)


def practise(desk: ReadingDesk) -> None:
    """Answer the practice case whose turn it is."""
    read_one(desk)


def read_one(desk: ReadingDesk, confidence: int = 3) -> str:
    """Display and submit the current case; returns its assignment id."""
    assignment = desk.current()
    assert assignment is not None
    desk.display(assignment.assignment_id)
    desk.submit(assignment.assignment_id, {"confidence": confidence})
    return assignment.assignment_id


def read_all(desk: ReadingDesk) -> None:
    """Read everything that is open, through breaks."""
    while (kind := desk.step().kind) in ("reading", "break"):
        if kind == "break":
            desk.end_break()
        else:
            read_one(desk)


def words_of(page: AppTest) -> str:
    """Return everything that a page sends as text, HTML or labels of widgets, less its style."""
    html = "".join(element.proto.body for element in page.get("html"))
    parts = [re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)]
    parts += [element.value for element in page.markdown]
    parts += [element.value for element in page.subheader]
    parts += [element.label for element in (*page.button, *page.radio, *page.checkbox)]
    return "\n".join(parts)


def button(page: AppTest, label: str) -> AppTest:
    """Press the button of that label and run the page."""
    found = [element for element in page.button if element.label == label]
    assert found, f"no button {label!r} among {[b.label for b in page.button]}"
    found[0].click()
    page.run()
    assert not page.exception, page.exception
    return page


def study_maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ReaderStudy]:
    """Return a function that makes a study and has the application serve it.

    These studies have no pictures: where a case would be shown, the pages say which and how.
    """

    def shown(visit: Visit, assignment: Assignment, mode: str = "read") -> None:
        st.html(f'<p class="stub">{mode} {assignment.assignment_id}</p>')

    def made(**choices: Any) -> ReaderStudy:
        study = make_reader_study(tmp_path / "study", **choices)
        monkeypatch.setenv("COUNTERLIGHT_STUDY", str(study.root))
        return study

    def films(visit: Visit, assignment: Assignment, record: object, following: object) -> None:
        st.html(f'<p class="stub">films {assignment.assignment_id}</p>')

    monkeypatch.setattr(desk_view, "show_reading", shown)
    monkeypatch.setattr(desk_view, "show_films", films)
    monkeypatch.setattr(display_files, "read_record", lambda folder: None)
    return made
