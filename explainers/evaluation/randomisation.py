"""The bench ``randomisation``: does a map change when the classifier forgets what it learned?

Cascading randomisation (Adebayo et al. 2018, arXiv:1810.03292) as in Latent Shift, Fig. 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

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
    pooled_name,
)
from explainers.evaluation.maps import (
    PREDICTION,
    as_tensor,
    compute_maps,
    load_films,
    map_names,
    predictions,
)
from explainers.evaluation.similarity import rank_correlation, structural_similarity
from explainers.evaluation.weight_reset import cascade

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

LAYER = "layer: "
"""Start of the methods whose rows name a layer; the name follows."""

QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "spearman": Quantity("Rank correlation with the original map", "Spearman", "lower"),
        "ssim": Quantity("Structural similarity with the original map", "SSIM", "lower"),
        "prediction_change": Quantity("|f of the copy − f|", "probability", None),
        "layer_reset": Quantity("Last layer reset", "number from the output", None),
    }
)
"""What is measured; x is the number of layers reset, from the output backwards.

``prediction_change`` belongs to the method ``prediction``: a map that stays as it was says nothing
while the prediction does too. A map that is constant in absolute value has no rank correlation;
its rows are NaN. ``layer_reset`` rows (method ``layer: <name>``) say which layer x stands for.
"""


@dataclass(frozen=True)
class Randomisation:
    """Cascading randomisation of a copy of the classifier; the autoencoder stays as it is.

    Parameters
    ----------
    n_stages
        Stages looked at; a network of more layers is looked at after evenly spaced numbers of
        them.
    """

    name: ClassVar[str] = "randomisation"
    title: ClassVar[str] = "Cascading randomisation"
    description: ClassVar[str] = (
        "The layers of a copy of the classifier are reset one after another, from the output "
        "backwards (weights, and scale, shift and running statistics of batch normalisation); the "
        "autoencoder is kept. At each stage every map is made again and compared with the original "
        "one: a map that depends on what the network has learned loses its resemblance. One draw "
        "of the fresh weights, the same for all cases: the intervals are over cases only."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = QUANTITIES

    n_stages: int = 12

    def __post_init__(self) -> None:
        if self.n_stages < 1:
            raise ExplainerError(f"n_stages is {self.n_stages}; expected at least 1.")

    def measure(
        self, setting: Setting, classifier_label: str, pairs: Sequence[Pair]
    ) -> pd.DataFrame:
        """Compare maps of the reset copies with the original ones.

        Returns
        -------
        DataFrame
            One row per case, finding, method, quantity and x.

        Raises
        ------
        DataError
            If a film cannot be read.
        ExplainerError
            If the classifier's layers cannot be reset on a copy, or a network is missing or
            computes NaN.
        """
        names = map_names(setting.methods)
        if not pairs:
            return pd.DataFrame(columns=list(COLUMNS))
        original = setting.classifiers[classifier_label]
        films = load_films(setting.cases, [case_id for case_id, _ in pairs], original)
        findings = [finding for _, finding in pairs]
        first = as_tensor(films[:1], original)
        before = predictions(films, findings, original)[1]
        maps: dict[str, NDArray[np.float32]] = {}
        rows: list[Row] = []
        for stage in cascade(original, first, self.n_stages, setting.seed):
            place = (pairs, classifier_label)
            for name in names:
                made = _maps(name, films, findings, stage.classifier, setting)
                kept = maps.setdefault(name, made)
                for quantity, compare in _MEASURES.items():
                    values = [compare(*each) for each in zip(kept, made, strict=True)]
                    rows += long_rows(*place, name, quantity, stage.n_layers, values)
            moved = np.abs(predictions(films, findings, stage.classifier)[1] - before)
            rows += long_rows(*place, PREDICTION, "prediction_change", stage.n_layers, moved)
            if stage.layer:
                number = [float(stage.n_layers)] * len(pairs)
                label = LAYER + stage.layer
                rows += long_rows(*place, label, "layer_reset", stage.n_layers, number)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def figures(self, table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
        """Draw similarity over the number of layers reset: pooled (Fig. 5) and by finding."""
        return by_classifier(summary, _draw)


_MEASURES = MappingProxyType({"spearman": rank_correlation, "ssim": structural_similarity})


def _maps(
    name: str,
    films: NDArray[np.float32],
    findings: Sequence[str],
    classifier: Classifier,
    setting: Setting,
) -> NDArray[np.float32]:
    return compute_maps(name, films, findings, classifier=classifier, networks=setting.networks)


def layer_names(summary: pd.DataFrame) -> Mapping[float, str]:
    """Return which layer was reset last, by x, from the rows that say so."""
    chosen = summary[summary["quantity"] == "layer_reset"]
    names = chosen["method"].str.removeprefix(LAYER)
    return dict(sorted(zip(chosen["x"].astype(float), names, strict=True)))


def _draw(summary: pd.DataFrame, prefix: str) -> list[go.Figure]:
    layers = layer_names(summary)
    axis = Axis("parameter layers reset, from the output")
    of_maps = summary[summary["quantity"] != "layer_reset"]
    pooled = [
        Panel(
            "spearman", "Rank correlation with the original map", "Spearman", y_range=(-0.3, 1.03)
        ),
        Panel("ssim", "Structural similarity", "SSIM", y_range=(-0.1, 1.03)),
        Panel("prediction_change", "How far the prediction has moved", "mean |Δf|, probability"),
    ]
    figures = [draw_curves(of_maps, f"{prefix}cascading randomisation", pooled, axis, [PREDICTION])]
    by_finding = [
        Panel("spearman", finding, "Spearman", finding, (-0.3, 1.03))
        for finding in findings_of(of_maps)
    ]
    if len(by_finding) > 1:
        title = f"{prefix}cascading randomisation by finding"
        figures.append(draw_curves(of_maps, title, by_finding, axis))
    if layers:
        figures.append(_layer_table(summary, layers, prefix))
    return figures


def _layer_table(summary: pd.DataFrame, layers: Mapping[float, str], prefix: str) -> go.Figure:
    """List what x stands for, and what is left of the maps there."""
    import plotly.graph_objects as go

    pooled = summary["finding"] == pooled_name(summary)
    chosen = summary[pooled & (summary["quantity"] == "spearman")]
    methods = list(dict.fromkeys(chosen["method"]))
    wide = chosen.pivot_table(index="x", columns="method", values="mean", dropna=False)
    wide = wide.reindex(index=list(layers), columns=methods)
    columns = [
        [f"{each:.0f}" for each in layers],
        list(layers.values()),
        *[["–" if np.isnan(each) else f"{each:.2f}" for each in wide[name]] for name in methods],
    ]
    figure = go.Figure(
        go.Table(
            header={"values": ["layers reset", "last one reset", *methods], "align": "left"},
            cells={"values": columns, "align": "left", "height": 24},
            columnwidth=[1, 3, *[1.6] * len(methods)],
        )
    )
    figure.update_layout(
        title=f"{prefix}rank correlation after each layer",
        template="plotly_white",
        height=150 + 25 * len(layers),
        margin={"l": 24, "r": 24, "t": 56, "b": 16},
    )
    return figure
