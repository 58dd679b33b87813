"""Explanations computed beside the page: in a thread, method by method, until somebody stops it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from data.case import DataError
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.record import Attribution, Counterfactual
from pages.exploring.request import ResidualPredictions, Task

ABANDONED_S: Final = 180.0
"""A computation that no window has asked about for so long ends by itself."""

LONG_S: Final = 3.0
"""A task that takes longer is shown with its seconds: a bar that stands still is no riddle."""

Explanation = Attribution | Counterfactual | ResidualPredictions
Compute = Callable[[Task, OnProgress, Cancelled], Explanation]


@dataclass(frozen=True, eq=False)
class Result:
    """What came of a task.

    Parameters
    ----------
    explanation
        ``None`` if it failed.
    problem
        Why it failed; empty if it did not.
    seconds
        Wall time.
    archived
        Whether it was read from the study's archive.
    """

    explanation: Explanation | None
    problem: str = ""
    seconds: float = 0.0
    archived: bool = False


class Work:
    """A thread that does tasks one after the other.

    Parameters
    ----------
    tasks
        To be done, in this order.
    compute
        Does one task; raises ``ExplainerError`` or ``DataError`` for what the page can say.
    prepare
        Done once before the first task and not counted as its time: imports, loading networks.
    clock
        Seconds of a monotone clock.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        compute: Compute,
        prepare: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tasks = tuple(tasks)
        self._compute = compute
        self._prepare = prepare
        self._clock = clock
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._results: dict[Task, Result] = {}
        self._taken = 0
        self._part = 0.0
        self._asked = self._began = clock()
        self._thread = threading.Thread(target=self._run, name="explorer", daemon=True)

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; what is finished stays, what is half-done is thrown away."""
        self._stop.set()

    def cancelled(self) -> bool:
        """Say whether the thread is to end: stopped, or nobody is looking any longer."""
        return self._stop.is_set() or self._clock() - self._asked > ABANDONED_S

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; say whether it has come."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether the thread is alive, or still to begin."""
        return self._thread.ident is None or self._thread.is_alive()

    @property
    def has_news(self) -> bool:
        """Whether there are results that :meth:`results` has not returned yet."""
        with self._lock:
            return len(self._results) > self._taken

    def results(self) -> Mapping[Task, Result]:
        """Return everything finished so far."""
        with self._lock:
            self._taken = len(self._results)
            return dict(self._results)

    def state(self) -> tuple[float, str]:
        """Return the share done, in [0, 1], and what is being done; somebody is looking."""
        self._asked = self._clock()
        with self._lock:
            done = len(self._results)
            share = min(1.0, (done + self._part) / max(len(self.tasks), 1))
        doing = self.tasks[done].title if done < len(self.tasks) else "nothing more"
        waited = self._clock() - self._began
        since = f", {waited:.0f} s" if waited >= LONG_S and done < len(self.tasks) else ""
        return share, f"{doing} ({min(done + 1, len(self.tasks))} of {len(self.tasks)}{since})"

    def _run(self) -> None:
        self._prepare()
        for task in self.tasks:
            if self.cancelled():
                return
            start = self._began = self._clock()
            try:
                result = Result(self._compute(task, self._advance, self.cancelled))
            except (ExplainerError, DataError) as error:
                if self.cancelled():
                    return
                result = Result(None, str(error))
            except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
                result = Result(None, f"{task.title} failed: {str(error).splitlines()[0][:200]}.")
            if self.cancelled() and result.explanation is None:
                return
            seconds = self._clock() - start
            with self._lock:
                self._results[task] = Result(result.explanation, result.problem, seconds)
                self._part = 0.0

    def _advance(self, done: int, total: int) -> None:
        self._part = done / total if total else 0.0
