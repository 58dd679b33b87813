"""Power and size of the tests that a report offers, by simulation of whole studies.

Every study of a cell (readers × cases) is drawn from
:class:`study.analysis.power.studies.StudyModel` and given to the very tests of this package. The
studies of a cell come in batches whose random numbers depend on seed, readers, cases and batch
alone: a run can be stopped, resumed, and extended, and all tests see the same studies. Beside the
simulation stand closed forms (:mod:`study.analysis.power.forms`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from study.analysis.estimate import AnalysisError
from study.analysis.power.batch_tests import MOST_FLIPPED
from study.analysis.power.methods import ACCURACY_METHODS, method_of
from study.analysis.power.studies import Held, StudyModel, simulate_studies

Progress = Callable[[int, int], None]
Stop = Callable[[], bool]

BATCH = 50
"""Studies in a batch."""
MOST_READERS, MOST_CASES, MOST_STUDIES = 64, 2000, 100_000


@dataclass(frozen=True)
class Rate:
    """A share of simulated studies.

    Parameters
    ----------
    n_rejected, n_studies
        Studies with p ≤ α, and all.
    """

    n_rejected: int
    n_studies: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.n_rejected / self.n_studies

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the Monte-Carlo interval (Wilson), in [0, 1]."""
        found = stats.binomtest(self.n_rejected, self.n_studies).proportion_ci(level, "wilson")
        return float(found.low), float(found.high)

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.n_rejected + other.n_rejected, self.n_studies + other.n_studies)


@dataclass(frozen=True)
class PowerPoint:
    """How often one test rejects in studies of one size.

    Parameters
    ----------
    method
        Its id.
    n_readers, n_cases
        Size of the studies.
    rate
        Of rejection.
    """

    method: str
    n_readers: int
    n_cases: int
    rate: Rate


