"""Pictures made before the first reading: what is drawn, and how it reaches the disk."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.manifest import CaseSet
from data.raster import read_image
from explainers.archive import ExplanationArchive, NotInArchive
from explainers.record import Counterfactual
from pages.parts.display import DisplayError, build_display, grey_png, write_displays
from pages.parts.display_files import (
    DisplayMissing,
    display_folder,
    picture_path,
    read_record,
)
from study.allocation import CaseChoice
from study.folder import StudyFolder
from study.protocol import Condition, Panel
from tests.support.tiny_study import (
    CASE_IDS,
    FINDING,
    N_FRAMES,
    SIDE_PX,
    TinyStudy,
    make_tiny_study,
)

CHOICES = [CaseChoice(case_id, FINDING) for case_id in CASE_IDS]


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path / "study")


def folder_of(study: TinyStudy, condition: str, case_id: str = CASE_IDS[0]) -> Path:
    return display_folder(study.folder.displays, case_id, FINDING, condition)


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def test_the_film_is_shown_pixel_for_pixel(study: TinyStudy) -> None:
    original = read_image(study.folder.cases / "images" / f"{CASE_IDS[0]}.png")
    shown = read_image(picture_path(folder_of(study, "A"), 0, 0))
    assert np.array_equal(original, shown)


def test_a_map_is_a_transparent_picture_over_the_film(study: TinyStudy) -> None:
    record = read_record(folder_of(study, "A"))
    assert [panel.kind for panel in record.panels] == ["film", "map"]
    assert record.panels[1].under == 0
    picture = opened(picture_path(folder_of(study, "A"), 1, 0))
    assert picture.mode == "RGBA"
    alpha = np.asarray(picture)[..., 3]
    assert alpha.min() < alpha.max() <= 255


def test_the_moving_film_has_every_frame_and_marks_the_original(study: TinyStudy) -> None:
    panel = read_record(folder_of(study, "B")).panels[2]
    assert (panel.kind, panel.n_frames, panel.origin) == ("frames", N_FRAMES, N_FRAMES // 2)
    frames = [read_image(picture_path(folder_of(study, "B"), 2, t)) for t in range(N_FRAMES)]
    archive = ExplanationArchive(study.folder.explanations)
    film = archive.load(CASE_IDS[0], FINDING, "latent_shift")
    assert isinstance(film, Counterfactual)
    assert np.abs(np.stack(frames) - film.frames).max() <= 0.5 / 255 + 1e-4


def test_pictures_hold_no_metadata_and_records_no_method(study: TinyStudy) -> None:
    for path in study.folder.displays.rglob("*.png"):
        assert not opened(path).info
    for path in study.folder.displays.rglob("display.json"):
        text = path.read_text(encoding="utf-8")
        assert "latent_shift" not in text and "integrated_gradients" not in text


def test_a_second_run_draws_nothing_and_a_changed_explanation_is_drawn_again(
    study: TinyStudy,
) -> None:
    steps: list[tuple[int, int]] = []
    report = lambda done, total: steps.append((done, total))  # noqa: E731
    assert write_displays(study.root, study.protocol, CHOICES, report) == 0
    assert steps[-1] == (6, 6)
    picture_path(folder_of(study, "B"), 2, 1).unlink()
    assert write_displays(study.root, study.protocol, CHOICES) == 1
    assert picture_path(folder_of(study, "B"), 2, 1).is_file()


def test_repeated_choices_are_drawn_once(study: TinyStudy) -> None:
    steps: list[tuple[int, int]] = []
    write_displays(
        study.root, study.protocol, [*CHOICES, *CHOICES], lambda d, n: steps.append((d, n))
    )
    assert steps[-1] == (6, 6)


def test_unequal_numbers_of_frames_are_refused(study: TinyStudy) -> None:
    archive = ExplanationArchive(study.folder.explanations)
    whole = archive.load(CASE_IDS[1], FINDING, "latent_shift")
    assert isinstance(whole, Counterfactual)
    shorter = Counterfactual(
        whole.frames[:-1],
        whole.steps[:-1],
        whole.origin,
        whole.probabilities[:-1],
        FINDING,
        True,
        True,
        whole.probability_image,
    )
    provenance = archive.provenance(CASE_IDS[1], FINDING, "latent_shift")
    changed = type(provenance)(**{**vars(provenance), "seed": 99})
    archive.save(shorter, changed)
    with pytest.raises(DisplayError, match="same number of frames"):
        write_displays(study.root, study.protocol, CHOICES)


def test_a_missing_explanation_is_named(study: TinyStudy) -> None:
    archive = ExplanationArchive(study.folder.explanations)
    (archive.folder(CASE_IDS[2], FINDING, "latent_shift") / "record.json").unlink()
    with pytest.raises(NotInArchive, match="c0009"):
        write_displays(study.root, study.protocol, CHOICES)


def test_a_full_disk_leaves_nothing_half_written(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = folder_of(study, "B")
    record = target / "display.json"
    record.unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pages.parts.display.write_record", full)
    with pytest.raises(DisplayError, match="No space left"):
        write_displays(study.root, study.protocol, CHOICES)
    assert not record.exists()
    assert not list(study.folder.displays.rglob(".writing-*"))


def test_maps_without_a_film_beside_them_get_one_below(study: TinyStudy) -> None:
    condition = Condition(
        id="C",
        label="Map alone",
        panels=(Panel(show="map", method="integrated_gradients", title="Map"),),
    )
    case = CaseSet.open(study.folder.cases).load(CASE_IDS[0])
    archive = ExplanationArchive(study.folder.explanations)
    display = build_display(case, FINDING, condition, archive, 0.6)
    assert [(p.kind, p.hidden, p.under) for p in display.record.panels] == [
        ("map", False, 1),
        ("film", True, None),
    ]
    assert display.pictures[1][0] == grey_png(case.image)


def test_a_single_map_cannot_be_shown_as_a_moving_film(study: TinyStudy) -> None:
    condition = Condition(
        id="C",
        label="Wrong",
        panels=(Panel(show="frames", method="integrated_gradients"),),
    )
    case = CaseSet.open(study.folder.cases).load(CASE_IDS[0])
    with pytest.raises(DisplayError, match="single map"):
        build_display(case, FINDING, condition, ExplanationArchive(study.folder.explanations), 0.6)


@pytest.mark.parametrize("content", ["", "{", '{"format_version": 9}', "[]"])
def test_a_damaged_record_counts_as_missing(study: TinyStudy, content: str) -> None:
    folder = folder_of(study, "A")
    (folder / "display.json").write_text(content, encoding="utf-8")
    with pytest.raises(DisplayMissing, match="counterlight prepare"):
        read_record(folder)


def test_films_keep_their_size(study: TinyStudy) -> None:
    assert opened(picture_path(folder_of(study, "A"), 0, 0)).size == (SIDE_PX, SIDE_PX)
    assert read_record(folder_of(study, "A")).aspect == 1
    assert StudyFolder(study.root).displays.is_dir()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n cut off"])
def test_a_picture_that_is_cut_off_is_drawn_again(study: TinyStudy, content: bytes) -> None:
    picture = folder_of(study, "B") / "panel0" / "0.png"
    whole = picture.read_bytes()
    picture.write_bytes(content)
    assert write_displays(study.root, study.protocol, CHOICES) == 1
    assert picture.read_bytes() == whole
