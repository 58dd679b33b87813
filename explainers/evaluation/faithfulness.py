"""The bench ``faithfulness``: does a map say what the classifier uses?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.evaluation.bench import COLUMNS, Pair, Quantity, Setting
from explainers.evaluation.captum_measures import infidelities, sensitivities
from explainers.evaluation.curves import (
    COLOURS,
    GREY,
    Axis,
    Panel,
    Row,
    by_classifier,
    draw_curves,
    findings_of,
    long_rows,
    pooled_name,
)
from explainers.evaluation.maps import compute_maps, load_films, map_names
from explainers.evaluation.perturbation import generator_of
from explainers.evaluation.pixel_order import (
    BASELINES,
    Baseline,
    area,
    baseline_films,
    curves,
    pixel_order,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

RANDOM = "random_order"
ZERO = "zero_map"
REFERENCES = (RANDOM, ZERO)
"""Methods that are none: pixels in random order; a map that is zero everywhere."""

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of the pixels; closer where curves are steep."""

Q = Quantity
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "deletion_blur": Q("f as the strongest pixels are blurred", "probability", None),
        "insertion_blur": Q(
            "f as the strongest pixels of a blurred film return", "probability", None
        ),
        "deletion_black": Q("f as the strongest pixels are blackened", "probability", None),
        "insertion_black": Q("f as the strongest pixels return on black", "probability", None),
        "deletion_blur_area": Q("Area under the deletion curve, blur", "mean f", "lower"),
        "insertion_blur_area": Q("Area under the insertion curve, blur", "mean f", "higher"),
        "deletion_black_area": Q("Area under the deletion curve, black", "mean f", "lower"),
        "insertion_black_area": Q("Area under the insertion curve, black", "mean f", "higher"),
        "infidelity": Q("Infidelity, squares blurred", "logit²", "lower"),
        "sensitivity": Q("Largest relative change of the map under tiny noise", "ratio", "lower"),
    }
)
"""What is measured; x is the share of pixels deleted or inserted, for the curves."""


