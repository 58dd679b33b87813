"""A whole report from a table: sections in order, bad input in sentences, never a bare nan."""

import importlib.util
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from study.analysis.estimate import AnalysisError, Scope
from study.analysis.figures.catalogue import FIGURES, all_figures
from study.analysis.figures.differences import paired_differences
from study.analysis.figures.reading_time import time_per_case
from study.analysis.figures.roc import roc_curves
from study.analysis.report.analysis import analyse
from study.analysis.report.assemble import Stopped, assemble
from study.analysis.report.html import Extra, Fact, to_html
from study.analysis.report.material import Counts, Material
from study.analysis.report.screen import screen_table
from study.analysis.report.sections import estimates_in
from study.analysis.report.text import methods, results, to_markdown

_spec = importlib.util.spec_from_file_location(
    "report_tables", Path(__file__).with_name("test_report.py")
)
_tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tables)

SCOPE = Scope("these readers", "descriptive", 2, 12)


def full_table(**choices):
    table = _tables.study_table(**choices)
    position = table["case_id"].str[1:].astype(int) + 1
    return table.assign(
        iou_m=_tables.iou_of(table),
        probability=0.5 + position / 40,
        session=np.where((position + (table["condition"] == "B")) % 2 == 0, "1", "2"),
        position=position,
        reading_time_s=10.0 + 3 * position + 7 * (table["condition"] == "B"),
    )


@pytest.fixture(scope="module")
def report():
    return assemble(Material(analyse(full_table(), primary="confidence")), models=False)


def words_of(report):
    text = to_markdown((*methods(report), *results(report)), "t")
    return "\n".join([text, *(f"{s.sentence} {' '.join(s.notes)}" for s in report.sections)])


def test_sections_come_in_the_order_in_which_they_are_read(report):
    names = [section.id for section in report.sections]
    assert names[:6] == [
        "primary", "ratings", "paired", "localisation", "agreement", "multireader",
    ]  # fmt: skip
    assert {"readers", "discrimination", "timing", "period", "missing"} <= set(names)
    assert "reliance" not in names and "sham" not in names  # nothing was declared of them
    assert not report.has_models
    assert {maker.section for maker in FIGURES} <= set(names)


def test_the_same_pairs_are_told_for_every_population(report):
    estimates = [line.estimate for line in report.section("primary").lines]
    assert {e.population for e in estimates} == {
        "these readers", "readers like them", "independent readings",
    }  # fmt: skip
    assert [e.role for e in estimates].count("confirmatory") == 1
    assert all(e.role == "warning" for e in estimates if e.population == "independent readings")


def test_models_stand_behind_the_paired_differences_and_are_added_later(report):
    full = assemble(report.material, before=report)
    names = [section.id for section in full.sections]
    at = names.index("paired")
    assert names[at + 1 : at + 4] == [
        "primary-models", "ordinal-confidence", "ordinal-correct_feature",
    ]  # fmt: skip
    assert full.has_models
    assert set(s.id for s in report.sections) <= set(names)


def test_steps_are_reported_and_a_report_can_be_stopped(report):
    steps = []
    assemble(
        report.material,
        models=False,
        on_step=lambda what, done, total: steps.append((done, total)),
    )
    assert steps[0][0] == 0 and steps[-1][0] == steps[-1][1] == len(steps) - 1
    with pytest.raises(Stopped):
        assemble(report.material, cancelled=lambda: True)


