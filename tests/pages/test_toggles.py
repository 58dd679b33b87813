"""Toggles as a condition: the pictures made beforehand, and what reaches the browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.manifest import CaseSet
from data.raster import read_image
from explainers.archive import ExplanationArchive
from explainers.record import Toggles
from explainers.residual import residual_states
from pages.parts import display_panels
from pages.parts.desk_view import switches_of
from pages.parts.display import write_displays
from pages.parts.display_files import (
    DisplayMissing,
    PanelRecord,
    display_folder,
    picture_path,
    read_record,
    write_record,
)
from pages.parts.display_panels import Display, DisplayError, build_display
from pages.parts.display_pictures import grey_picture
from pages.parts.viewer.component import ViewerSettings, viewer_data
from study.allocation import CaseChoice
from study.protocol import Condition, Panel
from tests.support.tiny_study import CASE_IDS, FINDING, FORBIDDEN_WORDS, SIDE_PX, TinyStudy, film
from tests.support.tiny_toggles import (
    NOTE,
    SIDE,
    TITLES,
    make_toggles_study,
    tiny_toggles,
    toggles_provenance,
)

RESIDUAL = Panel(show="toggles", method="stylespace", title="Switched")
DECODED = Panel(show="toggles", method="stylespace", frames="decoded")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_toggles_study(tmp_path_factory.mktemp("toggles") / "study", noted=CASE_IDS[2:])


def folder_of(study: TinyStudy, case_id: str = CASE_IDS[0]) -> Path:
    return display_folder(study.folder.displays, case_id, FINDING, "B")


def archived(study: TinyStudy, case_id: str = CASE_IDS[0]) -> Toggles:
    found = ExplanationArchive(study.folder.explanations).load(case_id, FINDING, "stylespace")
    assert isinstance(found, Toggles)
    return found


def build(study: TinyStudy, *panels: Panel, shown: str = "") -> Display:
    case = CaseSet.open(study.folder.cases).load(CASE_IDS[0])
    archive = ExplanationArchive(study.folder.explanations)
    condition = Condition(id="B", label="Shown", panels=panels)
    return build_display(case, FINDING, condition, archive, 0.6, shown_case_id=shown)


def panel_of(study: TinyStudy, case_id: str = CASE_IDS[0]) -> PanelRecord:
    return read_record(folder_of(study, case_id)).panels[2]


def test_every_combination_is_a_picture_on_the_film_and_the_middle_one_is_the_film(
    study: TinyStudy,
) -> None:
    panel = panel_of(study)
    assert (panel.kind, panel.n_frames, panel.origin, panel.laid) == ("toggles", 9, 4, True)
    assert (panel.width, panel.height, panel.bits) == (SIDE_PX, SIDE_PX, 8)
    assert panel.switches == TITLES[:2]
    case = CaseSet.open(study.folder.cases).load(CASE_IDS[0])
    expected = residual_states(case.image, archived(study))
    found = [read_image(picture_path(folder_of(study), 2, t)) for t in range(9)]
    assert np.abs(np.stack(found) - expected).max() <= 0.5 / 255 + 1e-6
    plain = picture_path(folder_of(study), 0, 0).read_bytes()
    assert picture_path(folder_of(study), 2, 4).read_bytes() == plain
    assert panel.probabilities == tuple(round(p, 4) for p in archived(study).probabilities)


def test_decoded_pictures_are_those_of_the_network(study: TinyStudy) -> None:
    record = build(study, DECODED).record.panels[0]
    assert (record.width, record.n_frames, record.laid) == (SIDE, 9, False)


def test_a_film_that_could_not_be_inverted_is_shown_itself_with_the_reason(
    study: TinyStudy,
) -> None:
    panel = panel_of(study, CASE_IDS[2])
    assert (panel.n_frames, panel.origin, panel.note) == (1, 0, NOTE)
    folder = folder_of(study, CASE_IDS[2])
    plain = picture_path(folder, 0, 0).read_bytes()
    assert picture_path(folder, 2, 0).read_bytes() == plain


def test_another_cases_changes_are_laid_on_this_film_but_its_pictures_are_never_shown(
    study: TinyStudy,
) -> None:
    display = build(study, RESIDUAL, shown=CASE_IDS[1])
    case = CaseSet.open(study.folder.cases).load(CASE_IDS[0])
    laid = residual_states(case.image, archived(study, CASE_IDS[1]))
    assert np.array_equal(laid[4], case.image)
    assert display.pictures[0] == tuple(grey_picture(frame) for frame in laid)
    with pytest.raises(DisplayError, match="would show its film"):
        build(study, DECODED, shown=CASE_IDS[1])


def test_a_panel_that_asks_for_what_its_method_does_not_make_is_refused(study: TinyStudy) -> None:
    with pytest.raises(DisplayError, match="use show = 'toggles'"):
        build(study, Panel(show="frames", method="stylespace"))
    with pytest.raises(DisplayError, match="makes no pictures to switch between"):
        build(study, Panel(show="toggles", method="latent_shift"))


def test_pictures_that_would_take_too_long_to_fetch_are_refused_with_what_to_do(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display_panels, "MOST_STATES_BYTES", 1000)
    with pytest.raises(DisplayError, match=r"9 pictures of 2 switches .* Lower n_factors"):
        build(study, RESIDUAL)


def test_the_more_switches_the_smaller_the_pictures(study: TinyStudy, tmp_path: Path) -> None:
    sizes = [display_panels.STATES_PX[k] ** 2 * 3**k for k in (1, 2, 3, 4)]
    assert max(sizes) <= 27 * 512**2
    assert display_panels.STATES_PX[3] == 512


def test_findings_may_differ_in_their_switches_and_cases_of_one_finding_may_not(
    tmp_path: Path,
) -> None:
    study = make_toggles_study(tmp_path / "study")
    other = tiny_toggles(film(0, SIDE), FINDING, 1)
    archive = ExplanationArchive(study.folder.explanations)
    archive.save(other, replace(toggles_provenance(CASE_IDS[1]), parameters="n_factors=1"))
    choices = [CaseChoice(case_id, FINDING) for case_id in CASE_IDS]
    with pytest.raises(DisplayError, match=r"\[1, 1, 3, 1\]|\[1, 1, 3\]"):
        write_displays(study.root, study.protocol, choices)


def test_records_name_neither_method_nor_reference(study: TinyStudy) -> None:
    for path in study.folder.displays.rglob("display.json"):
        text = path.read_text(encoding="utf-8")
        assert not [word for word in (*FORBIDDEN_WORDS, "stylespace") if word in text]


def test_a_record_whose_pictures_and_switches_disagree_is_as_good_as_none(
    study: TinyStudy, tmp_path: Path
) -> None:
    record = read_record(folder_of(study))
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    wrong = replace(record.panels[2], switches=TITLES[:3])
    write_record(tmp_path, replace(record, panels=(*record.panels[:2], wrong)))
    with pytest.raises(DisplayMissing):
        read_record(tmp_path)


def test_the_browser_is_told_titles_and_only_where_the_protocol_says_so_probabilities(
    study: TinyStudy,
) -> None:
    record = read_record(folder_of(study))
    shown, hidden = switches_of(record, True), switches_of(record, False)
    assert shown is not None and hidden is not None
    assert shown.titles == TITLES[:2] and shown.laid and not shown.note
    assert shown.texts[4] == "this setting: 60 %"
    settings = ViewerSettings(slider=False, play=False, switches=hidden)
    assert viewer_data("a", (), settings)["toggles"] == {"titles": [*TITLES[:2]], "laid": True}
    noted = switches_of(read_record(folder_of(study, CASE_IDS[2])), True)
    assert noted is not None and noted.note == NOTE and not noted.texts
    still = read_record(display_folder(study.folder.displays, CASE_IDS[0], FINDING, "A"))
    assert switches_of(still, True) is None
    plain = ViewerSettings(slider=False, play=False)
    assert "toggles" not in json.dumps(viewer_data("a", (), plain))
