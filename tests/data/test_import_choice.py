"""Import of some of a manifest's rows, and of masks drawn in several files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from commands.importing import command
from data.csvfile import InvalidTable
from data.importing import ImportRefused, import_manifest
from data.incoming import ManifestReading
from data.manifest import CaseSet
from data.raster import write_png
from data.reference import ReferenceSet

Table = Callable[..., Path]


@pytest.fixture
def manifest(tmp_path: Path, ramp: np.ndarray, write_table: Table) -> Path:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        write_png(tmp_path / "in" / name, ramp)
    for index in range(2):
        mask = np.zeros(ramp.shape, bool)
        mask[5:10, 10 * index : 10 * index + 5] = True
        write_png(tmp_path / "in" / f"m{index}.png", mask)
    header = ("image", "case_id", "source", "mask:Mass", "finding:Mass")
    rows = [
        ("a.png", "a", "here", "m0.png; m1.png", "1"),
        ("b.png", "b", "there", "m0.png;gone.png", "yes and no"),
        ("c.png", "c", "here", "", "0"),
    ]
    return write_table(tmp_path / "in" / "manifest.csv", header, *rows)


def test_only_the_rows_asked_for_are_read(manifest: Path, tmp_path: Path) -> None:
    import_manifest(manifest, tmp_path / "out", reading=ManifestReading(where={"source": "here"}))
    assert set(CaseSet.open(tmp_path / "out")) == {"a", "c"}


def test_a_mask_in_several_files_is_their_union(manifest: Path, tmp_path: Path) -> None:
    import_manifest(manifest, tmp_path / "out", reading=ManifestReading(where={"source": "here"}))
    mask = ReferenceSet.open(tmp_path / "out").mask("a", "Mass")
    assert mask is not None
    assert (int(mask.sum()), mask[5, 0], mask[5, 10], mask[5, 7]) == (50, True, True, False)


def test_a_missing_part_of_a_mask_is_named(manifest: Path, tmp_path: Path) -> None:
    reading = ManifestReading(where={"case_id": "b"}, positive=("yes and no",))
    with pytest.raises(ImportRefused, match=r"row 3, column mask:Mass: 'gone\.png' does not exist"):
        import_manifest(manifest, tmp_path / "out", reading=reading)


def test_a_choice_that_no_row_meets_is_refused(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="no row with source=nowhere"):
        import_manifest(
            manifest, tmp_path / "out", reading=ManifestReading(where={"source": "nowhere"})
        )
    with pytest.raises(InvalidTable, match="no column 'hospital'"):
        import_manifest(
            manifest, tmp_path / "out", reading=ManifestReading(where={"hospital": "x"})
        )


def test_the_command_chooses_rows(manifest: Path, tmp_path: Path) -> None:
    arguments = [str(manifest), "--out", str(tmp_path / "out"), "--where", "source=here"]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.output.count("2 films imported") == 1
    wrong = CliRunner().invoke(command, [*arguments, "--where", "source"])
    assert "'source' is no mapping; expected COLUMN=TEXT" in " ".join(wrong.output.split())
