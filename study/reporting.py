"""A study's whole report: gathered from its record, analysed, and written as files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from data.scratch import scratch_folder
from study.analysis.columns import canonicalise
from study.analysis.design.primary import declaration_of, primary_endpoint
from study.analysis.estimate import AnalysisError
from study.analysis.report.analysis import Analysis, analyse
from study.analysis.report.assemble import Cancelled, OnStep, Report, assemble
from study.analysis.report.html import Extra, Fact, to_html
from study.analysis.report.material import Counts, Material
from study.analysis.report.text import methods, results, said, to_markdown
from study.analysis.report.truth import with_truth
from study.checklist import Known, checklist, checklist_table
from study.codebook import codebook
from study.environment import Environment
from study.errors import StudyError
from study.export import study_table, to_csv
from study.export_tables import (
    NOT_READ,
    assignment_table,
    closing_table,
    event_table,
    missing_table,
    problem_table,
    profile_table,
)
from study.folder import StudyFolder
from study.imrmc import imrmc_text
from study.plans import AnalysisPlan
from study.protocol import StudyProtocol
from study.protocol_toml import to_toml
from study.store import StudyStore
from study.table import IOU_PREFIX
from study.workbook import MOST_ROWS, parquet_bytes, workbook_bytes

_TABLES: Mapping[str, Callable[[StudyStore], pd.DataFrame]] = {
    "assignments": assignment_table,
    "missing": missing_table,
    "profile": profile_table,
    "events": event_table,
    "closing": closing_table,
    "problems": problem_table,
}


@dataclass(frozen=True, eq=False)
class Gathered:
    """What a study's record says at one moment; nothing is computed yet.

    Parameters
    ----------
    protocol
        The frozen protocol.
    ratings
        The long table (:func:`study.table.long_table`).
    tables
        The other tables of an export, by name.
    head
        End of the record's chain.
    problems
        What the verification of the record found; empty if it is intact or was not verified.
    """

    protocol: StudyProtocol
    ratings: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    head: str
    problems: tuple[str, ...] = ()

    @property
    def counts(self) -> Counts:
        """How far the readings have come."""
        missing = self.tables["missing"]
        planned = len(self.tables["assignments"])
        not_read = int((missing["reason"] == NOT_READ).sum())
        return Counts(planned, planned - len(missing), len(missing) - not_read)

    def by_reader(self) -> pd.DataFrame:
        """Return counts by reader and session: planned, done, skipped, missing."""
        assignments, missing = self.tables["assignments"], self.tables["missing"]
        key = ["reader", "session"]
        planned = assignments.groupby(key).size().rename("planned")
        gone = missing["reason"] == NOT_READ
        waiting = missing[gone].groupby(key).size().rename("missing")
        skipped = missing[~gone].groupby(key).size().rename("skipped")
        joined = pd.concat([planned, skipped, waiting], axis=1).fillna(0).astype(int)
        joined.insert(1, "done", joined["planned"] - joined["skipped"] - joined["missing"])
        return joined.reset_index()


def gather(folder: StudyFolder, store: StudyStore, problems: tuple[str, ...] = ()) -> Gathered:
    """Read everything that a report needs.

    Raises
    ------
    StudyError
        If a table of the study is missing or damaged.
    data.case.DataError
        If the reference standard cannot be read.
    """
    tables = {name: make(store) for name, make in _TABLES.items()}
    return Gathered(store.protocol, study_table(folder.root, store), tables, store.head, problems)


def analysis_of(ratings: pd.DataFrame, protocol: StudyProtocol) -> Analysis:
    """Analyse a study's ratings as its protocol declares.

    Raises
    ------
    AnalysisError
        If they cannot be analysed (yet).
    """
    if ratings.empty:
        raise AnalysisError("There are no ratings yet; the results appear with the first pairs.")
    if protocol.design.kind == "review":
        raise AnalysisError(
            "A clinical review compares no conditions; its results are shares and agreement: run "
            "counterlight review report, or open the results page."
        )
    plan = protocol.analysis
    shown = {
        condition.id: [p.method for p in condition.panels if p.show == "map" and p.method]
        for condition in protocol.conditions
        if not condition.sham
    }
    if protocol.design.kind == "parallel":
        raise AnalysisError(_between_groups(ratings, plan))
    analysis = analyse(
        ratings,
        contrast=plan.contrast,
        alpha=plan.alpha,
        primary=plan.primary,
        subset=plan.subset,
        population=plan.population,
        shown_maps=shown,
    )
    declared = primary_endpoint(analysis.ratings.frame, declaration_of(plan), mixed_models=False)
    return analysis.with_primary(declared.estimate, declared.against_margin)


def _between_groups(ratings: pd.DataFrame, plan: AnalysisPlan) -> str:
    """Say the declared endpoint of a parallel study, in which there are no pairs."""
    frame = canonicalise(ratings).frame
    found = primary_endpoint(frame, declaration_of(plan), mixed_models=False)
    said_all = "; ".join(said(e) for e in (found.estimate, *found.sensitivity))
    return (
        "Every reader of a parallel study has one condition: there are no pairs, and figures and "
        f"tables of paired differences do not apply. Primary endpoint: {said_all}."
    )


def material_of(gathered: Gathered) -> Material:
    """Analyse what was gathered, for the sections of a report.

    Raises
    ------
    AnalysisError
        If the ratings cannot be analysed (yet).
    """
    analysis = analysis_of(gathered.ratings, gathered.protocol)
    return Material(analysis, gathered.protocol, gathered.counts, gathered.tables)


def report_of(
    gathered: Gathered,
    *,
    models: bool = True,
    on_step: OnStep = lambda what, done, total: None,
    cancelled: Cancelled = lambda: False,
) -> Report:
    """Analyse what was gathered and make every section; see :func:`assemble`."""
    material = material_of(gathered)
    return assemble(material, models=models, on_step=on_step, cancelled=cancelled)


def report_files(gathered: Gathered, report: Report, environment: Environment) -> dict[str, bytes]:
    """Return every file of a report, name to content.

    ``report.html``; ``methods-and-results.md``; ``estimates``, ``ratings`` and ``checklist`` as CSV
    and, the first two, as Parquet; ``results.xlsx`` with every table; the other tables of an export
    as CSV; one ``imrmc-<item>.imrmc`` for each item that it suits; ``codebook.csv``,
    ``protocol.toml``, ``environment.json``, ``results.json`` and ``README.txt``.
    """
    protocol = gathered.protocol
    facts = _facts(gathered)
    answers = checklist(Known(report, environment.versions, protocol.digest, gathered.head))
    checked = checklist_table(answers)
    maps = [n.removeprefix(IOU_PREFIX) for n in gathered.ratings if n.startswith(IOU_PREFIX)]
    ratings = gathered.ratings.astype({"value": "Int64", "reference": "Int64"})
    tables = {"estimates": report.table, "ratings": ratings, **gathered.tables}
    tables |= {"checklist": checked, "codebook": codebook(protocol, maps)}
    title = f"{protocol.study.title}: results"
    words = (*methods(report), *results(report))
    imrmc, left_out = _imrmc(report)
    sheets = {name: table for name, table in tables.items() if len(table) <= MOST_ROWS}
    texts = {
        "report.html": to_html(
            report,
            title=title,
            facts=[Fact(*pair) for pair in environment.facts(facts)],
            extras=[_checklist_extra(checked)],
        ),
        "methods-and-results.md": to_markdown(words, title),
        "results.json": report.material.analysis.to_json(),
        "environment.json": environment.to_json(facts),
        "protocol.toml": to_toml(protocol),
        **{f"{name}.csv": to_csv(table) for name, table in tables.items()},
        **imrmc,
        "README.txt": _readme(gathered, report, tuple(imrmc), left_out),
    }
    return {
        **{name: text.encode("utf-8") for name, text in texts.items()},
        "estimates.parquet": parquet_bytes(tables["estimates"]),
        "ratings.parquet": parquet_bytes(ratings),
        "results.xlsx": workbook_bytes(sheets, created=environment.made_at),
    }


def zipped(files: Mapping[str, bytes], folder: str, made_at: datetime) -> bytes:
    """Return the files as one ZIP archive under a folder."""
    stream = io.BytesIO()
    date = made_at.timetuple()[:6]
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{folder}/{name}", (max(date[0], 1980), *date[1:]))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return stream.getvalue()


def write_files(out: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write files into a folder, which is made if needed: all of them, or none.

    Raises
    ------
    StudyError
        If the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with scratch_folder(out, ".writing-") as draft:
            for name, content in files.items():
                (draft / name).write_bytes(content)
            for name in files:
                (draft / name).replace(out / name)
    except OSError as error:
        raise StudyError(
            f"The report cannot be written to {out} ({error.strerror or error}); choose another "
            "directory, or free some space."
        ) from error
    return tuple(out / name for name in files)


def _facts(gathered: Gathered) -> dict[str, str]:
    """Return what identifies the data: study, digests, state of the record."""
    counts = gathered.counts
    return {
        "study": gathered.protocol.study.id,
        "protocol digest": gathered.protocol.digest,
        "end of the record's chain": gathered.head,
        "record": "intact" if not gathered.problems else f"NOT INTACT: {gathered.problems[0]}",
        "readings": f"{counts.done} done, {counts.skipped} skipped, {counts.missing} missing of "
        f"{counts.planned}",
    }


def _imrmc(report: Report) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return a file for each item that suits iMRMC, and a sentence for each other one."""
    analysis = report.material.analysis
    files: dict[str, str] = {}
    left_out: list[str] = []
    for item in analysis.ratings.items:
        readings = with_truth(report.material.frame, item)
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in item)
        try:
            files[f"imrmc-{name}.imrmc"] = imrmc_text(
                readings,
                title=f"Ratings of {item}; a case is an examination with its finding.",
                notes=("The readers are simulated.",) if analysis.simulated else (),
            )
        except StudyError as problem:
            left_out.append(f"No iMRMC file of {item}: {problem}")
    return files, tuple(left_out)


