"""An event loop of its own for a test, whatever the thread is already running."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio

T = TypeVar("T")


def run_alone(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` to its end in a thread of its own.

    The browser's driver keeps an event loop in the tests' thread for the whole run.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(anyio.run, work).result()