@dataclass(frozen=True)
class PowerPlan:
    """What is to be simulated.

    Parameters
    ----------
    model
        The populations and the effect.
    methods
        Ids of tests.
    readers, cases
        Sizes; every combination is simulated.
    n_studies
        Studies for each combination, drawn in batches of :data:`BATCH`.
    alpha
        Two-sided level.
    seed
        Of the random numbers.
    held
        What the studies hold fixed; ``nothing`` for power.

    Raises
    ------
    AnalysisError
        If a size, the level or a method is out of range, or a method does not fit the model.
    """

    model: StudyModel
    methods: tuple[str, ...]
    readers: tuple[int, ...]
    cases: tuple[int, ...]
    n_studies: int = 500
    alpha: float = 0.05
    seed: int = 1
    held: Held = "nothing"

    def __post_init__(self) -> None:
        if not self.methods or not self.readers or not self.cases:
            raise AnalysisError("Nothing to simulate: name a method, readers and cases.")
        for name, sizes, least, most in (
            ("readers", self.readers, 2, MOST_READERS),
            ("cases", self.cases, 5, MOST_CASES),
            ("studies", (self.n_studies,), 1, MOST_STUDIES),
        ):
            for n in sizes:
                if not least <= n <= most:
                    raise AnalysisError(
                        f"{n} {name} cannot be simulated; expected {least} to {most:,}."
                    )
        if not 0 < self.alpha < 1:
            raise AnalysisError(f"alpha is {self.alpha}; expected a level between 0 and 1.")
        if self.seed < 0:
            raise AnalysisError(f"The seed is {self.seed}; expected 0 or more.")
        two_classes = self.model.separation is not None
        for name in self.methods:
            method = method_of(name)
            if (method in ACCURACY_METHODS) != two_classes:
                raise AnalysisError(
                    f"{method.label} does not fit the model; the AUC needs two classes of cases, "
                    "paired differences one."
                )
            if method.id == "reader_sign_flip" and max(self.readers) > MOST_FLIPPED:
                raise AnalysisError(
                    f"{max(self.readers)} readers are too many for {method.label} in every "
                    f"simulated study; expected up to {MOST_FLIPPED}."
                )

    @property
    def n_batches(self) -> int:
        """Batches of every combination."""
        return math.ceil(self.n_studies / BATCH)

    def studies_of(self, part: Part) -> int:
        """Return how many studies a part has; the last batch may be smaller."""
        return min(BATCH, self.n_studies - part.batch * BATCH)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts, one batch of every combination after the other, small studies first."""
        cells = sorted(
            {(r, c) for r in self.readers for c in self.cases}, key=lambda rc: (rc[0] * rc[1], rc)
        )
        return tuple(Part(r, c, b) for b in range(self.n_batches) for r, c in cells)


@dataclass(frozen=True, order=True)
class Part:
    """One batch of studies of one size."""

    n_readers: int
    n_cases: int
    batch: int


@dataclass(frozen=True)
class PartResult:
    """What the tests said of one batch: ids with their rates."""

    part: Part
    rates: tuple[tuple[str, Rate], ...]


def run_part(plan: PowerPlan, part: Part) -> PartResult:
    """Simulate one batch of studies and test each by every method of the plan."""
    n = plan.studies_of(part)
    dice = np.random.default_rng((plan.seed, part.n_readers, part.n_cases, part.batch))
    studies = simulate_studies(plan.model, part.n_readers, part.n_cases, n, dice, held=plan.held)
    rates = []
    for name in plan.methods:
        p = method_of(name).test(studies)
        rates.append((name, Rate(int((p <= plan.alpha).sum()), n)))
    return PartResult(part, tuple(rates))


def run_parts(
    plan: PowerPlan,
    *,
    done: Collection[Part] = (),
    on_progress: Progress | None = None,
    stop: Stop | None = None,
) -> Iterator[PartResult]:
    """Yield the results of all parts that are not done yet.

    Parameters
    ----------
    plan
        What is to be simulated.
    done
        Parts to leave out, from an earlier run.
    on_progress
        Called with parts done and in all.
    stop
        Asked before every part; ends the run when it says so.
    """
    everything = plan.parts
    finished = set(done) & set(everything)
    left = [part for part in everything if part not in finished]
    if on_progress is not None:
        on_progress(len(finished), len(everything))
    for number, part in enumerate(left, start=len(finished) + 1):
        if stop is not None and stop():
            return
        yield run_part(plan, part)
        if on_progress is not None:
            on_progress(number, len(everything))


def summarise(plan: PowerPlan, results: Sequence[PartResult]) -> tuple[PowerPoint, ...]:
    """Add up parts, each counted once, in the order methods, readers, cases.

    Combinations without any part are left out.
    """
    total: dict[tuple[str, int, int], Rate] = {}
    for result in {r.part: r for r in results}.values():
        for name, rate in result.rates:
            key = (name, result.part.n_readers, result.part.n_cases)
            total[key] = total[key] + rate if key in total else rate
    wanted = [(m, r, c) for m in plan.methods for r in plan.readers for c in plan.cases]
    return tuple(PowerPoint(*key, total[key]) for key in dict.fromkeys(wanted) if key in total)


def power(
    plan: PowerPlan, *, on_progress: Progress | None = None, stop: Stop | None = None
) -> tuple[PowerPoint, ...]:
    """Run a plan; see :func:`run_parts`. What is done when it is stopped is returned."""
    return summarise(plan, list(run_parts(plan, on_progress=on_progress, stop=stop)))


@dataclass(frozen=True)
class SampleSize:
    """The cases that a test needs with so many readers.

    Parameters
    ----------
    n_cases
        Fewest of the numbers tried that reach the power; ``None`` if there is none.
    point
        Its simulated power; ``None`` likewise.
    note
        Why there is no number.
    """

    n_cases: int | None
    point: PowerPoint | None
    note: str = ""


def sample_size(
    plan: PowerPlan,
    *,
    power: float = 0.8,
    on_progress: Progress | None = None,
    stop: Stop | None = None,
) -> SampleSize:
    """Find the cases that reach a power, by bisection over the plan's rising numbers of cases.

    Parameters
    ----------
    plan
        With one method and one number of readers; its ``cases`` are the numbers to choose from.
    power
        To be reached by the simulated share.
    on_progress, stop
        As in :func:`run_parts`; progress counts the numbers of cases tried.

    Raises
    ------
    AnalysisError
        If the plan names several methods or numbers of readers, or the power is not in (0, 1).
    """
    if len(plan.methods) != 1 or len(set(plan.readers)) != 1:
        raise AnalysisError("A sample size is sought for one method and one number of readers.")
    if not 0 < power < 1:
        raise AnalysisError(f"The power is {power}; expected a share between 0 and 1.")
    sizes = sorted(set(plan.cases))
    most = math.ceil(math.log2(len(sizes))) + 1
    found: dict[int, PowerPoint] = {}

    def reaches(k: int) -> bool | None:
        cell = PowerPlan(
            plan.model, plan.methods, plan.readers[:1], (sizes[k],), plan.n_studies, plan.alpha,
            plan.seed, plan.held,
        )  # fmt: skip
        points = summarise(cell, list(run_parts(cell, stop=stop)))
        if not points or points[0].rate.n_studies < plan.n_studies:
            return None
        found[k] = points[0]
        if on_progress is not None:
            on_progress(min(len(found), most), most)
        return points[0].rate.value >= power

    low, high = 0, len(sizes) - 1
    top = reaches(high)
    if top is None:
        return SampleSize(None, None, "Stopped before the search was done.")
    if not top:
        note = (
            f"Even {sizes[high]} cases give a power of {found[high].rate.value:.2f} with "
            f"{plan.readers[0]} readers; plan more readers."
        )
        return SampleSize(None, found[high], note)
    while low < high:
        middle = (low + high) // 2
        enough = reaches(middle)
        if enough is None:
            return SampleSize(None, None, "Stopped before the search was done.")
        low, high = (low, middle) if enough else (middle + 1, high)
    return SampleSize(sizes[high], found[high])
