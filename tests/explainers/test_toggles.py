"""Pictures to switch between: the order of the states, what is refused, and the way to disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explainers.archive import CorruptRecord, ExplanationArchive
from explainers.base import ExplainerError
from explainers.record import ToggleDimension, Toggles, toggle_states
from explainers.residual import residual_states
from tests.support.tiny_study import FINDING, film
from tests.support.tiny_toggles import SIDE, tiny_toggles, toggles_provenance


@pytest.fixture
def toggles() -> Toggles:
    return tiny_toggles(film(0, SIDE), FINDING)


def test_states_count_in_base_3_with_the_first_dimension_leading_and_none_in_the_middle() -> None:
    states = toggle_states(2)
    assert states[:4] == ((-1, -1), (-1, 0), (-1, 1), (0, -1))
    for n in range(1, 5):
        states = toggle_states(n)
        assert len(states) == 3**n
        assert states[3**n // 2] == (0,) * n
        values = [sum(3 ** (n - 1 - k) * (s + 1) for k, s in enumerate(state)) for state in states]
        assert values == list(range(3**n))


def test_the_unchanged_picture_is_the_reconstruction(toggles: Toggles) -> None:
    assert toggles.origin == 4
    assert np.array_equal(toggles.reconstruction, film(0, SIDE))
    assert toggles.states[toggles.origin] == (0, 0)


def test_changes_are_laid_on_the_film_which_stays_where_nothing_is_switched(
    toggles: Toggles,
) -> None:
    film_itself = film(3, 64)
    laid = residual_states(film_itself, toggles)
    assert laid.shape == (9, 64, 64)
    assert np.array_equal(laid[4], film_itself)
    raised = laid[toggles.states.index((1, 0))] - film_itself
    assert raised[4:12].mean() == pytest.approx(0.2, abs=0.03)
    assert np.abs(raised[40:]).max() < 1e-6


@pytest.mark.parametrize("bits", [8, 16])
def test_toggles_come_back_from_disk_as_they_were(
    toggles: Toggles, bits: int, tmp_path: Path
) -> None:
    archive = ExplanationArchive(tmp_path, frame_bits=bits)  # type: ignore[arg-type]
    provenance = toggles_provenance("c1")
    archive.save(toggles, provenance)
    back = archive.load("c1", FINDING, "stylespace")
    assert isinstance(back, Toggles)
    assert np.abs(back.frames - toggles.frames).max() <= 0.5 / (2**bits - 1) + 1e-6
    assert back.dimensions == toggles.dimensions
    assert np.array_equal(back.probabilities, toggles.probabilities)
    assert (back.mean_error, back.note, back.probability_image) == (3.5, "", 0.6)
    assert archive.has("c1", FINDING, "stylespace", provenance.digest)


def test_a_film_that_could_not_be_inverted_keeps_its_note_on_disk(tmp_path: Path) -> None:
    noted = tiny_toggles(film(0, SIDE), FINDING, 3, note="No picture can be switched here.")
    archive = ExplanationArchive(tmp_path)
    archive.save(noted, toggles_provenance("c1"))
    back = archive.load("c1", FINDING, "stylespace")
    assert isinstance(back, Toggles)
    assert (len(back.frames), back.origin, back.states) == (1, 0, ((0, 0, 0),))
    assert back.note == noted.note


def test_a_damaged_record_is_named_and_counts_as_absent(toggles: Toggles, tmp_path: Path) -> None:
    archive = ExplanationArchive(tmp_path)
    folder = archive.save(toggles, toggles_provenance("c1"))
    (folder / "frames" / "003.png").unlink()
    assert not archive.has("c1", FINDING, "stylespace")
    archive.save(toggles, toggles_provenance("c1"))
    record = json.loads((folder / "record.json").read_text())
    record["dimensions"] = record["dimensions"][:1]
    (folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(CorruptRecord, match="expected \\(3, rows, columns\\)"):
        archive.load("c1", FINDING, "stylespace")


def test_toggles_have_no_map(toggles: Toggles, tmp_path: Path) -> None:
    archive = ExplanationArchive(tmp_path)
    archive.save(toggles, toggles_provenance("c1"))
    for name in ("stylespace", "stylespace-max"):
        with pytest.raises(ExplainerError, match="no map"):
            archive.load_map("c1", FINDING, name)


def test_records_that_contradict_themselves_are_refused(toggles: Toggles) -> None:
    with pytest.raises(ExplainerError, match=r"shape \(8, 16, 16\)"):
        replace(toggles, frames=toggles.frames[:8])
    with pytest.raises(ExplainerError, match="probabilities of shape"):
        replace(toggles, probabilities=toggles.probabilities[:4])
    with pytest.raises(ExplainerError, match="expected values in"):
        replace(toggles, frames=toggles.frames + 1)
    with pytest.raises(ExplainerError, match="expected 1 to 4"):
        replace(toggles, dimensions=())
    with pytest.raises(ExplainerError, match="error of the reconstruction is nan"):
        replace(toggles, mean_error=float("nan"))
    with pytest.raises(ExplainerError, match="NaN or infinite"):
        replace(toggles, frames=np.full_like(toggles.frames, np.nan))
    with pytest.raises(ExplainerError, match="has no title"):
        ToggleDimension(3, "  ", 0, 1)
    with pytest.raises(ExplainerError, match="finite"):
        ToggleDimension(3, "Heart", 0, float("inf"))
