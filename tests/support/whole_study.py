"""A whole study in miniature: consent, practice, breaks, marks, revisions, closing questions.

Its names are such that none of them can turn up by chance in what a browser receives.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from explainers.archive import ExplanationArchive
from pages.parts.display import write_displays
from study.accounts import Role
from study.allocation import CaseChoice, allocate, sham_partners
from study.folder import StudyFolder
from study.protocol import StudyProtocol, parse_protocol
from study.store import StudyStore
from tests.support.tiny_study import (
    FINDING,
    PASSPHRASE,
    TinyStudy,
    quick_accounts,
    write_archive,
    write_case_set,
)

OTHER_READER: Final = "readertwo"
READERS: Final = ("R1", OTHER_READER)
CONDITIONS: Final = ("condmaps", "condshift")
LABELS: Final = ("Words for the still kind", "Words for the moving kind")
CASE_IDS: Final = ("zk4107x", "zk4108x", "zk4109x", "zk4110x", "zk4111x")
"""The last one is for practice."""
ABSENT: Final = CASE_IDS[1:3]
"""False positives of the model."""

_PROTOCOL: Final = """
format_version = 1

[study]
id = "whole"
title = "A whole study"
instructions = "Read some films."
consent = "You may stop at any time."
consent_version = "3"
seed = 11
simulated = true

[design]
kind = "crossover"
sessions = 2
readers = 2
revisions = true
break_every = {break_every}

[cases]
findings = ["Lung Opacity"]
per_finding = {per_finding}
false_positive_share = 0.5

[[practice]]
finding = "Lung Opacity"
condition = "condshift"
feedback = "The opacity lies at the left base."
case_id = "{practised}"

[[conditions]]
id = "condmaps"
label = "Words for the still kind"
sham = "other_case"
panels = [
    {{ show = "film", title = "Film" }},
    {{ show = "map", method = "guided_backprop", title = "Map" }},
]

[[conditions]]
id = "condshift"
label = "Words for the moving kind"
panels = [
    {{ show = "film", title = "Film" }},
    {{ show = "map", method = "latent_shift-max", title = "Map" }},
    {{ show = "frames", method = "latent_shift", title = "Moving film" }},
]
controls = ["slider", "play"]

[[items]]
id = "confidence"
kind = "likert"
question = "How confident are you?"
low = "not at all"
high = "very"

[[items]]
id = "trust"
kind = "scale"
question = "How far do you trust it?"
low = "not"
high = "fully"

[[items]]
id = "place"
kind = "point"
question = "Where is the finding?"
required = false
max_marks = 2

[[items]]
id = "comment"
kind = "text"
question = "Comment"
required = false

[[closing]]
id = "liked"
kind = "likert"
question = "Did you like it?"
low = "no"
high = "yes"

[[closing]]
id = "words"
kind = "text"
question = "In your words"
required = false

[display]
show_probability = true

[analysis]
primary = "confidence"
contrast = ["condshift", "condmaps"]
"""


def whole_protocol(n_cases: int = 4, break_every: int = 0) -> StudyProtocol:
    """Return the protocol; half of the cases are false positives."""
    return parse_protocol(
        _PROTOCOL.format(per_finding=n_cases, break_every=break_every, practised=CASE_IDS[-1])
    )


def make_whole_study(root: Path, *, n_cases: int = 4, break_every: int = 0) -> TinyStudy:
    """Write the study; nobody but the coordinator and the researcher has accepted an invitation."""
    folder = StudyFolder(root)
    protocol = whole_protocol(n_cases, break_every)
    write_case_set(folder.cases, CASE_IDS, ABSENT)
    write_archive(ExplanationArchive(folder.explanations), folder.cases, CASE_IDS)
    choices = [CaseChoice(case_id, FINDING, str(case_id in ABSENT)) for case_id in _read(n_cases)]
    practice = [CaseChoice(CASE_IDS[-1], FINDING)]
    partners = sham_partners(choices, protocol.study.seed)
    assignments = allocate(
        protocol, choices, 11, READERS, entropy=secrets.token_bytes(32), practice=practice
    )
    write_displays(root, protocol, assignments, partners, practice)
    store = StudyStore.create(folder.database, protocol, assignments)
    now = datetime.now(UTC)
    accounts = quick_accounts(store)
    roles: tuple[Role, ...] = ("researcher", "coordinator")
    for role in roles:
        accounts.accept(accounts.invite(role, None, role, now).token, PASSPHRASE, now, "test")
    return TinyStudy(root, protocol)


def _read(n_cases: int) -> tuple[str, ...]:
    """Return the cases that are read, as many true as false positives."""
    true = [case_id for case_id in CASE_IDS[:-1] if case_id not in ABSENT]
    return (*true[: n_cases // 2], *ABSENT[: n_cases // 2])


def invite(study: TinyStudy, reader_id: str = "R1") -> str:
    """Invite a reader, or do so again; returns the path of the link."""
    now, accounts = datetime.now(UTC), study.accounts()
    known = [each for each in accounts.accounts() if each.reader_id == reader_id]
    if known:
        return accounts.reinvite(known[0].account_id, now).path
    return accounts.invite("reader", reader_id, "A reader", now).path


def accept(study: TinyStudy, reader_id: str = "R1") -> None:
    """Invite a reader who sets the passphrase of everybody else."""
    token = invite(study, reader_id).rpartition("/")[2]
    study.accounts().accept(token, PASSPHRASE, datetime.now(UTC), "test")
