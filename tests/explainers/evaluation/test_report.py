"""The report of a bench: one page that needs nothing else, and says what was measured."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from data.reference import REFERENCE_FILE, ReferenceSet
from explainers.evaluation.bench import COLUMNS, Quantity
from explainers.evaluation.report import DARK, INK, PAGE, darkened, write_report
from explainers.evaluation.summary import SUMMARY_COLUMNS
from tests.support.bench_setting import LABEL, PAIRS, Linear, setting_of
from tests.support.tiny_networks import write_case_set

CREATED = "2025-01-02T03:04:05+00:00"
VOID = {"meta", "br", "link", "img", "input", "hr"}


@dataclass(frozen=True)
class Shouting:
    """A bench whose names would break a page that does not escape them."""

    name: ClassVar[str] = "shouting"
    title: ClassVar[str] = "Loud & <b>clear</b>"
    description: ClassVar[str] = "It <script>alert(1)</script> shouts."
    quantities: ClassVar = MappingProxyType({"n": Quantity("Number <n>", "count", "higher")})

    def figures(self, table, summary):
        figure = go.Figure(go.Scatter(x=[1], y=[2], name="</script><b>", line_color="#5f6368"))
        return [figure.update_layout(template="plotly_white", title="drawn")]

    def tables(self, setting, rows):
        return {"extra": pd.DataFrame({"finding": ["<i>"], "value": [0.25]})}


class Page(HTMLParser):
    """Tags with their attributes, text outside scripts, and whether all tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_case_set(tmp_path_factory.mktemp("cases"))


@pytest.fixture
def setting(cases, tmp_path):
    return setting_of(tmp_path, cases, Linear())


def rows_of(values):
    made = [
        (*pair, LABEL, "input_gradients", "n", np.nan, value)
        for pair, value in zip(PAIRS, values, strict=True)
    ]
    return pd.DataFrame(made, columns=list(COLUMNS))


def written(setting, out, values=(0.1, 0.5, 0.3)):
    write_report(Shouting(), setting, rows_of(values), out, created=CREATED)
    return Page((out / "shouting.html").read_text(encoding="utf-8"))


def test_the_page_asks_nothing_of_the_network(setting, tmp_path):
    page = written(setting, tmp_path / "out")
    links = [
        (tag, name, value)
        for tag, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert links == []
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "img", "object", "embed"}
    style = re.search(r"<style>(.*?)</style>", (tmp_path / "out/shouting.html").read_text(), re.S)
    assert "url(" not in style[1] and "@import" not in style[1]


def test_plotly_is_in_the_page_once(setting, tmp_path):
    from plotly.offline import get_plotlyjs

    written(setting, tmp_path)
    assert (tmp_path / "shouting.html").read_text(encoding="utf-8").count(get_plotlyjs()) == 1


def test_names_do_not_become_tags_and_every_tag_is_closed(setting, tmp_path):
    page = written(setting, tmp_path)
    assert page.open == []
    assert not {"b", "i"} & {tag for tag, _ in page.tags}
    assert "alert(1)" in page.text and "Loud & <b>clear</b>" in page.text and "<i>" in page.text


def test_the_page_says_what_was_measured_on_what(setting, tmp_path):
    text = written(setting, tmp_path).text
    for said in ("3 pairs of case and finding, 3\npatients", CREATED, "Shouting()", "Number <n>"):
        assert said in text
    assert "higher is better" in text and '"seed": 0' in text and "linear" in text


def test_a_cell_holds_mean_deviation_and_number(setting, tmp_path):
    text = written(setting, tmp_path).text
    assert "0.2 ± 0.141" in text  # masses: 0.1 and 0.3
    assert "0.3 ± 0.2" in text  # all
    assert "n 2" in text and "n 3" in text and "nan" not in text


@pytest.mark.parametrize(
    ("source", "said"), [("phantom 2", True), ("planted", True), ("a hospital", False)]
)
def test_simulated_films_are_called_so(tmp_path, source, said):
    cases = write_case_set(tmp_path / "cases")
    path = cases.root / REFERENCE_FILE
    path.write_text(path.read_text().replace("made", source, 1))  # one simulated film is enough
    setting = replace(
        setting_of(tmp_path, cases, Linear()), references=ReferenceSet.open(cases.root)
    )
    assert ("simulated" in written(setting, tmp_path / "out").text) is said
    content = json.loads((tmp_path / "out" / "shouting.json").read_text())
    assert content["simulated"] is said


def test_the_numbers_are_beside_the_page(setting, tmp_path):
    paths = write_report(Shouting(), setting, rows_of((0.1, np.nan, 0.3)), tmp_path, created="now")
    names = ["shouting.summary.csv", "shouting.json", "shouting.extra.csv", "shouting.html"]
    assert [path.name for path in paths] == names
    summary = pd.read_csv(paths[0])
    assert list(summary.columns) == SUMMARY_COLUMNS
    content = json.loads(paths[1].read_text(encoding="utf-8"))
    assert content["created"] == "now" and content["n_pairs"] == 3
    assert content["summary"][0]["mean"] == pytest.approx(summary["mean"][0]) == 0.2
    assert content["quantities"]["n"]["title"] == "Number <n>"
    assert content["quantities"]["n"]["better"] == "higher"
    assert pd.read_csv(paths[2])["value"].tolist() == [0.25]


def test_without_numbers_there_is_still_a_page(setting, tmp_path):
    page = written(setting, tmp_path, [np.nan] * 3)
    assert "Loud" in page.text and "Tables" not in page.text


def test_figures_are_drawn_for_the_dark_page():
    fresh = darkened(Shouting().figures(None, None)[0])
    assert fresh.layout.paper_bgcolor == fresh.layout.plot_bgcolor == PAGE
    assert fresh.layout.font.color == INK
    assert fresh.layout.template.layout.paper_bgcolor != "white"
    assert fresh.data[0].line.color == DARK["#5f6368"]
    assert fresh.layout.title.text == "drawn" and fresh.layout.xaxis.automargin


def test_cells_of_drawn_tables_are_dark_too():
    table = go.Table(header={"values": ["a"]}, cells={"values": [["1"]]})
    fresh = darkened(go.Figure(table)).data[0]
    assert fresh.cells.fill.color == PAGE and fresh.header.font.color == INK
    assert fresh.cells.values == (["1"],) or list(fresh.cells.values[0]) == ["1"]


@pytest.mark.parametrize("colour", [INK, *DARK.values()])
def test_what_is_drawn_stands_out_from_the_page(colour):
    def luminance(text):
        parts = np.array([int(text[start : start + 2], 16) for start in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    contrast = (luminance(colour) + 0.05) / (luminance(PAGE) + 0.05)
    lines = (DARK["#dadce0"], DARK["#202124"])
    assert contrast >= (2 if colour in lines else 4.5)
