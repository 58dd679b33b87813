"""Fixtures of the study's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.support.any_design import make_design
from tests.support.small_study import Small, choices_of, make_small, small_protocol


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    study = make_small(tmp_path)
    yield study
    study.store.close()


@pytest.fixture
def make_study(tmp_path: Path) -> Iterator[Callable[..., Small]]:
    """Make a small study of two items; closed at the end."""
    made: list[Small] = []

    def make(**design: object) -> Small:
        made.append(make_small(tmp_path / str(len(made)), **design))
        return made[-1]

    yield make
    for study in made:
        study.store.close()


@pytest.fixture
def make_any(tmp_path: Path) -> Iterator[Callable[..., Small]]:
    """Make a study of any design, with consent, practice and closing; closed at the end."""
    made: list[Small] = []

    def make(kind: str = "crossover", **design: object) -> Small:
        made.append(make_design(tmp_path / f"any{len(made)}", kind, **design))
        return made[-1]

    yield make
    for study in made:
        study.store.close()


@pytest.fixture
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reference standard and predictions that agree with :func:`choices_of`."""
    protocol = small_protocol()
    choices = choices_of(protocol)
    reference = pd.DataFrame({"case_id": [c.case_id for c in choices]})
    for finding in protocol.cases.findings:
        reference[f"finding:{finding}"] = [
            (1.0 if c.stratum == "x" else 0.0) if c.finding == finding else float("nan")
            for c in choices
        ]
    predictions = pd.DataFrame(
        {
            "case_id": [c.case_id for c in choices],
            "finding": [c.finding for c in choices],
            "probability": [0.6 + 0.01 * n for n in range(len(choices))],
        }
    )
    return reference, predictions
