"""How many readers and cases: power against cases, simulated in small batches while one watches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts.chrome import bar, menu, style
from pages.parts.context import enter, spoken
from study.analysis.estimate import AnalysisError
from study.analysis.power.forms import floor_of_error, power_ceiling
from study.analysis.power.methods import METHODS, Method, method_of
from study.analysis.power.simulate import Part, PartResult, PowerPlan, run_part, summarise
from study.analysis.power.studies import PRESETS, StudyModel
from study.analysis.power.table import moments_or_none, power_figure, power_table
from study.export import to_csv

PARTS_A_RUN: Final = 12  # batches simulated before the curves are drawn again
MOST_PARTS: Final = 4000
_OFFERED: Final = tuple(m for m in METHODS if not m.slow)
_SPREADS: Final = (
    ("reader_condition_sd", "Readers' own effects (SD)", "What sets the floor."),
    ("case_condition_sd", "Cases' own effects (SD)", "Falls away with more cases."),
    ("reader_sd", "Readers (SD)", "How high readers rate altogether."),
    ("case_sd", "Cases (SD)", "How high cases are rated altogether."),
    ("reader_case_sd", "Readers' views of a case (SD)", "The same under both conditions."),
    ("residual_sd", "Repeated ratings (SD)", "Noise of one reader rating twice."),
)
_CSS = """
  .st-key-sheet { max-width: 78rem; margin: 1.5vh auto 0; }
  .quiet { color: #98a1ad; font-size: .92rem; line-height: 1.5; margin: 0; }
  table.floor { border-collapse: collapse; color: #c9ced6; font-size: .95rem; margin: 0 0 1rem; }
  table.floor caption { text-align: left; color: #98a1ad; padding: 0 0 .4rem; }
  table.floor th, table.floor td { text-align: left; padding: .3rem .9rem .3rem 0;
                                   border-bottom: 1px solid #2a3038; }
"""


@dataclass(frozen=True)
class Request:
    """What the form asks for.

    Parameters
    ----------
    plan
        What is to be simulated.
    method
        The test whose curves are drawn.
    """

    plan: PowerPlan
    method: Method


def _page() -> None:
    visit = enter("coordinator")
    style(_CSS)
    bar(visit.protocol.study, right=menu(("/progress", "Progress"), ("/results", "Results")))
    with st.container(key="sheet"):
        st.subheader("Readers and cases")
        if visit.protocol.design.kind == "review":
            st.html(
                '<p class="quiet">A clinical review compares no conditions, so there is no power '
                "to plan: its size is the number of dimensions, films and experts.</p>"
            )
            return
        st.html(
            '<p class="quiet">Whole studies are simulated on a latent scale and given to the test '
            "that the results page reports. Mixed models take longer: "
            "<code>counterlight power --method ordinal_crossed</code>.</p>"
        )
        alpha = visit.protocol.analysis.alpha
        try:
            request = _request(alpha, visit.protocol.analysis.population)
        except AnalysisError as error:
            st.error(str(error))
            return
        _say(request)
        results = _simulated(request.plan)
        controls = st.container()
        _show(request, results)
        _go_on(request.plan, results, controls)


def _request(alpha: float, population: str) -> Request:
    """Read the form.

    Raises
    ------
    AnalysisError
        If something in it is out of range.
    """
    names = [name for name, _ in PRESETS]
    chosen = st.selectbox("Populations to start from", names, index=2, key="planning_preset")
    model = dict(PRESETS)[chosen]
    st.html(f'<p class="quiet">Source: {escape(model.source)}.</p>')
    labels = {m.id: m.label for m in _OFFERED}
    own = "mean_by_case" if population == "these_readers" else "mean_readers_cases"
    method = st.selectbox(
        "Test",
        list(labels),
        index=list(labels).index(own),
        format_func=lambda name: f"{labels[name]} — {method_of(name).role}",
        key="planning_method",
    )
    with st.container(horizontal=True):
        readers = st.text_input("Numbers of readers", "4, 8, 16", key="planning_readers")
        cases = st.text_input("Numbers of cases", "20, 40, 80, 120, 240", key="planning_cases")
        studies = st.number_input(
            "Simulated studies of each size", 50, 10_000, 500, 50, key="planning_studies"
        )
    model = _model(model, chosen)
    plan = PowerPlan(
        model,
        (method,),
        whole_numbers("numbers of readers", readers),
        whole_numbers("numbers of cases", cases),
        int(studies),
        alpha,
    )
    if len(plan.parts) > MOST_PARTS:
        raise AnalysisError(
            f"{len(plan.parts)} batches would take too long here; name fewer readers, cases or "
            "studies, or run counterlight power."
        )
    return Request(plan, method_of(method))


def _model(model: StudyModel, preset: str) -> StudyModel:
    """Let effect and variances be changed; every preset keeps fields of its own."""
    with st.expander("Effect and variances (latent scale)"):
        effect = st.number_input(
            "Effect, first minus second condition",
            -3.0,
            3.0,
            model.effect,
            0.05,
            key=f"planning_effect_{preset}",
        )
        changed: dict[str, float] = {"effect": float(effect)}
        columns = st.columns(3)
        for number, (name, label, help_text) in enumerate(_SPREADS):
            with columns[number % 3]:
                changed[name] = float(
                    st.number_input(
                        label,
                        0.01 if name == "residual_sd" else 0.0,
                        3.0,
                        float(getattr(model, name)),
                        0.05,
                        help=help_text,
                        key=f"planning_{name}_{preset}",
                    )
                )
        changed["missing"] = float(
            st.number_input("Missing ratings (share)", 0.0, 0.9, 0.0, 0.05, key="planning_missing")
        )
    return replace(model, **changed)  # type: ignore[arg-type]  # all of them are numbers


def whole_numbers(what: str, text: str) -> tuple[int, ...]:
    """Read a list such as ``4, 8, 16``; sorted, each once.

    Raises
    ------
    AnalysisError
        If there is none, too many, or something that is no whole number.
    """
    parts = [part for part in text.replace(";", ",").replace(" ", ",").split(",") if part]
    if not parts or len(parts) > 12 or not all(p.isascii() and p.isdigit() for p in parts):
        raise AnalysisError(
            f"The {what} are {text!r}; expected one to twelve whole numbers, for example 4, 8, 16."
        )
    return tuple(sorted({int(part[:9]) for part in parts}))


def _say(request: Request) -> None:
    """Say whom the curves speak for, what the effect is, and where the floor lies."""
    plan, method = request.plan, request.method
    words = {
        "confirmatory": "Offered as confirmatory: it keeps its level in simulated studies.",
        "descriptive": "Not offered as confirmatory: it holds the study's cases fixed.",
        "warning": "Not to be relied on: without any effect it rejects far more than it says.",
    }[method.role]
    points = plan.model.expected_difference()
    st.html(
        f'<p class="quiet"><b>These curves speak for: {escape(method.speaks_for)}.</b> '
        f"{escape(words)} The effect is {points:.3g} points of the rating scale; two-sided level "
        f"{plan.alpha:g}.</p>"
    )
    moments = moments_or_none(plan)
    if moments is None:
        return
    rows = "".join(
        f'<tr><th scope="row">{n}</th><td>{floor_of_error(moments, n):.3g}</td>'
        f"<td>{_ceiling(power_ceiling(moments, n, alpha=plan.alpha))}</td></tr>"
        for n in plan.readers
    )
    st.html(
        '<table class="floor"><caption>The floor set by the variance between readers, whatever the '
        'number of cases</caption><thead><tr><th scope="col">Readers</th><th scope="col">Smallest '
        'standard error (points)</th><th scope="col">Highest power, readers like them</th></tr>'
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _ceiling(power: float) -> str:
    return "above 0.99" if power > 0.99 else f"{power:.2f}"


def _simulated(plan: PowerPlan) -> dict[Part, PartResult]:
    """Return what this session has simulated for the plan so far."""
    if st.session_state.get("planning_plan") != plan:
        st.session_state["planning_plan"] = plan
        st.session_state["planning_results"] = {}
        st.session_state["planning_runs"] = False
    results: dict[Part, PartResult] = st.session_state["planning_results"]
    return results


def _show(request: Request, results: dict[Part, PartResult]) -> None:
    if not results:
        return
    plan = request.plan
    table = power_table(plan, summarise(plan, list(results.values())))
    st.plotly_chart(
        power_figure(table, request.method.id),
        theme=None,
        key="planning_figure",
        config={"displaylogo": False, "displayModeBar": "hover"},
        alt=(
            f"Power of {request.method.label} against the number of cases for "
            f"{', '.join(map(str, plan.readers))} readers"
        ),
    )
    with st.expander("Numbers"):
        st.dataframe(_short(table), hide_index=True, width="stretch")
    st.download_button(
        "Download power (CSV)", to_csv(table), "power.csv", "text/csv", on_click="ignore"
    )


def _short(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns for the screen: at most three significant digits."""
    columns = ["readers", "cases", "studies", "power", "low", "high", "formula_power", "ceiling"]
    shown = table[columns].copy()
    for column in shown.select_dtypes("floating"):
        shown[column] = [None if pd.isna(v) else f"{v:.3g}" for v in shown[column]]
    return shown


def _go_on(plan: PowerPlan, results: dict[Part, PartResult], controls: DeltaGenerator) -> None:
    """Simulate some more batches, then draw again; a click on Stop ends it between two batches."""
    left = [part for part in plan.parts if part not in results]
    share = 1 - len(left) / len(plan.parts)
    if not left:
        st.session_state["planning_runs"] = False
        controls.html(f'<p class="quiet" role="status">{plan.n_studies} studies of each size.</p>')
        return
    if not st.session_state["planning_runs"]:
        label = "Go on" if results else "Simulate"
        controls.button(
            label, type="primary", key="planning_start", on_click=_set_running, args=(True,)
        )
        return
    shown = controls.progress(share, f"{len(plan.parts) - len(left)} of {len(plan.parts)} batches")
    controls.button("Stop", key="planning_stop", on_click=_set_running, args=(False,))
    for number, part in enumerate(left[:PARTS_A_RUN], start=len(plan.parts) - len(left) + 1):
        results[part] = _part(plan, part)
        shown.progress(number / len(plan.parts), f"{number} of {len(plan.parts)} batches")
    st.rerun()


def _set_running(runs: bool) -> None:
    st.session_state["planning_runs"] = runs


@st.cache_data(max_entries=20_000, show_spinner=False)
def _part(plan: PowerPlan, part: Part) -> PartResult:
    """Return one batch; shared by all sessions."""
    return run_part(plan, part)


spoken(_page)
