"""Case sets on disk: complete, resumable, the same however they were made."""

from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.phantom import write
from data.phantom.parameters import (
    FINDINGS,
    FilmParameters,
    InvalidParameters,
    sample_parameters,
)
from data.phantom.write import PhantomWriteError, write_phantoms


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantoms") / "set"
    write_phantoms(out, n=6, size=64, seed=3)
    return out


def test_cases_csv_says_what_a_reader_may_see_and_no_more(written: Path) -> None:
    cases = rows(written / "cases.csv")
    assert tuple(cases[0]) == write.CASE_COLUMNS
    for case in cases:
        assert re.fullmatch(r"ph-\d{6}", case["case_id"])
        file = written / case["image"]
        assert case["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert case["modality"] == "CR"
        assert float(case["pixel_spacing_row_mm"]) == pytest.approx(400 / 64)


def test_images_are_eight_bit_grey_png_and_not_empty(written: Path) -> None:
    for case in rows(written / "cases.csv"):
        with Image.open(written / case["image"]) as image:
            assert image.format == "PNG" and image.mode == "L"
            assert image.size == (int(case["columns"]), int(case["rows"])) == (64, 64)
            assert np.ptp(np.asarray(image)) > 100


def test_reference_csv_names_masks_and_counterfactuals_of_the_findings_present(
    written: Path,
) -> None:
    for index, row in enumerate(rows(written / "reference.csv")):
        film = sample_parameters(3, index)
        assert row["patient_id"] == film.patient_id
        assert row["source"] == "phantom/1" and row["established_by"] == "simulator"
        assert (written / row["mask:lungs"]).is_file()
        for name in FINDINGS:
            present = name in film.findings_present
            assert row[f"finding:{name}"] == str(int(present))
            for kind in ("mask", "counterfactual"):
                assert bool(row[f"{kind}:{name}"]) == present
                if present:
                    assert (written / row[f"{kind}:{name}"]).is_file()
                    assert name.replace(" ", "-") in row[f"{kind}:{name}"]


def test_parameters_csv_gives_back_the_parameters(written: Path) -> None:
    read = [FilmParameters.from_row(row) for row in rows(written / "parameters.csv")]
    assert read == [sample_parameters(3, i) for i in range(6)]


def test_masks_hold_only_black_and_white(written: Path) -> None:
    for path in (written / "masks").iterdir():
        with Image.open(path) as image:
            assert set(np.unique(np.asarray(image))) <= {0, 255}


def test_writing_again_renders_nothing_and_changes_nothing(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(written)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a complete film was rendered again")

    monkeypatch.setattr(write, "render", refused)
    seen: list[tuple[int, int]] = []
    write_phantoms(written, n=6, size=64, seed=3, on_progress=lambda *step: seen.append(step))
    assert contents(written) == before
    assert seen == [(k, 6) for k in range(1, 7)]


def test_an_interrupted_run_goes_on_where_it_stopped(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = write.render, 0

    def interrupted(*arguments: object, **options: object) -> object:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(write, "render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_phantoms(tmp_path, n=6, size=64, seed=3)
    assert not (tmp_path / "cases.csv").exists()
    assert len(list((tmp_path / "images").glob("*.png"))) == 3
    write_phantoms(tmp_path, n=6, size=64, seed=3)
    assert count == 7  # three films, the interrupted one, and the three that were missing
    assert contents(tmp_path) == contents(written)


def test_a_film_whose_file_was_lost_or_whose_parameters_changed_is_made_again(
    tmp_path: Path,
) -> None:
    films = [sample_parameters(8, i, findings=()) for i in range(2)]
    write_phantoms(tmp_path, n=2, size=64, seed=0, parameters=films)
    first = contents(tmp_path)
    (tmp_path / "images" / "ph-000000.png").unlink()
    write_phantoms(tmp_path, n=2, size=64, seed=0, parameters=films)
    assert contents(tmp_path) == first
    films[1] = sample_parameters(8, 9, findings=("Mass",))
    write_phantoms(tmp_path, n=2, size=64, seed=0, parameters=films)
    assert rows(tmp_path / "reference.csv")[1]["finding:Mass"] == "1"
    assert contents(tmp_path)["images/ph-000001.png"] != first["images/ph-000001.png"]
    assert contents(tmp_path)["images/ph-000000.png"] == first["images/ph-000000.png"]


def test_several_processes_write_the_same_files(written: Path, tmp_path: Path) -> None:
    write_phantoms(tmp_path, n=6, size=64, seed=3, processes=2)
    assert contents(tmp_path) == contents(written)


def test_counterfactuals_can_be_left_out(tmp_path: Path) -> None:
    films = [sample_parameters(8, 0, findings=("Mass",))]
    write_phantoms(tmp_path, n=1, size=64, seed=0, parameters=films, counterfactuals=False)
    assert rows(tmp_path / "reference.csv")[0]["counterfactual:Mass"] == ""
    assert not list((tmp_path / "counterfactuals").iterdir())


def test_impossible_requests_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameters, match="size"):
        write_phantoms(tmp_path, n=1, size=65, seed=0)
    with pytest.raises(InvalidParameters, match="n is 3"):
        write_phantoms(tmp_path, n=3, size=64, seed=0, parameters=[sample_parameters(1, 1)])
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(PhantomWriteError, match="directory"):
        write_phantoms(file, n=1, size=64, seed=0)
