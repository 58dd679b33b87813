"""Numbers of the explorer: measures against the reference standard, CSV, strips of frames."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.manifest import CaseSet
from explainers.record import Attribution, Counterfactual
from pages.exploring.downloads import encoded, strip_png
from pages.exploring.explanations import Explained
from pages.exploring.films import Film, case_film
from pages.exploring.metrics import Truth, measure_film, measure_map, read_truth
from pages.exploring.networks import Network
from pages.exploring.numbers import Row, csv_bytes, numbers_html, rows_of
from pages.exploring.view import strongest
from tests.support.tiny_networks import write_case_set

NETWORK = Network("own", "own", Path("own"), ("Mass",), (8, 8), None, "w" * 64)
MASK = np.zeros((8, 8), bool)
MASK[2:4, 2:4] = True


def moving(reached_high: bool = True) -> Counterfactual:
    frames = np.full((4, 8, 8), 0.5, np.float32)
    frames[0, 2:4, 2:4] = 0.1
    steps, probabilities = np.array([-2.0, -1, 0, 1]), np.array([0.3, 0.5, 0.62, 0.7])
    return Counterfactual(frames, steps, 2, probabilities, "Mass", True, reached_high, 0.81)


def explained(film: Counterfactual | None = None, **maps: np.ndarray) -> Explained:
    probability = film.probability_image if film is not None else 0.81
    return Explained(
        NETWORK, "Mass", probability, maps, film, "latent_shift", (), {"latent_shift": 0.5}
    )


def rationale(note: str = "", *, reached: bool = True) -> Explained:
    made = replace(
        moving(),
        reached_low=reached,
        note=note,
        measures={"norm_end": 1.23456, "reconstruction_error": 0.02, "logit_image": 1.5},
    )
    return replace(explained(made), method="visual_rationale")


def film(value: float = 0.5) -> Film:
    return Film("=film", np.full((8, 8), value, np.float32), None, None, "d" * 64)


def test_a_map_equal_to_the_mask_is_perfect_and_one_elsewhere_scores_nothing() -> None:
    perfect = measure_map(MASK.astype(np.float32), MASK)
    assert perfect.iou == 1 and perfect.hit and perfect.ncc == pytest.approx(1)
    elsewhere = np.zeros((8, 8), np.float32)
    elsewhere[6:, 6:] = 1
    missed = measure_map(elsewhere, MASK)
    assert missed.iou == 0 and not missed.hit and missed.ncc < 0
    assert np.isnan(measure_map(np.ones((8, 8), np.float32), MASK).ncc)


def test_the_error_against_the_true_counterfactual_is_zero_for_the_true_one() -> None:
    truth = np.full((8, 8), 0.5, np.float32)
    truth[2:4, 2:4] = 0.1
    errors = measure_film(explained(moving()), film(), Truth(True, MASK, truth))
    assert errors is not None
    assert errors.frame_inside == pytest.approx(0, abs=1e-4)
    assert errors.nothing_inside == pytest.approx(0.4 * 255, rel=1e-4)


def test_the_reference_standard_is_found_for_cases_and_not_for_uploads(tmp_path: Path) -> None:
    cases = write_case_set(tmp_path / "cases")
    truth = read_truth(case_film(cases, "c0001"), "Mass")
    assert truth is not None and truth.present and truth.mask is not None
    assert read_truth(case_film(cases, "c0003"), "Mass").mask is None  # type: ignore[union-attr]
    assert read_truth(film(), "Mass") is None
    (tmp_path / "cases" / "reference.csv").unlink()
    assert read_truth(case_film(CaseSet.open(tmp_path / "cases"), "c0001"), "Mass") is None


def test_the_csv_holds_every_number_at_full_precision() -> None:
    rows = rows_of(
        film(),
        explained(moving(), input_gradients=MASK.astype(np.float32)),
        Truth(True, MASK, None),
    )
    read = list(csv.DictReader(io.StringIO(csv_bytes(rows).decode())))
    by_quantity = {(row["method"], row["quantity"]): row for row in read}
    assert float(by_quantity["", "probability_image"]["value"]) == 0.81
    assert float(by_quantity["latent_shift", "probability_reconstruction"]["value"]) == 0.62
    assert float(by_quantity["input_gradients", "iou_matched_area"]["value"]) == 1
    assert float(by_quantity["input_gradients", "pointing_hit"]["value"]) == 1
    frames = [row for row in read if row["quantity"] == "probability_frame"]
    assert [float(row["value"]) for row in frames] == [0.3, 0.5, 0.62, 0.7]
    assert [float(row["step"]) for row in frames] == [-2, -1, 0, 1]
    assert [row["frame"] for row in frames] == ["1", "2", "3", "4"]
    assert {row["classifier"] for row in read} == {"own"}


def test_no_cell_of_the_csv_is_a_formula_and_nan_is_empty() -> None:
    row = Row("=1+1", "Mass", "+own", "", "m", "q", None, -1.5, float("nan"))
    (read,) = csv.DictReader(io.StringIO(csv_bytes([row]).decode()))
    assert read["film"] == "'=1+1" and read["classifier"] == "'+own"
    assert read["value"] == "" and read["frame"] == "" and read["step"] == "-1.5"


def test_a_search_that_missed_its_goal_is_said_and_large_moves_by_reconstruction_too() -> None:
    missed = explained(moving(reached_high=False))
    said = numbers_html(missed, rows_of(film(), missed, None), None)
    assert "did not reach its goal" in said and "did not rise" in said
    assert "reconstruction alone moves the prediction by -0.19" in said
    pair = replace(missed, method="syce")
    assert "stable image alone moves the prediction by -0.19" in numbers_html(pair, [], None)
    reached = explained(moving())
    assert "did not reach" not in numbers_html(reached, [], None)
    assert "(flipped)" in numbers_html(reached, [], None)


def test_names_from_outside_are_escaped() -> None:
    said = numbers_html(
        Explained(NETWORK, "Mass", 0.5, {}, None, "latent_shift", (), {}, ("<b>x</b>",)),
        [],
        None,
    )
    assert "<b>" not in said and "&lt;b&gt;" in said


def test_a_strip_shows_lowest_reconstruction_and_highest() -> None:
    frames = np.stack([np.full((8, 8), k / 20, np.float32) for k in range(21)])
    strip = np.asarray(Image.open(io.BytesIO(strip_png(frames, 15))))
    shown = [int(strip[4, column]) for column in range(4, strip.shape[1], 12)]
    assert len(shown) == 7 and shown[0] == 0 and shown[-1] == 255
    assert round(15 / 20 * 255) in shown


@pytest.mark.parametrize(
    ("kind", "start"), [("GIF", b"GIF8"), ("WebP", b"RIFF"), ("PNG strip", b"\x89PNG")]
)
@pytest.mark.parametrize("mode", ["residual", "decoded"])
def test_every_download_is_what_it_says(kind: str, start: bytes, mode: str) -> None:
    assert encoded(kind, film(), explained(moving()), mode).startswith(start)


def test_an_attribution_alone_gives_a_prediction_and_no_film() -> None:
    values = Attribution(MASK.astype(np.float32), "Mass", 0.1, 0.81)
    alone = explained(None, input_gradients=values.values)
    rows = rows_of(film(), alone, None)
    assert [row.quantity for row in rows] == ["probability_image", "seconds"]
    assert "0.81" in numbers_html(alone, rows, None)


def test_measures_of_a_record_are_shown_in_words_and_all_of_them_are_in_the_csv() -> None:
    row = rationale()
    said = numbers_html(row, [], None)
    assert "Length of the latent at the end, 1 is usual</span><span>1.23<" in said
    assert "Error of the reconstruction, grey levels</span><span>5.1<" in said
    assert "logit" not in said and "The prediction passed the goal." in said
    quantities = {each.quantity: each.value for each in rows_of(film(), row, None)}
    assert quantities["measure_logit_image"] == 1.5
    assert quantities["measure_norm_end"] == 1.23456


def test_what_a_record_says_of_itself_is_a_warning_and_no_success_is_claimed() -> None:
    said = numbers_html(
        rationale("The generator does not know <this> image.", reached=False), [], None
    )
    assert 'class="warned" role="alert">The generator does not know &lt;this&gt; image.<' in said
    assert "passed the goal" not in said and "did not fall" not in said


def test_only_the_strongest_pixels_of_a_paired_explanation_are_left() -> None:
    values = np.arange(100, dtype=np.float32).reshape(10, 10)
    left = strongest(values, 10)
    assert set(left[left > 0]) == set(range(90, 100))
    assert strongest(values, 100) is values
