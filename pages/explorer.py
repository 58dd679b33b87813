"""One film and one finding, all methods side by side."""

from __future__ import annotations

from functools import partial
from html import escape
from pathlib import Path

import streamlit as st

from data.manifest import CaseSet
from explainers.animation import gif_bytes, ping_pong, webp_bytes
from explainers.archive import ExplanationArchive
from explainers.registry import names
from pages.exploring.curve import prediction_curve
from pages.exploring.explanations import Explained, explain
from pages.exploring.films import Film, case_film, uploaded_film
from pages.exploring.view import (
    DIFFERENCE,
    FILM,
    RECONSTRUCTION,
    panel_titles,
    show_numbers,
    show_pictures,
)
from pages.parts.chrome import bar, menu, style
from pages.parts.context import Visit, enter, spoken
from study.folder import StudyFolder

_KEPT = 8  # explanations that one window keeps, the latest first

_CSS = """
  .numbers { display: grid; grid-template-columns: auto auto; gap: .15rem 1.2rem;
             width: max-content; color: #c9ced6; font-size: .95rem; }
  .numbers span:nth-child(odd) { color: #98a1ad; }
  .numbers span:nth-child(even) { text-align: right; font-variant-numeric: tabular-nums; }
  .reached { margin-top: .5rem; color: #98a1ad; font-size: .9rem; max-width: 26rem; }
  [data-testid="stWidgetLabel"] p { font-size: .85rem; color: #98a1ad; }
"""


def _page() -> None:
    visit = enter("researcher")
    style(_CSS)
    study, where = visit.protocol.study, "Explorer"
    if st.session_state.get("upload") is not None:  # what is known of the study's films is not
        study, where = study.model_copy(update={"simulated": False}), "Explorer, uploaded film"
    bar(study, f"<span>{where}</span>", menu())
    cases = CaseSet.open(visit.site.folder.cases)
    archive = ExplanationArchive(visit.site.folder.explanations)
    left, middle, right, upload, export = st.columns(
        [2, 2, 1.2, 1.2, 1.2], vertical_alignment="bottom"
    )
    with upload:
        uploaded = _upload()
    with left:
        film = _choose_film(cases, archive, uploaded)
    with middle:
        finding = _choose_finding(visit, archive, film)
    explained = _explanations(film, finding, visit.site.folder)
    if explained.problem:
        st.html(f'<div class="reached" role="status">{escape(explained.problem)}</div>')
    with right:
        shown = _choose_panels(explained)
    with export:
        _export(film, explained)
    show_pictures(visit, film, explained, shown)
    if explained.film is not None:
        curve, numbers = st.columns([2.2, 1], gap="medium")
        with curve:
            st.plotly_chart(
                prediction_curve(explained.film),
                theme=None,
                key="curve",
                config={"displayModeBar": False},
                alt="Probability of each frame against λ",
            )
        with numbers:
            show_numbers(explained)


def _upload() -> Film | None:
    with st.popover("Upload", width="stretch"):
        file = st.file_uploader(
            "PNG, JPEG, TIFF or DICOM; it stays in memory and is never stored",
            type=["png", "jpg", "jpeg", "tif", "tiff", "dcm", "dicom"],
            key="upload",
        )
    return uploaded_film(file.name, file.getvalue()) if file is not None else None


def _choose_film(cases: CaseSet, archive: ExplanationArchive, uploaded: Film | None) -> Film:
    if uploaded is not None:
        st.text_input("Film", uploaded.name, disabled=True, help=uploaded.remark or None)
        return uploaded
    explained = {case_id for case_id, _ in _archived(archive)}
    first = sorted(case_id for case_id in cases.case_ids if case_id in explained)
    others = [case_id for case_id in cases.case_ids if case_id not in explained]
    case_id = st.selectbox("Film", [*first, *others], key="case", bind="query-params")
    return case_film(cases, case_id or cases.case_ids[0])


def _choose_finding(visit: Visit, archive: ExplanationArchive, film: Film) -> str:
    findings = list(visit.protocol.cases.findings)
    known = {finding for case_id, finding in _archived(archive) if case_id == film.case_id}
    findings.sort(key=lambda finding: finding not in known)
    chosen = st.selectbox(
        "Finding",
        findings,
        key=f"finding_{film.digest[:12]}",
        format_func=lambda finding: finding if finding in known else f"{finding} (computed now)",
    )
    return chosen or findings[0]


def _archived(archive: ExplanationArchive) -> set[tuple[str, str]]:
    """Return the pairs of case and finding that the archive explains by any method."""
    return _pairs(str(archive.root))


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def _pairs(root: str) -> set[tuple[str, str]]:
    archive = ExplanationArchive(Path(root))
    return {pair for method in names() for pair in archive.pairs(method)}


def _explanations(film: Film, finding: str, folder: StudyFolder) -> Explained:
    kept: dict[tuple[str, str], Explained] = st.session_state.setdefault("explained", {})
    wanted = (film.digest, finding)
    if wanted not in kept:
        place = st.empty()

        def report(share: float, method: str) -> None:
            place.progress(share, f"Computing {method} …")

        kept[wanted] = explain(film, finding, folder, report)
        place.empty()
        while len(kept) > _KEPT:
            kept.pop(next(iter(kept)))
    return kept[wanted]


def _choose_panels(explained: Explained) -> list[str]:
    titles = panel_titles(explained)
    usual = [
        title
        for title in titles
        if title not in (RECONSTRUCTION, DIFFERENCE)
        and not title.endswith((", mean", ", minmax", ", interval"))
    ]
    with st.popover("Panels", width="stretch"):
        chosen = st.pills(
            "Shown, left to right",
            titles,
            selection_mode="multi",
            default=usual,
            key=f"shown_{explained.film is not None}",
            width="stretch",
        )
    return [title for title in titles if title in chosen] or [FILM]


def _export(film: Film, explained: Explained) -> None:
    with st.popover("Download", width="stretch", disabled=explained.film is None):
        if explained.film is None:
            return
        name = f"{film.case_id or 'upload'}-{explained.finding.replace(' ', '-')}"
        loop = ping_pong(explained.film.frames)
        for kind, encode in (("GIF", gif_bytes), ("WebP", webp_bytes)):
            st.download_button(
                f"Moving film ({kind})",
                partial(encode, loop),  # encoded only when asked for
                f"{name}.{kind.lower()}",
                f"image/{kind.lower()}",
                on_click="ignore",
            )


spoken(_page)
