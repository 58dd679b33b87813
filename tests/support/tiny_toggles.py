"""Switched pictures in miniature: records without a network, and a study that shows them."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from data.manifest import sha256_of
from explainers.archive import ExplanationArchive
from explainers.record import Provenance, ToggleDimension, Toggles, toggle_states
from pages.parts.display import write_displays
from study.allocation import CaseChoice, allocate
from study.folder import StudyFolder
from study.protocol import StudyProtocol, parse_protocol
from study.store import StudyStore
from tests.support.tiny_study import (
    CASE_IDS,
    FINDING,
    PROTOCOL,
    TinyStudy,
    accept_all,
    film,
    quick_accounts,
    write_archive,
    write_case_set,
)

TITLES = ("Heart size", "Factor 2 · dimension 41", "Fluid", "Factor 4 · dimension 7")
SIDE = 16


def tiny_toggles(
    base: np.ndarray, finding: str, n_dimensions: int = 2, *, note: str = ""
) -> Toggles:
    """Return toggles of a film (16, 16): each dimension lightens or darkens a band of its own."""
    states = [(0,) * n_dimensions] if note else toggle_states(n_dimensions)
    frames = np.repeat(base[None], len(states), axis=0)
    for frame, state in zip(frames, states, strict=True):
        for number, digit in enumerate(state):
            frame[4 * number : 4 * number + 4] += 0.2 * digit
    logits = [0.4 + sum((2 - number) * digit for number, digit in enumerate(s)) for s in states]
    return Toggles(
        frames=np.clip(frames, 0, 1).astype(np.float32),
        dimensions=tuple(
            ToggleDimension(10 * number, title, -1.0, 2.0)
            for number, title in enumerate(TITLES[:n_dimensions])
        ),
        probabilities=1 / (1 + np.exp(-np.array(logits))),
        finding=finding,
        probability_image=0.6,
        mean_error=30.0 if note else 3.5,
        note=note,
    )


NOTE = "No picture can be switched here: the generator cannot draw this film."


def toggles_provenance(case_id: str, image_sha256: str = "0" * 64) -> Provenance:
    """Return how the toggles of a case came about."""
    weights = {"classifier": "c" * 64, "factors": "f" * 64}
    now = "2026-01-01T00:00:00+00:00"
    parameters = "StyleSpaceToggles(n_factors=2)"
    return Provenance(
        case_id, FINDING, "stylespace", parameters, None, weights, image_sha256, 0.1, now, "0.1.0"
    )


def toggles_protocol(*, frames: str = "residual") -> StudyProtocol:
    """Return the tiny study's protocol with toggles in place of the moving film."""
    text = PROTOCOL.format(washout_days=0, presentation="")
    moving = '{ show = "frames", method = "latent_shift", title = "Moving film" }'
    assert moving in text
    panel = (
        f'{{ show = "toggles", method = "stylespace", title = "Switched", frames = "{frames}" }}'
    )
    return parse_protocol(text.replace(moving, panel))


def make_toggles_study(
    root: Path, n_dimensions: int = 2, *, noted: Collection[str] = (), frames: str = "residual"
) -> TinyStudy:
    """Write a study whose condition B shows toggles; cases in ``noted`` could not be inverted."""
    folder, protocol = StudyFolder(root), toggles_protocol(frames=frames)
    write_case_set(folder.cases)
    archive = ExplanationArchive(folder.explanations)
    write_archive(archive, folder.cases)
    for number, case_id in enumerate(CASE_IDS):
        note = NOTE if case_id in noted else ""
        toggles = tiny_toggles(film(number, SIDE), FINDING, n_dimensions, note=note)
        digest = sha256_of(folder.cases / "images" / f"{case_id}.png")
        archive.save(toggles, toggles_provenance(case_id, digest))
    choices = [
        CaseChoice(case_id, FINDING, stratum=str(number)) for number, case_id in enumerate(CASE_IDS)
    ]
    readers = ["R1", "R2"]
    assignments = allocate(protocol, choices, 7, readers, entropy=secrets.token_bytes(32))
    write_displays(root, protocol, assignments)
    store = StudyStore.create(folder.database, protocol, assignments)
    accept_all(quick_accounts(store), datetime.now(UTC))
    return TinyStudy(root, protocol)
