"""The frame of the bench: it goes on where it stopped, and starts again where anything changed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from commands.evaluate import classifier_labels
from data.manifest import CaseSet
from data.raster import write_png
from data.reference import REFERENCE_FILE, ReferenceSet
from explainers.base import ExplainerError
from explainers.differentiation import ExplanationCancelled
from explainers.evaluation.bench import BENCHES, COLUMNS, Quantity, create_bench, run_bench
from tests.support.bench_setting import LABEL, PAIRS, Identity, Linear, setting_of
from tests.support.tiny_networks import write_case_set


@dataclass(frozen=True)
class Counting:
    """A bench whose value is drawn anew at every call, so that a kept number can be told."""

    name: ClassVar[str] = "counting"
    title: ClassVar[str] = "Counting"
    description: ClassVar[str] = "Counts."
    quantities: ClassVar = MappingProxyType({"n": Quantity("Number", "count", None)})
    calls: ClassVar[list] = []

    strength: float = 1.0
    other: tuple = ()

    def measure(self, setting, classifier_label, pairs):
        self.calls.append((classifier_label, tuple(pairs)))
        random = np.random.default_rng()
        rows = [
            (*pair, classifier_label, "m", "n", x, random.random())
            for pair in pairs
            for x in (np.nan, 0.1)
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def other_cases(self):
        return self.other

    def figures(self, table, summary):
        return []


@pytest.fixture
def cases(tmp_path):
    return write_case_set(tmp_path / "cases")


@pytest.fixture(autouse=True)
def calls():
    Counting.calls.clear()
    return Counting.calls


def run(setting, tmp_path, bench=None, **options):
    return run_bench(bench or Counting(), setting, tmp_path / "out", chunk_size=1, **options)


def reopened(setting):
    root = setting.cases.root
    return replace(setting, cases=CaseSet.open(root), references=ReferenceSet.open(root))


def test_a_cancelled_run_goes_on_with_the_numbers_it_has(cases, tmp_path, calls):
    setting, told = setting_of(tmp_path, cases, Linear()), []
    with pytest.raises(ExplanationCancelled):
        run(setting, tmp_path, cancelled=lambda: len(calls) == 2)
    assert len(calls) == 2
    assert not (tmp_path / "out" / "counting.csv").exists()
    whole = run(setting, tmp_path, on_progress=lambda *each: told.append(each))
    assert [pairs for _, pairs in calls] == [(pair,) for pair in PAIRS]
    assert told == [(1, 3), (2, 3), (3, 3)]
    again = run(setting, tmp_path)
    assert len(calls) == 3
    pd.testing.assert_frame_equal(whole, again)
    written = pd.read_csv(tmp_path / "out" / "counting.csv")
    assert written["value"].tolist() == whole["value"].tolist()


def test_rows_come_back_as_they_were_measured(cases, tmp_path):
    rows = run(setting_of(tmp_path, cases, Linear()), tmp_path)
    assert list(rows.columns) == list(COLUMNS)
    assert list(zip(rows["case_id"], rows["finding"], strict=True))[::2] == list(PAIRS)
    assert rows["x"].isna().tolist() == [True, False] * 3


def test_a_real_bench_stopped_half_way_ends_with_the_same_numbers(cases, tmp_path):
    bench = create_bench("reconstruction")
    setting = setting_of(tmp_path, cases, Linear(), Identity())
    asked = iter([False, True])
    with pytest.raises(ExplanationCancelled):
        run_bench(bench, setting, tmp_path / "a", chunk_size=2, cancelled=lambda: next(asked))
    resumed = run_bench(bench, setting, tmp_path / "a", chunk_size=2)
    pd.testing.assert_frame_equal(resumed, run_bench(bench, setting, tmp_path / "b", chunk_size=2))


def other_weights(seed):
    network = Linear(seed)
    network.weights_digest = f"linear {seed}"
    return network


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"methods": ("guided_backprop",)},
        {"classifiers": {LABEL: other_weights(5)}},
        {"classifiers": {"another name": Linear()}},
        {"networks": {"autoencoder": Identity()}},
        {"oracle": other_weights(6)},
        {"pairs": (*PAIRS[:1], ("c0002", "Mass"))},
        {"references": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_setting_is_measured_again(cases, tmp_path, calls, change):
    setting = setting_of(tmp_path, cases, Linear())
    run(setting, tmp_path)
    calls.clear()
    run(replace(setting, **change), tmp_path)
    assert calls


def test_another_parameter_of_the_bench_is_measured_again(cases, tmp_path, calls):
    setting = setting_of(tmp_path, cases, Linear())
    run(setting, tmp_path)
    run(setting, tmp_path, Counting(strength=2.0))
    assert len(calls) == 6


def repaint_mask(root):
    write_png(root / "masks" / "c0001.png", np.eye(64, dtype=bool))


def drop_mask(root):
    (root / "masks" / "c0001.png").unlink()


def change_reference(root):
    path = root / REFERENCE_FILE
    path.write_text(path.read_text().replace("made", "guessed", 1))


CHANGES = [repaint_mask, drop_mask, change_reference]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_mask_or_reference_is_measured_again(cases, tmp_path, calls, change):
    setting = setting_of(tmp_path, cases, Linear())
    run(setting, tmp_path)
    change(cases.root)
    run(reopened(setting), tmp_path)
    assert len(calls) == 6


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_changed_case_set_of_the_prior_is_measured_again(cases, tmp_path, calls, change):
    other = tmp_path / "other"
    shutil.copytree(cases.root, other)
    setting, bench = setting_of(tmp_path, cases, Linear()), Counting(other=(other,))
    run(setting, tmp_path, bench)
    run(setting, tmp_path, bench)
    assert len(calls) == 3
    change(other)
    run(setting, tmp_path, bench)
    assert len(calls) == 6


def test_the_prior_of_localisation_is_a_further_case_set(tmp_path):
    assert create_bench("localisation", prior_cases=tmp_path).other_cases() == (tmp_path,)
    assert create_bench("localisation").other_cases() == ()


def test_a_changed_film_is_measured_again(cases, tmp_path, calls):
    setting = setting_of(tmp_path, cases, Linear())
    run(setting, tmp_path)
    table = cases.root / "cases.csv"
    table.write_text(table.read_text().replace(cases.entry("c0001").sha256, "0" * 64))
    run(reopened(setting), tmp_path)
    assert calls[3:] == [(LABEL, (PAIRS[0],))]


def test_one_classifier_more_leaves_the_rows_of_the_first(cases, tmp_path, calls):
    setting = setting_of(tmp_path, cases, Linear())
    before = run(setting, tmp_path)
    both = {LABEL: Linear(), "second": other_weights(5)}
    rows = run(replace(setting, classifiers=both), tmp_path)
    assert {label for label, _ in calls[3:]} == {"second"}
    pd.testing.assert_frame_equal(rows[rows["classifier"] == LABEL], before)


def test_a_network_that_was_never_saved_is_measured_again(cases, tmp_path, calls):
    network = Linear()
    network.weights_digest = ""
    setting = setting_of(tmp_path, cases, network)
    run(setting, tmp_path)
    run(setting, tmp_path)
    assert len(calls) == 6


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "", "\x00\x01"])
def test_a_damaged_part_is_named(cases, tmp_path, content):
    setting = setting_of(tmp_path, cases, Linear())
    run(setting, tmp_path)
    part = next((tmp_path / "out" / "parts").iterdir())
    part.write_text(content)
    with pytest.raises(ExplainerError, match=part.stem):
        run(setting, tmp_path)


def test_nothing_to_measure_is_said(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear())
    with pytest.raises(ExplainerError, match="nothing to measure"):
        run(replace(setting, pairs=()), tmp_path)
    with pytest.raises(ExplainerError, match="no classifier to measure"):
        run(replace(setting, classifiers={}), tmp_path)


def test_an_unknown_bench_or_parameter_is_named_with_the_known_ones():
    with pytest.raises(ExplainerError, match="'astrology'; choose from localisation"):
        create_bench("astrology")
    with pytest.raises(ExplainerError, match="no parameter 'moon'; it has prior_cases"):
        create_bench("localisation", moon=1)
    with pytest.raises(ExplainerError, match="no parameter '_sums'"):
        create_bench("localisation", _sums={})


@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_has_what_the_report_needs(name):
    bench = create_bench(name)
    assert bench.name == name and bench.title and bench.description
    assert all(isinstance(each, Quantity) for each in bench.quantities.values())
    assert repr(bench) == repr(create_bench(name))


def test_cases_without_a_reference_are_their_own_patients(cases, tmp_path):
    setting = setting_of(tmp_path, cases, Linear())
    assert setting.patients() == {"c0001": "p0", "c0002": "p1", "c0003": "p2"}
    alone = replace(setting, references=None)
    assert alone.patients() == {each: each for each in cases.case_ids}
    assert not setting.simulated() and not alone.simulated()


def test_classifiers_are_called_by_file_name_or_factory():
    names = ("phantom-classifier", "a/b.safetensors", "mine.models:make")
    names += ("torchxrayvision:densenet121-res224-all@/w/x.pt",)
    assert list(classifier_labels(names)) == [
        "phantom-classifier",
        "b",
        "mine.models-make",
        "densenet121-res224-all",
    ]


@pytest.mark.parametrize("names", [("a/x.safetensors", "b/x.safetensors"), ("x", "x")])
def test_classifiers_of_one_name_are_refused(names):
    with pytest.raises(ExplainerError, match="both be called 'x'"):
        classifier_labels(names)
