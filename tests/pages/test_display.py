"""Pictures made before the first reading: what is drawn, and how it reaches the disk."""

from __future__ import annotations

import io
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.case import Case
from data.manifest import CaseSet
from data.raster import read_image
from explainers.archive import ExplanationArchive, NotInArchive
from explainers.overlay import relative_scale, shown_values
from explainers.record import Attribution, Counterfactual
from explainers.residual import residual_frames
from pages.parts.display import randomised_archive, write_display, write_displays
from pages.parts.display_files import (
    DisplayMissing,
    DisplayRecord,
    PanelRecord,
    display_folder,
    picture_path,
    read_record,
    write_record,
)
from pages.parts.display_panels import (
    Display,
    DisplayError,
    build_display,
    fitted,
    of_the_size_of,
)
from pages.parts.display_pictures import bits_of, grey_picture, is_whole, map_picture
from study.allocation import Assignment, CaseChoice
from study.folder import StudyFolder
from study.plans import PracticeCase
from study.protocol import Condition, Panel, StudyProtocol
from tests.support.tiny_study import (
    CASE_IDS,
    FINDING,
    MAP_PX,
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


def archived_film(study: TinyStudy, case_id: str) -> Counterfactual:
    film = ExplanationArchive(study.folder.explanations).load(case_id, FINDING, "latent_shift")
    assert isinstance(film, Counterfactual)
    return film


def condition_of(*panels: Panel, sham: str | None = None) -> Condition:
    return Condition(id="B", label="Shown", panels=panels, sham=sham)  # type: ignore[arg-type]


def build(study: TinyStudy, condition: Condition, **settings: str) -> Display:
    case = CaseSet.open(study.folder.cases).load(CASE_IDS[0])
    archive = ExplanationArchive(study.folder.explanations)
    return build_display(case, FINDING, condition, archive, 0.6, **settings)


def with_condition(study: TinyStudy, condition: Condition) -> StudyProtocol:
    conditions = (study.protocol.conditions[0], condition)
    return study.protocol.model_copy(update={"conditions": conditions})


FILM = Panel(show="film")
MAP = Panel(show="map", method="latent_shift-max")
FRAMES = Panel(show="frames", method="latent_shift")
PARTNERS = dict(zip([(c, FINDING) for c in CASE_IDS], [*CASE_IDS[1:], CASE_IDS[0]], strict=True))


def test_the_film_is_shown_pixel_for_pixel(study: TinyStudy) -> None:
    original = read_image(study.folder.cases / "images" / f"{CASE_IDS[0]}.png")
    shown = read_image(picture_path(folder_of(study, "A"), 0, 0))
    assert np.array_equal(original, shown)


def test_a_map_is_a_grey_picture_of_its_scaled_magnitude(study: TinyStudy) -> None:
    record = read_record(folder_of(study, "A"))
    assert [panel.kind for panel in record.panels] == ["film", "map"]
    assert record.panels[1].under == 0
    assert not record.panels[1].signed
    picture = opened(picture_path(folder_of(study, "A"), 1, 0))
    assert (picture.mode, picture.size) == ("L", (MAP_PX, MAP_PX))
    assert (record.panels[1].width, record.panels[1].height) == (MAP_PX, MAP_PX)
    archive = ExplanationArchive(study.folder.explanations)
    values = archive.load_map(CASE_IDS[0], FINDING, "integrated_gradients")
    assert np.array_equal(np.asarray(picture), np.rint(255 * shown_values(values)))


def test_the_moving_film_lays_every_change_on_the_film_itself(study: TinyStudy) -> None:
    panel = read_record(folder_of(study, "B")).panels[2]
    assert (panel.kind, panel.n_frames, panel.origin) == ("frames", N_FRAMES, N_FRAMES // 2)
    assert (panel.width, panel.height, panel.bits) == (SIDE_PX, SIDE_PX, 8)
    frames = [read_image(picture_path(folder_of(study, "B"), 2, t)) for t in range(N_FRAMES)]
    film = archived_film(study, CASE_IDS[0])
    expected = residual_frames(CaseSet.open(study.folder.cases).load(CASE_IDS[0]).image, film)
    assert np.abs(np.stack(frames) - expected).max() <= 0.5 / 255 + 1e-6
    shown = picture_path(folder_of(study, "B"), 0, 0).read_bytes()
    assert picture_path(folder_of(study, "B"), 2, N_FRAMES // 2).read_bytes() == shown


def test_decoded_frames_are_those_of_the_network(study: TinyStudy) -> None:
    panel = Panel(show="frames", method="latent_shift", frames="decoded")
    display = build(study, condition_of(panel))
    film = archived_film(study, CASE_IDS[0])
    assert display.pictures[0] == tuple(grey_picture(frame) for frame in film.frames)
    assert (display.record.panels[0].width, display.record.panels[0].bits) == (MAP_PX, 8)


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
    assert write_displays(study.root, study.protocol, CHOICES, on_progress=report) == 0
    assert steps[-1] == (6, 6)
    picture_path(folder_of(study, "B"), 2, 1).unlink()
    assert write_displays(study.root, study.protocol, CHOICES) == 1
    assert picture_path(folder_of(study, "B"), 2, 1).is_file()


def test_repeated_choices_are_drawn_once(study: TinyStudy) -> None:
    steps: list[tuple[int, int]] = []
    write_displays(
        study.root,
        study.protocol,
        [*CHOICES, *CHOICES],
        on_progress=lambda d, n: steps.append((d, n)),
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
    with pytest.raises(
        DisplayError, match=r"has \[1, 1, 4\] pictures where others have \[1, 1, 5\]"
    ):
        write_displays(study.root, study.protocol, CHOICES)


def test_a_missing_explanation_is_named(study: TinyStudy) -> None:
    archive = ExplanationArchive(study.folder.explanations)
    (archive.folder(CASE_IDS[2], FINDING, "latent_shift") / "record.json").unlink()
    with pytest.raises(NotInArchive, match="case-0009"):
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
    assert display.pictures[1][0] == grey_picture(case.image)


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


def test_a_signed_map_keeps_zero_in_the_middle(study: TinyStudy) -> None:
    values = np.zeros((24, 24), np.float32)
    values[:8], values[16:] = 2.0, -2.0
    levels = np.asarray(Image.open(io.BytesIO(map_picture(values, signed=True))))
    assert (levels[0, 0], levels[12, 12], levels[23, 0]) == (255, 128, 1)
    magnitude = np.asarray(Image.open(io.BytesIO(map_picture(values))))
    assert (magnitude[0, 0], magnitude[12, 12], magnitude[23, 0]) == (255, 0, 255)
    panel = Panel(show="map", method="integrated_gradients", signed=True)
    assert build(study, condition_of(FILM, panel)).record.panels[1].signed


def test_a_map_has_the_visual_scale_of_every_overlay() -> None:
    values = np.random.default_rng(0).normal(0, 1, (32, 32)).astype(np.float32)
    plain = relative_scale(np.abs(values))
    assert np.array_equal(shown_values(values, smoothing_px=0), plain)
    levels = np.asarray(Image.open(io.BytesIO(map_picture(values)))) / 255
    assert np.abs(levels - shown_values(values)).max() <= 0.5 / 255 + 1e-6


def test_a_film_of_more_than_8_bits_is_shown_with_16_without_loss(study: TinyStudy) -> None:
    samples = np.random.default_rng(1).integers(0, 65536, (20, 30), dtype=np.uint16)
    image = (samples / np.float32(65535)).astype(np.float32)
    case = Case("c1", image, (0.2, 0.1), "DX")
    archive = ExplanationArchive(study.folder.explanations)
    display = build_display(
        case, FINDING, condition_of(FILM, FRAMES), archive, 0.6, shown_case_id=CASE_IDS[0]
    )
    film, frames = display.record.panels
    assert (film.bits, film.width, film.height, frames.bits) == (16, 30, 20, 16)
    assert display.record.pixel_spacing_mm == 0.1
    raw = np.frombuffer(zlib.decompress(display.pictures[0][0]), "<u2").reshape(20, 30)
    assert np.array_equal(raw, samples)
    assert display.pictures[1][N_FRAMES // 2] == display.pictures[0][0]
    write_display(study.root / "sixteen", display)
    assert (study.root / "sixteen" / "panel0" / "0.raw").is_file()
    assert not list((study.root / "sixteen").rglob("*.png"))
    assert read_record(study.root / "sixteen") == display.record


@pytest.mark.parametrize(("top", "bits"), [(255, 8), (65535, 16), (1, 8)])
def test_the_bits_of_a_film_are_found_in_its_values(top: int, bits: int) -> None:
    image = (np.arange(64).reshape(8, 8) % (top + 1) / np.float32(top)).astype(np.float32)
    assert bits_of(image) == bits


def test_a_raw_picture_that_is_cut_off_is_noticed() -> None:
    image = np.random.default_rng(0).random((9, 7)).astype(np.float32)
    whole = grey_picture(image, 16)
    assert is_whole(whole, 16, 7, 9)
    assert not is_whole(whole[:-3], 16, 7, 9)
    assert not is_whole(whole, 16, 9, 9)
    assert not is_whole(b"", 16, 7, 9)


@pytest.mark.parametrize(
    ("shape", "fitting"),
    [((1024, 800), (1024, 800)), ((3000, 1500), (1024, 512)), ((2, 4096), (1, 1024))],
)
def test_residual_frames_are_at_most_1024_long(
    shape: tuple[int, int], fitting: tuple[int, int]
) -> None:
    small = fitted(np.full(shape, 0.5, np.float32), 1024)
    assert small.shape == fitting
    assert np.allclose(small, 0.5)


def test_a_sham_lays_the_other_cases_explanation_on_this_film(study: TinyStudy) -> None:
    sham = condition_of(FILM, MAP, FRAMES, sham="other_case")
    protocol = with_condition(study, sham)
    assert write_displays(study.root, protocol, CHOICES, PARTNERS) == 3
    record = read_record(folder_of(study, "B"))
    display = build(study, sham, shown_case_id=CASE_IDS[1])
    assert record.panels == display.record.panels
    case = CaseSet.open(study.folder.cases).load(CASE_IDS[0])
    other = archived_film(study, CASE_IDS[1])
    assert picture_path(folder_of(study, "B"), 0, 0).read_bytes() == grey_picture(case.image)
    expected = residual_frames(case.image, other)
    for frame in range(N_FRAMES):
        shown = picture_path(folder_of(study, "B"), 2, frame).read_bytes()
        assert shown == grey_picture(expected[frame])
    shown = picture_path(folder_of(study, "B"), 1, 0).read_bytes()
    assert shown == map_picture(other.to_attribution("max"))
    text = (folder_of(study, "B") / "display.json").read_text(encoding="utf-8")
    assert not any(case_id in text for case_id in CASE_IDS)
    assert write_displays(study.root, protocol, CHOICES, PARTNERS) == 0
    swapped = {**PARTNERS, (CASE_IDS[0], FINDING): CASE_IDS[2]}
    assert write_displays(study.root, protocol, CHOICES, swapped) == 1


def test_a_sham_without_partner_or_with_decoded_frames_is_refused(study: TinyStudy) -> None:
    protocol = with_condition(study, condition_of(FILM, MAP, sham="other_case"))
    with pytest.raises(DisplayError, match="has no partner for 'Lung Opacity'"):
        write_displays(study.root, protocol, CHOICES)
    itself = {pair: pair[0] for pair in PARTNERS}
    with pytest.raises(DisplayError, match="has no partner"):
        write_displays(study.root, protocol, CHOICES, itself)
    decoded = Panel(show="frames", method="latent_shift", frames="decoded")
    with pytest.raises(DisplayError, match="would show its film"):
        build(study, condition_of(FILM, decoded), shown_case_id=CASE_IDS[1])


def randomise(study: TinyStudy) -> None:
    """Archive, for every case, ten times the change of another case and a map of its own."""
    archive = ExplanationArchive(study.folder.explanations)
    for (case_id, _), other in PARTNERS.items():
        film = archived_film(study, other)
        stronger = np.clip(film.reconstruction + 3 * (film.frames - film.reconstruction), 0, 1)
        provenance = replace(
            archive.provenance(case_id, FINDING, "latent_shift"), weights_digest={"classifier": "r"}
        )
        randomised_archive(study.folder).save(replace(film, frames=stronger), provenance)
        values = np.random.default_rng(len(other)).normal(0, 1, (MAP_PX, MAP_PX))
        randomised_archive(study.folder).save(
            Attribution(values.astype(np.float32), FINDING, 0.0, 0.5),
            replace(provenance, method="integrated_gradients"),
        )


def test_a_randomised_sham_changes_as_much_as_the_explanation_it_stands_for(
    study: TinyStudy,
) -> None:
    randomise(study)
    panels = (FILM, Panel(show="map", method="integrated_gradients"), FRAMES)
    sham = condition_of(*panels, sham="randomised_model")
    assert write_displays(study.root, with_condition(study, sham), CHOICES) == 3
    real = archived_film(study, CASE_IDS[0])
    fake = randomised_archive(study.folder).load(CASE_IDS[0], FINDING, "latent_shift")
    assert isinstance(fake, Counterfactual)
    matched = of_the_size_of(real, fake)
    for frame in range(N_FRAMES):
        wanted = np.sqrt(np.square(real.frames[frame] - real.reconstruction).mean())
        found = np.sqrt(np.square(matched.frames[frame] - matched.reconstruction).mean())
        assert found == pytest.approx(wanted, rel=0.02, abs=1e-6)
    expected = residual_frames(CaseSet.open(study.folder.cases).load(CASE_IDS[0]).image, matched)
    shown = picture_path(folder_of(study, "B"), 2, 0).read_bytes()
    assert shown == grey_picture(expected[0])
    values = randomised_archive(study.folder).load_map(CASE_IDS[0], FINDING, "integrated_gradients")
    assert picture_path(folder_of(study, "B"), 1, 0).read_bytes() == map_picture(values)


def test_a_randomised_film_of_another_length_is_refused(study: TinyStudy) -> None:
    film = archived_film(study, CASE_IDS[0])
    shorter = replace(
        film, frames=film.frames[:-1], steps=film.steps[:-1], probabilities=film.probabilities[:-1]
    )
    with pytest.raises(DisplayError, match="explain both with the same parameters"):
        of_the_size_of(film, shorter)


def test_a_film_that_does_not_change_stays_as_it_is(study: TinyStudy) -> None:
    film = archived_film(study, CASE_IDS[0])
    still = replace(film, frames=np.repeat(film.reconstruction[None], N_FRAMES, axis=0))
    assert np.array_equal(of_the_size_of(film, still).frames, still.frames)
    assert np.allclose(of_the_size_of(still, film).frames, still.frames)


def test_practice_cases_are_drawn_in_their_own_condition_only(study: TinyStudy) -> None:
    shutil.rmtree(study.folder.displays)
    plan = PracticeCase(finding=FINDING, condition="B", feedback="So.")
    protocol = study.protocol.model_copy(update={"practice": (plan,)})
    steps: list[tuple[int, int]] = []
    drawn = write_displays(
        study.root, protocol, CHOICES[:2], practice=CHOICES[2:],
        on_progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert (drawn, steps[-1]) == (5, (5, 5))
    assert folder_of(study, "B", CASE_IDS[2]).is_dir()
    assert not folder_of(study, "A", CASE_IDS[2]).exists()
    tried = Assignment("0" * 32, "R1", 0, 1, "B", CASE_IDS[2], FINDING, "practice")
    again = write_displays(
        study.root, protocol, [*CHOICES[:2], tried], practice=CHOICES[2:],
        on_progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert (again, steps[-1]) == (0, (5, 5))
    with pytest.raises(DisplayError, match="0 practice cases are given; the protocol has 1"):
        write_displays(study.root, protocol, CHOICES[:2])


def test_maps_of_another_size_are_refused(study: TinyStudy) -> None:
    archive = ExplanationArchive(study.folder.explanations)
    provenance = archive.provenance(CASE_IDS[1], FINDING, "integrated_gradients")
    small = Attribution(np.ones((8, 8), np.float32), FINDING, 0.0, 0.5)
    archive.save(small, replace(provenance, seed=3))
    with pytest.raises(DisplayError, match="pictures of another size"):
        write_displays(study.root, study.protocol, CHOICES)


def test_a_record_of_another_depth_is_damaged(tmp_path: Path) -> None:
    odd = DisplayRecord((PanelRecord("", "film", 1, bits=12),), 0.5, 1.0, "")  # type: ignore[arg-type]
    write_record(tmp_path, odd)
    with pytest.raises(DisplayMissing, match="counterlight prepare"):
        read_record(tmp_path)
