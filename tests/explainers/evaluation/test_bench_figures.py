"""Figures of the benches: named axes, intervals as bands, pooled or of one finding."""

from __future__ import annotations

import pytest

from explainers.evaluation.faithfulness import Faithfulness
from explainers.evaluation.randomisation import Randomisation
from explainers.evaluation.reconstruction import Reconstruction
from explainers.evaluation.robustness import Robustness
from explainers.evaluation.summary import summarise
from tests.support.bench_setting import LABEL, PAIRS, Identity, Linear, setting_of
from tests.support.tiny_networks import write_case_set

BENCHES = [
    Randomisation(),
    Robustness((0.1,), (1.0,)),
    Reconstruction(),
    Faithfulness(n_squares=2, n_draws=1),
]


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_case_set(tmp_path_factory.mktemp("cases"))


def drawn(bench, cases, tmp_path, pairs):
    setting = setting_of(tmp_path, cases, Linear(), Identity(), ("integrated_gradients",))
    table = bench.measure(setting, LABEL, pairs)
    return bench.figures(table, summarise(table, setting.patients(), n_resamples=20))


@pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.name)
@pytest.mark.parametrize("pairs", [PAIRS, PAIRS[:1]], ids=["two findings", "one case"])
def test_every_figure_has_a_title_data_and_named_axes(bench, cases, tmp_path, pairs):
    figures = drawn(bench, cases, tmp_path, pairs)
    assert figures
    for figure in figures:
        assert figure.layout.title.text
        content = figure.to_json()
        assert "nothing measured" not in content
        if figure.data[0].type == "table":
            continue
        assert len(figure.data)
        for axis in figure.select_xaxes():
            assert axis.title.text


def test_a_line_has_a_band_of_its_own_colour(cases, tmp_path):
    figure = drawn(BENCHES[1], cases, tmp_path, PAIRS)[0]
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert lines and {band.legendgroup for band in bands} <= {line.name for line in lines}
    assert bands


def test_the_table_of_layers_names_what_was_reset(cases, tmp_path):
    table = drawn(BENCHES[0], cases, tmp_path, PAIRS)[-1].data[0]
    assert table.header.values[:2] == ("layers reset", "last one reset")
    assert list(table.cells.values[1]) == ["head"]


def test_the_table_of_reconstruction_is_laid_out_as_in_the_paper(cases, tmp_path):
    table = drawn(BENCHES[2], cases, tmp_path, PAIRS)[0].data[0]
    assert table.header.values[:5] == ("finding", "reference", "n", "f(x)", "f(D(E(x)))")
    assert list(table.cells.values[0]) == ["Lung Opacity", "Mass", "all", "all"]
    assert list(table.cells.values[1]) == ["unknown", "positive", "positive", "unknown"]
    assert len({len(column) for column in table.cells.values}) == 1
