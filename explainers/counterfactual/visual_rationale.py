"""Generative visual rationales: what an image would look like if the prediction were another.

After Seah et al., "Chest Radiographs in Congestive Heart Failure: Visualizing Neural Network
Learning" (Radiology 2019, doi:10.1148/radiol.2018180887; preprint "Generative Visual Rationales",
arXiv:1804.04539), Algorithms 1 and 2 with their misprints corrected: the step descends, the loop
ends when the prediction has passed ρ. See ``docs/visual-rationales-method.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from explainers.attribution.batches import check_at_least, check_batch_size
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.counterfactual.kept_change import check_keep
from explainers.counterfactual.rationale_descent import (
    Descent,
    LatentClassifier,
    Scoring,
    Wishes,
    descend,
    log_odds_per_unit,
    refined,
)
from explainers.counterfactual.rationale_records import Drawing
from explainers.counterfactual.wanted import check_targets
from explainers.differentiation import (
    checked_targets,
    device_of,
    left_as_found,
    predict,
    stop_if,
)
from explainers.generators.base import Autoencoder
from explainers.record import Counterfactual, Goal

HeadChoice: TypeAlias = Literal["auto", "classifier", "latent"]
"""What is minimised: f(G(z)), or h(z) of a regressor; ``"auto"`` takes h(z) where there is one."""

OPERATING_POINT = 0.5


@dataclass(frozen=True)
class VisualRationale:
    """A film along the way of the latent from G(z0), z0 = E(x), to G(z*).

    z* = argmin y(z) + γ·d(G(z), G(z0)); with a goal's ``against``, y_m − β·y_t in place of y.
    The rationale G(z0) − G(z*) is the record's ``difference`` (highest minus lowest prediction):
    positive is brightness that belongs to the finding.

    Parameters
    ----------
    classifier
        f, or a regressor on the latent (:class:`.rationale_descent.LatentClassifier`).
    wgan
        G and E, for images of the classifier's size.
    alpha
        α, step of Adam; 0.01 in the paper's algorithm, 0.1 in its text.
    gamma
        γ, weight of d.
    rho
        ρ, the prediction to be passed, in (0, 1); 0 for the target of the goal or, without one,
        the operating point 0.5. Given, it counts before the goal's target.
    beta
        β, weight of the class to turn into.
    cap
        Steps at most; 500 in the paper's results, 5000 in its text.
    summed
        0: d is the mean over the pixels of the squared difference (the paper's Algorithm 1, to
        which γ = 0.1 belongs); 1: the sum (its Eq. 1). In the generator's range [−1, 1].
    reencode
        Weight of the same prediction after re-encoding, of z' = E(G(z)); above 0 that prediction
        has to pass ρ, too. Not in the paper, which is 0.
    shell
        Weight of (‖z‖²/D − 1)² outside of the shell on which the generator was trained. Not in
        the paper, which is 0.
    certain
        Prediction of the class to turn into that ends the search, beside ρ; not in the paper,
        which is 0.
    refine
        Steps that first bring G(z0) closer to the image, and its prediction to that of the image,
        than the encoder alone does; not in the paper, where z0 = E(x), which is 0.
    keep
        Share of the pixels whose change counts: y is that of G(z0) with only the strongest part of
        G(z) − G(z0), by a soft threshold (:func:`.kept_change.kept_change`), and the frames show
        it so. A latent moves every pixel a little, which over a whole film is more than the
        finding. The share grows by half, twice at most, whenever 60 steps were not enough; then it
        suffices that the whole change passes ρ, and the note says that what is shown does not. Not
        in the paper, which is 1; not for predictions h(z).
    off_manifold
        How many times the error that the generator makes on 95 % of held-out images an image's
        reconstruction may have before the note says that the generator does not know it; 0 to
        say nothing.
    frames
        Frames of a film, G(z0) included; the same number for every image.
    head
        See :data:`HeadChoice`.
    batch_size
        Images per batch; no influence on the result.
    """

    name: ClassVar[str] = "visual_rationale"

    classifier: Classifier = field(repr=False)
    wgan: Autoencoder = field(repr=False)
    alpha: float = 0.04
    gamma: float = 600.0
    rho: float = 0.0
    beta: float = 1.0
    cap: int = 500
    summed: int = 0
    reencode: float = 1.0
    shell: float = 3.0
    certain: float = 0.0
    refine: int = 80
    keep: float = 0.02
    off_manifold: float = 1.5
    frames: int = 16
    head: HeadChoice = "auto"
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        check_at_least(0, gamma=self.gamma, beta=self.beta, reencode=self.reencode)
        check_at_least(0, shell=self.shell, off_manifold=self.off_manifold, refine=self.refine)
        check_at_least(1, cap=self.cap)
        check_at_least(2, frames=self.frames)
        if not 0 < self.alpha < 10:
            raise ExplainerError(f"alpha is {self.alpha}; expected a step above 0 and below 10.")
        if not (0 <= self.rho < 1 and 0 <= self.certain < 1):
            raise ExplainerError(
                f"rho is {self.rho} and certain {self.certain}; expected predictions between 0 and "
                "1, or 0 for none."
            )
        check_keep(self.keep)
        if self.summed not in (0, 1):
            raise ExplainerError(f"summed is {self.summed}; expected 0 (mean) or 1 (sum).")
        if self.head not in ("auto", "classifier", "latent"):
            raise ExplainerError(
                f"head is {self.head!r}; expected 'auto', 'classifier' or 'latent'."
            )
        if self.head == "latent" and not isinstance(self.classifier, LatentClassifier):
            raise ExplainerError(
                "head is 'latent', but this classifier does not predict from the latent; use a "
                "latent regressor, or head 'classifier'."
            )
        if tuple(self.classifier.input_size) != tuple(self.wgan.input_size):
            raise ExplainerError(
                f"The classifier takes images of {self.classifier.input_size} pixels, the "
                f"generator makes {self.wgan.input_size}; use two of the same size."
            )
        if len(self.wgan.latent_shape) != 1:
            raise ExplainerError(
                f"The generator has latents of shape {tuple(self.wgan.latent_shape)}; expected a "
                "plain list of numbers, as a WGAN has."
            )

    def explain(
        self,
        images: Tensor,
        goals: Sequence[Goal],
        *,
        on_progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Sequence[Counterfactual]:
        """Explain one goal per image of (N, 1, H, W) in [0, 1], as every explainer does.

        A goal's ``target`` is ρ, its ``direction`` says on which side of ρ the prediction is
        wanted, and its ``against`` is the class to turn into.

        Returns
        -------
        sequence of Counterfactual
            With ``note`` and ``measures`` (see the method's page of the documentation). With the
            direction ``"down"`` the origin is the last frame, with ``"up"`` the first. An image
            whose reconstruction is past ρ already, or whose search met NaN, has ``frames`` times
            the same picture, has not ``reached``, and its note says so.

        Raises
        ------
        ExplainerError
            If images or goals are not what the networks take, the networks cannot be
            differentiated, or predict NaN for the images themselves.
        """
        findings = checked_targets(self.classifier, images, goals)
        check_targets(goals)
        self._check_against(goals)
        device = device_of(self.classifier)
        films: list[Counterfactual] = []
        for start in range(0, len(images), check_batch_size(self.batch_size)):
            stop_if(cancelled)
            part = slice(start, start + self.batch_size)
            batch = images[part].detach().to(device, torch.float32)
            with left_as_found(self.classifier, self.wgan):
                films += self._films(batch, findings[part].to(device), goals[part], cancelled)
            if on_progress is not None:
                on_progress(len(films), len(images))
        return films

    def _check_against(self, goals: Sequence[Goal]) -> None:
        for goal in goals:
            if goal.against is None:
                continue
            if goal.against not in self.classifier.findings or goal.against == goal.finding:
                raise ExplainerError(
                    f"{goal.finding!r} is to turn into {goal.against!r}; expected another one of "
                    f"{', '.join(self.classifier.findings)}."
                )
            if goal.direction == "up":
                raise ExplainerError(
                    f"{goal.finding!r} is to turn into {goal.against!r} and to rise; a class that "
                    "turns into another one falls. Leave the direction 'down'."
                )

    def _wishes(self, findings: Tensor, goals: Sequence[Goal]) -> Wishes:
        names = self.classifier.findings
        against = [-1 if goal.against is None else names.index(goal.against) for goal in goals]
        signs = [1.0 if goal.direction == "down" else -1.0 for goal in goals]
        rho = [self.rho or goal.target or OPERATING_POINT for goal in goals]
        device = findings.device
        return Wishes(
            findings,
            torch.tensor(against, device=device),
            torch.tensor(signs, device=device),
            torch.tensor(rho, device=device),
            self.beta,
            self.certain,
        )

    def _films(
        self,
        images: Tensor,
        findings: Tensor,
        goals: Sequence[Goal],
        cancelled: Cancelled | None,
    ) -> list[Counterfactual]:
        """Make the films of one batch."""
        from_latent = self.head != "classifier" and isinstance(self.classifier, LatentClassifier)
        scoring = Scoring(self.classifier, self.wgan, from_latent)
        wishes = self._wishes(findings, goals)
        with torch.no_grad():
            start = self.wgan.encode(images).detach()
            decoded = self.wgan.decode(start)
        if decoded.shape != images.shape:
            raise ExplainerError(
                f"The generator turns images of shape {tuple(images.shape[1:])} into "
                f"{tuple(decoded.shape[1:])}; expected the same size."
            )
        predict(self.classifier, decoded)  # refuses NaN before anything is searched
        scale = (
            log_odds_per_unit(self.classifier, scoring.logits(start, decoded)) if from_latent else 1
        )
        how = Descent(
            alpha=self.alpha,
            gamma=self.gamma,
            summed=bool(self.summed),
            reencode=self.reencode,
            shell=self.shell,
            cap=self.cap,
            refine=self.refine,
            keep=1.0 if from_latent else self.keep,
            scale=scale,
        )
        if self.refine:
            start = refined(scoring, images, start, wishes, how, cancelled)
        trails = descend(scoring, start, wishes, how, cancelled)
        drawing = Drawing(
            scoring, wishes, goals, trails, self.frames, self._largest_error(), bool(self.reencode)
        )
        return drawing.films(images)

    def _largest_error(self) -> float:
        """Mean absolute error above which a film is said to be unknown; NaN if unmeasured."""
        usual = float(getattr(self.wgan, "reconstruction_error", math.nan))
        return self.off_manifold * usual if self.off_manifold else math.nan
