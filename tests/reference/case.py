"""One reference case: what is asked about which data, without the answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Check:
    """One question.

    Parameters
    ----------
    id
        Its name, by which an answer is looked up.
    recipe
        How the number is defined, in words.
    """

    id: str
    recipe: str


@dataclass(frozen=True)
class ReferenceCase:
    """A data set with questions.

    Parameters
    ----------
    id
        Name of the case.
    folder
        Where its data lie.
    data
        Name of the CSV file, or ``None`` if the numbers are in ``setup``.
    columns, setup
        As in the case's file.
    checks
        The questions; the expected answers are not read at all.
    """

    id: str
    folder: Path
    data: str | None
    columns: Mapping[str, str]
    setup: Any
    checks: tuple[Check, ...]

    def table(self, name: str | None = None) -> pd.DataFrame:
        """Return the data as they are in the file (``name`` for another file of the folder)."""
        file = name or self.data
        if file is None:
            raise ValueError(f"Case {self.id!r} has no data file; its numbers are in its setup.")
        return pd.read_csv(self.folder / file)


def read_cases(folder: Path) -> tuple[ReferenceCase, ...]:
    """Return the cases of a folder, by file name."""
    cases = []
    for path in sorted(folder.glob("*.json")):
        if path.name == "MANIFEST.json":
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        cases.append(
            ReferenceCase(
                id=content["id"],
                folder=folder,
                data=content.get("data"),
                columns=content.get("columns") or {},
                setup=content.get("setup"),
                checks=tuple(
                    Check(check["id"], check.get("recipe") or "") for check in content["checks"]
                ),
            )
        )
    return tuple(cases)
