"""Pictures of a WGAN's training: curves and ROC, as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from explainers.base import ExplainerError
from explainers.training.held_out import Interval
from explainers.training.latent_evaluation import PAPER_AUC, RocCurve


@dataclass(frozen=True)
class Curve:
    """A line: its name and its points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def draw_curves(path: Path, panels: Sequence[Sequence[Curve]], *, axis: str) -> None:
    """Draw panels of curves side by side over a common kind of axis.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    for place, curves in enumerate(panels):
        area = figure.add_subplot(1, len(panels), place + 1)
        for curve in curves:
            area.plot(curve.x, curve.y, marker=".", label=curve.name)
        area.set_xlabel(axis)
        area.grid(alpha=0.3)
        area.legend(fontsize="small")
    _save(figure, path)


def draw_roc(path: Path, curves: Sequence[tuple[RocCurve, Interval]]) -> None:
    """Draw ROC curves of simulated BNP > 100 ng/L with their areas (the paper's Fig. 3).

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    area = figure.add_subplot(1, 1, 1)
    _diagonal(area)
    for curve, auc in curves:
        label = f"{curve.name}: {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"
        area.plot(curve.false_positive, curve.true_positive, label=label)
    area.set_xlabel("1 − specificity")
    area.set_ylabel("sensitivity")
    area.set_title(
        "Simulated BNP > 100 ng/L, held-out simulated films\n"
        f"(Seah et al. on real films: {PAPER_AUC:.3f}, not comparable)",
        fontsize="medium",
    )
    area.legend(fontsize="small", loc="lower right")
    _save(figure, path)


def _diagonal(area: Axes) -> None:
    area.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
    area.set_aspect("equal")
    area.set_xlim(0, 1)
    area.set_ylim(0, 1)


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise ExplainerError(f"{path} could not be written: {error}.") from error
