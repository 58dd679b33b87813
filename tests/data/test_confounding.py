"""What the shape of a film gives away, against cases whose AUC is known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from commands.confounding import command
from data.case import DataError
from data.confounding import Baseline, geometry_baselines, rank_auc
from data.manifest import CaseEntry, CaseSet, sha256_of, write_cases
from data.raster import write_png
from data.reference import Reference, ReferenceSet, write_references


def write_set(root: Path, columns: Sequence[int], ill: Sequence[bool | None], split: str) -> Path:
    (root / "images").mkdir(parents=True)
    entries, references = [], []
    for index, (width, label) in enumerate(zip(columns, ill, strict=True)):
        image = root / "images" / f"c{index}.png"
        write_png(image, np.full((20, width), 100, np.uint8))
        entries.append(
            CaseEntry(f"c{index}", f"images/c{index}.png", "CR", None, 20, width, sha256_of(image))
        )
        here = split or ("train" if index < len(columns) // 2 else "test")
        references.append(
            Reference(
                f"c{index}", f"p{index}", "", "", "" if split == "none" else here, {"F": label}
            )
        )
    write_cases(root, entries)
    write_references(root, references)
    return root


def baseline(root: Path, quantity: str = "aspect ratio") -> Baseline:
    found = geometry_baselines(CaseSet.open(root), ReferenceSet.open(root))
    return next(each for each in found if each.quantity == quantity)


def test_the_rank_auc_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 9, 60).astype(float), rng.random(60) < 0.4
    assert rank_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_a_shape_that_gives_the_label_away_has_auc_one(tmp_path: Path) -> None:
    root = write_set(
        tmp_path / "s", [30, 31, 20, 21, 32, 33, 22, 23], [True, True, False, False] * 2, ""
    )
    found = baseline(root)
    assert (found.auc, found.direction, found.held_out) == (1.0, 1, True)
    assert (found.n_films, found.n_positive, found.n_patients) == (4, 2, 4)


def test_the_direction_is_learnt_on_other_patients(tmp_path: Path) -> None:
    root = write_set(
        tmp_path / "s", [30, 31, 20, 21, 22, 23, 32, 33], [True, True, False, False] * 2, ""
    )
    assert baseline(root).auc == 0.0  # wider means ill in training, narrower in the test


def test_equal_shapes_tell_nothing(tmp_path: Path) -> None:
    root = write_set(tmp_path / "s", [25] * 8, [True, False] * 4, "")
    found = baseline(root)
    assert (found.auc, found.low, found.high) == (0.5, 0.5, 0.5)


def test_unknown_labels_are_left_out_and_missing_splits_are_said(tmp_path: Path) -> None:
    root = write_set(tmp_path / "s", [20, 21, 30, 31, 60], [True, True, False, False, None], "none")
    found = baseline(root)
    assert (found.auc, found.direction, found.held_out, found.n_films) == (1.0, -1, False, 4)
    done = CliRunner().invoke(command, ["--cases", str(root), "--out", str(tmp_path / "b.csv")])
    assert "all films measured" in done.output
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 5


def test_a_set_without_findings_is_refused(tmp_path: Path) -> None:
    root = write_set(tmp_path / "s", [20, 21], [True, False], "none")
    text = (root / "reference.csv").read_text().replace("finding:F", "other")
    (root / "reference.csv").write_text(text)
    with pytest.raises(DataError, match="no finding to tell"):
        geometry_baselines(CaseSet.open(root), ReferenceSet.open(root))
