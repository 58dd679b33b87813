"""A study with pictures of any size and any number of readers, for benchmarks that serve one.

Protocol, allocation, store and accounts are made by the functions that make a real study. The
pictures are drawn here: what they show is of no matter, their number, size and depth are.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from argon2 import PasswordHasher
from numpy.typing import NDArray

from data.raster import write_png
from pages.parts.display_files import (
    DisplayRecord,
    PanelRecord,
    display_folder,
    picture_path,
    write_record,
)
from study.accounts import Accounts
from study.allocation import CaseChoice, allocate
from study.folder import StudyFolder
from study.passphrases import Passphrases
from study.profile import ReaderProfile
from study.protocol import StudyProtocol, parse_protocol
from study.session import ReadingDesk
from study.store import StudyStore

FINDING: Final = "Lung Opacity"
PASSPHRASE: Final = "seven lanterns over a quiet harbour"
PROFILE: Final = ReaderProfile(
    role="radiologist",
    years_of_practice=7,
    subspecialty="chest",
    prior_ai_use="tried",
    display="diagnostic",
    attested=True,
)

_PROTOCOL: Final = """
format_version = 1

[study]
id = "benchmark"
title = "A study for benchmarks"
instructions = "Read the films."
seed = 7
simulated = true

[design]
kind = "crossover"
sessions = 2
readers = {n_readers}
revisions = true

[cases]
findings = ["Lung Opacity"]
per_finding = {n_cases}
false_positive_share = 0

[[conditions]]
id = "A"
label = "Maps"
panels = [
    {{ show = "film", title = "Film" }},
    {{ show = "map", method = "input_gradients", title = "Map 1" }},
    {{ show = "map", method = "guided_backprop", title = "Map 2" }},
    {{ show = "map", method = "integrated_gradients", title = "Map 3" }},
]

[[conditions]]
id = "B"
label = "Map and moving film"
panels = [
    {{ show = "film", title = "Film" }},
    {{ show = "map", method = "latent_shift-max", title = "Map" }},
    {{ show = "frames", method = "latent_shift", title = "Moving film" }},
]
controls = ["slider", "play"]

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
class Pictures:
    """How many pictures a case has, and how large they are.

    Parameters
    ----------
    film_px, map_px
        Side of films and frames, and of maps.
    n_frames
        Frames of a moving film; the middle one is the original.
    """

    film_px: int = 64
    map_px: int = 16
    n_frames: int = 5


SMALL: Final = Pictures()
DEMO: Final = Pictures(film_px=512, map_px=256, n_frames=21)
"""As in the demo study."""


@dataclass(frozen=True)
class BenchStudy:
    """A study on disk, with its readers past the instructions.

    Parameters
    ----------
    root
        Its directory.
    protocol
        As frozen.
    """

    root: Path
    protocol: StudyProtocol

    @property
    def database(self) -> Path:
        """The study's record."""
        return StudyFolder(self.root).database

    def login(self, reader_id: str) -> str:
        """Sign a reader in and return the login token."""
        store = StudyStore.open(self.database)
        try:
            now = datetime.now(UTC)
            return quick_accounts(store).sign_in(reader_id, PASSPHRASE, now, reader_id)
        finally:
            store.close()


def quick_accounts(store: StudyStore) -> Accounts:
    """Open accounts whose passphrases are hashed in no time (and so with no strength)."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return Accounts(store, passphrases=Passphrases(quick))


def make_bench_study(
    root: Path,
    *,
    n_readers: int,
    n_cases: int,
    pictures: Pictures = SMALL,
    on_progress: Callable[[int, int], None] | None = None,
) -> BenchStudy:
    """Write a study whose readers R1, R2, … can sign in and have accepted the instructions.

    Parameters
    ----------
    root
        Directory, made if needed.
    n_readers, n_cases
        Size of the study; every reader reads every case in both conditions.
    pictures
        What each case has.
    on_progress
        Called with (displays done, displays in all).
    """
    folder = StudyFolder(root)
    protocol = parse_protocol(_PROTOCOL.format(n_readers=n_readers, n_cases=n_cases))
    choices = [CaseChoice(f"c{n:04d}", FINDING, str(n % 4)) for n in range(n_cases)]
    readers = [f"R{n + 1}" for n in range(n_readers)]
    assignments = allocate(protocol, choices, 7, readers, entropy=secrets.token_bytes(32))
    root.mkdir(parents=True, exist_ok=True)
    _write_displays(folder.displays, protocol, choices, pictures, on_progress)
    store = StudyStore.create(folder.database, protocol, assignments)
    accounts, now = quick_accounts(store), datetime.now(UTC)
    for reader_id in readers:
        invitation = accounts.invite("reader", reader_id, f"The {reader_id}", now)
        accounts.accept(invitation.token, PASSPHRASE, now, reader_id)
        desk = ReadingDesk(store, reader_id, lambda: datetime.now(UTC), simulated=True)
        desk.keep_profile(PROFILE)
        desk.accept_instructions()
    store.close()
    return BenchStudy(root, protocol)


def _write_displays(
    displays: Path,
    protocol: StudyProtocol,
    choices: Sequence[CaseChoice],
    pictures: Pictures,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    wanted = [(choice, condition) for choice in choices for condition in protocol.conditions]
    for done, (choice, condition) in enumerate(wanted, start=1):
        folder = display_folder(displays, choice.case_id, choice.finding, condition.id)
        kinds = [panel.show for panel in condition.panels]
        panels = []
        for number, panel in enumerate(condition.panels):
            n_frames = pictures.n_frames if panel.show == "frames" else 1
            side = pictures.map_px if panel.show == "map" else pictures.film_px
            panels.append(
                PanelRecord(
                    title=panel.title or "Film",
                    kind=panel.show,
                    n_frames=n_frames,
                    origin=n_frames // 2,
                    under=kinds.index("film") if panel.show == "map" else None,
                    width=side,
                    height=side,
                )
            )
            (folder / f"panel{number}").mkdir(parents=True)
            for frame in range(n_frames):
                key = f"{choice.case_id}/{condition.id}/{number}/{frame}"
                write_png(picture_path(folder, number, frame), _film(key, side))
        digest = hashlib.sha256(str(folder).encode()).hexdigest()
        write_record(folder, DisplayRecord(tuple(panels), 0.7, 1.0, digest, 0.7))
        if on_progress is not None:
            on_progress(done, len(wanted))


def _film(key: str, side: int) -> NDArray[np.float32]:
    """Return a soft picture (side, side) in [0, 1] with a film's noise, another for each key."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]))
    a, b = rng.uniform(2, 5, 2)
    x = np.linspace(0, 1, side, dtype=np.float32)
    soft = 0.45 + 0.3 * np.sin(a * x)[None, :] * np.cos(b * x)[:, None]
    noise = rng.standard_normal((side, side), dtype=np.float32) * np.float32(0.015)
    return np.clip(soft + noise, 0, 1).astype(np.float32)
