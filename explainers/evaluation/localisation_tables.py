"""Tables and figures of the localisation bench: Table 1, the surplus over the prior, bars."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from explainers.base import ExplainerError
from explainers.evaluation.bench import Setting
from explainers.evaluation.curves import COLOURS
from explainers.evaluation.localisation_bench import CHANCE, MASKS, PRIOR, QUANTITIES
from explainers.evaluation.localisation_measures import PERCENTILES
from explainers.evaluation.summary import POOLED, patient_interval
from explainers.run import predict_cases

GREYS: Mapping[str, str] = MappingProxyType({CHANCE: "#5f6368", PRIOR: "#9aa0a6"})
PAIRED = ("iou", "auprc", "ncc")
BARS = ("iou", "auprc", "ncc", "pointing", "share_inside", "share_other_lung")


def table1(setting: Setting, rows: pd.DataFrame) -> pd.DataFrame:
    """Classifier × finding with AUC, then IoU at matched area per method: mean, SD and n.

    Raises
    ------
    ExplainerError
        If no pair had a mask that can be used.
    """
    known = rows[rows["quantity"] == "iou"]
    if not len(known):
        raise ExplainerError(
            "No pair has a mask that can be used: each is missing, empty, or larger than half "
            "the film. Choose other findings or cases."
        )
    aucs = {label: _aucs(setting, label) for label in setting.classifiers}
    found = []
    for (label, finding), group in known.groupby(["classifier", "finding"], sort=False):
        auc, low, high = aucs[label].get(finding, (np.nan, np.nan, np.nan))
        record: dict[str, object] = {
            "classifier": label,
            "finding": finding,
            "n": group["case_id"].nunique(),
            "AUC": auc,
            "AUC low": low,
            "AUC high": high,
        }
        for method, of in group.groupby("method", sort=False):
            record[f"{method} mean"] = of["value"].mean()
            record[f"{method} SD"] = of["value"].std(ddof=1) if len(of) > 1 else np.nan
        found.append(record)
    return pd.DataFrame(found)


def against_prior(setting: Setting, rows: pd.DataFrame) -> pd.DataFrame:
    """Paired differences of every method to the mean mask of other patients, by finding."""
    patients = setting.patients()
    known = rows[rows["quantity"].isin(PAIRED) & (rows["method"] != MASKS)]
    pooled = known.assign(finding=POOLED)
    found = []
    for table in (known, pooled) if known["finding"].nunique() > 1 else (known,):
        keys = ["classifier", "finding", "quantity"]
        for (label, finding, quantity), group in table.groupby(keys, sort=False):
            # pooled: a case may count once for each of its findings, in the order of the rows
            ranked = group.assign(turn=group.groupby(["case_id", "method"]).cumcount())
            wide = ranked.pivot(index=["case_id", "turn"], columns="method", values="value")
            if PRIOR not in wide:
                continue
            for method in [each for each in wide if each != PRIOR]:
                difference = (wide[method] - wide[PRIOR]).dropna()
                if not len(difference):
                    continue
                cases = difference.index.get_level_values("case_id")
                codes = pd.factorize(cases.map(patients))[0]
                low, high = patient_interval(difference.to_numpy(), codes, seed=setting.seed)
                mean, n = float(difference.mean()), len(difference)
                above = bool(low > 0)
                found.append((label, finding, method, quantity, mean, low, high, n, above))
    columns = ["classifier", "finding", "method", "quantity", "difference", "low", "high", "n"]
    return pd.DataFrame(found, columns=[*columns, "above_prior"])


def left_out(rows: pd.DataFrame) -> pd.DataFrame:
    """List the pairs that were not measured, and why: case_id, finding, reason."""
    reasons = {
        "left_out": "no mask, or an empty one",
        "too_large": "the mask is larger than half the film",
    }
    chosen = rows[rows["quantity"].isin(reasons) & (rows["value"] == 1)]
    named = chosen.assign(reason=chosen["quantity"].map(reasons))
    return named[["case_id", "finding", "reason"]].drop_duplicates(ignore_index=True)


def draw(summary: pd.DataFrame) -> list[go.Figure]:
    """Draw bars per finding and method with intervals, and precision against recall."""
    figures = []
    several = summary["classifier"].nunique() > 1
    colours = _colours(summary)
    for quantity in BARS:
        part = summary[summary["quantity"] == quantity]
        if not len(part):
            continue
        figure = go.Figure()
        for (label, method), group in part.groupby(["classifier", "method"], sort=False):
            figure.add_bar(
                name=f"{method} ({label})" if several else method,
                marker_color=colours[label, method],
                x=group["finding"],
                y=group["mean"],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": (group["high"] - group["mean"]).fillna(0),
                    "arrayminus": (group["mean"] - group["low"]).fillna(0),
                },
            )
        known = QUANTITIES[quantity]
        title = f"{known.title}: mean and 95 % interval"
        figures.append(_styled(figure, title, "finding", known.unit))
    figures.append(_precision_recall(summary))
    return figures


def _precision_recall(summary: pd.DataFrame) -> go.Figure:
    finding = POOLED if POOLED in set(summary["finding"]) else summary["finding"].iloc[0]
    part = summary[(summary["finding"] == finding) & (summary["method"] != MASKS)]
    figure, colours = go.Figure(), _colours(summary)
    several = summary["classifier"].nunique() > 1
    for (label, method), group in part.groupby(["classifier", "method"], sort=False):
        means = group.set_index("quantity")["mean"]
        figure.add_scatter(
            x=[means.get(f"recall_p{each:g}") for each in PERCENTILES],
            y=[means.get(f"precision_p{each:g}") for each in PERCENTILES],
            text=[f"{each:g}" for each in PERCENTILES],
            mode="lines+markers",
            line_color=colours[label, method],
            name=f"{method} ({label})" if several else method,
        )
    title = f"Precision and recall above percentiles {PERCENTILES[0]:g} to {PERCENTILES[-1]:g}"
    return _styled(figure, f"{title} ({finding})", "recall (share)", "precision (share)")


def _colours(summary: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Give every classifier and method its colour; chance and prior are grey."""
    pairs = dict.fromkeys(zip(summary["classifier"], summary["method"], strict=True))
    shown = [each for each in pairs if each[1] not in (*GREYS, MASKS)]
    chosen = {each: COLOURS[number % len(COLOURS)] for number, each in enumerate(shown)}
    return {each: chosen.get(each, GREYS.get(each[1], GREYS[CHANCE])) for each in pairs}


