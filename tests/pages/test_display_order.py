"""What a reader sees of films that go one way tells nothing of the side they start on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explainers.archive import ExplanationArchive
from explainers.record import Counterfactual
from pages.parts.desk_view import _title
from pages.parts.display import write_displays
from pages.parts.display_files import display_folder, picture_path, read_record
from pages.parts.display_order import UNCHANGED, is_one_way, outward
from pages.parts.display_panels import DisplayError, build_display
from study.allocation import CaseChoice
from study.protocol import Condition, Panel
from tests.support.tiny_study import CASE_IDS, FINDING, MAP_PX, TinyStudy, make_tiny_study

METHOD = "structure_class_traversal"


def moving(n_below: int, n_above: int, probability: float, step: float = 0.02) -> Counterfactual:
    """Return a film whose frames are ``step`` brighter from one to the next."""
    steps = np.arange(-n_below, n_above + 1, dtype=float)
    frames = np.full((len(steps), MAP_PX, MAP_PX), 0.5) + step * steps[:, None, None]
    return Counterfactual(
        frames.astype(np.float32),
        steps,
        n_below,
        np.clip(probability + 0.05 * steps, 0, 1),
        FINDING,
        reached_low=True,
        reached_high=True,
        probability_image=probability,
    )


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    """A study whose films go down, up, and nowhere."""
    made = make_tiny_study(tmp_path / "study")
    archive = ExplanationArchive(made.folder.explanations)
    films = (moving(4, 2, 0.8), moving(0, 6, 0.2), replace(moving(0, 6, 0.2, step=0)))
    for case_id, film in zip(CASE_IDS, films, strict=True):
        known = archive.provenance(case_id, FINDING, "latent_shift")
        archive.save(film, replace(known, method=METHOD))
    return made


def condition(*panels: Panel) -> Condition:
    return Condition(id="B", label="Shown", panels=panels)


FRAMES = Panel(show="frames", method=METHOD, title="Moving film")
MAP = Panel(show="map", method=f"{METHOD}-max", title="Map")


def test_the_methods_that_go_one_way_are_those_without_frames_on_either_side() -> None:
    assert not is_one_way("latent_shift") and not is_one_way("lime")
    assert all(is_one_way(each) for each in (METHOD, "visual_rationale", "syce", "cyce"))


def test_frames_lead_from_the_unchanged_film_to_the_change_on_either_side() -> None:
    down, up = outward(moving(4, 2, 0.8)), outward(moving(0, 6, 0.2))
    assert down.frames.shape == up.frames.shape == (7, MAP_PX, MAP_PX)
    assert down.origin == up.origin == 0
    np.testing.assert_allclose(down.frames[:, 0, 0], 0.5 - 0.02 * np.linspace(0, 4, 7), atol=1e-6)
    np.testing.assert_allclose(up.frames, moving(0, 6, 0.2).frames, atol=1e-6)
    np.testing.assert_allclose(down.probabilities[[0, -1]], [0.8, 0.6])


def test_a_film_with_its_end_at_the_unchanged_frame_goes_the_other_way() -> None:
    found = outward(moving(6, 0, 0.3))  # missed its goal, but there is one way only
    assert found.frames[-1, 0, 0] == pytest.approx(0.38)


def test_films_of_both_sides_are_prepared_with_the_same_places(study: TinyStudy) -> None:
    shown = condition(Panel(show="film"), FRAMES, MAP)
    protocol = study.protocol.model_copy(
        update={"conditions": (study.protocol.conditions[0], shown)}
    )
    write_displays(study.root, protocol, [CaseChoice(each, FINDING) for each in CASE_IDS])
    folders = [display_folder(study.folder.displays, each, FINDING, "B") for each in CASE_IDS]
    down, up, still = (read_record(folder) for folder in folders)
    assert (down.panels, up.panels) == (down.panels, down.panels)
    assert down.panels[1].outward and down.panels[1].n_frames == 7 and down.panels[1].origin == 0
    assert [panel.note for panel in still.panels] == ["", UNCHANGED, UNCHANGED]
    assert _title(still.panels[1]) == f"Moving film: {UNCHANGED}"
    assert (
        picture_path(folders[0], 1, 0).read_bytes() != picture_path(folders[0], 1, 6).read_bytes()
    )


def test_one_slider_does_not_move_films_of_both_kinds(study: TinyStudy) -> None:
    from data.manifest import CaseSet

    case = CaseSet.open(study.folder.cases).load(CASE_IDS[0])
    both = condition(FRAMES, Panel(show="frames", method="latent_shift"))
    with pytest.raises(DisplayError, match="two conditions"):
        build_display(case, FINDING, both, ExplanationArchive(study.folder.explanations), 0.8)
