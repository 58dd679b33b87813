"""A case set as arrays: splits by patient, masks by bit, counterfactual labels."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.case import DataError
from data.reference import Reference
from explainers.base import ExplainerError
from explainers.training import films as training_films
from explainers.training.films import Films, assign_splits, open_films, split_of

SIDE = 32


def _reference(case_id: str, patient_id: str, split: str = "") -> Reference:
    return Reference(case_id, patient_id, "", "", split, {})


def test_no_patient_stands_in_two_splits(films: Films) -> None:
    for patient in np.unique(films.patient_ids):
        assert len(np.unique(films.splits[films.patient_ids == patient])) == 1
    assert {"train", "val", "test"} == set(films.splits.tolist())


def test_a_counterfactual_follows_its_film_and_loses_one_finding(films: Films) -> None:
    mass = films.findings.index("Mass")
    rows = np.flatnonzero(films.removed == mass)
    assert len(rows) == 24
    for row in rows:
        original = np.flatnonzero((films.case_ids == films.case_ids[row]) & (films.removed < 0))[0]
        assert films.splits[row] == films.splits[original]
        assert films.labels[original, mass] == 1
        assert films.labels[row, mass] == 0
        assert films.mask_batch(np.array([row]))[0, mass].sum() == 0
        assert films.mask_batch(np.array([original]))[0, mass].sum() == 36
        assert films.images[row].mean() < films.images[original].mean()


def test_films_only_leaves_counterfactuals_out(films: Films) -> None:
    assert (films.removed[films.rows("train")] == -1).all()
    assert len(films.rows("train", counterfactuals=True)) > len(films.rows("train"))


def test_unknown_labels_are_nan(films: Films) -> None:
    effusion = films.labels[films.removed < 0, films.findings.index("Effusion")]
    assert np.isnan(effusion).sum() == 12


def test_the_cache_is_read_the_second_time(case_set: Path, films: Films, tmp_path: Path) -> None:
    calls: list[int] = []
    for _ in range(2):
        again = open_films(
            case_set, SIDE, tmp_path, validation_share=0.3, on_progress=lambda d, _: calls.append(d)
        )
    assert len(calls) == len(films.images)
    assert np.array_equal(again.images, films.images)
    assert again.digest == films.digest


def test_a_split_depends_on_the_patient_alone_and_has_about_the_wanted_shares() -> None:
    splits = [split_of(f"p{index:06d}") for index in range(4000)]
    assert splits == [split_of(f"p{index:06d}") for index in range(4000)]
    assert splits.count("test") / 4000 == pytest.approx(0.2, abs=0.02)
    assert splits.count("val") / 4000 == pytest.approx(0.1, abs=0.02)


def test_a_changed_validation_share_never_moves_a_test_patient() -> None:
    for index in range(500):
        patient = f"p{index}"
        assert (split_of(patient, 0.1) == "test") == (split_of(patient, 0.3) == "test")


def test_a_given_split_is_kept() -> None:
    given = [_reference("a", "p1", "test"), _reference("b", "p2", "train")]
    assert assign_splits(given).tolist() == ["test", "train"]


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([_reference("a", "p", "train"), _reference("b", "p", "val")], "stands in two splits"),
        ([_reference("a", "p", "train"), _reference("b", "q")], "for every case or for none"),
        ([_reference("a", "p", "dev")], "expected train, val or test"),
    ],
)
def test_clashing_splits_are_refused(references: list[Reference], message: str) -> None:
    with pytest.raises(ExplainerError, match=message):
        assign_splits(references)


def test_a_folder_that_is_no_case_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="case set"):
        open_films(tmp_path / "absent", SIDE, tmp_path / "cache")


def test_a_film_that_cannot_be_read_leaves_no_cache_behind(
    tmp_path: Path, make_case_set: Callable[..., Path]
) -> None:
    root = make_case_set(tmp_path / "cases", 6)
    (root / "images" / "c0003.png").write_bytes(b"no image")
    with pytest.raises(DataError):
        open_films(root, SIDE, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_size_out_of_range_is_refused(case_set: Path, tmp_path: Path) -> None:
    with pytest.raises(ExplainerError, match="16 to 1024"):
        open_films(case_set, 8, tmp_path)


@pytest.mark.parametrize("spoilt", ["index.json", "images.npy", "masks.npy"])
def test_a_damaged_cache_is_built_anew(
    case_set: Path, films: Films, tmp_path: Path, spoilt: str
) -> None:
    for _ in range(2):
        again = open_films(case_set, SIDE, tmp_path, validation_share=0.3)
        assert np.array_equal(again.images, films.images)
        (folder,) = tmp_path.iterdir()
        with (folder / spoilt).open("r+b") as file:
            file.truncate(100)


def test_the_space_of_a_cache_is_really_taken(case_set: Path, tmp_path: Path) -> None:
    open_films(case_set, SIDE, tmp_path)  # a sparse file ends in a bus error on a full disk
    for path in tmp_path.glob("*/*.npy"):
        assert path.stat().st_blocks * 512 >= path.stat().st_size


def test_a_full_disk_is_one_sentence_and_leaves_no_cache(
    case_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training_films, "_allocated", refuse)
    with pytest.raises(ExplainerError, match=r"cannot be written \(No space left.*MB"):
        open_films(case_set, SIDE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_films_say_what_is_simulated(films: Films) -> None:
    assert films.kind == "simulated films"
    assert replace(films, simulated=False).kind == "films"
    source = "planted/1: simulated findings in real films of a hospital"
    assert replace(films, sources=(source,)).kind == "real films with simulated findings"
