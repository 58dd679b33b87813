"""A spurious sign planted on purpose: chest tubes that come almost only with a pneumothorax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from data.phantom.parameters import FilmParameters, InvalidParameters, sample_parameters
from data.phantom.streams import stream

DRAINED = 0.35
"""What a chest tube leaves of the severity of a pneumothorax."""


def with_tube_shortcut(
    parameters: FilmParameters, share: float, *, otherwise: float = 0.0
) -> FilmParameters:
    """Draw anew whether a film shows a chest tube, and drain the pneumothorax where it does.

    A pneumothorax with a tube is small, as it is soon after drainage: its severity is multiplied by
    :data:`DRAINED`. Everything else stays as it was.

    Parameters
    ----------
    parameters
        A film.
    share
        Probability of a tube, on the side of the pneumothorax, where there is one; in [0, 1].
    otherwise
        Probability of a tube on any other film.

    Raises
    ------
    InvalidParameters
        If a probability lies outside [0, 1].
    """
    for name, value in (("share", share), ("otherwise", otherwise)):
        if not 0 <= value <= 1:
            raise InvalidParameters(f"tube shortcut: {name} is {value}; expected 0 to 1")
    present = parameters.pneumothorax_severity > 0
    drawn = stream(parameters.film_seed, "tube shortcut").random()
    tube = bool(drawn < (share if present else otherwise))
    severity = parameters.pneumothorax_severity
    return replace(
        parameters,
        chest_tube=tube,
        tube_side=parameters.pneumothorax_side if present else parameters.tube_side,
        pneumothorax_severity=severity * DRAINED if tube else severity,
    )


def sample_shortcut(
    seed: int, n: int, share: float, *, otherwise: float = 0.0
) -> Sequence[FilmParameters]:
    """Draw the films 0 … n − 1 of a population whose tubes betray the pneumothorax."""
    return [
        with_tube_shortcut(sample_parameters(seed, index), share, otherwise=otherwise)
        for index in range(n)
    ]
