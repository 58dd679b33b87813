"""Crossed random effects: their designs, and the linear algebra that their pattern makes cheap.

The grouping factor with the most levels (the cases) enters as a block-diagonal matrix; all others
(the readers, a condition slope over readers) are few and enter as one dense matrix; the two meet in
a Schur complement. Nothing of the size of all levels squared is ever formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, sparse

from study.analysis.estimate import AnalysisError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """Random coefficients of one grouping factor, such as ``(1 + condition | reader)``.

    Parameters
    ----------
    name
        The factor, e.g. ``"reader"``.
    codes
        Shape (n,), the level of each row, 0 … levels − 1, every level occurring.
    levels
        Names of the levels.
    design
        Shape (n, q), what the coefficients multiply; a column of ones for an intercept.
    columns
        Names of the q columns.
    correlated
        Whether the q coefficients of a level may be correlated.
    """

    name: str
    codes: NDArray[np.intp]
    levels: tuple[str, ...]
    design: Array
    columns: tuple[str, ...]
    correlated: bool = True

    @cached_property
    def positions(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the free entries of the Cholesky factor, diagonal first in a row."""
        q = len(self.columns)
        if not self.correlated:
            return tuple((r, r) for r in range(q))
        return tuple((r, c) for c in range(q) for r in range(c, q))

    def cholesky(self, parameters: Array) -> Array:
        """Return the lower-triangular factor (q, q) of the coefficients' covariance."""
        q = len(self.columns)
        factor = np.zeros((q, q))
        for value, (r, c) in zip(parameters, self.positions, strict=True):
            factor[r, c] = value
        return factor


def random_term(
    name: str,
    labels: ArrayLike,
    design: ArrayLike | None = None,
    columns: Sequence[str] = ("(Intercept)",),
    *,
    correlated: bool = True,
) -> RandomTerm:
    """Make a :class:`RandomTerm` from labels.

    Parameters
    ----------
    name
        The factor.
    labels
        Shape (n,), any labels.
    design
        Shape (n, q) or ``None`` for an intercept alone.
    columns
        q names.
    correlated
        Whether the coefficients of a level may be correlated.

    Raises
    ------
    AnalysisError
        If a label is missing or the shapes do not fit.
    """
    codes, levels = pd.factorize(np.asarray(labels), sort=True)
    if (codes < 0).any():
        raise AnalysisError(
            f"{int((codes < 0).sum())} rows have no {name}; expected one in every row. Leave those "
            "rows out."
        )
    n = len(codes)
    Z = np.ones((n, 1)) if design is None else np.asarray(design, dtype=float)
    if Z.shape != (n, len(columns)):
        raise AnalysisError(
            f"The random term {name!r} has a design of shape {Z.shape} and {len(columns)} column "
            f"names for {n} rows; expected shape ({n}, {len(columns)})."
        )
    return RandomTerm(
        name, codes.astype(np.intp), tuple(map(str, levels)), Z, tuple(columns), correlated
    )


@dataclass(frozen=True, eq=False)
class Cross:
    """Z'WZ in blocks: ``block`` (G, q, q), ``mixed`` (G, q, m), ``dense`` (m, m)."""

    block: Array
    mixed: Array
    dense: Array


@dataclass(frozen=True, eq=False)
class Factor:
    """A factorisation of H = I + Λ'Z'WZΛ.

    Parameters
    ----------
    inverse
        Shape (G, q, q), inverses of the diagonal blocks.
    carried
        Shape (G, q, m), those times the off-diagonal blocks.
    schur_inverse
        Shape (m, m), inverse of the Schur complement.
    log_det
        log |H|.
    """

    inverse: Array
    carried: Array
    schur_inverse: Array
    log_det: float

    def solve(self, block: Array, dense: Array) -> tuple[Array, Array]:
        """Return H⁻¹ r for r given as ``block`` (G, q, k) and ``dense`` (m, k)."""
        right = dense - np.einsum("gqm,gqk->mk", self.carried, block)
        x_dense = self.schur_inverse @ right
        x_block = self.inverse @ block - self.carried @ x_dense
        return x_block, x_dense


