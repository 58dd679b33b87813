"""A whole study in miniature: three cases, two readers, two conditions; no network, no torch.

It is made through the same functions as a real one, so that pages and routes are tested against
real files and a real store.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from argon2 import PasswordHasher

from data.manifest import CaseEntry, sha256_of, write_cases
from data.raster import write_png
from data.reference import Reference, write_references
from explainers.archive import ExplanationArchive
from explainers.record import Attribution, Counterfactual, Prediction, Provenance
from pages.parts.display import write_displays
from study.accounts import Accounts, Role
from study.allocation import CaseChoice, allocate
from study.folder import StudyFolder
from study.passphrases import Passphrases
from study.protocol import StudyProtocol, parse_protocol
from study.store import StudyStore

FINDING = "Lung Opacity"
PASSPHRASE = "seven lanterns over a quiet harbour"
"""Of every account of a tiny study."""

PEOPLE: tuple[tuple[Role, str | None], ...] = (
    ("reader", "R1"),
    ("reader", "R2"),
    ("researcher", None),
    ("coordinator", None),
)
READER: Role = "reader"
CASE_IDS = ("case-0007", "case-0008", "case-0009")
SIDE_PX = 64
MAP_PX = 16
N_FRAMES = 5
MAP_METHODS = ("input_gradients", "guided_backprop", "integrated_gradients")

FORBIDDEN_WORDS = (
    "true_positive",
    "false_positive",
    "reference",
    "patient-",
    "secret-source",
    "biopsy",
    "latent_shift",
    "integrated_gradients",
    *CASE_IDS,
)
"""Words of which none may reach a reader: reference standard, sources, methods, case names."""

PROTOCOL = """
format_version = 1

[study]
id = "tiny"
title = "Tiny study"
instructions = "Read three films.\\n\\nAnswer each question."
seed = 7
simulated = true

[design]
kind = "crossover"
sessions = 2
washout_days = {washout_days}
readers = 2

[cases]
findings = ["Lung Opacity"]
per_finding = 3
false_positive_share = 0

[[conditions]]
id = "A"
label = "Maps"
panels = [
    {{ show = "film", title = "Film" }},
    {{ show = "map", method = "integrated_gradients", title = "Map 1" }},
]

[[conditions]]
id = "B"
label = "Map and moving film"
panels = [
    {{ show = "film", title = "Film" }},
    {{ show = "map", method = "latent_shift-max", title = "Map" }},
    {{ show = "frames", method = "latent_shift", title = "Moving film" }},
]
{presentation}

[[items]]
id = "confidence"
kind = "likert"
question = "How confident are you in the model's prediction?"
low = "not at all"
high = "very"

[[items]]
id = "correct_feature"
kind = "likert"
question = "Is the model looking at the correct feature?"
low = "no"
high = "yes"

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


@dataclass(frozen=True)
class TinyStudy:
    """The study's directory; its accounts R1, R2, researcher and coordinator have a passphrase."""

    root: Path
    protocol: StudyProtocol
    passphrase: str = PASSPHRASE

    @property
    def folder(self) -> StudyFolder:
        """The study's folder."""
        return StudyFolder(self.root)

    def store(self) -> StudyStore:
        """Open the store once more, as another process would."""
        return StudyStore.open(self.folder.database)

    def accounts(self) -> Accounts:
        """Open the accounts once more, with hashes that take no time."""
        return quick_accounts(self.store())

    def login(self, who: str) -> str:
        """Sign in as ``"R1"``, ``"R2"``, ``"researcher"`` or ``"coordinator"``; a login token."""
        return self.accounts().sign_in(who, self.passphrase, datetime.now(UTC), "test")


