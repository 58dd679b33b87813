"""Counterfactuals in one forward pass: paired generators that were trained against the classifier.

Charachon et al. 2021 (arXiv:2106.14403). The adversarial image a has the other prediction, the
stable image s keeps that of the film x; the explanation is |s − a| (CyCE: s is the film itself).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.attribution.batches import check_at_least, check_batch_size
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.counterfactual.kept_change import check_keep, kept_change, widened
from explainers.differentiation import checked_targets, left_as_found, predict, stop_if
from explainers.generators.paired import PairedGenerators
from explainers.record import Counterfactual, Goal

OPERATING_POINT = 0.5


@dataclass(frozen=True, kw_only=True)
class PairedExplainer(ABC):
    """A film from the stable to the adversarial image.

    The two images are what the generators draw. Frames between them fade from one to the other:
    they are for the eye, and their predictions are those of a mixture.

    Parameters
    ----------
    classifier
        What is explained; it says on which side a film stands.
    between
        Frames that fade between the two images, at least 0.
    keep
        Share of the pixels, in (0, 1], that differ from the film: of the changes that the
        generators draw, the strongest, by a soft threshold
        (:func:`.kept_change.kept_change`). It grows by half, twice at most and then to 1, where
        the adversarial image would lose its prediction (``kept_share`` of the measures says how
        large it is). The paper: 1.
    batch_size
        Films per pass; no influence on the result.

    Raises
    ------
    ExplainerError
        If a number is out of range or the generators take images of another size.
    """

    classifier: Classifier = field(repr=False)
    between: int = 7
    keep: float = 0.1
    batch_size: int = field(default=32, repr=False)

    name: ClassVar[str]

    @property
    @abstractmethod
    def pair(self) -> PairedGenerators:
        """The generators, trained against the classifier."""

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)
        check_at_least(0, between=self.between)
        check_keep(self.keep)
        if tuple(self.pair.input_size) != tuple(self.classifier.input_size):
            raise ExplainerError(
                f"The generators take images of {self.pair.input_size} pixels, the classifier of "
                f"{self.classifier.input_size}; use two of the same size."
            )

    def explain(
        self,
        images: Tensor,
        goals: Sequence[Goal],
        *,
        on_progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Sequence[Counterfactual]:
        """Explain one goal per image; see :class:`explainers.base.Explainer`.

        A goal's direction is not asked for: the generators turn a prediction to the other side.
        With a target, the adversarial image has to pass it; else the operating point, 0.5. A goal
        ``against`` another class (3 against 8) takes the contrast of the two.

        Raises
        ------
        ExplainerError
            If a finding is unknown to the classifier or to the generators, or a prediction is NaN.
        """
        targets = checked_targets(self.classifier, images, goals)
        contrasts = [self._contrast(goal) for goal in goals]
        found: list[Counterfactual] = []
        for start in range(0, len(images), self.batch_size):
            stop_if(cancelled)
            chosen = slice(start, start + self.batch_size)
            found += self._explained(
                images[chosen].float(), goals[chosen], targets[chosen], contrasts[chosen]
            )
            if on_progress is not None:
                on_progress(len(found), len(images))
        return found

    def _contrast(self, goal: Goal) -> int:
        """Return the number of the contrast that a goal is about."""
        known = self.classifier.findings
        if goal.against is None:
            return self.pair.index(goal.finding)
        if goal.against not in known:
            raise ExplainerError(
                f"The classifier does not know {goal.against!r}; it predicts {', '.join(known)}."
            )
        both = {known.index(goal.finding), known.index(goal.against)}
        for number, each in enumerate(self.pair.contrasts):
            if {each.positive, each.negative} == both:
                return number
        raise ExplainerError(
            f"{self.pair.system.title} was not trained for {goal.finding!r} against "
            f"{goal.against!r}; it knows {', '.join(each.name for each in self.pair.contrasts)}."
        )

    def _explained(
        self,
        images: Tensor,
        goals: Sequence[Goal],
        targets: Tensor,
        contrasts: Sequence[int],
    ) -> list[Counterfactual]:
        rows = torch.arange(len(images))
        probabilities = predict(self.classifier, images)[1].cpu()
        before = probabilities[rows, targets].numpy()
        present = before >= self._rivals(probabilities, goals)
        turned = [
            goal.against is not None and self.pair.contrasts[number].positive != target
            for goal, number, target in zip(goals, contrasts, targets.tolist(), strict=True)
        ]  # the goal's class is side 0 of its contrast
        sides = (present ^ np.array(turned, bool)).astype(int)
        stable, adversarial = torch.empty_like(images), torch.empty_like(images)
        which = torch.tensor(list(contrasts))
        with left_as_found(self.pair), torch.no_grad():
            for side in (0, 1):
                of_side = torch.from_numpy(np.flatnonzero(sides == side))
                if len(of_side):
                    x, k = images[of_side], which[of_side]
                    a = self.pair.adversarial(x, k, side)
                    stable[of_side] = self.pair.stable(x, a, k, side).float()
                    adversarial[of_side] = a.float()
        return [
            self._film(
                images[n], stable[n], adversarial[n], int(present[n]), float(before[n]), goal, at
            )
            for n, (goal, at) in enumerate(zip(goals, targets.tolist(), strict=True))
        ]

    def _rivals(self, probabilities: Tensor, goals: Sequence[Goal]) -> NDArray[np.floating]:
        """Probability that each goal's has to reach to be there: that of what it stands against."""
        known = self.classifier.findings
        return np.array(
            [
                OPERATING_POINT if goal.against is None else row[known.index(goal.against)]
                for row, goal in zip(probabilities.tolist(), goals, strict=True)
            ]
        )

    def _film(
        self,
        image: Tensor,
        stable: Tensor,
        adversarial: Tensor,
        side: int,
        before: float,
        goal: Goal,
        target: int,
    ) -> Counterfactual:
        """Put the two images, and the fade between them, in the order of the prediction."""
        wanted = OPERATING_POINT if goal.target is None else goal.target
        shares = torch.tensor(list(dict.fromkeys((*widened(self.keep), 1.0))))
        adversarials = _strongest(image, adversarial, shares)
        turned = _reached(self._predicted(adversarials, target), side, wanted)
        chosen = int((turned == turned[-1]).argmax())  # all of the change is the last
        adversarial, reached = adversarials[chosen], bool(turned[chosen])
        stable = _strongest(image, stable, shares[[chosen]])[0]
        ends = (stable, adversarial) if side == 0 else (adversarial, stable)
        share = torch.linspace(0, 1, self.between + 2)[:, None, None]
        frames = ((1 - share) * ends[0] + share * ends[1]).clamp(0, 1)
        predicted = self._predicted(frames, target)
        f_stable, f_adversarial = (predicted[-1], predicted[0])[:: 1 if side else -1]
        steps = np.linspace(-1, 0, len(frames)) if side else np.linspace(0, 1, len(frames))
        return Counterfactual(
            frames=frames.cpu().numpy().astype(np.float32),
            steps=steps,
            origin=len(frames) - 1 if side else 0,
            probabilities=predicted.astype(np.float64),
            finding=goal.finding,
            reached_low=reached or side == 0,
            reached_high=reached or side == 1,
            probability_image=before,
            note=self._note(reached, side, before, float(f_stable), float(f_adversarial)),
            measures={
                "stable image": float(f_stable),
                "adversarial image": float(f_adversarial),
                "change": float((stable - adversarial).abs().mean()),
                "kept_share": float(shares[chosen]),
            },
        )

    def _predicted(self, images: Tensor, target: int) -> NDArray[np.floating]:
        """f of images (N, H, W), (N,)."""
        found: NDArray[np.floating] = (
            predict(self.classifier, images[:, None])[1][:, target].cpu().numpy()
        )
        return found

    def _note(
        self, reached: bool, side: int, before: float, f_stable: float, f_adversarial: float
    ) -> str:
        said = []
        if not reached:
            said.append(
                f"The generators did not change the prediction as wanted: {before:.2f} on the "
                f"film, {f_adversarial:.2f} on the adversarial image."
            )
        if (f_stable >= OPERATING_POINT) != bool(side):
            said.append(
                f"The stable image has another prediction than the film ({f_stable:.2f} instead "
                f"of {before:.2f}); the difference explains less than it shows."
            )
        digest = self.pair.classifier_digest
        if digest and self.classifier.weights_digest != digest:
            said.append(
                "The generators were trained against another classifier than the one explained."
            )
        return " ".join(said)


