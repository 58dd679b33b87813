"""The bench ``reconstruction``: what the autoencoder alone does to the prediction.

Latent Shift, Table K.1: f(x) against f(D(E(x))) for positives and for negatives of each finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from explainers.base import ExplainerError
from explainers.differentiation import left_as_found
from explainers.evaluation.bench import COLUMNS, Pair, Quantity, Setting
from explainers.evaluation.curves import COLOURS, by_classifier, findings_of, long_rows
from explainers.evaluation.maps import as_tensor, load_films, predictions
from explainers.evaluation.similarity import image_similarity
from explainers.evaluation.summary import POOLED
from explainers.generators.base import Autoencoder

if TYPE_CHECKING:
    import plotly.graph_objects as go

METHOD = "reconstruction"
POSITIVE, NEGATIVE = 1.0, 0.0
OPERATING_POINT = 0.5

QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "f_film": Quantity("f(x)", "probability", None),
        "f_reconstruction": Quantity("f(D(E(x)))", "probability", None),
        "change": Quantity("f(D(E(x))) − f(x)", "probability", None),
        "absolute_change": Quantity("|f(D(E(x))) − f(x)|", "probability", "lower"),
        "crossed": Quantity("Share that crosses 0.5", "share", "lower"),
        "mae": Quantity("Mean absolute error of the film", "grey levels", "lower"),
        "ssim": Quantity("Structural similarity with the film", "SSIM", "higher"),
    }
)
"""What is measured; x is the reference standard: 1 positive, 0 negative, NaN unknown."""

_COLOUR_OF = MappingProxyType({POSITIVE: COLOURS[0], NEGATIVE: COLOURS[1]})
_LABEL_OF = MappingProxyType({POSITIVE: "positive", NEGATIVE: "negative"})


@dataclass(frozen=True)
class Reconstruction:
    """The impact of reconstruction on f, per finding, for positives and negatives."""

    name: ClassVar[str] = "reconstruction"
    title: ClassVar[str] = "Impact of reconstruction"
    description: ClassVar[str] = (
        "Every film is replaced by its reconstruction D(E(x)). What that alone does to the "
        "prediction bounds what counterfactuals of this autoencoder can tell of the film. x is the "
        "reference standard (1 positive, 0 negative); the areas under the ROC curve are of the "
        "cases of this run, so choose positives and negatives (--findings all)."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = QUANTITIES

    def measure(
        self, setting: Setting, classifier_label: str, pairs: Sequence[Pair]
    ) -> pd.DataFrame:
        """Predict films and their reconstructions.

        Returns
        -------
        DataFrame
            One row per case, finding and quantity, method ``reconstruction``.

        Raises
        ------
        DataError
            If a film cannot be read.
        ExplainerError
            If there is no autoencoder, it takes another size, or a network computes NaN.
        """
        if setting.autoencoder is None:
            raise ExplainerError(
                "Reconstruction needs an autoencoder; name one with --network autoencoder=WEIGHTS."
            )
        if not pairs:
            return pd.DataFrame(columns=list(COLUMNS))
        classifier = setting.classifiers[classifier_label]
        if tuple(classifier.input_size) != tuple(setting.autoencoder.input_size):
            raise ExplainerError(
                f"The classifier takes images of {classifier.input_size} pixels, the autoencoder "
                f"of {setting.autoencoder.input_size}; use two of the same size."
            )
        case_ids = list(dict.fromkeys(case_id for case_id, _ in pairs))
        films = load_films(setting.cases, case_ids, classifier)
        redrawn = reconstruct(films, setting.autoencoder)
        of_pair = [case_ids.index(case_id) for case_id, _ in pairs]
        findings = [finding for _, finding in pairs]
        before = predictions(films[of_pair], findings, classifier)[1]
        after = predictions(redrawn[of_pair], findings, classifier)[1]
        error = 255 * np.abs(redrawn - films).mean(axis=(1, 2), dtype=np.float64)
        alike = np.array([image_similarity(*each) for each in zip(films, redrawn, strict=True)])
        values: Mapping[str, NDArray[np.float64]] = {
            **impact(before, after),
            "mae": error[of_pair],
            "ssim": alike[of_pair],
        }
        rows = []
        for number, pair in enumerate(pairs):
            x = _label(setting, pair)
            for quantity, of_pairs in values.items():
                one = [float(of_pairs[number])]
                rows += long_rows([pair], classifier_label, METHOD, quantity, x, one)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def figures(self, table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
        """Draw Table K.1, f before against f after, and the mean change by finding."""

        def draw(part: pd.DataFrame, prefix: str) -> list[go.Figure]:
            label = part["classifier"].iloc[0]
            own = table[table["classifier"] == label]
            return [
                _table(own, part, prefix),
                _changes(part, prefix),
                _before_after(own, prefix),
            ]

        return by_classifier(summary, draw)


def impact(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> Mapping[str, NDArray[np.float64]]:
    """Return what reconstruction does to predictions, by quantity, each (N,).

    Parameters
    ----------
    before, after
        (N,), f(x) and f(D(E(x))), in [0, 1]. A prediction of exactly 0.5 counts as negative.
    """
    crossed = (before > OPERATING_POINT) != (after > OPERATING_POINT)
    return {
        "f_film": before,
        "f_reconstruction": after,
        "change": after - before,
        "absolute_change": np.abs(after - before),
        "crossed": crossed.astype(np.float64),
    }


def reconstruct(films: NDArray[np.float32], autoencoder: Autoencoder) -> NDArray[np.float32]:
    """Return D(E(x)) of films (N, H, W), clipped to [0, 1], in batches of eight.

    Raises
    ------
    ExplainerError
        If the autoencoder returns NaN or another size.
    """
    parts = []
    for start in range(0, len(films), 8):
        images = as_tensor(films[start : start + 8], autoencoder)
        with left_as_found(autoencoder), torch.no_grad():
            parts.append(autoencoder.decode(autoencoder.encode(images)).cpu().numpy()[:, 0])
    redrawn = np.concatenate(parts) if parts else films
    if redrawn.shape != films.shape or not np.isfinite(redrawn).all():
        raise ExplainerError(
            f"The autoencoder made {redrawn.shape} of films of shape {films.shape}, "
            f"{int((~np.isfinite(redrawn)).sum())} values NaN or infinite; expected finite images "
            "of the same shape. Check its weights."
        )
    return np.clip(redrawn, 0, 1).astype(np.float32)


def area_under_roc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve, ties counting half; NaN unless both classes occur."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    rank_sum = float(rankdata(scores)[positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def areas(table: pd.DataFrame, finding: str) -> tuple[float, float]:
    """Return the AUC of one finding before and after reconstruction, from long rows."""
    known = table[(table["finding"] == finding) & table["x"].notna()]
    found = []
    for quantity in ("f_film", "f_reconstruction"):
        rows = known[known["quantity"] == quantity]
        positive = rows["x"].to_numpy(float) == POSITIVE
        found.append(area_under_roc(rows["value"].to_numpy(float), positive))
    return found[0], found[1]


def _label(setting: Setting, pair: Pair) -> float:
    case_id, finding = pair
    if setting.references is None or case_id not in setting.references:
        return float("nan")
    present = setting.references.get(case_id).findings.get(finding)
    return float("nan") if present is None else float(present)


def _table(table: pd.DataFrame, summary: pd.DataFrame, prefix: str) -> go.Figure:
    """Lay the numbers out as Table K.1."""
    import plotly.graph_objects as go

    shown = ("f_film", "f_reconstruction", "change", "absolute_change", "crossed", "mae", "ssim")
    lines = []
    names = dict.fromkeys(summary["finding"])
    for finding in [*sorted(findings_of(summary)), *([POOLED] if POOLED in names else [])]:
        of_finding = summary[summary["finding"] == finding]
        before, after = areas(table, finding)
        for x in (POSITIVE, NEGATIVE, float("nan")):
            rows = of_finding[of_finding["x"].isna() if np.isnan(x) else of_finding["x"] == x]
            if not len(rows):
                continue
            by_quantity = rows.set_index("quantity")
            cells = [_cell(by_quantity.loc[each]) for each in shown if each in by_quantity.index]
            n_cases = f"{by_quantity['n_cases'].iloc[0]:.0f}"
            auc = ["–" if np.isnan(each) else f"{each:.3f}" for each in (before, after)]
            lines.append([finding, _LABEL_OF.get(x, "unknown"), n_cases, *cells, *auc])
    header = ["finding", "reference", "n", "f(x)", "f(D(E(x)))", "change", "|change|"]
    header += ["crosses 0.5", "MAE, grey levels", "SSIM", "AUC before", "AUC after"]
    figure = go.Figure(
        go.Table(
            header={"values": header, "align": "left"},
            cells={"values": list(zip(*lines, strict=True)), "align": "left", "height": 40},
            columnwidth=[1.5, 1, 0.5, *[1.3] * 7, 0.8, 0.8],
        )
    )
    figure.update_layout(
        title=f"{prefix}impact of reconstruction on f: mean, 95 % interval",
        template="plotly_white",
        height=170 + 47 * len(lines),
        margin={"l": 16, "r": 16, "t": 56, "b": 16},
    )
    return figure


def _cell(row: pd.Series) -> str:
    decimals = 1 if row.name == "mae" else 2
    mean, low, high = (f"{row[each]:.{decimals}f}" for each in ("mean", "low", "high"))
    return mean if "nan" in (low, high) else f"{mean}<br>[{low}, {high}]"


def _changes(summary: pd.DataFrame, prefix: str) -> go.Figure:
    """Draw the mean signed change by finding, positives beside negatives."""
    import plotly.graph_objects as go

    figure = go.Figure()
    rows = summary[summary["quantity"] == "change"]
    for x, name in _LABEL_OF.items():
        part = rows[rows["x"] == x]
        figure.add_trace(
            go.Bar(
                x=part["finding"],
                y=part["mean"],
                name=name,
                marker_color=_COLOUR_OF[x],
                error_y={
                    "type": "data",
                    "array": (part["high"] - part["mean"]).fillna(0),
                    "arrayminus": (part["mean"] - part["low"]).fillna(0),
                },
                customdata=part["n_cases"],
                hovertemplate="%{x}: %{y:.3f}, %{customdata:.0f} cases",
            )
        )
    figure.update_layout(
        title=f"{prefix}mean change of the prediction by reconstruction, 95 % interval",
        yaxis_title="f(D(E(x))) − f(x), probability",
        xaxis={
            "title": "finding",
            "categoryorder": "array",
            "categoryarray": [*sorted(findings_of(summary)), POOLED],
        },
        barmode="group",
        template="plotly_white",
        height=420,
    )
    return figure


def _before_after(table: pd.DataFrame, prefix: str) -> go.Figure:
    """Draw f of every reconstruction over f of its film."""
    import plotly.graph_objects as go

    keys = ["case_id", "finding", "x"]
    wide = table.set_index([*keys, "quantity"])["value"].unstack("quantity").reset_index()
    figure = go.Figure()
    line = {"color": "#9aa0a6", "dash": "dot", "width": 1}
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line=line)
    for at in ({"x": OPERATING_POINT}, {"y": OPERATING_POINT}):
        draw = figure.add_vline if "x" in at else figure.add_hline
        draw(**at, line={"color": "#dadce0", "width": 1})
    for x, name in _LABEL_OF.items():
        part = wide[wide["x"] == x]
        figure.add_trace(
            go.Scatter(
                x=part["f_film"],
                y=part["f_reconstruction"],
                mode="markers",
                name=name,
                marker={"color": _COLOUR_OF[x], "size": 7, "opacity": 0.7},
                marker_symbol="circle" if x == POSITIVE else "diamond-open",
                text=part["case_id"] + " " + part["finding"],
                hovertemplate="%{text}: %{x:.2f} → %{y:.2f}",
            )
        )
    figure.update_layout(
        title=f"{prefix}prediction of each film and of its reconstruction",
        xaxis={"title": "f(x), probability", "range": [-0.03, 1.03], "constrain": "domain"},
        yaxis={"title": "f(D(E(x))), probability", "range": [-0.03, 1.03], "scaleanchor": "x"},
        template="plotly_white",
        height=560,
    )
    return figure
