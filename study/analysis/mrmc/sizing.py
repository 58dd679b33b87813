"""Size of a reader study from a pilot analysed here (random readers and random cases)."""

from __future__ import annotations

from study.analysis.estimate import AnalysisError
from study.analysis.mrmc.obuchowski_rockette import Components
from study.analysis.power.sizing import MrmcComponents, mrmc_power


def pilot_components(parts: Components, n_cases: int) -> MrmcComponents:
    """Return the components of an analysis as planning takes them.

    σ²_TR = MS(TR) − σ²_ε + Cov₁ + max(Cov₂ − Cov₃, 0), Hillis, Obuchowski & Berbaum 2011, Acad
    Radiol 18:129.

    Parameters
    ----------
    parts
        Of the pilot, see :func:`~study.analysis.mrmc.obuchowski_rockette.components`.
    n_cases
        Cases of the pilot.
    """
    between = parts.ms_interaction - parts.error + parts.cov1 + max(parts.cov2 - parts.cov3, 0.0)
    return MrmcComponents(between, parts.cov1, parts.cov2, parts.cov3, parts.error, n_cases)


def cases_for_power(
    pilot: MrmcComponents,
    difference: float,
    n_readers: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    most: int = 20_000,
) -> int:
    """Return the smallest number of cases that reaches ``power`` with so many readers.

    Raises
    ------
    AnalysisError
        If not even ``most`` cases do: the variance between readers sets a floor.
    """

    def reached(n_cases: int) -> float:
        return mrmc_power(pilot, difference, n_readers, n_cases, alpha=alpha).power

    if reached(most) < power:
        raise AnalysisError(
            f"With {n_readers} readers even {most} cases give a power of {reached(most):.2f} for a "
            f"difference of {difference:g}; readers differ too much. Plan more readers."
        )
    low, high = 2, most
    while low < high:
        middle = (low + high) // 2
        if reached(middle) >= power:
            high = middle
        else:
            low = middle + 1
    return low
