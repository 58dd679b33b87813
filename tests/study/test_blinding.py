"""The reading side of the study package never loads what knows the reference standard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
READING_SIDE = (
    "protocol",
    "store",
    "session",
    "steps",
    "drafts",
    "profile",
    "viewer_log",
    "rating",
    "accounts",
    "audit",
    "allocation",
    "folder",
)
HIDDEN = ("data.reference", "study.selection", "study.table", "study.analysis", "pandas")
ABSENT = ("torch", "streamlit", "explainers")


def _loaded(modules: tuple[str, ...]) -> set[str]:
    code = f"import sys, {', '.join(f'study.{m}' for m in modules)}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_the_reading_side_loads_nothing_that_knows_the_reference_standard() -> None:
    assert not _loaded(READING_SIDE) & {*HIDDEN, *ABSENT}


def test_the_whole_package_loads_neither_torch_nor_streamlit_nor_explainers() -> None:
    assert not _loaded((*READING_SIDE, "simulate", "export", "codebook")) & set(ABSENT)
