import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from commands.analyse import command
from study.analysis.estimate import AnalysisError
from study.analysis.figures.catalogue import FIGURES

ROWS = "reader,case,arm,rating\n" + "".join(
    f"{reader},{case},{arm},{1 + (case + (arm == 'B')) % 5}\n"
    for reader in ("r1", "r2")
    for case in range(6)
    for arm in "AB"
)
PUBLISHED = (
    Path(__file__).resolve().parents[4]
    / "shared"
    / "reference"
    / "gifsplanation"
    / "reader_study.csv"
)


def run(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def ratings(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def test_a_table_is_analysed_and_printed(ratings):
    done = run(ratings)
    assert done.exit_code == 0
    assert "24 ratings by 2 readers and 6 cases; differences are B − A" in done.output


def test_json_can_be_read_back(ratings):
    assert json.loads(run(ratings, "--json").output)["n_readers"] == 2


def test_semicolons_and_a_byte_order_mark_are_read(tmp_path, ratings):
    path = tmp_path / "excel.csv"
    path.write_text(ROWS.replace(",", ";"), encoding="utf-8-sig")
    assert run(path).output == run(ratings).output


def test_options_reach_the_analysis(ratings):
    done = run(ratings, "--contrast", "A, B", "--zeros", "pratt", "--correction", "--json")
    document = json.loads(done.output)
    assert (document["contrast"], document["zero_method"]) == (["A", "B"], "pratt")
    assert document["correction"] is True


def test_a_column_can_be_named(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text(ROWS.replace("rating", "trust"), encoding="utf-8")
    with pytest.raises(AnalysisError, match="lacks value"):
        run(path)
    assert json.loads(run(path, "--column", "value=trust", "--json").output)["n_ratings"] == 24


def test_figures_are_written_with_what_they_need(ratings, tmp_path):
    folder = tmp_path / "figures"
    run(ratings, "--figures", folder)
    pages = sorted(path.name for path in folder.glob("*.html"))
    assert len(pages) == len(FIGURES)
    assert "https://" not in (folder / pages[0]).read_text(encoding="utf-8").split("<body")[0]
    assert (folder / "plotly.min.js").stat().st_size > 1_000_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"reader,case\nr1,1,2,3\nr1,1\nr,2,3,4,5\n", "rows of one length|lacks"),
        (b"\xff\xfe\x00r", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(AnalysisError, match=words):
        run(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AnalysisError, match=r"none\.csv cannot be read"):
        run(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--contrast", "B", "not a pair"),
        ("--column", "value", "not an assignment"),
        ("--maps", "A=", "not an assignment"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(ratings, option, value, words):
    with pytest.raises(AnalysisError, match=words):
        run(ratings, option, value)


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="needs the published ratings in ../shared")
def test_the_published_study_prints_its_published_result():
    output = run(PUBLISHED).output
    assert "true positives 0.1500 ± 0.9544 (SD, ddof 0), W 1233.5, p 0.010370" in output
    assert "false positives 0.0458 ± 1.0616 (SD, ddof 0), W 2822.5, p 0.579310" in output
