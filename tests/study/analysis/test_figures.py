import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from study.analysis.estimate import AnalysisError
from study.analysis.figures.catalogue import FIGURES, all_figures
from study.analysis.figures.forest import differences_by_finding, differences_by_reader
from study.analysis.figures.iou import rating_against_iou
from study.analysis.figures.likert import likert_distribution
from study.analysis.figures.style import condition_colour
from study.analysis.report.analysis import analyse

_spec = importlib.util.spec_from_file_location(
    "report_tables", Path(__file__).with_name("test_report.py")
)
_tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tables)


@pytest.fixture(scope="module")
def analysis():
    table = _tables.study_table()
    return analyse(table.assign(iou_m=_tables.iou_of(table), iou_n=_tables.iou_of(table) / 2))


def test_every_figure_has_titled_axes_and_can_be_written(analysis):
    for named in all_figures(analysis):
        layout = named.figure.layout
        assert layout.title.text
        assert layout.template.layout.paper_bgcolor == "#0b0d10"
        axes = [a for a in named.figure.select_xaxes() if a.visible is not False]
        assert all(axis.title.text for axis in axes), named.name
        json.loads(named.figure.to_json())


def test_a_difference_is_drawn_where_it_is_with_its_interval(analysis):
    figure = differences_by_finding(analysis, item="confidence")
    trace = next(t for t in figure.data if t.name == "true positives")
    group = analysis.difference("confidence", "true_positive", "Mass")
    k = list(figure.layout.yaxis.ticktext).index("Mass")
    at = int(np.argmin(np.abs(np.array(trace.y) - k)))
    assert trace.x[at] == group.mean
    low, high = group.mean_difference.ci
    assert trace.x[at] - trace.error_x.arrayminus[at] == pytest.approx(low)
    assert trace.x[at] + trace.error_x.array[at] == pytest.approx(high)


def test_readers_have_one_row_each_and_one_together(analysis):
    figure = differences_by_reader(analysis)
    assert figure.layout.yaxis.ticktext == ("r1", "r2", "all readers")
    assert "points" in figure.layout.xaxis.title.text


def test_correctness_is_told_by_shape_and_not_by_colour_alone(analysis):
    traces = differences_by_reader(analysis).data
    assert len({t.marker.symbol for t in traces}) == len(traces) == 2


def test_the_bars_of_a_condition_add_up_to_all_its_ratings(analysis):
    figure = likert_distribution(analysis)
    rows = {}
    for bar in figure.data:
        rows[bar.y[0]] = rows.get(bar.y[0], 0) + bar.x[0]
    assert len(rows) == 6
    assert list(rows.values()) == pytest.approx([100.0] * 6)


def test_the_middle_of_the_scale_lies_across_zero(analysis):
    middle = [bar for bar in likert_distribution(analysis).data if "rated 3:" in bar.hovertext[0]]
    assert [bar.base[0] for bar in middle] == pytest.approx([-bar.x[0] / 2 for bar in middle])


def test_a_condition_keeps_its_colour(analysis):
    colour = condition_colour(analysis, "B")
    assert colour != condition_colour(analysis, "A")
    points = [t for t in rating_against_iou(analysis).data if str(t.name).startswith("B")]
    assert points
    assert {t.marker.color for t in points} == {colour}
    strongest = [bar for bar in likert_distribution(analysis).data if "rated 5" in bar.hovertext[0]]
    assert colour.lower() in {bar.marker.color.lower() for bar in strongest}


def test_ratings_are_moved_a_little_and_always_the_same_way(analysis):
    def points():
        return next(t for t in rating_against_iou(analysis).data if t.name == "A · m")

    again = points()
    assert list(points().y) == list(again.y)
    moved = np.abs(np.array(again.y) - np.round(again.y))
    assert 0 < moved.max() <= 0.15


def test_the_line_is_the_one_of_the_regression(analysis):
    result = next(r for r in analysis.regressions if (r.item, r.map_name) == ("confidence", "m"))
    line = next(t for t in rating_against_iou(analysis).data if t.name == "line")
    slope = (line.y[-1] - line.y[0]) / (line.x[-1] - line.x[0])
    assert slope == pytest.approx(result.slope.value)


def test_no_iou_is_said_and_not_drawn():
    figure = rating_against_iou(analyse(_tables.study_table()))
    assert not figure.data
    assert "no IoU" in figure.layout.annotations[0].text


def test_simulated_readers_are_named_in_every_title():
    simulated = analyse(_tables.study_table(simulated=True))
    for named in all_figures(simulated):
        assert named.figure.layout.title.text.startswith("Simulated readers · ")


def test_a_single_pair_and_equal_ratings_can_be_drawn():
    for table in (
        _tables.study_table(n_cases=1, readers=("r",)),
        _tables.study_table().assign(value=3),
    ):
        table = table.assign(iou_m=0.2)
        assert len(all_figures(analyse(table))) == len(FIGURES)


def test_a_figure_of_an_unknown_item_is_refused(analysis):
    with pytest.raises(AnalysisError, match="'trust'"):
        likert_distribution(analysis, item="trust")