@dataclass(frozen=True, eq=False)
class RandomEffects:
    """All random terms of a model.

    Parameters
    ----------
    terms
        The terms, in the order of their parameters.
    n
        Rows.
    main
        Index of the term that enters block-diagonally.
    """

    terms: tuple[RandomTerm, ...]
    n: int
    main: int

    @cached_property
    def others(self) -> tuple[int, ...]:
        """Indices of the terms that enter densely."""
        return tuple(k for k in range(len(self.terms)) if k != self.main)

    @property
    def block_term(self) -> RandomTerm:
        """The term that enters block-diagonally."""
        return self.terms[self.main]

    @cached_property
    def indicator(self) -> sparse.csr_array:
        """Shape (G, n): which rows belong to which level of the block term."""
        codes = self.block_term.codes
        data = (np.ones(self.n), (codes, np.arange(self.n)))
        return sparse.csr_array(data, shape=(len(self.block_term.levels), self.n))

    @cached_property
    def dense_design(self) -> Array:
        """Shape (n, m): the designs of the other terms, level by level."""
        parts = [np.zeros((self.n, 0))]
        for k in self.others:
            term = self.terms[k]
            q = len(term.columns)
            wide = np.zeros((self.n, len(term.levels) * q))
            for j in range(q):
                wide[np.arange(self.n), term.codes * q + j] = term.design[:, j]
            parts.append(wide)
        return np.hstack(parts)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First column of each of the :attr:`others` in the dense design, and the total."""
        sizes = [len(self.terms[k].levels) * len(self.terms[k].columns) for k in self.others]
        return tuple(int(s) for s in np.concatenate([[0], np.cumsum(sizes)]))

    @cached_property
    def n_parameters(self) -> int:
        """Number of variance parameters."""
        return sum(len(term.positions) for term in self.terms)

    def split(self, parameters: Array) -> list[Array]:
        """Return the parameters of each term."""
        ends = np.cumsum([len(term.positions) for term in self.terms])[:-1]
        return np.split(np.asarray(parameters, dtype=float), ends)

    def factors(self, parameters: Array) -> tuple[Array, Array]:
        """Return Λ: (q, q) of the block term and (m, m) of the dense ones."""
        small = [
            term.cholesky(p) for term, p in zip(self.terms, self.split(parameters), strict=True)
        ]
        wide = [np.kron(np.eye(len(self.terms[k].levels)), small[k]) for k in self.others]
        return small[self.main], linalg.block_diag(*wide) if wide else np.zeros((0, 0))

    def cross(self, weights: Array) -> Cross:
        """Return Z'WZ for weights of shape (n,)."""
        Z = self.block_term.design
        E = self.dense_design
        G, q, m = len(self.block_term.levels), Z.shape[1], E.shape[1]
        wZ = Z * weights[:, None]
        block = self.indicator @ (wZ[:, :, None] * Z[:, None, :]).reshape(self.n, q * q)
        mixed = self.indicator @ (wZ[:, :, None] * E[:, None, :]).reshape(self.n, q * m)
        return Cross(block.reshape(G, q, q), mixed.reshape(G, q, m), E.T @ (E * weights[:, None]))

    def project(self, values: Array) -> tuple[Array, Array]:
        """Return Z' values for values (n, k): ``block`` (G, q, k) and ``dense`` (m, k)."""
        Z = self.block_term.design
        k = values.shape[1]
        wide = (Z[:, :, None] * values[:, None, :]).reshape(self.n, -1)
        block = (self.indicator @ wide).reshape(len(self.block_term.levels), Z.shape[1], k)
        return block, self.dense_design.T @ values

    def predict(self, block: Array, dense: Array) -> Array:
        """Return Z b of shape (n,) for ``block`` (G, q) and ``dense`` (m,)."""
        term = self.block_term
        return (term.design * block[term.codes]).sum(axis=1) + self.dense_design @ dense


def assemble(terms: Sequence[RandomTerm]) -> RandomEffects:
    """Put random terms together.

    Raises
    ------
    AnalysisError
        If there is no term, or terms have different numbers of rows.
    """
    if not terms or len({len(term.codes) for term in terms}) != 1:
        raise AnalysisError(
            f"A mixed model was given {len(terms)} random terms; expected at least one, all with "
            "the same number of rows."
        )
    sizes = [len(term.levels) * len(term.columns) for term in terms]
    return RandomEffects(tuple(terms), len(terms[0].codes), int(np.argmax(sizes)))


def factorise(cross: Cross, block_factor: Array, dense_factor: Array) -> Factor:
    """Factorise H = I + Λ'Z'WZΛ.

    Parameters
    ----------
    cross
        Z'WZ.
    block_factor, dense_factor
        Λ from :meth:`RandomEffects.factors`.

    Raises
    ------
    numpy.linalg.LinAlgError
        If H is not positive definite (weights not positive).
    """
    q, m = block_factor.shape[0], dense_factor.shape[0]
    H_block = np.eye(q) + block_factor.T @ cross.block @ block_factor
    H_mixed = block_factor.T @ cross.mixed @ dense_factor
    H_dense = np.eye(m) + dense_factor.T @ cross.dense @ dense_factor
    if q == 1:
        inverse: Array = 1.0 / H_block
        log_det = float(np.log(H_block).sum())
    else:
        inverse = np.asarray(np.linalg.inv(H_block), dtype=float)
        log_det = float(np.linalg.slogdet(H_block)[1].sum())
    carried = inverse @ H_mixed
    if m == 0:
        return Factor(inverse, carried, np.zeros((0, 0)), log_det)
    schur = H_dense - np.einsum("gqm,gqk->mk", H_mixed, carried)
    lower = np.linalg.cholesky(schur)
    schur_inverse = linalg.cho_solve((lower, True), np.eye(m))
    return Factor(
        inverse, carried, schur_inverse, log_det + 2 * float(np.log(np.diag(lower)).sum())
    )
