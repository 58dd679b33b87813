"""The shipped lists of the demo's films."""

from __future__ import annotations

import pandas as pd
import pytest

from commands.demo_cases import (
    CASE_LIST,
    COLUMNS,
    MINIMUM_MARGIN,
    PRACTICE_LIST,
    read_case_list,
    read_practice_list,
)
from study.errors import StudyError
from study.protocol import load_protocol, shipped_protocol

DEMO = load_protocol(shipped_protocol("demo"))


def test_the_practice_films_are_further_films_of_the_kinds_that_the_protocol_practises() -> None:
    cases, practice = read_case_list(DEMO), read_practice_list(DEMO, 48)
    assert [case.case_id for case in cases] == [f"ph-{n:06d}" for n in range(48)]
    assert [case.case_id for case in practice] == ["ph-000048", "ph-000049"]
    studied = set(zip(*[pd.read_csv(CASE_LIST)[name] for name in ("seed", "index")], strict=True))
    for case, plan in zip(practice, DEMO.practice, strict=True):
        assert (case.seed, case.index) not in studied
        assert (case.finding, case.present) == (plan.finding, plan.subset == "true_positive")
        assert case.probability >= 0.5 + MINIMUM_MARGIN
        assert (case.finding in case.parameters().findings_present) == case.present
        assert case.choice.finding == plan.finding


def test_both_lists_have_the_same_columns() -> None:
    for path in (CASE_LIST, PRACTICE_LIST):
        assert tuple(pd.read_csv(path).columns) == COLUMNS


def test_a_practice_list_that_is_missing_or_of_another_protocol_is_refused(tmp_path) -> None:
    with pytest.raises(StudyError, match="is missing; make it with"):
        read_practice_list(DEMO, 48, tmp_path / "none.csv")
    other = DEMO.model_copy(update={"practice": DEMO.practice[::-1]})
    with pytest.raises(StudyError, match="which are not the 2 practice cases"):
        read_practice_list(other, 48)