def _strongest(image: Tensor, drawn: Tensor, shares: Tensor) -> Tensor:
    """An image (1, H, W) with the strongest shares (K,) of what was drawn on it, (K, H, W)."""
    change = (drawn - image).expand(len(shares), -1, -1, -1)
    return (image + kept_change(change, shares))[:, 0]


def _reached(predicted: NDArray[np.floating], side: int, wanted: float) -> NDArray[np.bool_]:
    """Whether predictions (N,) left the side of the film."""
    return np.asarray(predicted < wanted if side else predicted >= wanted)


@dataclass(frozen=True, kw_only=True)
class SyCE(PairedExplainer):
    """Symmetrically conditioned: s = g(a), by the same generator; the explanation is |s − a|.

    Parameters
    ----------
    syce
        Generators of the system SyCE.
    """

    syce: PairedGenerators = field(repr=False)

    name: ClassVar[str] = "syce"

    @property
    def pair(self) -> PairedGenerators:
        """The generators, trained against the classifier."""
        return self.syce


@dataclass(frozen=True, kw_only=True)
class CyCE(PairedExplainer):
    """Cyclically conditioned: the film itself is the stable image; the explanation is |x − a|.

    Parameters
    ----------
    cyce
        Generators of the system CyCE.
    """

    cyce: PairedGenerators = field(repr=False)

    name: ClassVar[str] = "cyce"

    @property
    def pair(self) -> PairedGenerators:
        """The generators, trained against the classifier."""
        return self.cyce
