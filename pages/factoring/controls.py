"""What the researcher chooses on the factors page: film and finding, both part of the address."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import streamlit as st

from data.manifest import CaseSet
from pages.exploring.films import OWN_SET, Film, case_film, case_sets, uploaded_film
from pages.factoring.factors import FactorFiles
from pages.parts.context import Visit

_WIDTHS: Final = (1.6, 1.6, 1, 1.3, 3.5)


@dataclass(frozen=True)
class Choice:
    """What is looked at, and where what was saved goes.

    Parameters
    ----------
    film, finding
        What is looked at.
    combinations
        Where the saved combinations go.
    """

    film: Film
    finding: str
    combinations: st.delta_generator.DeltaGenerator


def choose(visit: Visit, files: FactorFiles) -> Choice:
    """Show the controls and return what they say."""
    sets = case_sets(visit.site.folder, os.environ)
    places = st.columns(_WIDTHS, gap="xsmall", vertical_alignment="bottom")
    with places[2]:
        uploaded = _choose_source(sets)
    with places[0]:
        if uploaded is not None:
            name = escape(uploaded.name)
            st.html(f'<div class="uploaded" title="{name}">uploaded<br>{name}</div>')
        film = uploaded or _choose_case(sets)
    with places[1]:
        findings = list(files.findings)
        chosen = st.selectbox("Finding", findings, key="finding", bind="query-params")
        finding = chosen if chosen in findings else findings[0]
    return Choice(film, finding, places[3])


def _choose_source(sets: Mapping[str, Path]) -> Film | None:
    with st.popover("Films", width="stretch"):
        if len(sets) > 1:
            st.selectbox("Case set", list(sets), key="set", bind="query-params")
        file = st.file_uploader(
            "Upload PNG, JPEG, TIFF or DICOM; it stays in memory and is never stored",
            type=["png", "jpg", "jpeg", "tif", "tiff", "dcm", "dicom"],
            key="factor_upload",
        )
    return uploaded_film(file.name, file.getvalue()) if file is not None else None


def _choose_case(sets: Mapping[str, Path]) -> Film:
    name = st.session_state.get("set", OWN_SET)
    in_study = name not in sets or name == OWN_SET
    cases = CaseSet.open(sets[OWN_SET if in_study else name])
    ids = list(cases.case_ids)
    case_id = st.selectbox("Film", ids, key="film", bind="query-params")
    return case_film(cases, case_id if case_id in cases else ids[0], in_study=in_study)
