"""A report made beside the page: sections, then mixed models, then the files to download."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from study.analysis.report.assemble import Report, Stopped, assemble
from study.analysis.report.material import Material
from study.environment import Environment
from study.errors import StudyError
from study.reporting import Gathered, report_files, zipped

ABANDONED_S: Final = 180.0
"""A report that no window has asked about for so long is given up."""

LONG_S: Final = 3.0


class ReportWork:
    """A thread that makes one report; give it up by not asking any longer.

    Parameters
    ----------
    gathered, material
        What the report is made from.
    environment
        Versions and time, for the files.
    clock
        Seconds of a monotone clock.
    """

    def __init__(
        self,
        gathered: Gathered,
        material: Material,
        environment: Environment,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gathered = gathered
        self.material = material
        self._environment = environment
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = self._began = clock()
        self._step = ("", 0, 1)
        self._quick: Report | None = None
        self._full: Report | None = None
        self._archive: bytes | None = None
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread.ident is None:
            self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; say whether it has come."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def running(self) -> bool:
        """Whether the thread is alive, or still to begin."""
        return self._thread.ident is None or self._thread.is_alive()

    @property
    def stage(self) -> int:
        """How far it is: 0 nothing yet, 1 sections, 2 mixed models too, 3 files too."""
        with self._lock:
            return sum(x is not None for x in (self._quick, self._full, self._archive))

    @property
    def given_up(self) -> bool:
        """Whether it ended before the files because nobody was looking."""
        return not self.running and self.stage < 3 and not self._problem

    @property
    def report(self) -> Report | None:
        """The report as far as it is made."""
        with self._lock:
            return self._full or self._quick

    @property
    def archive(self) -> bytes | None:
        """All files as a ZIP archive, once they are written."""
        with self._lock:
            return self._archive

    @property
    def problem(self) -> str:
        """Why it ended early; empty if it did not."""
        return self._problem

    def state(self) -> tuple[float, str]:
        """Return the share done, in [0, 1], and what is being done; somebody is looking."""
        self._asked = self._clock()
        with self._lock:
            what, done, total = self._step
        waited = self._clock() - self._began
        since = f", {waited:.0f} s" if waited >= LONG_S else ""
        return min(1.0, done / max(total, 1)), f"{what}{since}"

    def _abandoned(self) -> bool:
        return self._clock() - self._asked > ABANDONED_S

    def _run(self) -> None:
        try:
            quick = assemble(
                self.material, models=False, on_step=self._advance, cancelled=self._abandoned
            )
            with self._lock:
                self._quick = quick
            full = assemble(
                self.material, before=quick, on_step=self._advance, cancelled=self._abandoned
            )
            with self._lock:
                self._full = full
            self._advance("Writing the files", 0, 1)
            files = report_files(self.gathered, full, self._environment)
            name = f"{self.gathered.protocol.study.id}-report"
            archive = zipped(files, name, self._environment.made_at)
            with self._lock:
                self._archive = archive
        except Stopped:
            return
        except StudyError as error:
            self._problem = str(error)
        except (RuntimeError, ValueError, ArithmeticError, MemoryError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0][:200]
            self._problem = f"The report could not be made ({first}); please report this."

    def _advance(self, what: str, done: int, total: int) -> None:
        with self._lock:
            self._step = (what, done, total)
            self._began = self._clock()
