"""``counterlight shortcut``: the films, the numbers and the tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from click.testing import CliRunner

from commands.shortcut import command
from data.manifest import CaseSet


def test_films_numbers_and_tables_are_written(tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path), "--films", "1", "--processes", "1"]
    arguments += ["--methods", "input_gradients,latent_shift"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert len(CaseSet.open(tmp_path / "films").case_ids) == 1
    rows = pd.read_csv(tmp_path / "shortcut.csv")
    assert set(rows["classifier"]) == {"autoencoder", "phantom-classifier", "phantom-shortcut"}
    assert (tmp_path / "shortcut.summary.csv").is_file()
    assert "| latent_shift-max | phantom-shortcut |" in done.stdout
    assert "of the tube's contrast" in done.stdout
