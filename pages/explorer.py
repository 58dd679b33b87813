"""One film and one finding: one or two classifiers, all methods side by side."""

from __future__ import annotations

from functools import partial
from html import escape

import streamlit as st

from pages.exploring.controls import choose
from pages.exploring.curve import prediction_curve
from pages.exploring.downloads import downloads
from pages.exploring.explanations import Explained, explained
from pages.exploring.films import Film
from pages.exploring.metrics import Truth, read_truth
from pages.exploring.numbers import Row, numbers_html, rows_of
from pages.exploring.progress import begin, results, show_progress
from pages.exploring.request import PAIRED, axis_title, origin_word, step_word
from pages.exploring.view import DIFFERENCE, legends, map_panels, show_pictures
from pages.parts.chrome import bar, menu, style
from pages.parts.context import enter, spoken

_CSS = """
  .numbers { display: grid; grid-template-columns: auto auto; gap: .15rem 1.2rem;
             width: max-content; color: #c9ced6; font-size: .95rem; }
  .numbers span:nth-child(odd) { color: #98a1ad; }
  .numbers span:nth-child(even) { text-align: right; font-variant-numeric: tabular-nums; }
  .reached { margin-top: .4rem; color: #98a1ad; font-size: .9rem; max-width: 34rem; }
  .warned { margin-top: .4rem; padding-left: .6rem; border-left: 3px solid #e69f00;
            color: #f0c674; font-size: .9rem; max-width: 34rem; }
  .legends { display: flex; gap: 2rem; color: #98a1ad; font-size: .85rem; }
  .legends i { display: inline-block; width: 7rem; height: .6rem; background-color: #3a3f46; }
  .measures { margin-top: .4rem; border-collapse: collapse; font-size: .85rem; color: #c9ced6; }
  .measures th { font-weight: 400; text-align: left; color: #98a1ad; padding-right: 1rem; }
  .measures td { padding-right: 1rem; font-variant-numeric: tabular-nums; }
  .uploaded { color: #c9ced6; font-size: .85rem; line-height: 1.5; overflow: hidden;
              text-overflow: ellipsis; white-space: nowrap; }
  .who { color: #c9ced6; font-weight: 600; font-size: .95rem; }
  [data-testid="stSelectbox"] input, [data-testid="stSelectbox"] [value] { font-size: .875rem; }
  [data-testid="stWidgetLabel"] p { font-size: .85rem; color: #98a1ad; }
"""


def _page() -> None:
    visit = enter("researcher")
    style(_CSS)
    study, where = visit.protocol.study, "Explorer"
    if st.session_state.get("upload") is not None:  # what is known of the study's films is not
        study, where = study.model_copy(update={"simulated": False}), "Explorer, uploaded film"
    bar(study, f"<span>{where}</span>", menu(("/factors", "Factors")))
    choice = choose(visit)
    request = choice.request
    found = results(request, visit.site.folder)
    show_progress(request, found)
    rows = [explained(request, network, found) for network in request.networks]
    paired = request.variant in PAIRED
    maps = map_panels(request.methods, request.variant, () if paired else choice.kinds)
    tasks = [request.task(network, request.variant) for network in request.networks]
    pictures = list(zip(rows, tasks, strict=True))
    wished = _wished(request.film)
    show_pictures(visit, request.film, pictures, choice.parts, maps, wished, choice.top)
    signed = DIFFERENCE in choice.parts and not paired and any(r.film is not None for r in rows)
    _html(legends(signed=signed, magnitude=any(row.maps for row in rows)))
    truth = read_truth(request.film, request.finding)
    numbers = [rows_of(request.film, row, truth) for row in rows]
    if paired:  # its explanation is a panel of its own, and is measured like a map
        maps = [f"{request.variant}-minmax", *maps]
    _show_predictions(request.film, rows, numbers, truth, maps)
    with choice.download:
        downloads(request.film, rows, [number for row in numbers for number in row])
    begin()


def _show_predictions(
    film: Film,
    rows: list[Explained],
    numbers: list[list[Row]],
    truth: Truth | None,
    maps: list[str],
) -> None:
    """Show curve and numbers of each classifier; those of two stand side by side."""
    for place, row, values in zip(st.columns(len(rows), gap="medium"), rows, numbers, strict=True):
        with place:
            if len(rows) > 1:
                st.html(f'<div class="who">{escape(row.network.title)}</div>')
            parts = st.columns([2.2, 1], gap="medium") if len(rows) == 1 else [place, place]
            with parts[0]:
                if row.film is not None:
                    key = f"curve_{row.network.name}"
                    st.plotly_chart(
                        prediction_curve(
                            row.film,
                            row.goals,
                            row.residual,
                            axis=axis_title(row.method),
                            word=step_word(row.method),
                            origin=origin_word(row.method),
                        ),
                        theme=None,
                        key=key,
                        config={"displayModeBar": False},
                        on_select=partial(_wish, key, film),
                        selection_mode="points",
                        alt="Probability of each frame; a click moves the film there",
                    )
            with parts[1]:
                _html(numbers_html(row, values, truth, maps))


def _html(text: str) -> None:
    """Show HTML; nothing where there is none yet."""
    if text:
        st.html(text)


def _wish(key: str, film: Film) -> None:
    """Remember which frame was clicked in a curve."""
    points = st.session_state[key].selection.points
    frames = [point.get("customdata") for point in points]
    for frame in frames:
        number = frame[0] if isinstance(frame, list) else frame
        if isinstance(number, int):
            wishes = st.session_state.get("wish", (0, 0, ""))[1] + 1
            st.session_state["wish"] = (number - 1, wishes, film.digest)


def _wished(film: Film) -> tuple[int, int] | None:
    """Return the frame clicked in a curve of this film, with the number of the click."""
    frame, number, digest = st.session_state.get("wish", (0, 0, ""))
    return (frame, number) if digest == film.digest else None


spoken(_page)