def quick_accounts(store: StudyStore | Path) -> Accounts:
    """Open accounts whose passphrases are hashed in no time (and so with no strength)."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return Accounts(store, passphrases=Passphrases(quick))


def accept_all(accounts: Accounts, now: datetime, readers: Sequence[str] = ()) -> None:
    """Invite everybody, and further readers, and set the passphrase of each."""
    for role, reader_id in (*PEOPLE, *((READER, each) for each in readers)):
        invitation = accounts.invite(role, reader_id, f"The {reader_id or role}", now)
        accounts.accept(invitation.token, PASSPHRASE, now, "test")


def tiny_protocol(
    *, washout_days: float = 0, autoplay: bool = False, readers: int = 2
) -> StudyProtocol:
    """Return the protocol; with ``autoplay`` the film loops and the reader has no control."""
    shown = "autoplay = true" if autoplay else 'controls = ["slider", "play"]'
    text = PROTOCOL.format(washout_days=washout_days, presentation=shown)
    return parse_protocol(text.replace("readers = 2", f"readers = {readers}"))


def make_tiny_study(
    root: Path, *, washout_days: float = 0, autoplay: bool = False, readers: int = 2
) -> TinyStudy:
    """Write a study whose accounts can sign in: R1, R2 and so on, researcher, coordinator."""
    folder = StudyFolder(root)
    protocol = tiny_protocol(washout_days=washout_days, autoplay=autoplay, readers=readers)
    names = [f"R{number + 1}" for number in range(readers)]
    write_case_set(folder.cases)
    write_archive(ExplanationArchive(folder.explanations), folder.cases)
    choices = [
        CaseChoice(case_id, FINDING, stratum=str(number)) for number, case_id in enumerate(CASE_IDS)
    ]
    assignments = allocate(protocol, choices, 7, names, entropy=secrets.token_bytes(32))
    write_displays(root, protocol, assignments)
    store = StudyStore.create(folder.database, protocol, assignments)
    accept_all(quick_accounts(store), datetime.now(UTC), names[2:])
    return TinyStudy(root, protocol)


def film(number: int, side_px: int = SIDE_PX) -> np.ndarray:
    """Return a soft picture (side, side), float32, in [0, 1], different for each number."""
    y, x = np.mgrid[0:side_px, 0:side_px] / side_px
    bright = 0.45 + 0.3 * np.sin(3 * x + number) * np.cos(4 * y - number)
    noise = np.random.default_rng(number).normal(0, 0.03, (side_px, side_px))
    return np.clip(bright + noise, 0, 1).astype(np.float32)


def write_case_set(
    root: Path, case_ids: Sequence[str] = CASE_IDS, absent: Collection[str] = ()
) -> None:
    """Write cases with their reference standard; the finding is there but in those ``absent``."""
    (root / "images").mkdir(parents=True)
    entries, references = [], []
    for number, case_id in enumerate(case_ids):
        path = root / "images" / f"{case_id}.png"
        write_png(path, film(number))
        entries.append(
            CaseEntry(
                case_id,
                f"images/{case_id}.png",
                "DX",
                (2.0, 2.0),
                SIDE_PX,
                SIDE_PX,
                sha256_of(path),
            )
        )
        references.append(
            Reference(
                case_id,
                f"patient-{number}",
                "secret-source",
                "biopsy",
                "test",
                {FINDING: case_id not in absent},
            )
        )
    write_cases(root, entries)
    write_references(root, references)


def write_archive(
    archive: ExplanationArchive, cases: Path, case_ids: Sequence[str] = CASE_IDS
) -> None:
    """Write a map, a film and a prediction for each case."""
    predictions = []
    for number, case_id in enumerate(case_ids):
        digest = sha256_of(cases / "images" / f"{case_id}.png")
        probability = 0.62 + 0.05 * number
        values = film(number, MAP_PX) - np.float32(0.4)
        for method in MAP_METHODS:
            archive.save(
                Attribution(values, FINDING, logit=0.5, probability=probability),
                _provenance(case_id, method, digest),
            )
        archive.save(
            _moving_film(number, probability), _provenance(case_id, "latent_shift", digest)
        )
        predictions.append(Prediction(case_id, FINDING, 0.5, probability, "w" * 64))
    archive.save_predictions(predictions)


def _moving_film(number: int, probability: float) -> Counterfactual:
    steps = np.linspace(-2, 2, N_FRAMES)
    spot = np.exp(-(((np.mgrid[0:MAP_PX, 0:MAP_PX] - MAP_PX / 2) ** 2).sum(0)) / 12)
    frames = np.clip(film(number, MAP_PX) + 0.1 * steps[:, None, None] * spot, 0, 1)
    return Counterfactual(
        frames.astype(np.float32),
        steps,
        N_FRAMES // 2,
        np.clip(probability + 0.12 * steps, 0, 1),
        FINDING,
        reached_low=True,
        reached_high=True,
        probability_image=probability,
    )


def _provenance(case_id: str, method: str, image_sha256: str) -> Provenance:
    weights = hashlib.sha256(b"tiny").hexdigest()
    return Provenance(
        case_id,
        FINDING,
        method,
        f"{method}()",
        None,
        {"classifier": weights},
        image_sha256,
        0.1,
        "2026-01-01T00:00:00+00:00",
        "0.1.0",
    )
