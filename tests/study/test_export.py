"""The long table, the codebook and the files of an export."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from commands.audit import command as audit_command
from commands.export import command as export_command
from study.analysis.columns import canonicalise
from study.audit import verify
from study.codebook import codebook
from study.errors import StudyError
from study.export import FILES, export_study, read_localisation, to_csv
from study.folder import StudyFolder
from study.protocol import load_protocol
from study.session import ReadingDesk
from study.store import StudyStore
from study.table import COLUMNS, long_table
from study.viewer_log import ViewerEntry
from tests.support.any_design import KINDS, begin, design_tables, make_design, walk
from tests.support.small_study import Small, make_small, small_protocol

Tables = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture
def study_dir(tmp_path: Path, tables: Tables) -> Path:
    """A study on disk, with three readings and a comment that looks like a formula."""
    folder = StudyFolder(tmp_path / "study")
    folder.cases.mkdir(parents=True)
    folder.explanations.mkdir()
    small = make_small(folder.root)
    desk = small.desk()
    small.read(desk, 2)
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    desk.submit(current.assignment_id, {"confidence": 2, "comment": "=HYPERLINK(1)\n“ü”"})
    small.store.close()
    reference, predictions = tables
    reference.assign(patient_id=reference["case_id"]).to_csv(
        folder.cases / "reference.csv", index=False, float_format="%.0f"
    )
    predictions.to_csv(folder.predictions, index=False)
    _localisation(predictions).to_csv(folder.localisation, index=False)
    return folder.root


def _localisation(predictions: pd.DataFrame) -> pd.DataFrame:
    rows = predictions[["case_id", "finding"]]
    return pd.concat(
        [
            rows.assign(map="input_gradients", iou=0.25),
            rows[:3].assign(map="latent_shift-max", iou=0.5),
        ]
    )


def test_the_long_table_joins_answer_reading_case_and_explanation(
    small: Small, tables: Tables
) -> None:
    reference, predictions = tables
    read = small.read(small.desk())
    table = long_table(small.store, reference, predictions, _localisation(predictions))
    assert list(table.columns) == [*COLUMNS, "iou_input_gradients", "iou_latent_shift-max"]
    assert len(table) == 2 * len(read)
    truth = reference.set_index("case_id")
    for row, assignment in zip(
        table[table["item"] == "confidence"].itertuples(), read, strict=True
    ):
        assert (row.reader, row.case_id, row.finding) == (
            "R1",
            assignment.case_id,
            assignment.finding,
        )
        assert (row.condition, row.session, row.position) == (
            assignment.condition,
            assignment.session,
            assignment.position,
        )
        present = truth.loc[row.case_id, f"finding:{row.finding}"]
        assert row.reference == present
        assert row.correctness == ("true_positive" if present else "false_positive")
        assert row.value == 4.0
        assert not row.simulated
        assert row.simulated_cases
    comments = table[table["item"] == "comment"]
    assert comments["value"].isna().all()
    assert set(comments["text"]) == {"a nodule"}


@pytest.mark.parametrize(
    ("reference", "probability", "correctness"),
    [
        (1.0, 0.51, "true_positive"),
        (0.0, 0.51, "false_positive"),
        (0.0, 0.5, "true_negative"),
        (1.0, 0.5, "false_negative"),
        (float("nan"), 0.9, None),
        (1.0, float("nan"), None),
    ],
)
def test_correctness_compares_reference_and_prediction(
    small: Small, tables: Tables, reference: float, probability: float, correctness: str | None
) -> None:
    small.read(small.desk(), 1)
    truth, predictions = (table.copy() for table in tables)
    truth[[c for c in truth.columns if c.startswith("finding:")]] = reference
    predictions["probability"] = probability
    value = long_table(small.store, truth, predictions)["correctness"].iloc[0]
    assert (None if pd.isna(value) else value) == correctness


def test_the_long_table_is_what_the_analysis_reads(small: Small, tables: Tables) -> None:
    small.read(small.desk())
    ratings = canonicalise(long_table(small.store, *tables, _localisation(tables[1])))
    assert ratings.items == ("confidence",)
    assert ratings.text_items == ("comment",)
    assert ratings.maps == ("input_gradients", "latent_shift-max")
    assert len(ratings.frame) == 16


def test_a_study_without_ratings_has_an_empty_table(small: Small, tables: Tables) -> None:
    table = long_table(small.store, *tables)
    assert len(table) == 0
    assert list(table.columns) == list(COLUMNS)


def test_a_rated_case_without_reference_or_a_table_without_columns_is_refused(
    small: Small, tables: Tables
) -> None:
    read = small.read(small.desk(), 1)[0]
    reference, predictions = tables
    without = reference[reference["case_id"] != read.case_id]
    with pytest.raises(StudyError, match=read.case_id):
        long_table(small.store, without, predictions)
    with pytest.raises(StudyError, match="no column 'probability'"):
        long_table(small.store, reference, predictions.drop(columns="probability"))


def test_an_export_holds_every_file_and_reads_back(study_dir: Path, tmp_path: Path) -> None:
    export = export_study(study_dir, tmp_path / "out")
    assert [path.name for path in export.files] == list(FILES)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(FILES)
    ratings = pd.read_csv(tmp_path / "out" / "ratings.csv")
    assert len(ratings) == 6
    assert ratings["value"].dropna().tolist() == [4, 4, 2]
    assert canonicalise(ratings).items == ("confidence",)
    assignments = pd.read_csv(tmp_path / "out" / "assignments.csv")
    assert len(assignments) == 32
    missing = pd.read_csv(tmp_path / "out" / "missing.csv")
    assert (len(missing), set(missing["reason"])) == (29, {"not_read"})
    assert assignments["submitted_at"].notna().sum() == 3
    assert load_protocol(tmp_path / "out" / "protocol.toml").digest == small_protocol().digest
    readme = (tmp_path / "out" / "README.txt").read_text()
    assert small_protocol().digest in readme
    assert "SIMULATED FILMS" in readme


def test_a_comment_that_looks_like_a_formula_is_exported_as_text(
    study_dir: Path, tmp_path: Path
) -> None:
    export_study(study_dir, tmp_path / "out")
    with (tmp_path / "out" / "ratings.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert "'=HYPERLINK(1)\n“ü”" in texts


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_cells_and_headings_that_begin_a_formula_get_an_apostrophe(start: str) -> None:
    table = pd.DataFrame({f"{start}head": [f"{start}1+1", "plain", None], "number": [-1.5, 2, 3]})
    rows = list(csv.reader(to_csv(table).splitlines()) if start != "\r" else [])
    if rows:
        assert rows[0] == [f"'{start}head", "number"]
        assert [row[0] for row in rows[1:]] == [f"'{start}1+1", "plain", ""]
        assert rows[1][1] == "-1.5"  # a number is not a text
    else:
        assert "'\r1+1" in to_csv(table)


def test_every_exported_column_is_in_the_codebook_and_the_other_way_round(
    study_dir: Path, tmp_path: Path
) -> None:
    export_study(study_dir, tmp_path / "out")
    book = pd.read_csv(tmp_path / "out" / "codebook.csv")
    assert book[["meaning", "type"]].notna().all(axis=None)
    for name in (name for name in FILES if name.endswith(".csv") and name != "codebook.csv"):
        columns = pd.read_csv(tmp_path / "out" / name).columns
        listed = book.loc[book["file"] == name, "column"]
        assert [c for c in listed if "[" not in c] == list(columns)


def test_the_codebook_gives_each_item_its_question_and_anchors() -> None:
    book = codebook(small_protocol()).set_index("column")
    assert book.loc["value[confidence]", "meaning"] == "How confident?"
    assert book.loc["value[confidence]", "allowed_values"] == "1 (not at all) to 5 (very)"
    assert book.loc["text[comment]", "allowed_values"] == "at most 50 characters; may be empty"


def test_an_export_that_cannot_be_written_is_a_sentence_and_leaves_nothing(
    study_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StudyError, match="cannot be written"):
        export_study(study_dir, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_directory_without_a_study_or_without_predictions_is_a_sentence(
    study_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=r"holds no study\.sqlite"):
        export_study(tmp_path, tmp_path / "out")
    StudyFolder(study_dir).predictions.unlink()
    with pytest.raises(StudyError, match="restore it from a backup"):
        export_study(study_dir, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not a CSV table"),
        ("a,b\n1,2\n", "no column 'case_id', 'finding', 'map', 'iou'"),
        ("case_id,finding,map,iou\nc1,Mass,m,much\n", "text in the column 'iou'"),
    ],
)
def test_a_damaged_localisation_is_named(study_dir: Path, content: str, said: str) -> None:
    folder = StudyFolder(study_dir)
    folder.localisation.write_text(content)
    with pytest.raises(StudyError, match=rf"localisation\.csv .*{said}.*backup"):
        read_localisation(folder)


def test_localisation_may_be_absent_or_without_rows(study_dir: Path) -> None:
    folder = StudyFolder(study_dir)
    folder.localisation.write_text("case_id,finding,map,iou\n")
    table = read_localisation(folder)
    assert table is not None and table.empty
    folder.localisation.unlink()
    assert read_localisation(folder) is None


def test_the_commands_export_and_audit_a_study(study_dir: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(export_command, [str(study_dir), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert result.output.count("\n") == len(FILES)
    verified = runner.invoke(audit_command, ["verify", str(study_dir)])
    result = runner.invoke(audit_command, [str(study_dir)])
    assert result.exit_code == 0
    assert "9 events, intact. Head: " in result.output
    assert verified.output == result.output
    result = runner.invoke(audit_command, [str(study_dir), "--head", "f" * 64])
    assert result.exit_code == 1
    assert "not in the chain" in result.output


@pytest.fixture
def any_dir(tmp_path: Path) -> Callable[..., tuple[Path, Small]]:
    """A study of any design on disk."""

    def make(kind: str, **design: object) -> tuple[Path, Small]:
        folder = StudyFolder(tmp_path / "any")
        folder.cases.mkdir(parents=True)
        folder.explanations.mkdir()
        small = make_design(folder.root, kind, **design)
        reference, predictions = design_tables(small.store.protocol)
        reference.assign(patient_id=reference["case_id"]).to_csv(
            folder.cases / "reference.csv", index=False, float_format="%.0f"
        )
        predictions.to_csv(folder.predictions, index=False)
        return folder.root, small

    return make


def exported(root: Path, out: Path) -> dict[str, pd.DataFrame]:
    export_study(root, out)
    return {path.name: pd.read_csv(path) for path in out.glob("*.csv")}


def test_every_file_of_a_study_with_everything_in_it(any_dir, tmp_path: Path) -> None:
    root, study = any_dir("crossover", repeats=1, sham=True, revisions=True)
    desk = ReadingDesk(study.store, "R1", study.clock)
    begin(desk)
    practised = study.store.events("practised")[0].subject
    assert practised is not None
    desk.log_viewer(practised, (ViewerEntry(5, "frame", 1),))
    skipped = desk.current()
    assert skipped is not None
    desk.display(skipped.assignment_id)
    entries = (ViewerEntry(0, "paint"), ViewerEntry(7, "frame", 3), ViewerEntry(9, "window", "=1"))
    desk.log_viewer(skipped.assignment_id, entries)
    desk.report_problem(skipped.assignment_id, "@SUM(1) is black")
    desk.skip(skipped.assignment_id, "technical", "-1 map")
    current = desk.current()
    assert current is not None
    desk.display(current.assignment_id)
    desk.keep_draft(current.assignment_id, {"comment": "SECRET DRAFT"}, 1)
    study.store.close()
    again = StudyStore.open(study.path, clock=study.clock)
    export_study(root, tmp_path / "half")
    assert not any("SECRET DRAFT" in path.read_text() for path in (tmp_path / "half").iterdir())
    walk(ReadingDesk(again, "R1", study.clock))
    again.close()
    tables = exported(root, tmp_path / "out")
    assert set(tables) == {name for name in FILES if name.endswith(".csv")}
    missing = tables["missing.csv"]
    mine = missing[missing["reader"] == "R1"]
    assert mine[["assignment_id", "reason", "comment"]].to_numpy().tolist() == [
        [skipped.assignment_id, "technical", "'-1 map"]
    ]
    assert set(missing.loc[missing["reader"] == "R2", "reason"]) == {"not_read"}
    events = tables["events.csv"]
    assert set(events["assignment_id"]) == {skipped.assignment_id}  # practice does not count
    assert events["value"].fillna("").astype(str).tolist() == ["", "3", "'=1"]
    profile = tables["profile.csv"].set_index("reader")
    assert profile.loc["R1", "role"] == "radiologist"
    assert profile.loc["R1", "n_practised"] == 2
    assert str(profile.loc["R1", "consent_version"]).startswith("2")
    assert pd.isna(profile.loc["R2", "role"])
    closing = tables["closing.csv"]
    assert closing.query("item == 'liked'")[["condition", "value"]].to_numpy().tolist() == [
        ["A", 4],
        ["B", 4],
    ]
    assert tables["problems.csv"]["text"].tolist() == ["'@SUM(1) is black"]
    assignments = tables["assignments.csv"]
    assert set(assignments["purpose"]) == {"study", "repeat"}
    shams = assignments[assignments["condition"] == "B"]
    assert set(shams["sham"]) == {"other_case"}
    assert (shams["shown_case_id"] != shams["case_id"]).all()
    assert assignments["skipped_at"].notna().sum() == 1
    ratings = tables["ratings.csv"]
    assert ratings["assignment_id"].nunique() == 8
    assert verify(study.path).intact


@pytest.mark.parametrize("kind", KINDS)
def test_the_codebook_describes_every_column_of_every_design(
    any_dir, tmp_path: Path, kind: str
) -> None:
    root, study = any_dir(kind)
    walk(ReadingDesk(study.store, "R1", study.clock))
    study.store.close()
    tables = exported(root, tmp_path / "out")
    book = tables.pop("codebook.csv")
    assert book[["meaning", "type"]].notna().all(axis=None)
    for name, table in tables.items():
        listed = book.loc[book["file"] == name, "column"]
        assert [c for c in listed if "[" not in c] == list(table.columns)
    listed = book.set_index("column")["allowed_values"]
    assert listed["value[certainty]"] == "0 (not) to 100 (fully)"
    assert listed["text[management]"].endswith("none (Nothing), ct (CT)")
    assert listed["value[liked]"] == "1 (no) to 5 (yes)"


def test_both_stages_of_a_sequential_design_are_exported_with_their_condition(
    any_dir, tmp_path: Path
) -> None:
    root, study = any_dir("sequential")
    walk(ReadingDesk(study.store, "R1", study.clock))
    study.store.close()
    ratings = exported(root, tmp_path / "out")["ratings.csv"].query("item == 'confidence'")
    assert ratings["condition"].value_counts().to_dict() == {"A": 4, "B": 4}
    assert not ratings.duplicated(["reader", "case_id", "finding", "condition"]).any()
    columns = ["session", "position", "purpose", "sham", "first_paint_ms", "active_s", "hidden_s"]
    assert set(columns) <= set(ratings.columns)
