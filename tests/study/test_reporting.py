"""A study's report: its files, its words, and what it says while readings are missing."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from commands.report import command
from study.analysis.estimate import AnalysisError
from study.analysis.report.assemble import Report
from study.analysis.report.text import methods, results
from study.checklist import Known, checklist
from study.environment import Environment, this_environment
from study.errors import StudyError
from study.folder import StudyFolder
from study.imrmc import read_imrmc
from study.protocol import parse_protocol
from study.reporting import (
    Gathered,
    analysis_of,
    gather,
    material_of,
    report_files,
    report_of,
    zipped,
)
from study.store import StudyStore
from tests.support.finished_study import make_finished
from tests.support.small_study import TOML

NOW = datetime(2026, 4, 1, tzinfo=UTC)
ENVIRONMENT = Environment({"python": "3.11", "counterlight": "0.1"}, "Linux", NOW)


def gathered_of(folder: StudyFolder) -> Gathered:
    store = StudyStore.open(folder.database)
    try:
        return gather(folder, store)
    finally:
        store.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return make_finished(tmp_path_factory.mktemp("finished") / "study")


@pytest.fixture(scope="module")
def gathered(folder: StudyFolder) -> Gathered:
    return gathered_of(folder)


@pytest.fixture(scope="module")
def report(gathered: Gathered) -> Report:
    return report_of(gathered)


@pytest.fixture(scope="module")
def files(gathered: Gathered, report: Report) -> dict[str, bytes]:
    return report_files(gathered, report, ENVIRONMENT)


def test_all_files_are_there_and_hold_the_same_ratings(
    files: dict[str, bytes], gathered: Gathered
) -> None:
    for name in ("report.html", "methods-and-results.md", "results.xlsx", "estimates.parquet",
                 "codebook.csv", "environment.json", "checklist.csv", "protocol.toml",
                 "imrmc-confidence.imrmc", "README.txt", "missing.csv"):  # fmt: skip
        assert files[name], name
    csv = pd.read_csv(io.BytesIO(files["ratings.csv"]))
    parquet = pd.read_parquet(io.BytesIO(files["ratings.parquet"]))
    sheet = pd.read_excel(io.BytesIO(files["results.xlsx"]), sheet_name="ratings")
    for table in (csv, parquet, sheet):
        assert len(table) == len(gathered.ratings)
        assert table["value"].sum() == gathered.ratings["value"].sum()


def test_estimates_are_at_full_precision_and_each_names_whom_it_speaks_for(
    files: dict[str, bytes], report: Report
) -> None:
    table = pd.read_csv(io.BytesIO(files["estimates.csv"]))
    assert len(table) == len(report.table)
    np.testing.assert_allclose(table["value"], report.table["value"], rtol=1e-12)
    assert table["population"].notna().all() and table["method"].notna().all()
    nothing = table["value"].isna()
    assert (table.loc[~nothing, "n_cases"] > 0).all()
    nobody = ~nothing & (table["n_readers"] == 0)  # such as IoU against probability
    assert table.loc[nobody, "note"].str.contains("No reader is involved").all()
    assert table.loc[nothing, "note"].notna().all()
    pooled = table["population"] == "independent readings"
    assert pooled.any() and (table.loc[pooled, "role"] == "warning").all()
    assert (table["role"] == "confirmatory").sum() == 1


def test_the_first_estimate_is_the_declared_one(report: Report) -> None:
    line = report.sections[0].lines[0]
    primary = report.material.analysis.primary
    assert line.estimate is primary.estimate
    assert line.estimate.role == "confirmatory"
    assert line.item == report.material.protocol.analysis.primary


def test_the_page_stands_alone_and_never_shows_a_bare_nan(files: dict[str, bytes]) -> None:
    page = files["report.html"].decode("utf-8")
    visible = page[page.index("<body>") :]
    assert "src=" not in page[: page.index("<script>")] and "<link" not in page
    assert ">nan<" not in visible and ">None<" not in visible
    assert "@media print" in page
    assert "simulated readers" in visible
    assert visible.count("<figure") >= 10
    words = visible.index("As declared in the protocol")
    assert words < visible.index('class="primary"') < visible.index("<figure")


def test_the_words_say_what_was_declared_and_claim_nothing(report: Report) -> None:
    text = "\n".join(p for each in (*methods(report), *results(report)) for p in each.paragraphs)
    protocol = report.material.protocol
    assert protocol.digest[:12] in text
    assert "declared as a crossover" in text
    assert "takes all readings for independent ones" in text
    assert "48 planned readings 48 were done" in text
    for claim in ("significant", "proves", "we conclude", "superior to", "nan"):
        assert re.search(rf"\b{claim}\b", text.lower()) is None, claim


def test_the_imrmc_file_holds_every_reading(files: dict[str, bytes], gathered: Gathered) -> None:
    scores = read_imrmc(files["imrmc-confidence.imrmc"].decode("ascii"))
    rated = gathered.ratings["item"].eq("confidence").sum()
    assert len(scores) == rated
    assert set(scores["condition"]) == {"A", "B"}
    assert scores.groupby("unit")["truth"].nunique().max() == 1


def test_the_environment_names_versions_digest_and_head(
    files: dict[str, bytes], gathered: Gathered
) -> None:
    document = json.loads(files["environment.json"])
    assert document["study"]["protocol digest"] == gathered.protocol.digest
    assert document["study"]["end of the record's chain"] == gathered.head
    assert document["versions"]["counterlight"] == "0.1"
    here = this_environment(NOW)
    assert here.versions["numpy"] == np.__version__


def test_the_checklist_is_filled_where_the_software_knows(
    gathered: Gathered, report: Report
) -> None:
    answers = checklist(Known(report, ENVIRONMENT.versions, gathered.protocol.digest, "h" * 64))
    assert len(answers) == 44 + 38
    by_item = {(a.guideline, a.number): a for a in answers}
    assert by_item["CLAIM 2024", "37"].text.startswith(report.material.analysis.sentence)
    assert by_item["DECIDE-AI 2022", "VII"].text == report.material.analysis.sentence
    assert by_item["CLAIM 2024", "42"].state == "filled"
    assert by_item["CLAIM 2024", "40"].state == "for the authors"
    assert all("Left:" in a.text for a in answers if a.state == "in part")
    assert all(a.where or a.state != "filled" for a in answers)


def test_the_archive_holds_the_same_files(files: dict[str, bytes]) -> None:
    archive = zipfile.ZipFile(io.BytesIO(zipped(files, "x-report", NOW)))
    assert {f"x-report/{name}" for name in files} == set(archive.namelist())
    assert archive.read("x-report/estimates.csv") == files["estimates.csv"]


def test_missing_readings_make_a_report_interim(tmp_path: Path) -> None:
    folder = make_finished(tmp_path / "some", n_read=4)
    gathered = gathered_of(folder)
    assert gathered.counts.missing == 44 and not gathered.counts.complete
    by_reader = gathered.by_reader()
    assert by_reader["planned"].sum() == 48 and by_reader["done"].sum() == 4
    outcome = CliRunner().invoke(command, [str(folder.root), "--out", str(tmp_path / "out")])
    assert isinstance(outcome.exception, StudyError)
    assert "44 of 48 readings are missing" in str(outcome.exception)
    assert not (tmp_path / "out").exists()


def test_no_pair_and_no_rating_are_said_in_a_sentence(tmp_path: Path) -> None:
    for n_read, words in ((0, "no ratings yet"), (2, "both")):
        gathered = gathered_of(make_finished(tmp_path / str(n_read), n_read=n_read))
        with pytest.raises(AnalysisError, match=words):
            material_of(gathered)


def test_the_command_writes_the_report_and_says_the_endpoint(
    folder: StudyFolder, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    outcome = CliRunner().invoke(command, [str(folder.root), "--out", str(out), "--no-models"])
    assert outcome.exit_code == 0, outcome.output
    assert "Primary endpoint: confidence" in outcome.output
    assert {path.name for path in out.iterdir()} >= {"report.html", "results.xlsx"}
    assert "mixed models were not asked for" in (out / "README.txt").read_text(encoding="utf-8")
    (tmp_path / "file").write_text("x")
    blocked = CliRunner().invoke(
        command, [str(folder.root), "--out", str(tmp_path / "file" / "deep"), "--no-models"]
    )
    assert isinstance(blocked.exception, StudyError)
    assert "cannot be written" in str(blocked.exception)


def test_a_parallel_study_says_its_endpoint_and_why_there_are_no_pairs() -> None:
    text = TOML.format(per_finding=4, readers=4, washout_days=0, revisions="false")
    text = text.replace('"crossover"', '"parallel"').replace("sessions = 2", "sessions = 1")
    rows = [
        (f"R{r}", f"c{c}", "Mass", "AB"[r % 2], "confidence", 2 + (r + c) % 3 + r % 2)
        for r in range(4)
        for c in range(6)
    ]
    names = ["reader", "case_id", "finding", "condition", "item", "value"]
    ratings = pd.DataFrame(rows, columns=names)
    with pytest.raises(AnalysisError, match="parallel study") as raised:
        analysis_of(ratings, parse_protocol(text))
    assert "between groups" in str(raised.value)
    assert "readers like them" in str(raised.value)
