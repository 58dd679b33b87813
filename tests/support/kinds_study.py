"""A study that asks every kind of question, has practice, and lets answers be revised."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from explainers.archive import ExplanationArchive
from pages.parts.display import write_displays
from study.allocation import CaseChoice, allocate
from study.folder import StudyFolder
from study.protocol import parse_protocol
from study.store import StudyStore
from tests.support.tiny_study import (
    CASE_IDS,
    FINDING,
    TinyStudy,
    accept_all,
    quick_accounts,
    write_archive,
    write_case_set,
)

_PROTOCOL = """
format_version = 1

[study]
id = "kinds"
title = "Every kind of question"
instructions = "Read two films."
seed = 7
simulated = true

[design]
kind = "crossover"
sessions = 2
readers = 2
revisions = true

[cases]
findings = ["Lung Opacity"]
per_finding = 2
false_positive_share = 0

[[practice]]
finding = "Lung Opacity"
condition = "A"
feedback = "The opacity lies at the left base."
case_id = "{practice}"

[[conditions]]
id = "A"
label = "Film alone"
panels = [{{ show = "film", title = "Film" }}]

[[conditions]]
id = "B"
label = "With a map"
panels = [
    {{ show = "film", title = "Film" }},
    {{ show = "map", method = "integrated_gradients", title = "Map" }},
]

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
id = "quality"
kind = "choice"
question = "How good is the film?"
options = [
    {{ id = "good", label = "good" }},
    {{ id = "fair", label = "fair" }},
    {{ id = "poor", label = "poor" }},
]

[[items]]
id = "signs"
kind = "multi_choice"
question = "Which signs do you see?"
required = false
options = [
    {{ id = "edge", label = "lost edge" }},
    {{ id = "haze", label = "haze" }},
    {{ id = "air", label = "air in the bronchi" }},
]

[[items]]
id = "place"
kind = "point"
question = "Where is the finding?"
required = false
max_marks = 2

[[items]]
id = "map_helps"
kind = "likert"
question = "Does the map help?"
low = "no"
high = "yes"
points = 3
conditions = ["B"]

[[items]]
id = "comment"
kind = "text"
question = "Comment"
required = false

[analysis]
primary = "confidence"
contrast = ["B", "A"]
subset = "all"
"""


def make_kinds_study(root: Path) -> TinyStudy:
    """Write the study; two cases are read in two conditions, the third is for practice."""
    folder = StudyFolder(root)
    *read, practised = CASE_IDS
    protocol = parse_protocol(_PROTOCOL.format(practice=practised))
    write_case_set(folder.cases)
    write_archive(ExplanationArchive(folder.explanations), folder.cases)
    choices = [CaseChoice(case_id, FINDING, str(n)) for n, case_id in enumerate(read)]
    practice = [CaseChoice(practised, FINDING)]
    assignments = allocate(
        protocol, choices, 7, ["R1", "R2"], entropy=secrets.token_bytes(32), practice=practice
    )
    write_displays(root, protocol, assignments, practice=practice)
    store = StudyStore.create(folder.database, protocol, assignments)
    accept_all(quick_accounts(store), datetime.now(UTC))
    return TinyStudy(root, protocol)
