"""What a person has to be told about a visual rationale, in sentences. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Ending: TypeAlias = Literal["met", "met at the start", "cap", "not a number"]
"""Why a search ended: it obtained what was wanted (by the first look already), the cap was
reached, or a prediction or a gradient was NaN or infinite."""

FAR: Final = 1.2
"""‖z*‖/√D above which the note says that the picture is an unusual one."""

SAME: Final = 1e-3
"""Predictions that differ by no more than this are the same."""


@dataclass(frozen=True)
class Outcome:
    """How one search went.

    Parameters
    ----------
    finding, against
        What was explained, and what it was to turn into, or ``None``.
    direction
        ``"down"`` or ``"up"``.
    ending, n_steps
        Why the search ended, and after how many steps.
    rho
        ρ.
    reconstruction, end, reencoded
        Predictions of G(z0), of G(z*), and of z' = E(G(z*)).
    against_end
        Prediction of ``against`` at G(z*).
    reached, reencoded_met
        Whether G(z*), and z', have what was wanted.
    kept_share
        Share of the pixels whose change is shown.
    error, largest_error
        Mean absolute error of G(z0), in [0, 1], and the largest that is usual; NaN if unknown.
    norm
        ‖z*‖/√D.
    """

    finding: str
    against: str | None
    direction: Literal["up", "down"]
    ending: Ending
    n_steps: int
    rho: float
    reconstruction: float
    end: float
    reencoded: float
    against_end: float
    reached: bool
    reencoded_met: bool
    error: float
    largest_error: float
    norm: float
    kept_share: float = 1.0

    @property
    def end_passed(self) -> bool:
        """Whether G(z*) itself is past ρ."""
        return (self.end < self.rho) if self.direction == "down" else (self.end > self.rho)


def note_of(outcome: Outcome) -> str:
    """Return what has to be said of a search, empty if all went well."""
    sentences = [_of_the_search(outcome)]
    if outcome.error > outcome.largest_error:
        sentences.append(
            f"The generator does not know this image: its reconstruction is off by "
            f"{255 * outcome.error:.0f} grey levels of 255 on average, above "
            f"{255 * outcome.largest_error:.0f}; what it changes may say little about the image."
        )
    if outcome.ending in ("met", "cap") and outcome.norm > FAR:
        sentences.append(
            f"The latent lies far outside (‖z*‖/√D is {outcome.norm:.2f}): the picture at the end "
            "is of a kind that the generator has hardly been trained on."
        )
    return " ".join(each for each in sentences if each)


def _of_the_search(outcome: Outcome) -> str:
    if outcome.ending == "not a number":
        return (
            f"The search met NaN or infinite numbers after {outcome.n_steps} steps, so nothing is "
            "shown but the reconstruction; check the networks or take a smaller alpha."
        )
    if outcome.ending == "met at the start":
        return _nothing_to_do(outcome)
    side = "below" if outcome.direction == "down" else "above"
    if outcome.kept_share < 1 and outcome.ending == "met" and not outcome.end_passed:
        return (
            f"The strongest {outcome.kept_share:.1%} of the change is shown and does not suffice: "
            f"its prediction is {outcome.end:.2f}, not {side} {outcome.rho:g}. That of the whole "
            "change does; a keep of 1 shows it."
        )
    if not outcome.reached:
        other = ""
        if outcome.against is not None:
            other = f" (that of {outcome.against} {outcome.against_end:.2f})"
        again = f", {outcome.reencoded:.2f} after re-encoding" if outcome.end_passed else ""
        return (
            f"The goal was not reached: after {outcome.n_steps} steps the prediction is "
            f"{outcome.end:.2f}{again}{other}, not {side} {outcome.rho:g}."
        )
    if not outcome.reencoded_met and not math.isnan(outcome.reencoded):
        return (
            f"After re-encoding the prediction is {outcome.reencoded:.2f}, not {side} "
            f"{outcome.rho:g}: part of the change is invisible to the encoder."
        )
    return ""


def _nothing_to_do(outcome: Outcome) -> str:
    if abs(outcome.reconstruction - outcome.rho) <= SAME:
        return (
            f"The target {outcome.rho:g} equals the prediction of the reconstruction: nothing was "
            "changed. Ask for another target."
        )
    side = "below" if outcome.direction == "down" else "above"
    turn = "up" if outcome.direction == "down" else "down"
    return (
        f"The prediction of the reconstruction, {outcome.reconstruction:.2f}, is {side} "
        f"{outcome.rho:g} already: nothing was changed. Ask for another target, or for the "
        f"direction '{turn}'."
    )
