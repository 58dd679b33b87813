"""What came out: the declared primary endpoint first, then figures, tables and downloads."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from pages.parts.chrome import bar, menu, notice, style
from pages.parts.context import Visit, enter, spoken
from study.analysis.estimate import AnalysisError
from study.analysis.figures import all_figures
from study.analysis.report import Analysis, analyse
from study.export import study_table as long_table
from study.export import to_csv
from study.protocol import StudyProtocol
from study.store import StudyStore

_CSS = """
  .st-key-sheet { max-width: 76rem; margin: 1.5vh auto 0; }
  .primary { padding: 1.1rem 1.4rem; background: #12161b; border: 1px solid #2a3038;
             border-left: 4px solid #5b9bd5; border-radius: 8px; }
  .primary .label { color: #98a1ad; font-size: .85rem; }
  .primary .sentence { margin-top: .2rem; color: #dfe3e8; font-size: 1.2rem; line-height: 1.45; }
  .notes { color: #98a1ad; font-size: .85rem; line-height: 1.5; }
"""


def _page() -> None:
    visit = enter("coordinator")
    style(_CSS)
    bar(visit.protocol.study, right=menu(("/", "Progress")))
    table = study_table(visit)
    if table.empty:
        notice("No ratings yet", "The results appear as soon as a case is read in both conditions.")
        return
    with st.container(key="sheet"):
        try:
            analysis = analyse_study(table, visit.protocol)
        except AnalysisError as error:
            notice("Not enough ratings yet", str(error))
            _downloads(visit, table, None)
            return
        _primary(analysis)
        _figures(analysis)
        _tables(analysis)
        _downloads(visit, table, analysis)


def study_table(visit: Visit) -> pd.DataFrame:
    """Return the long table of the study as it stands; made anew when the record has grown."""
    store = visit.site.store()
    return _table(str(visit.site.folder.root), store.head, store)


@st.cache_data(max_entries=4, show_spinner=False)
def _table(root: str, head: str, _store: StudyStore) -> pd.DataFrame:
    """Return the long table; ``head`` stands for the state of the record."""
    return long_table(root, _store)


def analyse_study(table: pd.DataFrame, protocol: StudyProtocol) -> Analysis:
    """Analyse the table as the protocol declares."""
    plan = protocol.analysis
    shown = {
        condition.id: [p.method for p in condition.panels if p.show == "map" and p.method]
        for condition in protocol.conditions
    }
    return analyse(
        table,
        contrast=plan.contrast,
        alpha=plan.alpha,
        primary=plan.primary,
        subset=plan.subset,
        population=plan.population,
        shown_maps=shown,
    )


def _primary(analysis: Analysis) -> None:
    label = "As declared in the protocol"
    tag = '<span class="simulated">simulated readers</span>' if analysis.simulated else ""
    st.html(
        f'<div class="primary"><div class="label">{label} &nbsp; {tag}</div>'
        f'<div class="sentence">{escape(analysis.sentence)}</div></div>'
    )
    if analysis.notes:
        notes = " ".join(escape(note) for note in analysis.notes)
        st.html(f'<div class="notes">{notes}</div>')


def _figures(analysis: Analysis) -> None:
    item = analysis.primary.item
    if len(analysis.items) > 1:
        item = (
            st.segmented_control(
                "Item", analysis.items, default=item, required=True, key="results_item"
            )
            or item
        )
    for number, named in enumerate(all_figures(analysis, item=item)):
        st.plotly_chart(
            named.figure,
            theme=None,
            key=f"figure_{number}_{item}",
            config={"displaylogo": False, "displayModeBar": "hover"},
            alt=named.title,
        )


def _tables(analysis: Analysis) -> None:
    tables = {
        "Differences": analysis.differences_table(),
        "Ratings": analysis.ratings_table(),
        "Regression on IoU": analysis.regressions_table(),
    }
    filled = {name: table for name, table in tables.items() if len(table)}
    for tab, table in zip(st.tabs(list(filled)), filled.values(), strict=True):
        with tab:
            st.dataframe(_short(table), hide_index=True, width="stretch")


def _short(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for the screen: at most three significant digits."""
    shown = table.copy()
    for column in shown.select_dtypes("floating"):
        shown[column] = [None if pd.isna(v) else f"{v:.3g}" for v in shown[column]]
    return shown


def _downloads(visit: Visit, table: pd.DataFrame, analysis: Analysis | None) -> None:
    name = visit.protocol.study.id
    with st.container(horizontal=True):
        st.download_button(
            "Download ratings (CSV)",
            to_csv(table),
            f"{name}-ratings.csv",
            "text/csv",
            on_click="ignore",
        )
        if analysis is not None:
            st.download_button(
                "Download results (JSON)",
                analysis.to_json(),
                f"{name}-results.json",
                "application/json",
                on_click="ignore",
            )


spoken(_page)
