"""The results on the page: primary endpoint, figures, tables, words, downloads."""

from __future__ import annotations

from html import escape

import streamlit as st

from study.analysis.figures.catalogue import all_figures
from study.analysis.figures.style import NamedFigure
from study.analysis.report.analysis import Analysis
from study.analysis.report.assemble import Report
from study.analysis.report.material import Material
from study.analysis.report.screen import screen_table
from study.analysis.report.text import Passage, methods, results
from study.export import to_csv
from study.reporting import Gathered

STYLE = """
  .st-key-sheet { max-width: 76rem; margin: 1.5vh auto 0; }
  .primary { padding: 1.1rem 1.4rem; background: #12161b; border: 1px solid #2a3038;
             border-left: 4px solid #5b9bd5; border-radius: 8px; }
  .primary .label { color: #98a1ad; font-size: .85rem; }
  .primary .sentence { margin-top: .2rem; color: #dfe3e8; font-size: 1.2rem; line-height: 1.45; }
  .primary.interim { border: 2px dashed #e0c088; }
  .interim .label { color: #e0c088; }
  .notes { color: #98a1ad; font-size: .85rem; line-height: 1.5; }
  .words p { color: #c9d0d8; line-height: 1.55; max-width: 68rem; }
"""
WARNING = (
    "Results before the last reading are interim. The declared level holds for one look at "
    "complete data; deciding anything after an earlier look raises the chance of a false positive."
)


def show_counts(gathered: Gathered) -> None:
    """Show how far the readings have come, and nothing of what they say."""
    counts = gathered.counts
    skipped = f", {counts.skipped} skipped with a reason" if counts.skipped else ""
    st.html(
        '<div class="primary"><div class="label">Results are locked until the last reading</div>'
        f'<div class="sentence">{counts.done} of {counts.planned} readings are done{skipped}; '
        f"{counts.missing} are missing.</div></div>"
    )
    st.dataframe(gathered.by_reader(), hide_index=True, width="stretch")


def show_primary(material: Material) -> None:
    """Show the declared endpoint alone, in one sentence."""
    analysis = material.analysis
    tag = '<span class="simulated">simulated readers</span>' if analysis.simulated else ""
    label, kind = "As declared in the protocol", ""
    if material.interim and material.counts is not None:
        label = f"⚠ Interim: {material.counts.missing} readings are missing. {WARNING}"
        kind = " interim"
    st.html(
        f'<div class="primary{kind}"><div class="label">{escape(label)} &nbsp; {tag}</div>'
        f'<div class="sentence">{escape(analysis.sentence)}</div></div>'
    )
    if analysis.notes:
        notes = " ".join(escape(note) for note in analysis.notes)
        st.html(f'<div class="notes">{notes}</div>')


def show_figures(analysis: Analysis, root: str, head: str) -> None:
    """Show the figures of one item, the primary one first."""
    item = analysis.primary.item
    if len(analysis.items) > 1:
        item = (
            st.segmented_control(
                "Item", analysis.items, default=item, required=True, key="results_item"
            )
            or item
        )
    for number, named in enumerate(_figures(root, head, item, analysis)):
        st.plotly_chart(
            named.figure,
            theme=None,
            key=f"figure_{number}_{item}",
            config={"displaylogo": False, "displayModeBar": "hover"},
            alt=named.title,
        )


@st.cache_resource(max_entries=8, show_spinner="Drawing …")
def _figures(root: str, head: str, item: str, _analysis: Analysis) -> tuple[NamedFigure, ...]:
    """Draw once for each state of the record."""
    return all_figures(_analysis, item=item)


def show_sections(report: Report) -> None:
    """Show the estimates of each section in a tab of its own."""
    for section, tab in zip(
        report.sections, st.tabs([s.title for s in report.sections]), strict=True
    ):
        with tab:
            st.markdown(_plain(section.sentence))
            main = [line for line in section.lines if line.main]
            if main:
                st.dataframe(screen_table(main), hide_index=True, width="stretch")
            more = len(section.lines) - len(main)
            if more:
                st.caption(f"{more} more estimates are in the downloads.")
            if section.notes:
                notes = "<br>".join(escape(note) for note in section.notes)
                st.html(f'<div class="notes">{notes}</div>')


def show_words(report: Report) -> None:
    """Show the methods and results in words, folded."""
    with st.expander("Methods and results in words"):
        st.html(f'<div class="words">{_words((*methods(report), *results(report)))}</div>')


def show_downloads(gathered: Gathered, report: Report | None, archive: bytes | None) -> None:
    """Offer everything as one archive, and the two tables that are asked for most."""
    name = gathered.protocol.study.id
    with st.container(horizontal=True):
        st.download_button(
            "Download everything (ZIP)" if archive else "Everything (ZIP) is being made …",
            archive or b"",
            f"{name}-report.zip",
            "application/zip",
            on_click="ignore",
            disabled=archive is None,
            key="download_all",
        )
        st.download_button(
            "Ratings (CSV)",
            to_csv(gathered.ratings),
            f"{name}-ratings.csv",
            "text/csv",
            on_click="ignore",
            key="download_ratings",
        )
        if report is not None:
            st.download_button(
                "Estimates (CSV)",
                to_csv(report.table),
                f"{name}-estimates.csv",
                "text/csv",
                on_click="ignore",
                key="download_estimates",
            )


def _words(passages: tuple[Passage, ...]) -> str:
    blocks = []
    for passage in passages:
        blocks.append(f"<h4>{escape(passage.heading)}</h4>")
        blocks += [f"<p>{escape(text)}</p>" for text in passage.paragraphs]
    return "".join(blocks)


def _plain(text: str) -> str:
    """Keep Markdown from reading signs in a sentence."""
    for sign in "\\`*_{}[]<>()#+-.!|~$:":
        text = text.replace(sign, f"\\{sign}")
    return text