@dataclass(frozen=True)
class Faithfulness:
    """Deletion, insertion, infidelity, sensitivity.

    Parameters
    ----------
    baselines
        What takes the place of deleted pixels.
    shares
        Of pixels, rising from 0 to 1.
    n_squares, square_share
        Of infidelity: squares per film, and their side as a share of the film's.
    n_draws, radius
        Of sensitivity: draws of noise per film, and its largest value in brightness. 0 draws leave
        it out (every draw explains the film again).
    """

    name: ClassVar[str] = "faithfulness"
    title: ClassVar[str] = "Faithfulness to the classifier"
    description: ClassVar[str] = (
        "Deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421): the pixels with the "
        "largest absolute values are replaced by a baseline (the film under a Gaussian of 5 % of "
        "its side, or black), or come back on it, and f is followed; a random order stands beside. "
        "Infidelity and sensitivity (Yeh et al. 2019, arXiv:1901.09392) by captum: how badly the "
        "map, at its best scale, predicts the change of the logit when squares are blurred "
        "(zero_map is the worst possible), and how much it changes under tiny noise. None of them "
        "says whether the classifier looks at the right place."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = QUANTITIES

    baselines: tuple[Baseline, ...] = BASELINES
    shares: tuple[float, ...] = SHARES
    n_squares: int = 32
    square_share: float = 0.2
    n_draws: int = 4
    radius: float = 0.02

    def __post_init__(self) -> None:
        if (
            self.shares[:1] != (0.0,)
            or self.shares[-1:] != (1.0,)
            or (np.diff(self.shares) <= 0).any()
        ):
            raise ExplainerError(
                f"The shares are {self.shares}; expected them to rise from 0 to 1."
            )
        if self.n_draws < 0:
            raise ExplainerError(f"n_draws is {self.n_draws}; expected 0 or more.")
        for each in self.baselines:
            if each not in BASELINES:
                raise ExplainerError(
                    f"The baseline is one of {', '.join(BASELINES)}; {each!r} was given."
                )

    def measure(
        self, setting: Setting, classifier_label: str, pairs: Sequence[Pair]
    ) -> pd.DataFrame:
        """Measure every map of some pairs of case and finding.

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
        films = load_films(setting.cases, [case_id for case_id, _ in pairs], classifier)
        subject = _Subject(pairs, classifier_label, classifier, films, setting)
        zero = np.zeros_like(films)
        rows = self._orders(subject, RANDOM, zero)
        rows += subject.rows(ZERO, "infidelity", self._infidelities(subject, ZERO, zero))
        for name in names:
            maps_of = partial(compute_maps, name, classifier=classifier, networks=setting.networks)
            maps = maps_of(films, subject.findings)
            rows += self._orders(subject, name, maps)
            rows += subject.rows(name, "infidelity", self._infidelities(subject, name, maps))
            if self.n_draws:
                values = sensitivities(
                    maps_of,
                    films,
                    subject.findings,
                    radius=self.radius,
                    n_samples=self.n_draws,
                    seeds=subject.seeds,
                )
                rows += subject.rows(name, "sensitivity", values)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def figures(self, table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
        """Draw the curves, pooled and by finding, and a bar per method for every single number."""
        return by_classifier(summary, _draw)

    def _orders(self, subject: _Subject, name: str, maps: NDArray[np.float32]) -> list[Row]:
        """Follow f along deletion and insertion; a map of zeros gives a random order."""
        orders = [
            pixel_order(values, generator_of(case_id, subject.setting.seed))
            for values, (case_id, _) in zip(maps, subject.pairs, strict=True)
        ]
        rows: list[Row] = []
        for baseline in self.baselines:
            other = baseline_films(subject.films, baseline)
            ways = {"deletion": (subject.films, other), "insertion": (other, subject.films)}
            for way, (start, end) in ways.items():
                found = curves(
                    start, end, orders, self.shares, subject.findings, subject.classifier
                )
                for share, column in zip(self.shares, found.T, strict=True):
                    rows += subject.rows(name, f"{way}_{baseline}", column, share)
                areas = [area(self.shares, each) for each in found]
                rows += subject.rows(name, f"{way}_{baseline}_area", areas)
        return rows

    def _infidelities(
        self, subject: _Subject, name: str, maps: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        return infidelities(
            name,
            maps,
            subject.films,
            baseline_films(subject.films, "blur"),
            subject.findings,
            subject.classifier,
            n_samples=self.n_squares,
            square_share=self.square_share,
            seeds=subject.seeds,
        )


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is the same for all methods of a chunk."""

    pairs: Sequence[Pair]
    label: str
    classifier: Classifier
    films: NDArray[np.float32]
    setting: Setting

    @property
    def findings(self) -> list[str]:
        return [finding for _, finding in self.pairs]

    @property
    def seeds(self) -> list[int]:
        """One seed per case, whatever chunk it is in."""
        seed = self.setting.seed
        return [int(generator_of(case_id, seed).integers(2**31)) for case_id, _ in self.pairs]

    def rows(
        self,
        method: str,
        quantity: str,
        values: Sequence[float] | NDArray[np.float64],
        x: float = float("nan"),
    ) -> list[Row]:
        return long_rows(self.pairs, self.label, method, quantity, x, values)


def _draw(summary: pd.DataFrame, prefix: str) -> list[go.Figure]:
    axis = Axis("share of pixels")
    present = set(summary["quantity"])
    figures = []
    for way, title in (("deletion", "deleted"), ("insertion", "inserted")):
        kinds = [each for each in BASELINES if f"{way}_{each}" in present]
        panels = [
            Panel(f"{way}_{each}", f"strongest pixels {title}, {each}", "f, probability")
            for each in kinds
        ]
        if panels:
            figures.append(draw_curves(summary, f"{prefix}{way}", panels, axis, REFERENCES))
        by_finding = [
            Panel(f"{way}_{kinds[0]}", finding, "f, probability", finding)
            for finding in findings_of(summary)
            if kinds
        ]
        if len(by_finding) > 1:
            heading = f"{prefix}{way} by finding, {kinds[0]}"
            figures.append(draw_curves(summary, heading, by_finding, axis, REFERENCES))
    figures.append(_bars(summary, prefix))
    return figures


def _bars(summary: pd.DataFrame, prefix: str) -> go.Figure:
    """Draw the numbers without x, pooled over findings: a panel each, a bar per method."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    pooled = summary[(summary["finding"] == pooled_name(summary)) & summary["x"].isna()]
    quantities = [each for each in QUANTITIES if each in set(pooled["quantity"])]
    titles = [
        f"{each.title}<br>({each.unit}, {each.better} is better)"
        for each in (QUANTITIES[name] for name in quantities)
    ]
    n_rows = max(1, -(-len(quantities) // 2))
    figure = make_subplots(
        n_rows, 2, subplot_titles=titles, horizontal_spacing=0.2, vertical_spacing=0.42 / n_rows
    )
    for number, quantity in enumerate(quantities):
        rows = pooled[pooled["quantity"] == quantity]
        place = {"row": number // 2 + 1, "col": number % 2 + 1}
        figure.add_trace(
            go.Bar(
                y=rows["method"],
                x=rows["mean"],
                orientation="h",
                showlegend=False,
                marker_color=[
                    GREY if each in REFERENCES else COLOURS[0] for each in rows["method"]
                ],
                error_x={
                    "type": "data",
                    "array": (rows["high"] - rows["mean"]).fillna(0),
                    "arrayminus": (rows["mean"] - rows["low"]).fillna(0),
                },
                customdata=rows["n_cases"],
                hovertemplate="%{y}: %{x:.3f}, %{customdata:.0f} cases<extra></extra>",
            ),
            **place,
        )
        figure.update_xaxes(title_text=QUANTITIES[quantity].unit, rangemode="tozero", **place)
        figure.update_yaxes(autorange="reversed", **place)
    figure.update_layout(
        title=f"{prefix}one number a map: mean and 95 % interval",
        template="plotly_white",
        height=120 + (240 + 24 * pooled["method"].nunique()) * n_rows,
        margin={"l": 140, "r": 24, "t": 110, "b": 56},
    )
    return figure
