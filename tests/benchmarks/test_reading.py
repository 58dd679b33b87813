"""What the latency benchmark rests on: readers without browsers read, and times are summed up."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from benchmarks.bench_server import BenchServer
from benchmarks.bench_study import BenchStudy, make_bench_study
from benchmarks.page_client import PageClient
from benchmarks.reading import Sitting, report, summary
from benchmarks.reading_load import LoadReader
from benchmarks.reading_window import Turn
from study.allocation import Assignment
from study.audit import verify
from study.store import StudyStore
from tests.support.event_loop import run_alone


def turn(painted: float, n_panels: int = 4) -> Turn:
    return Turn(20.0, 25.0, 90.0, painted, n_panels, 0)


def test_the_summary_is_median_interpolated_95th_percentile_and_largest() -> None:
    assert summary([30.0, 10.0, 20.0]) == (20.0, pytest.approx(29.0), 30.0)
    assert summary([7.0]) == (7.0, 7.0, 7.0)
    assert summary(list(range(101)))[1] == pytest.approx(95.0)


def test_a_sitting_says_whether_its_bar_is_met_and_how_the_time_divides() -> None:
    met = "\n".join(Sitting("alone", (turn(200), turn(220, 3)), (1.0, 2.0), 0.1).lines())
    assert "bar 250: met" in met and "to 3 panels" in met and "0 of 2 cases" in met
    missed = Sitting("among others", (turn(900),), (1.0, 2.0), 0.1, (0.2,)).lines()
    assert "bar 500: MISSED" in missed[0]


def test_the_report_is_json_with_every_turn() -> None:
    sitting = Sitting("alone", (turn(200), turn(240)), (1.0, 2.0), 0.1)
    written = json.loads(json.dumps(report([sitting], [], 8.0, 19)))
    assert written["sittings"][0]["median"] == 220
    assert len(written["sittings"][0]["turns"]) == 2
    assert written["others"] == {"readers": 19, "think_s": 8.0}


async def read_it_all(study: BenchStudy, server: BenchServer) -> LoadReader:
    """Have one reader without a browser read the whole study."""
    await server.start()
    try:
        reader = LoadReader(server, study.login("R1"), 0.05, random.Random(1))
        await reader.read(asyncio.Event())
        page = await PageClient.open(server.url, study.login("R2"))
        shown = await page.run()
        await page.close()
        assert len(shown.urls) in (4, 7) and shown.viewer["panels"]
    finally:
        server.kill()
    return reader


@pytest.mark.filterwarnings("default")
def test_a_reader_without_a_browser_reads_a_study_to_its_end(tmp_path: Path) -> None:
    study = make_bench_study(tmp_path / "study", n_readers=2, n_cases=2)
    server = BenchServer(study.root, tmp_path / "log")
    reader = run_alone(lambda: read_it_all(study, server))
    store = StudyStore.open(study.database)
    mine: tuple[Assignment, ...] = store.assignments("R1")
    done = [event.subject for event in store.events("submitted", "R1")]
    assert done == [each.assignment_id for each in mine]
    assert len(reader.times_s) == len(mine) and reader.n_pictures > 0
    assert len(store.events("viewer", "R1")) == len(mine)
    store.close()
    assert verify(study.database).intact
