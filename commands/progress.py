"""A progress bar for every long job: bar, rate and remaining time on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback ``(done, total)`` that draws a bar counting ``unit``.

    The packages report progress through such callbacks and never print themselves.
    """
    with tqdm(total=total, unit=f" {unit}", dynamic_ncols=True, leave=True) as bar:

        def advance(done: int, of: int) -> None:
            if bar.total != of:
                bar.total = of
                bar.refresh()
            bar.update(done - bar.n)

        yield advance
