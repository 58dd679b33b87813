"""A folder to write in: it vanishes, and so does what a killed program left of it."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from data.scratch import replacing, scratch_folder, write_together

HOLD = """
import sys
from pathlib import Path
from data.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), ".made-") as folder:
    (folder / "film.png").write_bytes(b"half")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_program(tmp_path: Path):
    """A program in the middle of its writing."""
    program = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None and program.stdin is not None
    assert program.stdout.readline() == b"ready\n"
    yield program
    program.kill()
    program.stdin.close()
    program.stdout.close()
    program.wait()


def test_the_folder_vanishes_even_if_the_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), scratch_folder(tmp_path, ".made-") as folder:
        (folder / "film.png").write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on folders there")
def test_what_a_killed_program_left_is_removed_and_nothing_else(
    tmp_path: Path, other_program: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "kept").mkdir()
    other_program.kill()
    other_program.wait()
    assert len(list(tmp_path.iterdir())) == 2
    with scratch_folder(tmp_path, ".made-") as folder:
        assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "kept", folder])
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_folder_of_a_program_at_work_stays(
    tmp_path: Path, other_program: subprocess.Popen[bytes]
) -> None:
    with scratch_folder(tmp_path, ".made-"):
        assert len(list(tmp_path.glob(".made-*/film.png"))) == 1


def test_files_written_together_appear_all_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_together(tmp_path, {"a.csv": "old"})
    usual = Path.write_text

    def refuse(path: Path, text: str, **options: str) -> int:
        if path.name == "b.csv":
            raise OSError(errno.ENOSPC, "No space left on device")
        return usual(path, text, **options)

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OSError, match="No space"):
        write_together(tmp_path, {"a.csv": "new", "b.csv": "new"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_an_interrupted_file_leaves_the_former_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "weights.safetensors"
    with replacing(path) as fresh:
        fresh.write_bytes(b"first")
    with pytest.raises(KeyboardInterrupt), replacing(path) as fresh:
        fresh.write_bytes(b"half")
        raise KeyboardInterrupt
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == b"first"
