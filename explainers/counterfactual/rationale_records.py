"""The searches of visual rationales as records: frames along the way, measures, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.base import ExplainerError
from explainers.counterfactual.kept_change import kept_change
from explainers.counterfactual.rationale_descent import Scoring, Trails, Wishes
from explainers.counterfactual.rationale_notes import SAME, Outcome, note_of
from explainers.differentiation import predict
from explainers.record import Counterfactual, Goal


@dataclass(frozen=True, eq=False)
class Said:
    """What the classifier says of M images about their findings.

    Parameters
    ----------
    logits, probabilities
        (M,), of the finding explained.
    against
        (M,), probability of the class to turn into; 0 where there is none.
    met
        (M,), whether the prediction is what was wanted.
    """

    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    against: NDArray[np.float64]
    met: NDArray[np.bool_]

    @classmethod
    def of(cls, logits: Tensor, probabilities: Tensor, wishes: Wishes) -> Said:
        """Take the numbers of every image's own finding from (M, F)."""
        columns = wishes.findings[:, None]
        others = probabilities.gather(1, wishes.against.clamp_min(0)[:, None])[:, 0]
        return cls(
            _numbers(logits.gather(1, columns)[:, 0]),
            _numbers(probabilities.gather(1, columns)[:, 0]),
            _numbers(torch.where(wishes.against >= 0, others, 0)),
            wishes.met(probabilities, SAME).cpu().numpy(),
        )


@dataclass(frozen=True, eq=False)
class Drawing:
    """Everything that the films of one batch are drawn from.

    Parameters
    ----------
    scoring, wishes, goals, trails
        The networks, what was wanted of n images, and how their latents went.
    n_frames
        Frames of every film.
    largest_error
        Mean absolute error above which a note says that the generator does not know an image.
    reencoded_too
        Whether the prediction after re-encoding has to be past ρ for a goal to be reached.
    """

    scoring: Scoring
    wishes: Wishes
    goals: Sequence[Goal]
    trails: Trails
    n_frames: int
    largest_error: float
    reencoded_too: bool

    @torch.no_grad()
    def films(self, images: Tensor) -> list[Counterfactual]:
        """Draw the film of each of n images (n, 1, H, W).

        Raises
        ------
        ExplainerError
            If the generator leaves [0, 1], or the classifier predicts NaN.
        """
        points, positions = self.trails.points(self.n_frames)  # (n, T, D), (n, T)
        of_images = self._said(images, self.wishes)
        ends = self.scoring.wgan.decode(points[:, -1])
        again = self.scoring.reencoded_logits(ends)
        after = Said.of(again, self.scoring.classifier.probabilities(again), self.wishes)
        heads = torch.stack(
            [
                self.scoring.logits(z, self.scoring.wgan.decode(z))
                for z in (points[:, 0], points[:, -1])
            ]
        ).gather(2, self.wishes.findings[None, :, None].expand(2, -1, 1))[..., 0]  # (2, n)
        films = []
        for case in range(len(images)):
            pictures = self.scoring.wgan.decode(points[case])  # (T, 1, H, W)
            keep = self.trails.keeps[case].expand(self.n_frames)
            if float(keep[0]) < 1:
                pictures = pictures[:1] + kept_change(pictures - pictures[:1], keep)
            wishes = self.wishes.of(torch.full((self.n_frames,), case, device=points.device))
            film = _Film(
                pictures=_checked(pictures),
                positions=positions[case],
                said=self._said(pictures, wishes),
                error=float((pictures[0] - images[case]).abs().mean()),
                norms=_numbers(points[case].double().square().mean(dim=1).sqrt()),
                heads=_numbers(heads[:, case]),
            )
            films.append(self._film(case, film, of_images, after))
        return films

    def _said(self, images: Tensor, wishes: Wishes) -> Said:
        return Said.of(*predict(self.scoring.classifier, images), wishes)

    def _film(self, case: int, film: _Film, of_images: Said, after: Said) -> Counterfactual:
        goal, ending = self.goals[case], self.trails.endings[case]
        said = film.said
        reached = ending in ("met", "cap") and bool(said.met[-1])
        reached = reached and (bool(after.met[case]) or not self.reencoded_too)
        outcome = Outcome(
            finding=goal.finding,
            against=goal.against,
            direction=goal.direction,
            ending=ending,
            n_steps=int(self.trails.n_steps[case]),
            rho=float(self.wishes.rho[case]),
            reconstruction=float(said.probabilities[0]),
            end=float(said.probabilities[-1]),
            reencoded=float(after.probabilities[case]),
            against_end=float(said.against[-1]),
            reached=reached,
            reencoded_met=bool(after.met[case]),
            error=film.error,
            largest_error=self.largest_error,
            norm=float(film.norms[-1]),
            kept_share=float(self.trails.keeps[case]),
        )
        measures = {
            "steps_taken": float(outcome.n_steps),
            "logit_image": float(of_images.logits[case]),
            "logit_reconstruction": float(said.logits[0]),
            "logit_counterfactual": float(said.logits[-1]),
            "logit_reencoded": float(after.logits[case]),
            "probability_counterfactual": outcome.end,
            "probability_reencoded": outcome.reencoded,
            "head_start": float(film.heads[0]),
            "head_end": float(film.heads[1]),
            "norm_start": float(film.norms[0]),
            "norm_end": outcome.norm,
            "reconstruction_error": film.error,
            "kept_share": float(self.trails.keeps[case]),
        }
        if goal.against is not None:
            measures["probability_against"] = outcome.against_end
        return self._record(goal, film, float(of_images.probabilities[case]), outcome, measures)

    def _record(
        self,
        goal: Goal,
        film: _Film,
        of_image: float,
        outcome: Outcome,
        measures: dict[str, float],
    ) -> Counterfactual:
        """Order the frames from the lowest to the highest prediction."""
        steps = film.positions
        if steps[-1] == 0:  # nothing was changed
            steps = np.arange(self.n_frames, dtype=np.float64)
        down = goal.direction == "down"
        order = slice(None, None, -1) if down else slice(None)
        return Counterfactual(
            frames=film.pictures[order].copy(),
            steps=(-steps if down else steps)[order].copy(),
            origin=self.n_frames - 1 if down else 0,
            probabilities=film.said.probabilities[order].copy(),
            finding=goal.finding,
            reached_low=outcome.reached or not down,
            reached_high=outcome.reached or down,
            probability_image=of_image,
            note=note_of(outcome),
            measures=measures,
        )


@dataclass(frozen=True, eq=False)
class _Film:
    """One film from G(z0) to G(z*), before its frames are put in order."""

    pictures: NDArray[np.float32]
    positions: NDArray[np.float64]
    said: Said
    error: float
    norms: NDArray[np.float64]
    heads: NDArray[np.float64]


def _checked(pictures: Tensor) -> NDArray[np.float32]:
    """Return (T, H, W) pictures, clipped to [0, 1] where rounding left it."""
    frames = pictures.squeeze(1).cpu().numpy()
    if not (np.isfinite(frames).all() and frames.min() >= -1e-3 and frames.max() <= 1.001):
        raise ExplainerError(
            f"The generator returned values from {frames.min():.3g} to {frames.max():.3g}; "
            "expected images in [0, 1]. Clamp them in its decode()."
        )
    return np.clip(frames, 0, 1).astype(np.float32)


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return values.detach().cpu().numpy().astype(np.float64)
