"""Random draws of a library that takes no generator, made repeatable."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators of torch and NumPy for a while, and put them back after.

    captum draws noise from both. Threads that use this function wait for each other, so that the
    draws of one do not end up in the other.

    Parameters
    ----------
    seed
        At least 0.
    device
        Where torch draws.
    """
    numbered = [device.index or 0] if device.type == "cuda" else []
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=numbered):
        before = np.random.get_state()
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            np.random.set_state(before)
