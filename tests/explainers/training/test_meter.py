"""The meter learns what it is shown, says what it cannot read, and comes back from the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explainers.base import ExplainerError
from explainers.stylespace.meter import Meter, ReadingQuality, build_meter, load_meter, save_meter
from explainers.stylespace.readings import READINGS, readings_by_name, true_values
from explainers.training.films import Films
from explainers.training.loop import LoopSettings
from explainers.training.meter import evaluate_meter, r_squared, train_meter

KNOWN = readings_by_name()
PAIR = (KNOWN["exposure"], KNOWN["chest_tube"])


def _table(n: int) -> pd.DataFrame:
    dice = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "exposure": dice.uniform(-1, 1, n),
            "chest_tube": np.where(dice.random(n) < 0.5, "True", "False"),
            "heart_ratio_healthy": 0.45,
            "heart_ratio": 0.6,
            "mass_severity": 0.7,
        },
        index=pd.Index([f"c{i}" for i in range(n)], name="case_id"),
    )


def _films(table: pd.DataFrame, *, simulated: bool = True) -> Films:
    """Films whose brightness is the exposure and whose dark stripes show the tube."""
    n = len(table)
    images = np.zeros((n, 16, 16), np.uint8)
    images[:] = (120 + 80 * table["exposure"].to_numpy()).astype(np.uint8)[:, None, None]
    images[(table["chest_tube"] == "True").to_numpy(), :, ::4] = 0
    ids = table.index.to_numpy().astype(str)
    return Films(
        ("Mass",), images, np.zeros((n, 16, 16), np.uint16), np.zeros((n, 1), np.float32), ids,
        ids, np.array((["train"] * 4 + ["val", "test"]) * (n // 6)), np.full(n, -1), "d",
        ("made up",), simulated,
    )  # fmt: skip


def test_a_meter_reads_what_a_film_shows(tmp_path: Path) -> None:
    table = _table(180)
    films = _films(table)
    settings = LoopSettings(epochs=12, batch_size=24, learning_rate=3e-3, half_precision=False)
    meter, _ = train_meter(films, table, settings, tmp_path, clock=lambda: 0.0, readings=PAIR)
    exposure, tube = evaluate_meter(meter, films, table)
    assert exposure.score > 0.5 and tube.score > 0.8


def test_a_meter_comes_back_from_the_disk_and_knows_what_it_can_read(tmp_path: Path) -> None:
    quality = [ReadingQuality("exposure", 0.49, 1.0, 9), ReadingQuality("chest_tube", 0.81, 1.0, 9)]
    ends = np.zeros(2, np.float32), np.ones(2, np.float32)
    save_meter(tmp_path / "m.safetensors", Meter(build_meter(2), PAIR, *ends, (16, 16), quality))
    back = load_meter(tmp_path / "m.safetensors")
    assert back.quality == tuple(quality) and back.readable == (1,)
    assert [reading.name for reading in back.readings] == ["exposure", "chest_tube"]


def test_a_film_without_its_finding_has_no_severity_and_a_healthy_heart() -> None:
    names = ("mass_severity", "mass_present", "heart_ratio")
    readings = [KNOWN[name] for name in names]
    values = true_values(_table(3), ["c0", "c1", "c2"], ["", "Mass", "Cardiomegaly"], readings)
    expected = [[0.7, 1, 0.6], [0, 0, 0.6], [0.7, 1, 0.45]]
    assert values == pytest.approx(np.array(expected, np.float32))


def test_a_meter_refuses_films_that_no_simulator_made_and_tables_that_lack_a_column(
    tmp_path: Path,
) -> None:
    table = _table(60)
    settings = LoopSettings(epochs=1, batch_size=24)
    with pytest.raises(ExplainerError, match="not all simulated"):
        train_meter(_films(table, simulated=False), table, settings, tmp_path, clock=lambda: 0.0)
    with pytest.raises(ExplainerError, match="lacks the column"):
        train_meter(_films(table), table, settings, tmp_path, clock=lambda: 0.0)
    with pytest.raises(ExplainerError, match="one and the same value"):
        train_meter(
            _films(table), table, settings, tmp_path, clock=lambda: 0.0,
            readings=(KNOWN["mass_severity"],),
        )  # fmt: skip


def test_r_squared_is_one_for_the_truth_and_zero_for_its_mean() -> None:
    true = np.array([1.0, 2, 3])
    assert r_squared(true, true) == 1 and r_squared(np.full(3, 2.0), true) == 0


def test_readings_have_unique_names_and_columns_of_the_simulator() -> None:
    from data.phantom.parameters import sample_parameters

    row = sample_parameters(0, 0).to_row()
    assert len({reading.name for reading in READINGS}) == len(READINGS)
    assert {reading.column for reading in READINGS} <= set(row)
