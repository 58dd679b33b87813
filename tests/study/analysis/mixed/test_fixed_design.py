"""Columns of a regression from a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from study.analysis.estimate import AnalysisError
from study.analysis.mixed.fixed_design import fixed_design

FRAME = pd.DataFrame(
    {
        "condition": ["A", "B", "C", "A", "B", "C"],
        "session": ["1", "1", "1", "2", "2", "2"],
        "iou": [0.1, 0.2, 0.3, 0.4, 0.5, 0.7],
        "same": ["x"] * 6,
    }
)


def test_levels_are_compared_to_the_reference_and_products_named_by_both() -> None:
    design = fixed_design(FRAME, ["condition", "iou", "condition:iou"], {"condition": "B"})
    assert design.names == ("conditionA", "conditionC", "iou", "conditionA:iou", "conditionC:iou")
    assert design.columns_of("condition:iou") == (3, 4)
    assert np.array_equal(design.matrix[:, 0], [1, 0, 0, 1, 0, 0])
    assert np.allclose(design.matrix[:, 4], FRAME["iou"] * (FRAME["condition"] == "C"))


def test_what_does_not_vary_or_is_already_there_is_left_out_with_a_reason() -> None:
    frame = FRAME.assign(twice=2 * FRAME["iou"])
    design = fixed_design(frame, ["iou", "same", "twice"])
    assert design.names == ("iou",)
    assert dict(design.left_out) == {
        "samex": "it does not vary",
        "twice": "the other terms already determine it",
    }


def test_a_term_can_be_taken_out_and_an_intercept_put_in() -> None:
    design = fixed_design(FRAME, ["condition", "session"])
    assert design.without("condition").names == ("session2",)
    assert design.with_intercept().names[0] == "(Intercept)"


def test_missing_cells_columns_and_levels_are_refused() -> None:
    with pytest.raises(AnalysisError, match="asks for the column 'order'"):
        fixed_design(FRAME, ["order"])
    with pytest.raises(AnalysisError, match="missing in 1 rows"):
        fixed_design(FRAME.assign(iou=[None, 1, 2, 3, 4, 5]), ["iou"])
    with pytest.raises(AnalysisError, match="no level 'D'"):
        fixed_design(FRAME, ["condition"], {"condition": "D"})
