"""The bench ``localisation``: chance and prior beside the methods, and what is left out."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from data.raster import write_png
from data.reference import Reference, ReferenceSet, write_references
from explainers.base import ExplainerError
from explainers.evaluation.bench import COLUMNS, create_bench, run_bench
from explainers.evaluation.localisation import chance_iou
from explainers.evaluation.localisation_bench import (
    PRIOR_SIDE,
    QUANTITIES,
    LocalisationBench,
    MaskSums,
)
from explainers.evaluation.report import write_report
from explainers.evaluation.summary import summarise
from tests.support.bench_setting import LABEL, PAIRS, Linear, setting_of
from tests.support.tiny_networks import write_case_set

SIDE = 64
MASSES = (("c0001", "Mass"), ("c0002", "Mass"), ("c0003", "Mass"))


def block(row, column, height=8, width=8):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[row : row + height, column : column + width] = True
    return mask


def with_masks(root, masks, patients=("p0", "p1", "p2")):
    """Give the cases masks of a mass; ``None`` for a case without."""
    references = []
    for number, (mask, patient) in enumerate(zip(masks, patients, strict=True), start=1):
        case_id = f"c000{number}"
        path = root / "masks" / f"{case_id}.png"
        if mask is not None:
            write_png(path, mask)
        named = {} if mask is None else {"Mass": path}
        references.append(
            Reference(case_id, patient, "made", "by hand", "test", {"Mass": True}, named)
        )
    write_references(root, references)


@pytest.fixture
def cases(tmp_path):
    return write_case_set(tmp_path / "cases")


def measured(cases, tmp_path, pairs=MASSES, bench=None, network=None):
    setting = replace(setting_of(tmp_path, cases, network or Linear()), pairs=pairs)
    return setting, (bench or LocalisationBench()).measure(setting, LABEL, pairs)


def value(rows, case_id, method, quantity):
    chosen = rows[
        (rows["case_id"] == case_id) & (rows["method"] == method) & (rows["quantity"] == quantity)
    ]
    return float(chosen["value"].item())


def test_every_row_has_a_known_quantity(cases, tmp_path):
    _, rows = measured(cases, tmp_path)
    assert list(rows.columns) == list(COLUMNS)
    assert set(rows["quantity"]) <= set(QUANTITIES)
    assert set(rows["method"]) == {"(masks)", "chance", "mask_prior", "input_gradients"}


def test_a_gradient_that_lies_in_the_mask_scores_far_above_chance(cases, tmp_path):
    """The mask is rows 20 to 29, columns 20 to 34 of 64; the network has half the pixels."""
    network = Linear()
    network.head.weight.data.zero_()
    network.head.weight.data[0].view(32, 32)[10:15, 10:17] = 1
    _, rows = measured(cases, tmp_path, network=network)
    assert value(rows, "c0001", "input_gradients", "iou") > 0.8
    assert value(rows, "c0001", "input_gradients", "pointing") == 1
    assert value(rows, "c0001", "input_gradients", "share_inside") > 0.8


def test_chance_is_that_of_the_mask(cases, tmp_path):
    _, rows = measured(cases, tmp_path)
    mask = block(20, 20, 10, 15)
    assert value(rows, "c0001", "chance", "iou") == pytest.approx(chance_iou(mask))
    assert value(rows, "c0001", "chance", "auprc") == pytest.approx(mask.mean())


def test_the_prior_is_made_of_other_patients(cases, tmp_path):
    masks = (block(8, 8), block(8, 8), block(40, 40))
    with_masks(cases.root, masks)
    _, rows = measured(cases, tmp_path)
    # c0002 lies there too, c0003 elsewhere: half of the pixels chosen hit
    assert value(rows, "c0001", "mask_prior", "iou") == pytest.approx(1 / 3, abs=0.01)
    assert value(rows, "c0003", "mask_prior", "iou") == 0  # its own mask does not count
    with_masks(cases.root, masks, patients=("p0", "p0", "p2"))
    _, rows = measured(cases, tmp_path / "again")
    assert value(rows, "c0001", "mask_prior", "iou") == 0  # nor does another film of the patient


def test_a_single_patient_has_no_prior(cases, tmp_path):
    with_masks(cases.root, (block(8, 8),) * 3, patients=("p0",) * 3)
    _, rows = measured(cases, tmp_path)
    assert "mask_prior" not in set(rows["method"])


def test_the_prior_may_come_from_another_case_set(cases, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(cases.root, other)
    with_masks(other, (block(40, 8),) * 3)
    with_masks(cases.root, (block(40, 8), block(8, 8), None))
    _, rows = measured(cases, tmp_path, bench=LocalisationBench(other))
    assert value(rows, "c0001", "mask_prior", "iou") == pytest.approx(1)
    assert value(rows, "c0002", "mask_prior", "iou") == 0


def test_the_evaluated_set_under_another_path_excludes_the_own_patient_too(
    cases, tmp_path, monkeypatch
):
    with_masks(cases.root, (block(8, 8), block(40, 40), None))
    monkeypatch.chdir(cases.root.parent)
    _, rows = measured(cases, tmp_path, bench=LocalisationBench(cases.root / ".." / "cases"))
    assert value(rows, "c0001", "mask_prior", "iou") == 0


def test_masks_of_every_size_enter_the_prior(cases):
    with_masks(cases.root, (block(0, 0, 32, 32), np.zeros((SIDE, SIDE), bool), ~block(0, 0)))
    sums = MaskSums.read(ReferenceSet.open(cases.root), "Mass")
    assert dict(sums.counts) == {"p0": 1}  # neither the empty one nor the one of nearly all
    mean = sums.mean_without(None)
    assert mean.shape == (PRIOR_SIDE, PRIOR_SIDE) and mean.dtype == np.float32
    assert mean[:60, :60] == pytest.approx(1) and mean[70:].max() == 0
    assert sums.mean_without("p0") is None


def test_empty_and_missing_and_huge_masks_are_left_out_and_counted(cases, tmp_path):
    with_masks(cases.root, (block(8, 8), np.zeros((SIDE, SIDE), bool), ~block(0, 0)))
    pairs = (*MASSES, ("c0001", "Lung Opacity"))
    setting, rows = measured(cases, tmp_path, pairs)
    assert value(rows, "c0002", "(masks)", "left_out") == 1
    assert value(rows, "c0003", "(masks)", "too_large") == 1
    iou = rows[rows["quantity"] == "iou"]
    assert set(iou["case_id"]) == {"c0001"}
    assert value(rows, "c0001", "(masks)", "mask_share") == pytest.approx(64 / SIDE**2)
    listed = LocalisationBench().tables(setting, rows)["left_out"]
    assert listed.to_numpy().tolist() == [
        ["c0002", "Mass", "no mask, or an empty one"],
        ["c0003", "Mass", "the mask is larger than half the film"],
        ["c0001", "Lung Opacity", "no mask, or an empty one"],
    ]


@pytest.mark.parametrize("mask", [None, np.zeros((SIDE, SIDE), bool), np.ones((SIDE, SIDE), bool)])
def test_where_no_mask_can_be_used_the_report_says_so(cases, tmp_path, mask):
    with_masks(cases.root, (mask, mask, block(8, 8)))
    pairs = MASSES[:2]
    setting, rows = measured(cases, tmp_path, pairs)
    with pytest.raises(ExplainerError, match="missing, empty, or larger than half"):
        write_report(LocalisationBench(), setting, rows, tmp_path / "out", created="now")


def test_a_mask_of_another_size_is_refused(cases, tmp_path):
    with_masks(cases.root, (np.eye(32, dtype=bool), None, None))
    with pytest.raises(ExplainerError, match="'c0001' has 32 × 32 pixels, its film 64 × 64"):
        measured(cases, tmp_path)


def test_a_case_set_without_masks_is_refused(cases, tmp_path):
    with_masks(cases.root, (None, None, None))
    with pytest.raises(ExplainerError, match="needs masks"):
        measured(cases, tmp_path)
    setting = replace(setting_of(tmp_path, cases, Linear()), references=None)
    with pytest.raises(ExplainerError, match="needs masks"):
        LocalisationBench().measure(setting, LABEL, PAIRS)


def test_an_unknown_method_is_named(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear(), methods=("tarot",))
    with pytest.raises(ExplainerError, match="tarot"):
        LocalisationBench().measure(setting, LABEL, MASSES)


def test_chunks_do_not_change_the_numbers(cases, tmp_path):
    setting = replace(setting_of(tmp_path, cases, Linear()), pairs=MASSES)
    runs = [
        run_bench(create_bench("localisation"), setting, tmp_path / str(size), chunk_size=size)
        for size in (1, 3)
    ]
    keys = list(COLUMNS[:-1])
    ordered = [each.sort_values(keys, ignore_index=True) for each in runs]
    pd.testing.assert_frame_equal(*ordered)


def test_table_1_holds_models_findings_and_methods(cases, tmp_path):
    setting, rows = measured(cases, tmp_path)
    table = LocalisationBench().tables(setting, rows)["table1"]
    row = table.iloc[0]
    iou = rows[(rows["quantity"] == "iou") & (rows["method"] == "input_gradients")]["value"]
    assert (row["classifier"], row["finding"], row["n"]) == (LABEL, "Mass", 2)
    assert row["input_gradients mean"] == pytest.approx(iou.mean())
    assert row["input_gradients SD"] == pytest.approx(iou.std(ddof=1))
    assert np.isnan(row["AUC"])  # every case has a mass


def test_the_surplus_over_the_prior_is_paired(cases, tmp_path):
    with_masks(cases.root, (block(8, 8), block(8, 8), block(40, 40)))
    setting, rows = measured(cases, tmp_path)
    table = LocalisationBench().tables(setting, rows)["against_prior"]
    row = table[(table["method"] == "input_gradients") & (table["quantity"] == "iou")].iloc[0]
    wide = rows[rows["quantity"] == "iou"].pivot(index="case_id", columns="method", values="value")
    expected = (wide["input_gradients"] - wide["mask_prior"]).mean()
    assert row["difference"] == pytest.approx(expected)
    assert row["n"] == 3 and row["low"] <= expected <= row["high"]
    assert not row["above_prior"]


def test_figures_say_what_is_on_their_axes(cases, tmp_path):
    with_masks(cases.root, (block(8, 8), block(8, 40), None))
    setting, rows = measured(cases, tmp_path)
    figures = LocalisationBench().figures(rows, summarise(rows, setting.patients()))
    assert len(figures) == 7
    for figure in figures:
        assert figure.layout.title.text and figure.layout.xaxis.title.text
        assert figure.layout.yaxis.title.text and len(figure.data)
