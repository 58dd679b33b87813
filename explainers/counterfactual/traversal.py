"""Structure/class traversal: the film redrawn with the class latent of a finding scaled.

x'_λ = G(z1, λ z2), where only the block of the goal's finding is scaled: at λ = 0 the finding is
taken out, λ = 1 is the reconstruction, λ > 1 exaggerates (Dravid & Katsaggelos, AAAI 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from explainers.attribution.batches import check_batch_size
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.counterfactual.inversion import (
    Inversion,
    SearchSettings,
    dice_of,
    fitting_targets,
    invert,
)
from explainers.counterfactual.kept_change import check_keep, kept_change, widened
from explainers.counterfactual.wanted import REACHED_WITHIN, check_targets
from explainers.differentiation import checked_targets, left_as_found, predict, stop_if
from explainers.generators.structure_class import StructureClass
from explainers.record import Counterfactual, Goal

_DRAWS = 8  # class latents tried where a finding is added
_FRAMES_AT_ONCE = 32
_FALL = 1e-3  # of the probability between two frames, below which the way still counts as rising


@dataclass(frozen=True)
class StructureClassTraversal:
    """Films along the class latent of one finding.

    The film is inverted first (:mod:`explainers.counterfactual.inversion`).

    - A film that the classifier calls **positive** runs from G(z1, 0), the finding taken out, over
      the reconstruction G(z1, z2) to G(z1, ``lam_max`` · z2). Its steps are λ − 1: 0 is the
      reconstruction and −1 the counterfactual.
    - In a film that it calls **negative** the block is 0, as in training, and the first frame is
      the reconstruction: the film adds the finding. Of eight class latents drawn from N(0, I) it
      takes the one that becomes positive at λ = 1 with the least change of the image (where none
      does, the one with the highest prediction). Its steps are λ.

    All films have ``n_steps`` + 1 frames. An end is reached if the lowest frame is negative and the
    highest positive (0.5), or has the target of the goal where it names one at that end.

    ``measures`` of every film hold the error of the reconstruction (``error``, mean absolute, in
    brightness), its shift of the prediction (``shift``), how monotone f is along the film
    (``spearman``, ``violations``: share of steps on which f falls by more than 0.001), and
    ``off_manifold``: 1 if the error is above ``max_error``. The ``note`` says what a person has to
    know before believing the film.

    The latent moves every pixel a little, which over a whole film is more than the finding. Frames
    therefore show the strongest part of their change against the reconstruction, by a soft
    threshold (:func:`.kept_change.kept_change`); the share of the pixels grows by half, twice at
    most, where the far end is not what was wanted (``kept_share`` of the measures says how large it
    is). Where that does not suffice the note says so; ``keep`` = 1 shows all, and is the paper.

    Parameters
    ----------
    classifier
        f.
    structure_class
        G, which knows the finding and has images of the classifier's size.
    n_steps
        Steps from λ = 0 to ``lam_max``.
    lam_max
        Largest λ, above 1.
    restarts, iterations, rate, mse_weight, class_weight, feature_weight, prior_weight, seed
        Of the search; see :class:`explainers.counterfactual.inversion.SearchSettings`.
    max_error
        Mean absolute error of the reconstruction, in brightness, above which a film is said to lie
        off what the generator can draw.
    keep
        Share of the pixels whose change is shown to begin with, in (0, 1].
    batch_size
        Films per search; no influence on the result beyond rounding.
    """

    name: ClassVar[str] = "structure_class_traversal"

    classifier: Classifier = field(repr=False)
    structure_class: StructureClass = field(repr=False)
    n_steps: int = 20
    lam_max: float = 1.5
    restarts: int = SearchSettings.restarts
    iterations: int = SearchSettings.iterations
    rate: float = SearchSettings.rate
    mse_weight: float = SearchSettings.mse_weight
    class_weight: float = SearchSettings.class_weight
    feature_weight: float = SearchSettings.feature_weight
    prior_weight: float = SearchSettings.prior_weight
    max_error: float = 0.07
    keep: float = 0.02
    seed: int = 0
    batch_size: int = field(default=8, repr=False)

    def __post_init__(self) -> None:
        if self.n_steps < 2 or not self.lam_max > 1:
            raise ExplainerError(
                f"n_steps is {self.n_steps} and lam_max {self.lam_max}; expected at least 2 steps "
                "and a number above 1, which is the reconstruction."
            )
        if not self.max_error > 0:
            raise ExplainerError(f"max_error is {self.max_error}; expected a number above 0.")
        check_keep(self.keep)
        self.search  # noqa: B018  checks its numbers
        fitting_targets(self.structure_class, self.classifier)

    @property
    def search(self) -> SearchSettings:
        """How latents are searched for."""
        return SearchSettings(
            iterations=self.iterations,
            restarts=self.restarts,
            rate=self.rate,
            mse_weight=self.mse_weight,
            class_weight=self.class_weight,
            feature_weight=self.feature_weight,
            prior_weight=self.prior_weight,
            seed=self.seed,
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

        Returns
        -------
        sequence of Counterfactual
            ``n_steps`` + 1 frames each.

        Raises
        ------
        ExplainerError
            If images or goals are not what the networks take, the generator was not trained with a
            finding, or the search meets NaN.
        """
        targets = checked_targets(self.classifier, images, goals)
        check_targets(goals)
        for goal in goals:
            self.structure_class.target(goal.finding)
        films: list[Counterfactual] = []
        for start in range(0, len(images), check_batch_size(self.batch_size)):
            part = slice(start, start + self.batch_size)
            batch = images[part].detach().to("cpu", torch.float32)
            with left_as_found(self.classifier, self.structure_class):
                films += self._films(batch, targets[part].tolist(), goals[part], cancelled)
            if on_progress is not None:
                on_progress(len(films), len(images))
        return films

    def paths(
        self, images: Tensor, findings: Sequence[str], *, cancelled: Cancelled | None = None
    ) -> list[ClassPath]:
        """Return the way of every film through z2, for one finding each; see :class:`ClassPath`.

        Raises
        ------
        ExplainerError
            As :meth:`explain`.
        """
        found = invert(
            self.structure_class, self.classifier, images, self.search, cancelled=cancelled
        )
        return [
            self._path(found, images[case], case, finding) for case, finding in enumerate(findings)
        ]

    def _films(
        self,
        images: Tensor,
        targets: Sequence[int],
        goals: Sequence[Goal],
        cancelled: Cancelled | None,
    ) -> list[Counterfactual]:
        of_image = predict(self.classifier, images)[1]
        films = []
        paths = self.paths(images, [goal.finding for goal in goals], cancelled=cancelled)
        for case, (path, goal, target) in enumerate(zip(paths, goals, targets, strict=True)):
            stop_if(cancelled)
            lambdas, origin = self._lambdas(path.adds)
            low, high = _ends(goal)
            frames = path.at(self.structure_class, lambdas)
            frames, share = self._kept(frames, origin, target, high if path.adds else low)
            found = [predict(self.classifier, part)[1] for part in frames.split(_FRAMES_AT_ONCE)]
            probabilities = torch.cat(found)[:, target].double().numpy()
            report = _Report.of(self, path, goal, float(of_image[case, target]), probabilities)
            films.append(
                Counterfactual(
                    frames=frames[:, 0].numpy().astype(np.float32),
                    steps=lambdas - lambdas[origin],
                    origin=origin,
                    probabilities=probabilities,
                    finding=goal.finding,
                    reached_low=bool(probabilities[0] <= low + REACHED_WITHIN * (low != 0.5)),
                    reached_high=bool(probabilities[-1] >= high - REACHED_WITHIN),
                    probability_image=float(of_image[case, target]),
                    note=report.note(probabilities),
                    measures=report.measures | {"kept_share": share},
                )
            )
        return films

    @torch.no_grad()
    def _kept(
        self, frames: Tensor, origin: int, target: int, wanted: float
    ) -> tuple[Tensor, float]:
        """Frames (T, 1, H, W) with the strongest part of their change, and its share of the pixels.

        The smallest share that leaves the far end on the side of ``wanted``, if one that is tried
        does.
        """
        adds, far = origin == 0, -1 if origin == 0 else 0
        reference = frames[origin : origin + 1]
        change = frames - reference

        def done(images: Tensor) -> bool:
            f = float(predict(self.classifier, images[far:][:1])[1][0, target])
            return f >= wanted if adds else f <= wanted

        obtained = done(frames)
        if self.keep >= 1:
            return frames, 1.0
        for share in widened(self.keep):
            shown = reference + kept_change(change, torch.full((len(frames),), share))
            if not obtained or done(shown):
                break
        return shown, share

    def _lambdas(self, adds: bool) -> tuple[NDArray[np.float64], int]:
        """λ of every frame, and the index of the reconstruction."""
        if adds:
            return np.linspace(0, self.lam_max, self.n_steps + 1), 0
        n_below = min(max(round(self.n_steps / self.lam_max), 1), self.n_steps - 1)
        below = np.linspace(0, 1, n_below + 1)
        above = np.linspace(1, self.lam_max, self.n_steps - n_below + 1)[1:]
        return np.concatenate([below, above]), n_below

    def _path(self, found: Inversion, image: Tensor, case: int, finding: str) -> ClassPath:
        block = self.structure_class.target(finding)
        z1, z2 = found.z1[case], found.z2[case]
        adds = not bool(found.present[case, block])
        if adds:
            z2 = self._added(z1, z2, block, dice_of(image, self.seed), finding)
        return ClassPath(
            z1, z2, block, adds, float(found.error[case]), float(found.shift[case, block])
        )

    @torch.no_grad()
    def _added(
        self, z1: Tensor, z2: Tensor, block: int, dice: torch.Generator, finding: str
    ) -> Tensor:
        """z2 with a drawn block that makes the film positive with the least change."""
        drawn = z2.repeat(_DRAWS + 1, 1, 1)
        drawn[1:, block] = torch.randn(_DRAWS, z2.shape[1], generator=dice)
        images = self.structure_class.decode(z1.expand(len(drawn), -1), drawn).clamp(0, 1)
        target = self.classifier.findings.index(finding)
        f = predict(self.classifier, images)[1][1:, target]
        change = (images[1:] - images[0]).abs().mean(dim=(1, 2, 3))
        if (f >= 0.5).any():
            return drawn[1 + int(torch.where(f >= 0.5, change, torch.inf).argmin())]
        return drawn[1 + int(f.argmax())]


