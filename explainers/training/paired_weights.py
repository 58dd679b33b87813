"""Weights of the losses of paired generators and mask networks, by task, from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from explainers.base import ExplainerError


@dataclass(frozen=True)
class PairedWeights:
    """Weights of the losses; 0 leaves a term out. names as in :mod:`explainers.training.paired`.

    Parameters
    ----------
    symmetry, cycle
        Of rec(x, s) and rec(x, y).
    adversarial, stable_class, cycle_class
        Of the classifier's cross-entropies on a, s and y.
    gan
        Of the generator's part against the discriminator.
    discriminator, penalty
        Of the discriminator's own terms.
    parameters
        Of the distance between the generators of stable and of adversarial images.
    closeness
        Of rec(s, a).
    place
        Of |x − s| where a differs from x.

    Raises
    ------
    ExplainerError
        If a weight is negative or not finite.
    """

    symmetry: float = 0.0
    cycle: float = 0.0
    adversarial: float = 0.0
    stable_class: float = 0.0
    cycle_class: float = 0.0
    gan: float = 0.0
    discriminator: float = 1.0
    penalty: float = 1.0
    parameters: float = 0.0
    closeness: float = 0.0
    place: float = 0.0

    def __post_init__(self) -> None:
        wrong = {name: value for name, value in asdict(self).items() if not 0 <= value < 1e6}
        if wrong:
            raise ExplainerError(f"Weights of losses are numbers of at least 0; got {wrong}.")


def read_weights(task: str, system: str, path: Path | None = None) -> PairedWeights:
    """Read the weights of a task and system.

    Parameters
    ----------
    task, system
        Names of the table, e.g. ``"digits"`` and ``"syce"``.
    path
        TOML file of the same form; ``None`` for the one that comes with the package.

    Raises
    ------
    ExplainerError
        If the file cannot be read, lacks the table, or names an unknown weight.
    """
    names = tuple(each.name for each in fields(PairedWeights))
    return PairedWeights(**read_table(task, system, names, path))


def read_table(
    task: str, system: str, names: tuple[str, ...], path: Path | None = None
) -> dict[str, float]:
    """Read the table of a task and system, whose entries are among ``names``.

    Raises
    ------
    ExplainerError
        As :func:`read_weights`.
    """
    path = path or Path(__file__).with_name("paired.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ExplainerError(f"The weights in {path} cannot be read ({error}).") from error
    table = content.get(task, {}).get(system)
    if not isinstance(table, dict):
        known = [f"{one}.{each}" for one, of in content.items() for each in of]
        raise ExplainerError(
            f"{path.name} has no table [{task}.{system}]; it has {', '.join(known)}."
        )
    unknown = sorted(table.keys() - set(names))
    if unknown:
        raise ExplainerError(
            f"[{task}.{system}] of {path.name} names {', '.join(unknown)}; weights are "
            f"{', '.join(names)}."
        )
    return {name: float(value) for name, value in table.items()}
