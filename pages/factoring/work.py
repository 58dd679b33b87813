"""What is prepared beside the page: networks, a film's place in S, the pictures of the cards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from data.case import DataError
from explainers.base import Cancelled, ExplainerError
from pages.exploring.work import ABANDONED_S

LONG_S: Final = 3.0
"""What takes longer is shown with the seconds that are left."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Stage:
    """What is being done.

    Parameters
    ----------
    words
        For people.
    done, total
        Steps; ``total`` is 0 where they are not known.
    """

    words: str
    done: int = 0
    total: int = 0


Report = Callable[[Stage], None]


class Preparation(Generic[Made]):
    """A thread that makes one thing, says how far it is, and can be stopped.

    Parameters
    ----------
    key
        What it makes; another key is another preparation.
    make
        Makes it; raises ``ExplainerError`` or ``DataError`` for what the page can say.
    clock
        Seconds of a monotone clock.
    """

    def __init__(
        self,
        key: object,
        make: Callable[[Report, Cancelled], Made],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key = key
        self._make = make
        self._clock = clock
        self._stop = threading.Event()
        self._stage = Stage("Loading the networks")
        self._began = self._asked = clock()
        self.made: Made | None = None
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="factors", daemon=True)

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; what is half-done is thrown away."""
        self._stop.set()

    def cancelled(self) -> bool:
        """Say whether the thread is to end: stopped, or nobody is looking any longer."""
        return self._stop.is_set() or self._clock() - self._asked > ABANDONED_S

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; say whether it has come."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self.running

    @property
    def running(self) -> bool:
        """Whether the thread is alive, or still to begin."""
        return self._thread.ident is None or self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        """Whether it has ended, or is to end, with nothing made and nothing to say."""
        return self._stop.is_set() or (not self.running and self.made is None and not self.problem)

    def state(self) -> tuple[float, str]:
        """Return the share done, in [0, 1], and what is being done; somebody is looking."""
        self._asked = self._clock()
        stage = self._stage
        if stage.total == 0:
            return 0.0, stage.words
        share = min(1.0, stage.done / stage.total)
        spent = self._clock() - self._began
        left = spent * (1 - share) / share if share > 0 else 0.0
        more = f", about {left:.0f} s left" if left >= LONG_S else ""
        return share, f"{stage.words} ({stage.done} of {stage.total}{more})"

    def _run(self) -> None:
        try:
            self.made = self._make(self._report, self.cancelled)
        except (ExplainerError, DataError) as error:
            if not self.cancelled():
                self.problem = str(error)
        except (RuntimeError, ValueError, ArithmeticError, MemoryError, OSError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0][:200]
            self.problem = f"{self._stage.words} failed: {first}."

    def _report(self, stage: Stage) -> None:
        if stage.words != self._stage.words:
            self._began = self._clock()
        self._stage = stage


AnyPreparation = Preparation[Any]
