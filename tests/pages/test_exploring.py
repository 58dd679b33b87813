"""The explorer's films, pictures in memory, and explanations computed on the spot."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.case import InvalidCase
from explainers.archive import ExplanationArchive
from explainers.record import Counterfactual
from pages.exploring.curve import prediction_curve
from pages.exploring.films import uploaded_film
from pages.web.scratch import Scratch
from tests.support.tiny_study import CASE_IDS, FINDING, TinyStudy, write_archive

ROOT = Path(__file__).parents[2]


def png(mode: str = "L", size: tuple[int, int] = (48, 40)) -> bytes:
    stream = io.BytesIO()
    colour = 90 if mode == "L" else (200, 30, 30)
    Image.new(mode, size, colour).save(stream, "PNG")
    return stream.getvalue()


def test_an_uploaded_png_is_read_and_never_written() -> None:
    read = uploaded_film("film.png", png())
    assert read.image.shape == (40, 48) and read.case_id is None
    assert np.allclose(read.image, 90 / 255)
    assert read.aspect == pytest.approx(48 / 40)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("film.png", png("RGB"), "colour"),
        ("film.png", png()[:60], "film.png"),
        ("film.png", png(size=(8, 8)), "8 × 8"),
        ("notes.png", b"hello", "notes.png"),
        ("film.dcm", b"hello", "film.dcm"),
        ("film.png", b"", "film.png"),
    ],
)
def test_an_unusable_upload_is_refused_in_one_sentence(
    name: str, content: bytes, says: str
) -> None:
    with pytest.raises(InvalidCase) as refusal:
        uploaded_film(name, content)
    assert says in str(refusal.value) and "/proc/" not in str(refusal.value)


def test_pictures_in_memory_belong_to_one_account() -> None:
    scratch = Scratch()
    token = scratch.put("a1", ((b"film",), (b"f0", b"f1")))
    assert scratch.get(token, "a1", 1, 1) == b"f1"
    assert scratch.get(token, "a2", 1, 1) is None
    assert scratch.get("0" * 32, "a1", 0, 0) is None
    for panel, frame in ((2, 0), (1, 2), (-1, 0), (0, -1)):
        assert scratch.get(token, "a1", panel, frame) is None


def test_pictures_in_memory_are_few() -> None:
    scratch = Scratch(capacity=2)
    first, second = scratch.put("a", ((b"1",),)), scratch.put("a", ((b"2",),))
    assert scratch.get(first, "a", 0, 0) == b"1"
    scratch.put("a", ((b"3",),))
    assert scratch.holds(first) and not scratch.holds(second)


def test_the_curve_marks_operating_point_film_and_reconstruction(study: TinyStudy) -> None:
    archive = ExplanationArchive(study.folder.explanations)
    shifted = archive.load(CASE_IDS[0], FINDING, "latent_shift")
    assert isinstance(shifted, Counterfactual)
    figure = prediction_curve(shifted, goals=(0.3, 0.9))
    assert list(figure.data[0].x) == list(shifted.steps)
    assert list(figure.data[1].y) == [shifted.probability_reconstruction]
    lines = {shape.y0 for shape in figure.layout.shapes if shape.type == "line"}
    assert lines == {0.5, shifted.probability_image}
    assert list(figure.data[2].y) == [0.3, 0.9]
    assert list(figure.data[2].x) == [shifted.steps[0], shifted.steps[-1]]
    assert list(figure.data[0].customdata) == list(range(1, len(shifted.steps) + 1))
    (ends,) = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (ends.x0, ends.x1) == (shifted.steps[0], shifted.steps[-1])


def test_the_curve_shows_residual_frames_where_they_were_predicted(study: TinyStudy) -> None:
    shifted = ExplanationArchive(study.folder.explanations).load(
        CASE_IDS[0], FINDING, "latent_shift"
    )
    assert isinstance(shifted, Counterfactual)
    values = shifted.probabilities / 2
    figure = prediction_curve(shifted, residual=values)
    (line,) = [trace for trace in figure.data if trace.name == "f of the residual frame"]
    assert list(line.y) == list(values)
    without = prediction_curve(shifted)
    assert "f of the residual frame" not in [trace.name for trace in without.data]


def test_reading_modules_load_neither_torch_nor_the_reference_standard() -> None:
    code = (
        "import sys, app, pages.navigation, pages.parts.desk_view, pages.parts.display\n"
        "import pages.parts.form.component, pages.parts.viewer.component\n"
        "bad = {'torch', 'data.reference', 'study.selection', 'study.table'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]


def test_the_tiny_archive_is_written_as_a_real_one(tmp_path: Path, study: TinyStudy) -> None:
    write_archive(ExplanationArchive(tmp_path / "again"), study.folder.cases)
    assert len(ExplanationArchive(tmp_path / "again").pairs("latent_shift")) == len(CASE_IDS)
