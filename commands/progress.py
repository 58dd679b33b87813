"""A progress bar for every long job: bar, rate and remaining time on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

from tqdm import tqdm


@contextmanager
def progress_bar(unit: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback ``(done, total)`` that draws a bar counting ``unit``.

    The packages report progress through such callbacks and never print themselves. Where the total
    is not known yet, there is no bar before the first report: what is refused at once leaves none.
    """
    with ExitStack() as drawn:
        bars: list[tqdm[NoReturn]] = []

        def draw(of: int) -> tqdm[NoReturn]:
            if not bars:
                bar = tqdm(total=of, unit=f" {unit}", dynamic_ncols=True, leave=True)
                bars.append(drawn.enter_context(bar))
            return bars[0]

        def advance(done: int, of: int) -> None:
            bar = draw(of)
            if bar.total != of:
                bar.total = of
                bar.refresh()
            bar.update(done - bar.n)

        if total is not None:
            draw(total)
        yield advance
