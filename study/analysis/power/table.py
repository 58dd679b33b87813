"""The table and the curves of a power simulation."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from study.analysis.estimate import AnalysisError
from study.analysis.figures.style import MUTED, OKABE_ITO, dark_template
from study.analysis.power.forms import (
    ClosedForm,
    DifferenceMoments,
    closed_form,
    difference_moments,
    floor_of_error,
    standard_error,
)
from study.analysis.power.methods import method_of
from study.analysis.power.simulate import PowerPlan, PowerPoint

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")


def moments_or_none(plan: PowerPlan) -> DifferenceMoments | None:
    """Return the moments where closed forms exist for the model, else ``None``."""
    try:
        return difference_moments(plan.model)
    except AnalysisError:
        return None


def power_table(plan: PowerPlan, points: Sequence[PowerPoint]) -> pd.DataFrame:
    """Return one row for each point.

    Parameters
    ----------
    plan
        What was simulated.
    points
        Of :func:`study.analysis.power.summarise`.

    Returns
    -------
    DataFrame
        method, label, population, target_cases, role, readers, cases, studies, power, low, high
        (Monte-Carlo, 95 %), formula_power, ceiling, formula, standard_error and floor (of the mean
        difference, in points: with these cases, and with endlessly many); nan where there is no
        formula.
    """
    moments = moments_or_none(plan)
    rows = []
    for point in points:
        method = method_of(point.method)
        form = _form(plan, moments, point)
        low, high = point.rate.interval()
        R, C = point.n_readers, point.n_cases
        rows.append(
            {
                "method": method.id,
                "label": method.label,
                "population": method.population,
                "target_cases": method.cases,
                "role": method.role,
                "readers": R,
                "cases": C,
                "studies": point.rate.n_studies,
                "power": point.rate.value,
                "low": low,
                "high": high,
                "formula_power": form.power if form else None,
                "ceiling": form.ceiling if form else None,
                "formula": form.formula if form else "",
                "standard_error": standard_error(moments, R, C) if moments else None,
                "floor": floor_of_error(moments, R) if moments else None,
            }
        )
    table = pd.DataFrame(rows)
    numbers = ["power", "low", "high", "formula_power", "ceiling", "standard_error", "floor"]
    return table.astype(dict.fromkeys(numbers, float)) if rows else table


def power_figure(table: pd.DataFrame, method: str) -> go.Figure:
    """Draw power against cases, one curve for each number of readers.

    Points are simulated, with Monte-Carlo intervals; the line is the formula where there is one;
    the dotted line is the ceiling set by the variance between readers.

    Parameters
    ----------
    table
        Of :func:`power_table`.
    method
        Id of the test drawn.
    """
    shown = table[table["method"] == method]
    figure = go.Figure()
    for number, (readers, rows) in enumerate(shown.groupby("readers", sort=True)):
        colour = OKABE_ITO[number % len(OKABE_ITO)]
        rows = rows.sort_values("cases")
        figure.add_trace(_simulated(rows, f"{readers} readers", colour, number))
        if rows["formula_power"].notna().any():
            figure.add_trace(_line(rows, "formula_power", "formula", colour, "solid"))
        if (rows["ceiling"] < 0.995).any():
            figure.add_trace(_line(rows, "ceiling", "ceiling", colour, "dot"))
    found = method_of(method)
    figure.add_hline(y=0.8, line={"color": MUTED, "width": 1, "dash": "dash"})
    figure.update_layout(
        template=dark_template(),
        height=430,
        title=(
            f"{found.label}<br><sup>speaks for {found.speaks_for}; points: simulated with 95 % "
            "Monte-Carlo interval; line: formula; dotted: ceiling set by readers</sup>"
        ),
        legend={"title": {"text": "Readers"}},
    )
    figure.update_xaxes(title_text="Cases, each read by every reader in both conditions (number)")
    figure.update_yaxes(title_text="Power (share of studies that reject)", range=[0, 1.02])
    return figure


def _form(
    plan: PowerPlan, moments: DifferenceMoments | None, point: PowerPoint
) -> ClosedForm | None:
    if moments is None or plan.model.missing:
        return None
    return closed_form(moments, point.method, point.n_readers, point.n_cases, alpha=plan.alpha)


def _simulated(rows: pd.DataFrame, name: str, colour: str, number: int) -> go.Scatter:
    return go.Scatter(
        x=rows["cases"],
        y=rows["power"],
        name=name,
        mode="markers",
        marker={"color": colour, "size": 9, "symbol": SYMBOLS[number % len(SYMBOLS)]},
        error_y={
            "type": "data",
            "array": rows["high"] - rows["power"],
            "arrayminus": rows["power"] - rows["low"],
            "thickness": 1.2,
        },
        customdata=rows[["low", "high", "studies"]],
        hovertemplate=(
            "%{x} cases: power %{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}, "
            "%{customdata[2]} studies)"
        ),
    )


def _line(rows: pd.DataFrame, column: str, what: str, colour: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=rows["cases"],
        y=rows[column],
        mode="lines",
        line={"color": colour, "dash": dash, "width": 1.6},
        showlegend=False,
        hovertemplate=f"{what}: %{{y:.3f}} with %{{x}} cases",
    )
