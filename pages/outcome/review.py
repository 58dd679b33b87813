"""The results of a clinical review on the coordinator's page, and the naming of dimensions."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import streamlit as st

from pages.outcome.review_table import (
    TABLE_STYLE,
    Pictures,
    headline,
    lines_of,
    review_page,
    review_table,
)
from pages.outcome.view import STYLE
from pages.parts.chrome import bar, menu, style
from pages.parts.context import Visit
from pages.parts.review_display import animation_ends
from study.analysis.report.screen import screen_table
from study.errors import StudyError
from study.export import to_csv
from study.folder import StudyFolder
from study.protocol import StudyProtocol
from study.review.cards import ReviewCard
from study.review.names import LONGEST_NAME, names_path, read_names, settle_name
from study.review.results import ReviewResults, gather_review
from study.store import StudyStore


def show_review(visit: Visit) -> None:
    """Show what the experts said, and let the coordinator name the dimensions.

    Raises
    ------
    StudyError
        If cards, names or answers cannot be read.
    """
    style(STYLE + TABLE_STYLE)
    bar(visit.protocol.study, right=menu(("/", "Progress")))
    folder, store = visit.site.folder, visit.site.store()
    counted = _results(str(folder.root), store.head, store)
    results = replace(counted, names=read_names(names_path(folder)))
    cards = tuple(row.card for row in results.rows)
    pictures = _pictures(str(folder.root), cards, visit.protocol)
    with st.container(key="sheet"):
        _show_headline(results)
        _show_names(visit, results)
        st.html(review_table(results, pictures))
        _show_estimates(results)
        _show_downloads(results, pictures, visit.protocol)


def _show_headline(results: ReviewResults) -> None:
    tag = '<span class="simulated">simulated</span>' if results.simulated else ""
    interim = results.n_done < results.n_planned
    label = "Clinical review"
    if interim:
        label = f"⚠ Interim: {results.n_done} of {results.n_planned} judgements are given"
    st.html(
        f'<div class="primary{" interim" if interim else ""}"><div class="label">{label} '
        f'&nbsp; {tag}</div><div class="sentence">{escape(headline(results))}</div></div>'
    )


def _show_names(visit: Visit, results: ReviewResults) -> None:
    """Offer what the experts wrote as the name of a dimension; another one can be typed."""
    named = len(set(results.names) & set(results.dimensions))
    with st.expander(f"Names of the dimensions ({named} of {len(results.dimensions)} given)"):
        st.caption(
            "Pick what an expert wrote, or type a name. It then stands on the switches of this "
            "dimension. An empty name takes it back."
        )
        for dimension in results.dimensions:
            _show_name(visit, results, dimension)


def _show_name(visit: Visit, results: ReviewResults, dimension: int) -> None:
    verdict, given = results.verdict(dimension), results.names.get(dimension)
    proposals = tuple(
        dict.fromkeys(
            text[:LONGEST_NAME].strip()
            for text in ((given,) if given else ()) + results.proposals(dimension)
        )
    )
    words = "not judged yet"
    if verdict is not None:
        words = f"meaningful to {verdict.n_yes} of {verdict.n_experts}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            f"Dimension {dimension} ({words})",
            proposals,
            index=0 if given else None,
            accept_new_options=True,
            placeholder="no name",
            key=f"name_{dimension}",
        )
        if st.button("Save", key=f"save_{dimension}", disabled=(name or "") == (given or "")):
            try:
                site, actor = visit.site, visit.account.pseudonym
                settle_name(site.folder, site.store(), dimension, name or "", actor)
            except StudyError as error:
                st.error(str(error))
            else:
                st.rerun()


def _show_estimates(results: ReviewResults) -> None:
    st.subheader("Shares and agreement", anchor=False)
    lines = lines_of(results)
    if not lines:
        st.caption("They appear with the first judgement.")
        return
    st.dataframe(screen_table(lines), hide_index=True, width="stretch")
    st.caption(
        "A dimension is meaningful to an expert if the answer is yes on more than half of its "
        "films, and to the panel if it is to more than half of the experts; an image is relevant "
        "if more than half of the experts say so."
    )


def _show_downloads(results: ReviewResults, pictures: Pictures, protocol: StudyProtocol) -> None:
    name = protocol.study.id
    files = (
        ("Table (CSV)", to_csv(results.table()), "table1.csv", "text/csv"),
        ("Estimates (CSV)", to_csv(results.estimate_table()), "estimates.csv", "text/csv"),
        ("Page (HTML)", review_page(results, pictures, protocol.study.title), "html", "text/html"),
    )
    with st.container(horizontal=True):
        for label, content, ending, kind in files:
            st.download_button(
                label,
                content,
                f"{name}.html" if ending == "html" else f"{name}-{ending}",
                kind,
                on_click="ignore",
                key=f"download_{ending.split('.')[0]}",
            )


@st.cache_resource(max_entries=2, show_spinner="Counting the answers …")
def _results(root: str, head: str, _store: StudyStore) -> ReviewResults:
    """Count the answers once for each state of the record; names are no part of it."""
    return gather_review(StudyFolder.open(root), _store)


@st.cache_resource(max_entries=2, show_spinner="Reading the pictures …")
def _pictures(root: str, cards: tuple[ReviewCard, ...], _protocol: StudyProtocol) -> Pictures:
    """Read the pictures of all cards once."""
    folder = StudyFolder.open(root)
    return {card.card_id: animation_ends(folder, _protocol, card) for card in cards}
