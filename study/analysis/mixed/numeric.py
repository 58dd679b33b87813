"""Derivatives by differences, for functions of a few variance parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def differences(
    function: Callable[[Array], float], x: Array, step: float = 1e-3
) -> tuple[Array, Array]:
    """Return gradient and Hessian by central differences with one Richardson extrapolation.

    Parameters
    ----------
    function
        Of an array of shape (k,), giving a number.
    x
        Shape (k,).
    step
        Step for entries of size 1 or less; larger entries scale it.

    Returns
    -------
    tuple
        Gradient (k,) and Hessian (k, k).
    """
    (g1, h1), (g2, h2) = (_central(function, x, h) for h in (step, step / 2))
    return (4 * g2 - g1) / 3, (4 * h2 - h1) / 3


def _central(function: Callable[[Array], float], x: Array, h: float) -> tuple[Array, Array]:
    size = h * np.maximum(1.0, np.abs(x))
    steps = np.diag(size)
    middle = function(x)
    up = np.array([function(x + s) for s in steps])
    down = np.array([function(x - s) for s in steps])
    hessian = np.diag((up - 2 * middle + down) / size**2)
    for i in range(len(x)):
        for j in range(i):
            corners = (
                function(x + steps[i] + steps[j])
                - function(x + steps[i] - steps[j])
                - function(x - steps[i] + steps[j])
                + function(x - steps[i] - steps[j])
            )
            hessian[i, j] = hessian[j, i] = corners / (4 * size[i] * size[j])
    return (up - down) / (2 * size), hessian