def _styled(figure: go.Figure, title: str, x: str, y: str) -> go.Figure:
    figure.update_layout(
        title=title,
        template="plotly_dark",
        paper_bgcolor="#0f1216",
        plot_bgcolor="#0f1216",
        xaxis_title=x,
        yaxis_title=y,
        barmode="group",
        height=420,
    )
    return figure


def _aucs(setting: Setting, label: str) -> dict[str, tuple[float, float, float]]:
    """AUC with interval of every finding over all cases whose finding is known."""
    from explainers.training.held_out import auc_interval

    references = setting.references
    if references is None:
        return {}
    cases = [case_id for case_id in setting.cases if case_id in references]
    table = pd.DataFrame(predict_cases(setting.cases, setting.classifiers[label], case_ids=cases))
    found = {}
    for finding, group in table.groupby("finding"):
        present = [references.get(each).findings.get(finding) for each in group["case_id"]]
        known = np.array([each is not None for each in present])
        if not known.any():
            continue
        labels = np.array([float(bool(each)) for each in present])[known]
        owners = np.array([references.get(each).patient_id for each in group["case_id"]])[known]
        scores = group["logit"].to_numpy()[known]
        each = auc_interval(scores, labels, owners, seed=setting.seed)
        found[str(finding)] = (each.value, each.low, each.high)
    return found
