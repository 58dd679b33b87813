"""The ordinal answers against R's ordinal package, where the reference cases are at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.reference.answers_ordinal import answers, parse_formula
from tests.reference.case import read_cases

FOLDER = Path(__file__).resolve().parents[5] / "shared" / "reference" / "statistics"


def _numbers(value: object) -> list[float]:
    if isinstance(value, Mapping):
        return [number for key in sorted(value) for number in _numbers(value[key])]
    if isinstance(value, (list, tuple)):
        return [number for part in value for number in _numbers(part)]
    assert isinstance(value, (int, float))
    return [float(value)]


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared reference cases are not here")
@pytest.mark.parametrize("name", ["C1_wine", "C2_study1_clmm", "C3_study2_clmm_missing"])
def test_every_check_of_the_mixed_models_is_met(name: str) -> None:
    case = next(case for case in read_cases(FOLDER) if case.id == name)
    given = answers(case)
    checks = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["checks"]
    wrong = []
    for check in checks:
        ours, theirs = _numbers(given[check["id"]]), _numbers(check["expected"])
        tol = check["tol"]
        assert len(ours) == len(theirs)
        if any(
            abs(a - b) > max(tol["abs"], tol["rel"] * abs(b))
            for a, b in zip(ours, theirs, strict=True)
        ):
            wrong.append(check["id"])
    assert not wrong


def test_a_formula_is_read_with_its_random_terms() -> None:
    formula = parse_formula("clmm(y ~ arm + period + (1+arm|reader) + (1|case)), logit")
    assert formula is not None
    assert formula.fixed == ("arm", "period")
    assert formula.random == ((("arm",), "reader"), ((), "case"))
    assert parse_formula("fixed effect") is None
