"""What the researcher chooses; every choice but an upload is part of the page's address."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Final

import streamlit as st

from data.manifest import CaseSet
from explainers.archive import ExplanationArchive
from explainers.record import MAP_KINDS
from explainers.registry import names, spec
from pages.exploring.films import OWN_SET, Film, case_film, case_sets, uploaded_film
from pages.exploring.networks import Network, available
from pages.exploring.request import (
    FIRST,
    PAIRED,
    SEARCHED,
    FilmRange,
    Request,
    Search,
    film_methods,
    is_shift,
    map_methods,
    variant_title,
)
from pages.exploring.view import DIFFERENCE, RECONSTRUCTION
from pages.parts.context import Visit

NONE: Final = "none"
_WIDTHS: Final = (1.25, 1.45, 1.7, 1.65, 2.1, 1, 1.15, 0.85, 1.1)


@dataclass(frozen=True)
class _Slider:
    """A parameter of a search as the page offers it."""

    label: str
    low: float
    high: float
    step: float
    format: str
    words: str


_SLIDERS: Final[Mapping[str, _Slider]] = MappingProxyType(
    {
        "gamma": _Slider(
            "γ", 0.0, 3000.0, 10.0, "%g", "Weight of the distance to the reconstruction."
        ),
        "rho": _Slider(
            "ρ", 0.0, 0.95, 0.05, "%.2f", "Prediction to be passed; 0 is the other side of 0.5."
        ),
        "alpha": _Slider("α", 0.005, 0.2, 0.005, "%.3f", "Length of a step."),
        "cap": _Slider("Cap", 10, 2000, 10, "%d", "Steps at most."),
        "keep": _Slider(
            "Share", 0.005, 1.0, 0.005, "%.3f", "Share of the pixels whose change counts; 1: all."
        ),
        "lam_max": _Slider(
            "Largest λ",
            1.05,
            4.0,
            0.05,
            "%.2f",
            "0 takes the finding out, 1 is the reconstruction.",
        ),
        "n_steps": _Slider("Steps", 2, 40, 1, "%d", "From λ = 0 to the largest λ."),
        "restarts": _Slider("Restarts", 1, 8, 1, "%d", "Starts of the search for the latents."),
    }
)


@dataclass(frozen=True)
class Choice:
    """What is asked for and which panels show it.

    Parameters
    ----------
    request
        What is computed.
    parts
        Which of reconstruction and difference are shown.
    kinds
        Which maps of the moving film are shown.
    top
        Share of the pixels of a paired explanation that is shown, in per cent.
    download
        Where the download button goes.
    """

    request: Request
    parts: tuple[str, ...]
    kinds: tuple[str, ...]
    top: int
    download: st.delta_generator.DeltaGenerator


def choose(visit: Visit) -> Choice:
    """Show the controls and return what they say."""
    folder = visit.site.folder
    archive = ExplanationArchive(folder.explanations)
    networks = {each.name: each for each in available(folder)}
    known = _pairs(str(archive.root))
    places = st.columns(_WIDTHS, gap="xsmall", vertical_alignment="bottom")
    with places[7]:
        uploaded = _choose_source(case_sets(folder, os.environ))
    with places[0]:
        if uploaded is not None:  # the place of the film says which one is shown
            name = escape(uploaded.name)
            st.html(f'<div class="uploaded" title="{name}">uploaded<br>{name}</div>')
        film = uploaded or _choose_case(case_sets(folder, os.environ), known)
    with places[2]:
        first = networks[_select("Classifier", list(networks), "classifier", networks)]
    with places[3]:
        others = [NONE, *(name for name in networks if name != first.name)]
        second = _select("Second classifier", others, "second", networks)
    with places[1]:
        findings = list(first.findings or visit.protocol.cases.findings)
        finding = _choose_finding(findings, known, film)
    with places[4]:
        variant = _choose_variant(offered(film_methods(), first, known))
    with places[5]:
        methods, kinds, parts = _choose_panels(offered(map_methods(), first, known))
    range_, search, top = FilmRange(), Search(), 100
    with places[6]:
        if is_shift(variant):
            range_ = _choose_range()
        elif variant in PAIRED:
            top = _choose_threshold()
        else:
            search = _choose_search(variant)
    rows = (first, networks[second]) if second in networks else (first,)
    request = Request(film, finding, rows, methods, variant, range_, search)
    return Choice(request, parts, kinds, top, places[8])


def offered(
    methods: Sequence[str], network: Network, known: Mapping[str, frozenset[tuple[str, str]]]
) -> list[str]:
    """Return the methods that a classifier has the networks for.

    Latent Shift is always among them, and what the study's archive holds; what is asked of them
    beyond that is refused in a sentence.
    """
    return [
        name
        for name in methods
        if all(role in network.others for role in spec(name).needs)
        or (spec(name).kind == "counterfactual" and is_shift(name))
        or (network.is_study and known.get(name))
    ]


def _choose_source(sets: Mapping[str, Path]) -> Film | None:
    with st.popover("Films", width="stretch"):
        if len(sets) > 1:
            st.selectbox("Case set", list(sets), key="set", bind="query-params")
        file = st.file_uploader(
            "Upload PNG, JPEG, TIFF or DICOM; it stays in memory and is never stored",
            type=["png", "jpg", "jpeg", "tif", "tiff", "dcm", "dicom"],
            key="upload",
        )
    return uploaded_film(file.name, file.getvalue()) if file is not None else None


def _choose_case(sets: Mapping[str, Path], known: Mapping[str, frozenset[tuple[str, str]]]) -> Film:
    name = st.session_state.get("set", OWN_SET)
    in_study = name not in sets or name == OWN_SET
    cases = CaseSet.open(sets[OWN_SET if in_study else name])
    ids = list(cases.case_ids)
    if in_study:
        explained = {case_id for pairs in known.values() for case_id, _ in pairs}
        ids.sort(key=lambda case_id: (case_id not in explained, case_id))
    case_id = st.selectbox("Film", ids, key="case", bind="query-params")
    return case_film(cases, case_id if case_id in cases else ids[0], in_study=in_study)


def _choose_finding(
    findings: list[str], known: Mapping[str, frozenset[tuple[str, str]]], film: Film
) -> str:
    pairs = {pair for found in known.values() for pair in found} if film.in_study else set()
    explained = {finding for case_id, finding in pairs if case_id == film.case_id}
    # A film is looked at for what it was explained for, until another finding is asked for.
    findings.sort(key=lambda finding: finding not in explained)
    seen = st.session_state.get("seen_film")
    if seen is not None and seen != film.digest and explained:
        st.session_state["finding"] = findings[0]
    st.session_state["seen_film"] = film.digest
    chosen = st.selectbox("Finding", findings, key="finding", bind="query-params")
    return chosen if chosen in findings else findings[0]


def _select(label: str, options: Sequence[str], key: str, networks: Mapping[str, Network]) -> str:
    chosen = st.selectbox(
        label,
        options,
        key=key,
        bind="query-params",
        format_func=lambda name: networks[name].title if name in networks else name,
    )
    return chosen if chosen in options else options[0]


def _choose_variant(methods: list[str]) -> str:
    chosen = st.selectbox(
        "Variant", methods, key="variant", bind="query-params", format_func=variant_title
    )
    return chosen if chosen in methods else methods[0]


def _choose_panels(
    everything: list[str],
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    with st.popover("Methods", width="stretch"):
        methods = st.pills(
            "Maps, left to right; what is ticked is computed",
            everything,
            selection_mode="multi",
            default=[name for name in FIRST if name in everything],
            key="methods",
            bind="query-params",
            format_func=lambda name: spec(name).title,
        )
        kinds = st.pills(
            "Maps of the moving film",
            list(MAP_KINDS),
            selection_mode="multi",
            default=["max"],
            key="maps",
            bind="query-params",
        )
        parts = st.pills(
            "Beside the moving film",
            [RECONSTRUCTION, DIFFERENCE],
            selection_mode="multi",
            default=[DIFFERENCE],
            key="parts",
            bind="query-params",
        )
    return (
        tuple(name for name in everything if name in methods),
        tuple(kind for kind in MAP_KINDS if kind in kinds),
        tuple(parts),
    )


def _choose_range() -> FilmRange:
    usual = FilmRange()
    with st.popover("λ range", width="stretch"):
        to_boundary = st.toggle(
            "Search to the decision boundary", key="boundary", bind="query-params"
        )
        left, right = st.columns(2)
        with left:
            fall = _number("Fall of f", "fall", usual.fall)
            below = _count("Frames below", "below", usual.frames_below)
        with right:
            rise = _number("Rise of f", "rise", usual.rise)
            above = _count("Frames above", "above", usual.frames_above)
        st.caption(
            "From f(x′₀), the prediction of the reconstruction. To the boundary: the end on the "
            "other side of 0.5 is searched for instead. Changes are computed anew."
        )
    return FilmRange(fall, rise, bool(to_boundary), below, above)


def _choose_search(variant: str) -> Search:
    usual = {each.name: each.default for each in spec(variant).parameters}
    values: dict[str, float] = {}
    with st.popover("Search", width="stretch"):
        for name in SEARCHED.get(variant, ()):
            slider = _SLIDERS[name]
            chosen = st.slider(
                slider.label,
                slider.low,
                slider.high,
                type(slider.low)(usual[name]),
                slider.step,
                key=name,
                bind="query-params",
                format=slider.format,
                help=slider.words,
            )
            values[name] = round(chosen, 4) if isinstance(chosen, float) else int(chosen)
        st.caption("Changes are computed anew.")
    return Search.of(variant, values)


def _choose_threshold() -> int:
    with st.popover("Threshold", width="stretch"):
        chosen = st.slider(
            "Top share of |s − a|", 1, 100, 100, 1, key="top", bind="query-params", format="%d %%"
        )
        st.caption("The strongest pixels of the explanation are shown, the others left out.")
    return int(chosen)


def _number(label: str, key: str, value: float) -> float:
    chosen = st.number_input(
        label, 0.01, 0.95, value, 0.05, format="%.2f", key=key, bind="query-params"
    )
    return round(float(chosen), 4) if chosen is not None else value


def _count(label: str, key: str, value: int) -> int:
    chosen = st.number_input(label, 1, 40, value, 1, key=key, bind="query-params")
    return int(chosen) if chosen is not None else value


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def _pairs(root: str) -> dict[str, frozenset[tuple[str, str]]]:
    """Return what the archive explains, by method."""
    archive = ExplanationArchive(Path(root))
    return {method: frozenset(archive.pairs(method)) for method in names()}