@dataclass(frozen=True, eq=False)
class ClassPath:
    """The way of one film along the block of one finding.

    Parameters
    ----------
    z1, z2
        (latent,), (F, block); z2 holds the block at λ = 1.
    block
        Which block is scaled.
    adds
        Whether the film is negative, so that the way adds the finding; λ = 0 is then the
        reconstruction, else λ = 1 is.
    error
        Mean absolute error of the reconstruction, in brightness.
    shift
        f(reconstruction) − f(x).
    """

    z1: Tensor
    z2: Tensor
    block: int
    adds: bool
    error: float
    shift: float

    @torch.no_grad()
    def at(self, network: StructureClass, lambdas: NDArray[np.float64]) -> Tensor:
        """Images (T, 1, H, W), in [0, 1], of T values of λ."""
        scale = torch.from_numpy(lambdas).float()
        z2 = self.z2.repeat(len(scale), 1, 1)
        z2[:, self.block] *= scale[:, None]
        z1 = self.z1.expand(len(scale), -1)
        parts = zip(z1.split(_FRAMES_AT_ONCE), z2.split(_FRAMES_AT_ONCE), strict=True)
        return torch.cat([network.decode(a, b).clamp(0, 1) for a, b in parts])


@dataclass(frozen=True)
class _Report:
    """What can be said of one film."""

    explainer: StructureClassTraversal
    path: ClassPath
    goal: Goal
    probability: float
    measures: dict[str, float]

    @classmethod
    def of(
        cls,
        explainer: StructureClassTraversal,
        path: ClassPath,
        goal: Goal,
        probability: float,
        probabilities: NDArray[np.float64],
    ) -> _Report:
        measures = {
            "error": path.error,
            "shift": path.shift,
            "off_manifold": float(path.error > explainer.max_error),
            "spearman": monotonicity(probabilities),
            "violations": violations(probabilities),
        }
        return cls(explainer, path, goal, probability, measures)

    def note(self, probabilities: NDArray[np.float64]) -> str:
        network, path, goal = self.explainer.structure_class, self.path, self.goal
        said = []
        if path.error > self.explainer.max_error:
            said.append(
                f"The film lies off what the generator can draw: its reconstruction is off by "
                f"{255 * path.error:.0f} of 255 grey levels on average (limit "
                f"{255 * self.explainer.max_error:.0f}); do not rely on this explanation."
            )
        if network.classifier_digest and (
            self.explainer.classifier.weights_digest != network.classifier_digest
        ):
            said.append(
                "The generator was trained with another classifier: what it adds and takes away is "
                "what that one calls the finding."
            )
        if path.adds:
            said.append("The classifier does not see the finding in this film: the frames add it.")
        origin = probabilities[0] if path.adds else probabilities[self.explainer._lambdas(False)[1]]
        if (origin >= 0.5) == path.adds:
            said.append(
                f"The reconstruction has changed sides: f is {origin:.2f}, that of the film "
                f"{self.probability:.2f}."
            )
        low, high = _ends(goal)
        if goal.target is not None and abs(goal.target - self.probability) <= REACHED_WITHIN:
            said.append(f"The film itself has the target {goal.target:g}; nothing had to change.")
        elif goal.direction == "down" and probabilities[0] > low:
            said.append(f"The lowest frame has f = {probabilities[0]:.2f}; {low:g} was wanted.")
        elif goal.direction == "up" and probabilities[-1] < high:
            said.append(f"The highest frame has f = {probabilities[-1]:.2f}; {high:g} was wanted.")
        return " ".join(said)


def _ends(goal: Goal) -> tuple[float, float]:
    """Probabilities wanted of the lowest and of the highest frame."""
    if goal.target is None:
        return 0.5, 0.5
    return (goal.target, 0.5) if goal.direction == "down" else (0.5, goal.target)


def monotonicity(probabilities: NDArray[np.float64]) -> float:
    """Spearman's ρ of f (T,) with the order of the frames; 0 where f is the same everywhere."""
    ranks = rankdata(probabilities) - (len(probabilities) + 1) / 2
    order = np.arange(len(probabilities)) - (len(probabilities) - 1) / 2
    spread = np.sqrt((ranks**2).sum() * (order**2).sum())
    return float((ranks * order).sum() / spread) if spread > 0 else 0.0


def violations(probabilities: NDArray[np.float64]) -> float:
    """Share of the T − 1 steps on which f falls by more than 0.001."""
    return float((np.diff(probabilities) < -_FALL).mean())
