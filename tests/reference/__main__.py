"""Answers of our analysis to a folder of reference cases.

``python -m tests.reference DIR --out results.json`` writes ``{case: {check: answer}}`` in the form
that the folder's ``check.py`` compares. Which function answers follows from the names of the
checks; the expected values are never read.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.reference.case import ReferenceCase, read_cases

AREAS = ("paired", "clustered", "ordinal", "regression", "agreement", "mrmc", "others")
"""Modules ``answers_<area>``; each has ``answers(case) -> {check id: value}``."""


def answer(case: ReferenceCase) -> Mapping[str, object]:
    """Return what our analysis says to every check that some area knows."""
    asked = {check.id for check in case.checks}
    given: dict[str, object] = {}
    for area in AREAS:
        answers: Callable[[ReferenceCase], Mapping[str, object]]
        answers = importlib.import_module(f"tests.reference.answers_{area}").answers
        given |= {name: value for name, value in answers(case).items() if name in asked}
    return {check.id: given.get(check.id) for check in case.checks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    results = {}
    for case in read_cases(given.folder):
        results[case.id] = answer(case)
        n_answered = sum(value is not None for value in results[case.id].values())
        print(f"{case.id}: {n_answered} of {len(case.checks)} answered", file=sys.stderr)
    given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
