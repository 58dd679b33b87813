"""The bench ``robustness``: do maps stay as they are when the film gets a little worse?

Gaussian noise and Gaussian blur of the input at several scales, as in Latent Shift, Fig. G.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.evaluation.bench import COLUMNS, Pair, Quantity, Setting
from explainers.evaluation.curves import (
    Axis,
    Panel,
    Row,
    by_classifier,
    draw_curves,
    findings_of,
    long_rows,
)
from explainers.evaluation.maps import (
    PREDICTION,
    compute_maps,
    load_films,
    map_names,
    predictions,
)
from explainers.evaluation.perturbation import with_blur, with_noise
from explainers.evaluation.similarity import rank_correlation, structural_similarity

if TYPE_CHECKING:
    import plotly.graph_objects as go

Q = Quantity
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "noise_spearman": Q("Rank correlation with the clean map, noise", "Spearman", "higher"),
        "noise_ssim": Q("Structural similarity with the clean map, noise", "SSIM", "higher"),
        "noise_change": Q("|f(noisy) − f(film)|", "probability", None),
        "blur_spearman": Q("Rank correlation with the clean map, blur", "Spearman", "higher"),
        "blur_ssim": Q("Structural similarity with the clean map, blur", "SSIM", "higher"),
        "blur_change": Q("|f(blurred) − f(film)|", "probability", None),
        "blur_mm": Q("Blur in millimetres", "mm", None),
    }
)
"""What is measured; x is σ in brightness (noise: black 0, white 1) or in pixels (blur).

The changes of f belong to the method ``prediction``: where the prediction moves, a map that stays
as it was is not a better one. ``blur_mm`` is given where the film's pixel spacing is known.
"""


@dataclass(frozen=True)
class Robustness:
    """Maps of noisy and of blurred films against the maps of the films.

    Parameters
    ----------
    noise_sigmas
        Standard deviations in brightness, added at the resolution of the classifier, then clipped
        to [0, 1].
    blur_sigmas
        Standard deviations in pixels at the resolution of the classifier.
    """

    name: ClassVar[str] = "robustness"
    title: ClassVar[str] = "Robustness to noise and blur"
    description: ClassVar[str] = (
        "White Gaussian noise is added to the classifier's input, or the input is blurred with a "
        "Gaussian, and every map is made again and compared with the map of the clean film. The "
        "noise of a case is the same at every strength, scaled. At strength 0 the clean map is "
        "compared with itself. Beside it, how far the prediction moves."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = QUANTITIES

    noise_sigmas: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2)
    blur_sigmas: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)

    def __post_init__(self) -> None:
        for each in (*self.noise_sigmas, *self.blur_sigmas):
            if not (np.isfinite(each) and each >= 0):
                raise ExplainerError(f"A standard deviation of {each} was given; expected ≥ 0.")

    def measure(
        self, setting: Setting, classifier_label: str, pairs: Sequence[Pair]
    ) -> pd.DataFrame:
        """Compare maps of perturbed films with those of the films.

        Returns
        -------
        DataFrame
            One row per case, finding, method, quantity and x.

        Raises
        ------
        DataError
            If a film cannot be read.
        ExplainerError
            If a network is missing or computes NaN.
        """
        names = map_names(setting.methods)
        if not pairs:
            return pd.DataFrame(columns=list(COLUMNS))
        classifier = setting.classifiers[classifier_label]
        case_ids = [case_id for case_id, _ in pairs]
        findings = [finding for _, finding in pairs]
        films = load_films(setting.cases, case_ids, classifier)
        before = predictions(films, findings, classifier)[1]
        clean = {name: _maps(name, films, findings, classifier, setting) for name in names}
        rows: list[Row] = []
        for kind, sigma in self._strengths():
            worse = _perturbed(films, case_ids, kind, sigma, setting.seed)
            place = (pairs, classifier_label)
            for name in names:
                made = _maps(name, worse, findings, classifier, setting) if sigma else clean[name]
                for measure, compare in _MEASURES.items():
                    values = [compare(*each) for each in zip(clean[name], made, strict=True)]
                    rows += long_rows(*place, name, f"{kind}_{measure}", sigma, values)
            moved = np.abs(predictions(worse, findings, classifier)[1] - before)
            rows += long_rows(*place, PREDICTION, f"{kind}_change", sigma, moved)
            if kind == "blur":
                widths = [sigma * each for each in _pixel_mm(setting, case_ids, classifier)]
                rows += long_rows(*place, PREDICTION, "blur_mm", sigma, widths)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def figures(self, table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
        """Draw similarity and the change of f over σ: pooled (Fig. G.1) and by finding."""
        return by_classifier(summary, _draw)

    def _strengths(self) -> list[tuple[str, float]]:
        noise = [("noise", each) for each in sorted({0.0, *self.noise_sigmas})]
        return noise + [("blur", each) for each in sorted({0.0, *self.blur_sigmas})]


_MEASURES = MappingProxyType({"spearman": rank_correlation, "ssim": structural_similarity})


def _perturbed(
    films: NDArray[np.float32], case_ids: Sequence[str], kind: str, sigma: float, seed: int
) -> NDArray[np.float32]:
    if kind == "noise":
        return with_noise(films, case_ids, sigma, seed)
    return with_blur(films, sigma)


def _maps(
    name: str,
    films: NDArray[np.float32],
    findings: Sequence[str],
    classifier: Classifier,
    setting: Setting,
) -> NDArray[np.float32]:
    return compute_maps(name, films, findings, classifier=classifier, networks=setting.networks)


def _pixel_mm(setting: Setting, case_ids: Sequence[str], classifier: Classifier) -> list[float]:
    """Return the side of a pixel of the classifier's input, mean of both axes; NaN if unknown."""
    rows, columns = classifier.input_size
    sizes = []
    for case_id in case_ids:
        case = setting.cases.load(case_id)
        if case.pixel_spacing_mm is None:
            sizes.append(float("nan"))
            continue
        down, across = case.pixel_spacing_mm
        height, width = case.image.shape
        sizes.append((down * height / rows + across * width / columns) / 2)
    return sizes


_RANGE = (-0.1, 1.03)


def _draw(summary: pd.DataFrame, prefix: str) -> list[go.Figure]:
    noise = Axis("σ of the noise, brightness (white = 1)")
    blur = Axis(f"σ of the blur, px of the input{_in_mm(summary)}")
    figures = []
    for kind, axis in (("noise", noise), ("blur", blur)):
        panels = [
            Panel(
                f"{kind}_spearman",
                "Rank correlation with the clean map",
                "Spearman",
                y_range=_RANGE,
            ),
            Panel(f"{kind}_ssim", "Structural similarity", "SSIM", y_range=_RANGE),
            Panel(f"{kind}_change", "How far the prediction moves", "mean |Δf|, probability"),
        ]
        figures.append(
            draw_curves(
                summary, f"{prefix}Gaussian {kind} on the input", panels, axis, [PREDICTION]
            )
        )
        by_finding = [
            Panel(f"{kind}_spearman", finding, "Spearman", finding, _RANGE)
            for finding in findings_of(summary)
        ]
        if len(by_finding) > 1:
            figures.append(
                draw_curves(summary, f"{prefix}Gaussian {kind}, by finding", by_finding, axis)
            )
    return figures


def _in_mm(summary: pd.DataFrame) -> str:
    """Return how large a pixel is, as an axis says it."""
    rows = summary[(summary["quantity"] == "blur_mm") & (summary["x"] > 0)]
    sizes = (rows["mean"] / rows["x"]).dropna()
    return f" (1 px = {sizes.mean():.2g} mm)" if len(sizes) else ""
