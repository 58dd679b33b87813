"""How often each paired test rejects: under no effect, and under a stated one.

    python -m benchmarks.calibration --out DIR [--studies 4000] [--fits 200] [--jobs 2]

The parts of a run are appended to ``DIR/parts.jsonl`` as they are done; the same command goes on
from there. Once everything is done, the table (``calibration.csv``), the figure and the page of the
documentation are written to the folder; ``--docs docs`` writes the latter two where they belong.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from commands.power_parts import line_of, plan_key, read_parts, usable
from study.analysis.power.methods import ACCURACY_METHODS, METHODS, method_of
from study.analysis.power.simulate import PowerPlan, PowerPoint, run_part, summarise
from study.analysis.power.studies import (
    ACCURACY,
    PUBLISHED_CONFIDENCE,
    PUBLISHED_FEATURE,
    TYPICAL,
    Held,
    StudyModel,
)

READERS = (4, 8, 16)
CASES = 60
MODELS: tuple[tuple[str, StudyModel], ...] = (
    ("typical", TYPICAL),
    ("confidence", PUBLISHED_CONFIDENCE),
    ("feature", PUBLISHED_FEATURE),
)
HELD: tuple[Held, ...] = ("nothing", "readers", "cases")
FAST = tuple(m.id for m in METHODS if not m.slow)


@dataclass(frozen=True)
class Run:
    """One plan of the calibration.

    Parameters
    ----------
    name
        Of its model.
    kind
        ``null`` or ``power``.
    plan
        What is simulated.
    """

    name: str
    kind: str
    plan: PowerPlan

    @property
    def slow(self) -> bool:
        """Whether it fits mixed models."""
        return any(method_of(m).slow for m in self.plan.methods)

    @property
    def key(self) -> str:
        """Digest of everything that decides the numbers of a batch."""
        return plan_key(self.plan)


def runs(n_studies: int, n_fits: int) -> tuple[Run, ...]:
    """Return everything that is simulated, the quick runs first.

    Parameters
    ----------
    n_studies
        Studies of each size for rank tests and means; five times as many for those offered as
        confirmatory, under their own null.
    n_fits
        The same for the mixed models under their own null; half as many for their power, and for
        the slope over readers alone where cases are random too.
    """
    found = []
    for name, model in MODELS:
        null = replace(model, effect=0.0)
        for held in HELD:
            found.append(Run(name, "null", _plan(null, FAST, n_studies, held)))
            sure = tuple(m.id for m in METHODS if m.role == "confirmatory" and m.null == held)
            if sure:
                found.append(Run(name, "null", _plan(null, sure, 5 * n_studies, held)))
        found.append(Run(name, "power", _plan(model, FAST, n_studies)))
    accuracy = tuple(m.id for m in ACCURACY_METHODS)
    null = replace(ACCURACY, effect=0.0)
    found.append(Run("accuracy", "null", _plan(null, accuracy, n_studies)))
    found.append(Run("accuracy", "power", _plan(ACCURACY, accuracy, n_studies)))
    return (*found, *_fits(n_fits))


def _fits(n_fits: int) -> list[Run]:
    """Return the runs of the mixed models."""
    half = max(n_fits // 2, 1)
    null, feature = replace(TYPICAL, effect=0.0), replace(PUBLISHED_FEATURE, effect=0.0)
    slow = [m for m in METHODS if m.slow]
    return [
        *(Run("typical", "null", _plan(null, (m.id,), n_fits, m.null)) for m in slow),
        *(
            Run("feature", "null", _plan(feature, (name,), half))
            for name in ("ordinal_slope", "ordinal_intercepts")
        ),
        *(Run("typical", "power", _plan(TYPICAL, (m.id,), half)) for m in slow),
    ]


def _plan(
    model: StudyModel, methods: tuple[str, ...], n_studies: int, held: Held = "nothing"
) -> PowerPlan:
    return PowerPlan(model, methods, READERS, (CASES,), n_studies, seed=20260, held=held)


def simulate(todo: tuple[Run, ...], path: Path, jobs: int) -> None:
    """Run all parts that are not on file, small batches of every run in turn.

    Parameters
    ----------
    todo
        The runs.
    path
        File of the parts.
    jobs
        Processes.
    """
    done = {key: {r.part for r in results} for key, results in read_parts(path).items()}
    left = [
        (number, part)
        for number, run in enumerate(todo)
        for part in run.plan.parts
        if part not in done.get(run.key, set())
    ]
    left.sort(key=lambda each: (todo[each[0]].slow, each[1].batch))
    with (
        path.open("a", encoding="utf-8") as file,
        ProcessPoolExecutor(jobs) as pool,
        tqdm(total=len(left), unit=" part") as bar,
    ):
        waiting = {pool.submit(run_part, todo[n].plan, part): n for n, part in left}
        for future in as_completed(waiting):
            result = future.result()
            file.write(line_of(todo[waiting[future]].key, result))
            file.flush()
            bar.update()


def points_of(todo: tuple[Run, ...], path: Path) -> list[tuple[Run, PowerPoint]]:
    """Return every point from the file of parts; of two for the same thing, the larger."""
    done = read_parts(path)
    found: dict[tuple[str, str, str, str, int], tuple[Run, PowerPoint]] = {}
    for run in todo:
        parts = usable(run.plan, done.get(run.key, []))
        for point in summarise(run.plan, parts):
            key = (run.name, run.kind, run.plan.held, point.method, point.n_readers)
            old = found.get(key)
            if old is None or old[1].rate.n_studies < point.rate.n_studies:
                found[key] = (run, point)
    return list(found.values())


def main() -> None:
    """Simulate, then write table, figure and page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path, help="folder of the documentation")
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--fits", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument(
        "--report-only", action="store_true", help="write what is on file, simulate nothing"
    )
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    todo = runs(given.studies, given.fits)
    path = given.out / "parts.jsonl"
    if not given.report_only:
        simulate(todo, path, given.jobs)
    from benchmarks.calibration_page import write_results

    write_results(points_of(todo, path), given.out, given.docs)


if __name__ == "__main__":
    main()
