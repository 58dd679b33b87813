"""Nines that are to become fours: how many do, in the eyes of a network that took no part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from data.digits import DIGITS, DigitSet
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.digits import DigitClassifier
from explainers.counterfactual.visual_rationale import VisualRationale
from explainers.overlay import blend, overlay_rgba
from explainers.record import Counterfactual, Goal
from explainers.training.digits import to_batch

PAPER_S = 118.0
"""Seconds that 1000 rationales of digits took in the paper, on a graphics card of 2017."""


@dataclass(frozen=True)
class Conversion:
    """What became of n digits.

    Parameters
    ----------
    source, wanted
        The digits that they were, and were to become.
    n_images
        Digits explained.
    n_known
        Of them, those whose reconstruction the explained classifier takes for ``source``.
    n_reached
        Searches that obtained what they asked of the explained classifier.
    n_converted
        Pictures that the independent network takes for ``wanted``.
    n_converted_known
        The same among the known ones.
    became
        For each of the ten digits, how many pictures the independent network takes for it.
    seconds, n_threads
        Wall time of all rationales in one run, and threads allowed.
    norm_95
        95th percentile of ‖z*‖/√D.
    """

    source: str
    wanted: str
    n_images: int
    n_known: int
    n_reached: int
    n_converted: int
    n_converted_known: int
    became: tuple[int, ...]
    seconds: float
    n_threads: int
    norm_95: float

    @property
    def share(self) -> float:
        """Share converted of all digits, in [0, 1]."""
        return self.n_converted / self.n_images

    def sentence(self) -> str:
        """Return the result in a sentence."""
        others = ", ".join(
            f"{count} a {digit}"
            for digit, count in zip(DIGITS, self.became, strict=True)
            if count and digit != self.wanted
        )
        return (
            f"{self.n_converted} of {self.n_images} digits {self.source} became a {self.wanted} "
            f"in the eyes of the independent network ({self.share:.1%}); of the others it takes "
            f"{others or 'none'}."
        )


@dataclass(frozen=True, eq=False)
class ConvertedDigits:
    """A :class:`Conversion` with its films, and what the independent network says of each."""

    conversion: Conversion
    films: tuple[Counterfactual, ...]
    named: NDArray[np.int64]


def convert_digits(
    digits: DigitSet,
    explainer: VisualRationale,
    oracle: DigitClassifier,
    *,
    source: str,
    wanted: str,
    clock: Callable[[], float],
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> ConvertedDigits:
    """Turn digits into another one, timed, and let an independent network judge the result.

    Parameters
    ----------
    digits
        Digits of the class ``source``.
    explainer
        With a :class:`DigitClassifier`.
    oracle
        Independent of classifier and generator.
    clock
        Seconds, monotonic; the time of encoding, search and drawing is counted.

    Raises
    ------
    ExplainerError
        If there is no digit, the oracle is the explained network, or a class is unknown.
    """
    if not len(digits.labels):
        raise ExplainerError(f"There is no digit {source} to be converted; give other images.")
    if oracle.weights_digest and oracle.weights_digest == explainer.classifier.weights_digest:
        raise ExplainerError(
            "The network that judges is the one that is explained; train an independent one."
        )
    goals = [Goal(source, against=wanted)] * len(digits.labels)
    started = clock()
    films = explainer.explain(
        to_batch(digits.images), goals, on_progress=on_progress, cancelled=cancelled
    )
    seconds = clock() - started
    index = DIGITS.index(wanted)
    named = _named(oracle, np.stack([film.frames[0] for film in films]))
    origins = np.stack([film.reconstruction for film in films])
    assert isinstance(explainer.classifier, DigitClassifier)
    known = _named(explainer.classifier, origins) == DIGITS.index(source)
    conversion = Conversion(
        source=source,
        wanted=wanted,
        n_images=len(films),
        n_known=int(known.sum()),
        n_reached=sum(film.reached for film in films),
        n_converted=int((named == index).sum()),
        n_converted_known=int((known & (named == index)).sum()),
        became=tuple(np.bincount(named, minlength=10).tolist()),
        seconds=seconds,
        n_threads=torch.get_num_threads(),
        norm_95=float(np.percentile([film.measures["norm_end"] for film in films], 95)),
    )
    return ConvertedDigits(conversion, tuple(films), named)


def _named(network: DigitClassifier, images: NDArray[np.float32]) -> NDArray[np.int64]:
    """Digit that a network takes each of (N, 32, 32) images in [0, 1] for, (N,)."""
    with torch.no_grad():
        parts = [network.logits(part[:, None]) for part in torch.from_numpy(images).split(500)]
    return torch.cat(parts).argmax(dim=1).numpy()


def draw_digits(
    digits: DigitSet, found: ConvertedDigits, path: Path, *, n_columns: int = 12
) -> None:
    """Draw the first digits as columns: digit, G(z0), rationale, G(z*), with its new name.

    The last columns are digits that did not convert, as many as there are, at most a third.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    index = DIGITS.index(found.conversion.wanted)
    converted = np.flatnonzero(found.named == index)
    failed = np.flatnonzero(found.named != index)[: n_columns // 3]
    chosen = [*converted[: n_columns - len(failed)].tolist(), *failed.tolist()]
    rows = ("digit", "G(E(x))", "rationale", "G(z*)")
    with matplotlib.rc_context({"font.size": 8}):
        figure = Figure(figsize=(0.75 * len(chosen) + 0.8, 3.4), layout="constrained")
        axes = figure.subplots(len(rows), len(chosen), squeeze=False)
        for column, case in enumerate(chosen):
            film = found.films[case]
            pictures = (
                to_batch(digits.images[case : case + 1])[0, 0].numpy(),
                film.reconstruction,
                _rationale(film),
                film.frames[0],
            )
            for row, (axis, picture) in enumerate(zip(axes[:, column], pictures, strict=True)):
                axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                axis.set_xticks([])
                axis.set_yticks([])
                if column == 0:
                    axis.set_ylabel(rows[row])
            axes[-1, column].set_xlabel(f"a {found.named[case]}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=160)
        except OSError as error:
            raise ExplainerError(
                f"{path} could not be written: {error.strerror or error}. Choose another place."
            ) from error


def _rationale(film: Counterfactual) -> NDArray[np.uint8]:
    """Draw the rationale over G(z0): purple belongs to the digit, orange to the new one."""
    drawn = overlay_rgba(film.difference, colormap="PuOr", smoothing_px=0, clip_percentile=100)
    return blend(film.reconstruction, drawn)


def conversion_rows(conversions: Sequence[Conversion]) -> list[dict[str, object]]:
    """Return one row per conversion for a table: names of the fields to values."""
    return [
        {
            "source": each.source,
            "wanted": each.wanted,
            "n_images": each.n_images,
            "n_known": each.n_known,
            "n_reached": each.n_reached,
            "n_converted": each.n_converted,
            "share": each.share,
            "seconds": each.seconds,
            "n_threads": each.n_threads,
            **{f"became_{digit}": n for digit, n in zip(DIGITS, each.became, strict=True)},
        }
        for each in conversions
    ]