def _checklist_extra(checked: pd.DataFrame) -> Extra:
    rows = tuple(tuple(str(cell) for cell in row) for row in checked.itertuples(index=False))
    open_items = int((checked["state"] != "filled").sum())
    return Extra(
        "checklist",
        "CLAIM and DECIDE-AI",
        f"{len(rows) - open_items} of {len(rows)} items are filled from the record; the others are "
        "left to the authors, in whole or in part.",
        tuple(map(str, checked.columns)),
        rows,
    )


def _readme(
    gathered: Gathered, report: Report, imrmc: tuple[str, ...], left_out: tuple[str, ...]
) -> str:
    analysis = report.material.analysis
    lines = [
        f"Report on the study {gathered.protocol.study.id!r}: {gathered.protocol.study.title}",
        "",
        analysis.sentence,
        "",
        "report.html             everything, for a browser, without a network; prints",
        "methods-and-results.md  the words of the report",
        "estimates.csv .parquet  every number with interval, method, population and counts",
        "ratings.csv .parquet    one row per answer; other tables as in codebook.csv",
        "results.xlsx            all tables as sheets",
        "results.json            the paired analysis, nested",
        "checklist.csv           CLAIM and DECIDE-AI, filled where the software knows",
        "environment.json        versions, digests, end of the record's chain",
        *(f"{name:<23} scores and truth for iMRMC" for name in imrmc),
        *left_out,
        "",
        "Numbers are at full precision. Text cells that begin with = + - @ carry a leading",
        "apostrophe, so that a spreadsheet does not take them for formulas.",
    ]
    if report.material.interim:
        lines += ["", "INTERIM: readings are missing."]
    if not report.has_models:
        lines += ["", "The mixed models were not asked for and are not in it."]
    if analysis.provenance:
        lines += ["", analysis.provenance.upper()]
    if gathered.problems:
        lines += ["", "THE RECORD IS NOT INTACT:", *gathered.problems]
    return "\n".join(lines) + "\n"
