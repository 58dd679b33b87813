"""What every explainer and every network of this package shares: errors and call-back types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import torch

    from explainers.record import Explanation, Goal

OnProgress: TypeAlias = Callable[[int, int], None]
"""Called as ``on_progress(done, total)`` with ``0 <= done <= total``."""

Cancelled: TypeAlias = Callable[[], bool]
"""Asked between steps; ``True`` means: stop as soon as nothing is left half-done."""


class ExplainerError(Exception):
    """Root of all errors of this package: one sentence that a page can show as it is."""


@runtime_checkable
class Explainer(Protocol):
    """A method that explains predictions; implementations are frozen dataclasses.

    The fields of an implementation are its parameters (networks with ``repr=False``), so that its
    ``repr`` states how a picture was made. It differentiates logits and leaves the classifier as
    it found it: mode, hooks, gradients.
    """

    name: ClassVar[str]

    def explain(
        self,
        images: torch.Tensor,
        goals: Sequence[Goal],
        *,
        on_progress: OnProgress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Sequence[Explanation]:
        """Explain one goal per image.

        Parameters
        ----------
        images : Tensor
            (N, 1, H, W), in [0, 1].
        goals : sequence of Goal
            N goals, one per image.
        on_progress, cancelled
            Call-backs of a long run; ``None`` where nobody is waiting.

        Returns
        -------
        sequence of Attribution, Counterfactual or Toggles
            N explanations in the order of the images.
        """
        ...
