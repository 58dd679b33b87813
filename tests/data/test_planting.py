"""A case set with planted findings: its files, patients, records and failures."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from commands.plant import command
from data.manifest import CaseSet
from data.planted.recipe import PLANTABLE, UnknownFinding
from data.planting import PlantingError, PlantingPlan, write_planted
from data.raster import write_png
from data.reference import ReferenceSet
from data.workspace import CannotWrite
from tests.support.planted_film import lung_mask, write_healthy_cases


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    return write_healthy_cases(tmp_path / "real")


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_healthy_films_stay_beside_their_planted_copies(healthy: Path, tmp_path: Path) -> None:
    report = write_planted(healthy, tmp_path / "out", PlantingPlan(copies=2, seed=1))
    cases, references = CaseSet.open(tmp_path / "out"), ReferenceSet.open(tmp_path / "out")
    assert (report.n_healthy, report.n_planted, report.not_healthy) == (6, 12, 1)
    assert len(cases) == len(references) == 18
    assert references.findings == PLANTABLE
    present = [[f for f, v in references.get(c).findings.items() if v] for c in cases]
    assert Counter(map(len, present)) == {0: 6, 1: 12}
    assert all(references.get(c).established_by == "simulator" for c in cases)
    assert all(references.get(c).source.startswith("planted/1: simulated") for c in cases)
    assert all(references.get(c).attributes["image_licence"] == "CC BY 4.0" for c in cases)


def test_the_true_counterfactual_is_the_untouched_file(healthy: Path, tmp_path: Path) -> None:
    write_planted(healthy, tmp_path / "out", PlantingPlan(seed=2))
    references = ReferenceSet.open(tmp_path / "out")
    seen = 0
    for case_id in references:
        reference = references.get(case_id)
        base = (healthy / "images" / f"{reference.attributes['planted_into']}.png").read_bytes()
        for path in reference.counterfactuals.values():
            assert path.read_bytes() == base
            assert (tmp_path / "out" / "images" / f"{case_id}.png").read_bytes() != base
            seen += 1
        if not reference.counterfactuals:
            assert (tmp_path / "out" / "images" / f"{case_id}.png").read_bytes() == base
    assert seen == 6


def test_a_film_differs_from_its_counterfactual_inside_the_lungs_only(
    healthy: Path, tmp_path: Path
) -> None:
    write_planted(healthy, tmp_path / "out", PlantingPlan(findings=("Mass",), seed=3))
    cases, references = CaseSet.open(tmp_path / "out"), ReferenceSet.open(tmp_path / "out")
    for case_id in cases:
        other = references.counterfactual(case_id, "Mass")
        if other is not None:
            mask = references.mask(case_id, "Mass")
            assert mask is not None and not np.any(mask & ~lung_mask())
            assert not np.any((cases.load(case_id).image != other) & ~lung_mask())


def test_a_patient_stays_on_one_side_of_the_split(healthy: Path, tmp_path: Path) -> None:
    write_planted(healthy, tmp_path / "out", PlantingPlan(copies=3))
    references = ReferenceSet.open(tmp_path / "out")
    of_patient: dict[str, set[str]] = {}
    for case_id in references:
        reference = references.get(case_id)
        of_patient.setdefault(reference.patient_id, set()).add(reference.split)
    assert of_patient == {"p0": {"train"}, "p1": {"test"}, "p2": {"val"}}


def test_a_patient_on_two_sides_is_refused(healthy: Path, tmp_path: Path) -> None:
    table = pd.read_csv(healthy / "reference.csv", keep_default_na=False)
    table.loc[0, "split"] = "test"
    table.to_csv(healthy / "reference.csv", index=False)
    with pytest.raises(PlantingError, match="'p0' stands in two splits"):
        write_planted(healthy, tmp_path / "out", PlantingPlan())
    assert not (tmp_path / "out").exists()


def test_findings_are_dealt_in_equal_numbers_within_every_split(tmp_path: Path) -> None:
    root = write_healthy_cases(tmp_path / "real", n=18, splits=False)
    plan = PlantingPlan(findings=("Mass", "Effusion", "Lung Opacity"), severities=(0.6, 0.9))
    report = write_planted(root, tmp_path / "out", plan)
    assert report.unusable == ()
    table = ReferenceSet.open(tmp_path / "out").table()
    assert [int(table[f"finding:{f}"].sum()) for f in plan.findings] == [6, 6, 6]


def test_the_seed_decides_everything(healthy: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_planted(healthy, tmp_path / name, PlantingPlan(seed=seed))
    first, again, other = (files_of(tmp_path / name) for name in "abc")
    assert first == again
    assert first["parameters.csv"] != other["parameters.csv"]


def test_parameters_are_recorded_within_the_range_asked_for(healthy: Path, tmp_path: Path) -> None:
    write_planted(healthy, tmp_path / "out", PlantingPlan(severities=(0.5, 0.6)))
    table = pd.read_csv(tmp_path / "out" / "parameters.csv", keep_default_na=False)
    planted = table[table.finding != ""]
    assert len(planted) == 6
    for row in planted.to_dict("records"):
        severity = row[f"{row['finding'].lower().replace(' ', '_')}_severity"]
        assert 0.5 <= severity <= 0.6
        assert row["side"] in ("L", "R")
        assert int(row["mask_px"]) > 0 and int(row["rim_px"]) > 0
        assert float(row["mean_change"]) > 0.01
    healthy_rows = table[table.finding == ""]
    assert (healthy_rows.filter(like="_severity") == 0).all(axis=None)


def test_an_interrupted_run_goes_on_to_the_same_end(healthy: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise Stop

    plan = PlantingPlan(seed=7)
    with pytest.raises(Stop):
        write_planted(healthy, tmp_path / "out", plan, on_progress=stop)
    assert not (tmp_path / "out" / "cases.csv").exists()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "images").iterdir()}
    write_planted(healthy, tmp_path / "out", plan)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    write_planted(healthy, tmp_path / "whole", plan)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def test_sixteen_bit_films_keep_their_depth(healthy: Path, tmp_path: Path) -> None:
    from data.manifest import sha256_of
    from data.rasterfile import read_samples

    table = pd.read_csv(healthy / "cases.csv", keep_default_na=False)
    for index, name in enumerate(table.image):
        samples = read_samples(healthy / name).astype(np.uint16) * 257
        write_png(healthy / name, samples)
        table.loc[index, "sha256"] = sha256_of(healthy / name)
    table.to_csv(healthy / "cases.csv", index=False)
    write_planted(healthy, tmp_path / "out", PlantingPlan())
    assert all(
        read_samples(path).dtype == np.uint16 for path in (tmp_path / "out" / "images").iterdir()
    )


def drop_lungs(root: Path) -> None:
    table = pd.read_csv(root / "reference.csv", keep_default_na=False)
    table.loc[1, "mask:lungs"] = ""
    table.to_csv(root / "reference.csv", index=False)


def test_films_without_a_lung_mask_stop_the_run_or_are_left_out(
    healthy: Path, tmp_path: Path
) -> None:
    drop_lungs(healthy)
    with pytest.raises(PlantingError, match=r"1 of 6 films .* no lung mask .*'real-1'"):
        write_planted(healthy, tmp_path / "out", PlantingPlan())
    report = write_planted(healthy, tmp_path / "out", PlantingPlan(skip_unusable=True))
    assert report.n_healthy == 5


def test_a_lung_mask_that_is_too_small_is_named(healthy: Path, tmp_path: Path) -> None:
    small = np.zeros((120, 150), bool)
    small[50:56, 30:40] = small[50:56, 90:100] = True
    write_png(healthy / "masks" / "real-2__lungs.png", small)
    with pytest.raises(PlantingError, match=r"'real-2': the right lung .* covers 0.3 %"):
        write_planted(healthy, tmp_path / "out", PlantingPlan())
    report = write_planted(healthy, tmp_path / "out", PlantingPlan(skip_unusable=True))
    assert report.n_healthy == 5
    assert any("real-2" in text for text in report.unusable)


def test_a_case_set_without_healthy_films_is_refused(healthy: Path, tmp_path: Path) -> None:
    table = pd.read_csv(healthy / "reference.csv", keep_default_na=False)
    table["finding:Pneumonia"] = ["1", "", "1", "", "1", "1", "1"]
    table.to_csv(healthy / "reference.csv", index=False)
    with pytest.raises(PlantingError, match="no film whose findings are all absent"):
        write_planted(healthy, tmp_path / "out", PlantingPlan())


def test_a_folder_that_holds_something_else_is_left_alone(healthy: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(CannotWrite, match="already exists"):
        write_planted(healthy, tmp_path / "out", PlantingPlan())
    with pytest.raises(CannotWrite, match="choose another folder"):
        write_planted(healthy, healthy, PlantingPlan())


def test_wrong_plans_are_refused() -> None:
    with pytest.raises(UnknownFinding, match="'Fracture' cannot be planted"):
        PlantingPlan(findings=("Fracture",))
    with pytest.raises(PlantingError, match=r"Severities run from 0\.9 to 0\.2"):
        PlantingPlan(severities=(0.9, 0.2))
    with pytest.raises(PlantingError, match="3 copies"):
        PlantingPlan(findings=("Mass",), copies=3)
    with pytest.raises(PlantingError, match="each of them once"):
        PlantingPlan(findings=())


def test_the_command_plants_and_says_what_it_passed_over(healthy: Path, tmp_path: Path) -> None:
    arguments = ["--cases", str(healthy), "--out", str(tmp_path / "out"), "--finding", "Mass"]
    done = CliRunner().invoke(command, [*arguments, "--limit", "2"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "2 films with planted (simulated) findings and 2 untouched ones" in done.output
    assert "1 films that are not free" in done.output


def test_planted_findings_may_stand_under_the_name_that_a_classifier_knows(
    healthy: Path, tmp_path: Path
) -> None:
    plan = PlantingPlan(findings=("Lung Opacity",), limit=2, called="Pneumonia")
    write_planted(healthy, tmp_path / "out", plan)
    references = ReferenceSet.open(tmp_path / "out")
    assert references.findings == ("Pneumonia",)
    for case_id in references:
        planted = references.get(case_id).findings["Pneumonia"]
        assert (references.mask(case_id, "Pneumonia") is not None) is planted
        assert (references.counterfactual(case_id, "Pneumonia") is not None) is planted
        assert "(Lung Opacity, called Pneumonia)" in references.get(case_id).source
    table = pd.read_csv(tmp_path / "out" / "parameters.csv")
    assert set(table["finding"].dropna()) == {"Lung Opacity"}
    with pytest.raises(PlantingError, match="cannot be called 'lungs'"):
        PlantingPlan(called="lungs")


def test_films_that_show_the_finding_themselves_may_stay_without_a_mask(
    healthy: Path, tmp_path: Path
) -> None:
    plan = PlantingPlan(findings=("Lung Opacity",), limit=2, called="Pneumonia", with_others=True)
    report = write_planted(healthy, tmp_path / "out", plan)
    assert (report.n_planted, report.n_healthy, report.not_healthy) == (2, 3, 0)
    references = ReferenceSet.open(tmp_path / "out")
    (own,) = (
        each
        for each in map(references.get, references)
        if each.findings["Pneumonia"] and "Pneumonia" not in each.masks
    )
    assert own.attributes["planted_into"] == "real-6"
    assert (own.source, own.established_by) == ("a clinic", "a reader")
    with pytest.raises(PlantingError, match="give it with --call"):
        PlantingPlan(with_others=True)