BAD = {
    "one reader": lambda t: t[t["reader"] == "r1"],
    "all differences zero": lambda t: t.assign(value=(t["case_id"].str[1:].astype(int) % 5) + 1),
    "every rating the same": lambda t: t.assign(value=3),
    "constant rater": lambda t: t.assign(value=t["value"].where(t["reader"] == "r1", 3)),
    "one-class reference": lambda t: t.assign(correctness="true_positive"),
    "no correctness": lambda t: t.drop(columns="correctness"),
    "missing cells": lambda t: t.assign(value=t["value"].where(t.index % 7 > 0)),
    "one case": lambda t: t[t["case_id"] == "c2"],
    "two cases": lambda t: t[t["case_id"].isin(["c2", "c3"])],
    "no times": lambda t: t.drop(columns=["reading_time_s", "session", "position"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_said_and_never_a_bare_nan(name):
    report = assemble(Material(analyse(BAD[name](full_table()))), models=False)
    for section in report.sections:
        assert section.sentence
        for line in section.lines:
            e = line.estimate
            assert e.value is None or math.isfinite(e.value)
            assert e.value is not None or e.note
    assert " nan" not in words_of(report).lower()
    screen = screen_table([line for s in report.sections for line in s.lines])
    assert not screen.map(lambda cell: str(cell).lower() == "nan").any(axis=None)
    for named in all_figures(report.material.analysis):
        json.loads(named.figure.to_json())


def test_models_of_hopeless_data_say_why():
    report = assemble(Material(analyse(BAD["every rating the same"](full_table()))))
    section = report.section("ordinal-confidence")
    assert all(line.estimate.value is None for line in section.lines if line.main)
    assert "no model can be fitted" in " ".join(section.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t[t["condition"] == "A"], "condition 'B'"),
        (lambda t: t.assign(value=t["value"] + 0.5), "whole number"),
        (lambda t: t.iloc[[0, 0, *range(1, len(t))]], "more than once"),
    ],
)
def test_what_cannot_be_analysed_at_all_is_refused(change, words):
    with pytest.raises(AnalysisError, match=words):
        analyse(full_table().pipe(change))


@dataclass(frozen=True)
class _Inner:
    reader: str
    estimate: object


@dataclass(frozen=True)
class _Outer:
    item: str
    correctness: str
    by_reader: tuple
    inner: tuple


def test_estimates_are_collected_with_the_words_beside_them():
    e = SCOPE.estimate("mean", 1.0, method="by hand")
    lines = estimates_in(
        _Outer("confidence", "true_positive", (("r1", e),), (_Inner("r2", e), _Inner("r3", e)))
    )
    assert [line.part for line in lines] == ["reader r1", "reader r2", "reader r3"]
    assert {(line.item, line.cases) for line in lines} == {("confidence", "true positives")}


def test_the_page_escapes_what_it_did_not_write():
    table = full_table().replace({"finding": {"Mass": "<script>alert(1)</script>"}})
    report = assemble(Material(analyse(table)), models=False)
    page = to_html(
        report,
        title="<b>x</b>",
        facts=[Fact("a<", "b<")],
        extras=[Extra("e", "E<", "", ("c<",), (("<i>",),))],
        plotly_js="",
    )
    assert "<script>alert(1)" not in page
    assert "<b>x</b>" not in page and "<i>" not in page


def test_an_interim_report_says_so():
    report = assemble(Material(analyse(full_table()), counts=Counts(100, 90, 4)), models=False)
    assert report.material.interim and report.material.counts.missing == 6
    page = to_html(report, title="t", plotly_js="")
    assert "Interim" in page and "6 of 100" in page
    assert "interim" in words_of(report)


def test_paired_differences_add_up_to_all_pairs():
    analysis = analyse(full_table())
    for bars in paired_differences(analysis, item="confidence").data:
        assert sum(bars.y) == pytest.approx(100)
    fine = full_table().assign(value=lambda t: (t["value"] * 19 + t.index % 7).astype(int))
    for bars in paired_differences(analyse(fine)).data:
        assert sum(bars.y) == pytest.approx(100) and len(bars.x) <= 41


def test_roc_curves_name_their_area_and_differ_by_dash():
    figure = roc_curves(analyse(full_table()))
    means = [t for t in figure.data if t.showlegend is not False]
    assert [t.name[:12] for t in means] == ["A: mean AUC ", "B: mean AUC "]
    assert len({t.line.dash for t in means}) == 2
    empty = roc_curves(analyse(full_table().assign(correctness="true_positive")))
    assert "every scored case" in empty.layout.annotations[0].text.lower()


def test_times_are_drawn_per_reading_and_not_per_answer():
    figure = time_per_case(analyse(full_table()))
    assert figure.layout.yaxis.type == "log"
    hover = figure.data[0].hovertext[0]
    assert hover.startswith("24 readings")
    assert (
        "no reading times"
        in time_per_case(analyse(_tables.study_table())).layout.annotations[0].text
    )
