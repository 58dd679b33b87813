"""Columns of a regression from the columns of a table, with names that say what they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study.analysis.columns import natural_order
from study.analysis.estimate import AnalysisError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FixedDesign:
    """Fixed effects of a model.

    Parameters
    ----------
    matrix
        Shape (n, p), without an intercept.
    names
        Name of each column: the table's column with the level compared to the reference
        (``armB``), joined by ``:`` for an interaction.
    terms
        The term each column belongs to, as asked for.
    left_out
        Pairs (name of a column left out, why).
    """

    matrix: Array
    names: tuple[str, ...]
    terms: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]

    def columns_of(self, term: str) -> tuple[int, ...]:
        """Return the columns that belong to a term."""
        return tuple(k for k, name in enumerate(self.terms) if name == term)

    def keep(self, columns: Sequence[int]) -> FixedDesign:
        """Return the design with these columns only."""
        chosen = list(columns)
        return FixedDesign(
            self.matrix[:, chosen],
            tuple(self.names[k] for k in chosen),
            tuple(self.terms[k] for k in chosen),
            self.left_out,
        )

    def without(self, term: str) -> FixedDesign:
        """Return the design without the columns of a term."""
        return self.keep([k for k, name in enumerate(self.terms) if name != term])

    def with_intercept(self) -> FixedDesign:
        """Return the design with a first column ``(Intercept)`` of ones."""
        return FixedDesign(
            np.hstack([np.ones((len(self.matrix), 1)), self.matrix]),
            ("(Intercept)", *self.names),
            ("(Intercept)", *self.terms),
            self.left_out,
        )


def fixed_design(
    frame: pd.DataFrame, terms: Sequence[str], references: Mapping[str, str] | None = None
) -> FixedDesign:
    """Make the columns of the terms.

    Numbers enter as they are; text and yes/no columns as one column for every level but the
    reference. A column that does not vary or that the earlier ones already determine is left out
    and named in ``left_out``.

    Parameters
    ----------
    frame
        The table, n rows, no cell of the columns used missing.
    terms
        Names of columns, or interactions such as ``"condition:session"``.
    references
        Column → reference level; otherwise the first level in natural order.

    Raises
    ------
    AnalysisError
        If a column or a reference level does not exist, or a cell is missing.
    """
    blocks: list[tuple[str, str, Array]] = []
    for term in terms:
        pieces = [_columns(frame, name, references or {}) for name in term.split(":")]
        joined = pieces[0]
        for piece in pieces[1:]:
            joined = [(f"{a}:{b}", x * y) for b, y in piece for a, x in joined]
        blocks += [(term, name, values) for name, values in joined]
    kept: list[tuple[str, str, Array]] = []
    left_out: list[tuple[str, str]] = []
    basis = np.ones((len(frame), 1)) / max(np.sqrt(len(frame)), 1.0)
    for term, name, values in blocks:
        rest = values - basis @ (basis.T @ values)
        rest -= basis @ (basis.T @ rest)
        length = float(np.linalg.norm(rest))
        if length <= 1e-9 * max(float(np.linalg.norm(values)), 1e-300):
            constant = len(values) == 0 or bool((values == values[0]).all())
            why = "it does not vary" if constant else "the other terms already determine it"
            left_out.append((name, why))
            continue
        basis = np.hstack([basis, (rest / length)[:, None]])
        kept.append((term, name, values))
    matrix = np.column_stack([v for _, _, v in kept]) if kept else np.zeros((len(frame), 0))
    return FixedDesign(
        matrix, tuple(n for _, n, _ in kept), tuple(t for t, _, _ in kept), tuple(left_out)
    )


def _columns(
    frame: pd.DataFrame, name: str, references: Mapping[str, str]
) -> list[tuple[str, Array]]:
    """Return names and values of the columns of one variable."""
    if name not in frame:
        raise AnalysisError(
            f"The model asks for the column {name!r}; the table has "
            f"{', '.join(map(str, frame.columns))}."
        )
    cells = frame[name]
    if cells.isna().any():
        raise AnalysisError(
            f"Column {name!r} is missing in {int(cells.isna().sum())} rows; expected a value in "
            "every row of the model. Leave those rows out or leave the term out."
        )
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        return [(name, cells.to_numpy(float))]
    text = cells.astype(str)
    levels = natural_order(text.unique())
    reference = references.get(name, levels[0])
    if reference not in levels:
        raise AnalysisError(
            f"Column {name!r} has no level {reference!r} to compare with; it has "
            f"{', '.join(levels)}."
        )
    rest = [level for level in levels if level != reference] or [reference]
    return [(f"{name}{level}", (text == level).to_numpy(float)) for level in rest]
