"""Parameters: deterministic, recorded in full, with the intended shares of findings."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest

from data.phantom.parameters import (
    FINDINGS,
    SEVERITY_FIELD,
    FilmParameters,
    InvalidParameters,
    sample_parameters,
    without,
)


def test_the_same_seed_and_index_give_the_same_parameters() -> None:
    assert sample_parameters(5, 17) == sample_parameters(5, 17)


def test_another_seed_or_index_gives_another_film() -> None:
    film = sample_parameters(5, 17)
    assert film != sample_parameters(5, 18)
    assert film.film_seed != sample_parameters(6, 17).film_seed


def test_every_field_survives_a_round_trip_through_csv() -> None:
    films = [sample_parameters(2, i) for i in range(20)]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(films[0].to_row()))
    writer.writeheader()
    writer.writerows(film.to_row() for film in films)
    rows = csv.DictReader(io.StringIO(text.getvalue()))
    assert [FilmParameters.from_row(row) for row in rows] == films


def test_a_row_that_lacks_a_column_is_refused_by_name() -> None:
    row = sample_parameters(0, 0).to_row()
    del row["tube_side"]
    with pytest.raises(InvalidParameters, match="tube_side"):
        FilmParameters.from_row(row)


def test_a_value_of_the_wrong_type_is_refused_by_name() -> None:
    row = {**sample_parameters(0, 0).to_row(), "exposure": "bright"}
    with pytest.raises(InvalidParameters, match="exposure"):
        FilmParameters.from_row(row)


@pytest.mark.parametrize("seed", [0, 7])
def test_findings_occur_at_about_the_stated_prevalence_and_at_most_three_at_once(seed: int) -> None:
    films = [sample_parameters(seed, i) for i in range(1000)]
    present = np.array([[film.severity(name) > 0 for name in FINDINGS] for film in films])
    assert (np.abs(present.mean(axis=0) - 0.23) < 0.05).all()
    assert present.sum(axis=1).max() == 3
    assert abs((present.sum(axis=1) == 0).mean() - 0.33) < 0.05


def test_two_hundred_and_forty_films_hold_every_finding_often_enough() -> None:
    films = [sample_parameters(1, i) for i in range(240)]
    for name in FINDINGS:
        assert 30 <= sum(film.severity(name) > 0 for film in films) <= 84


def test_chest_tubes_are_commoner_with_pneumothorax_but_do_not_decide_it() -> None:
    films = [sample_parameters(3, i) for i in range(1200)]
    ill = [film.chest_tube for film in films if film.pneumothorax_severity > 0]
    well = [film.chest_tube for film in films if film.pneumothorax_severity == 0]
    assert 0.25 < np.mean(ill) < 0.45
    assert 0.04 < np.mean(well) < 0.12


def test_healthy_hearts_overlap_with_enlarged_ones() -> None:
    films = [sample_parameters(4, i) for i in range(1000)]
    well = [film.heart_ratio for film in films if film.cardiomegaly_severity == 0]
    ill = [film.heart_ratio for film in films if film.cardiomegaly_severity > 0]
    assert min(ill) < np.percentile(well, 98)
    assert np.mean(ill) > np.mean(well) + 0.06


def test_without_changes_the_severity_of_one_finding_only() -> None:
    film = sample_parameters(1, 0, findings=("Mass", "Effusion"))
    other = without(film, "Mass")
    assert other.findings_present == ("Effusion",)
    assert dataclasses.replace(other, mass_severity=film.mass_severity) == film


def test_severities_lie_between_zero_and_one_and_positions_do_not_depend_on_presence() -> None:
    for i in range(60):
        film = sample_parameters(9, i)
        for name, field in SEVERITY_FIELD.items():
            assert 0 <= getattr(film, field) <= 1
            assert (name in film.findings_present) == (getattr(film, field) > 0)


def test_films_of_one_patient_share_the_anatomy_and_nothing_else() -> None:
    first, second = (sample_parameters(1, i, films_per_patient=2) for i in (4, 5))
    assert first.patient_id == second.patient_id
    assert first.anatomy_seed == second.anatomy_seed
    assert first.thorax_width_mm == second.thorax_width_mm
    assert first.film_seed != second.film_seed


def test_the_prevalence_of_one_finding_can_be_set() -> None:
    films = [sample_parameters(1, i, prevalence={"Mass": 0.5}) for i in range(400)]
    assert {name for film in films for name in film.findings_present} == {"Mass"}
    assert abs(np.mean([film.mass_severity > 0 for film in films]) - 0.5) < 0.08


def test_unknown_findings_and_impossible_numbers_are_refused() -> None:
    with pytest.raises(InvalidParameters, match="Fracture"):
        sample_parameters(1, 1, findings=("Fracture",))
    with pytest.raises(InvalidParameters, match="Fracture"):
        without(sample_parameters(1, 1), "Fracture")
    with pytest.raises(InvalidParameters, match="seed"):
        sample_parameters(-1, 0)
    with pytest.raises(InvalidParameters, match="prevalence"):
        sample_parameters(1, 0, prevalence=0.9)
