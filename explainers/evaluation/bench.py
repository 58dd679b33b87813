"""The frame of the evaluation bench: what is measured on what, in resumable pieces.

A bench measures pairs of case and finding and returns long rows; the frame cuts the pairs into
chunks, keeps the rows of every chunk, and puts them together. Chunks are named by a digest of all
that decides their numbers, so that an interrupted run goes on and a changed one starts again.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    Protocol,
    TypeAlias,
    cast,
    runtime_checkable,
)

import pandas as pd

from data.manifest import CaseSet, sha256_of
from data.reference import REFERENCE_FILE, ReferenceSet
from explainers import registry
from explainers.archive import split_map_name, write_table
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.differentiation import stop_if
from explainers.networks import digests
from explainers.run import Pair

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from explainers.classifiers.base import Classifier
    from explainers.generators.base import Autoencoder

COLUMNS = ("case_id", "finding", "classifier", "method", "quantity", "x", "value")
"""Columns of the rows that a bench returns; ``x`` is the place on a curve, NaN where none."""

KEY = list(COLUMNS[:-1])
Better: TypeAlias = Literal["higher", "lower"] | None


@dataclass(frozen=True)
class Quantity:
    """What a number means: its title, its unit, and which direction is better."""

    title: str
    unit: str
    better: Better


@dataclass(frozen=True, eq=False)
class Setting:
    """What is measured.

    Parameters
    ----------
    cases
        The films.
    references
        Reference standard, or ``None`` where the case set has none.
    classifiers
        Label to network; each is measured by itself.
    networks
        Role to network, for methods that take one beside the classifier.
    oracle
        An independent classifier that no generator saw, or ``None``.
    methods
        Names of methods or of maps.
    pairs
        (case_id, finding).
    seed
        Of everything random.
    explanations
        Folder for archives of explanations, one below it per classifier.
    """

    cases: CaseSet
    references: ReferenceSet | None
    classifiers: Mapping[str, Classifier]
    networks: Mapping[str, Any]
    oracle: Classifier | None
    methods: tuple[str, ...]
    pairs: tuple[Pair, ...]
    seed: int
    explanations: Path

    @property
    def autoencoder(self) -> Autoencoder | None:
        """The autoencoder, for benches that measure what it does by itself."""
        found: Autoencoder | None = self.networks.get("autoencoder")
        return found

    def digests(self) -> Mapping[str, str]:
        """Return the digests of the autoencoder and of what else the methods take."""
        needed = registry.needed_networks(split_map_name(name)[0] for name in self.methods)
        return digests(self.networks, dict.fromkeys(("autoencoder", *needed)))

    def patients(self) -> Mapping[str, str]:
        """Case to patient; a case without a reference standard is its own patient."""
        known = self.references
        return {
            case_id: known.get(case_id).patient_id if known and case_id in known else case_id
            for case_id in dict.fromkeys(case_id for case_id, _ in self.pairs)
        }

    def simulated(self) -> bool:
        """Whether any film comes from a simulator."""
        known = self.references
        return known is not None and any(
            known.get(case_id).source.startswith(("phantom", "planted"))
            for case_id, _ in self.pairs
            if case_id in known
        )

    def description(self) -> Mapping[str, object]:
        """Return everything that decides the numbers, but for the pairs."""
        return {
            "methods": list(self.methods),
            "classifiers": {name: each.weights_digest for name, each in self.classifiers.items()},
            "networks": dict(self.digests()),
            "oracle": getattr(self.oracle, "weights_digest", None),
            "seed": self.seed,
        }


class Bench(Protocol):
    """One way to evaluate; implementations are frozen dataclasses whose fields are parameters."""

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    quantities: ClassVar[Mapping[str, Quantity]]

    def measure(
        self, setting: Setting, classifier_label: str, pairs: Sequence[Pair]
    ) -> pd.DataFrame:
        """Rows with the columns :data:`COLUMNS` for some of the setting's pairs."""
        ...

    def figures(self, table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
        """Figures of all rows and of their summary."""
        ...


@runtime_checkable
class WithOtherCases(Protocol):
    """A bench that reads reference standards beside the setting's."""

    def other_cases(self) -> tuple[Path, ...]:
        """Folders of further case sets."""
        ...


BENCHES: Mapping[str, str] = MappingProxyType(
    {
        "localisation": "explainers.evaluation.localisation_bench:LocalisationBench",
        "randomisation": "explainers.evaluation.randomisation:Randomisation",
        "robustness": "explainers.evaluation.robustness:Robustness",
        "reconstruction": "explainers.evaluation.reconstruction:Reconstruction",
        "counterfactual": "explainers.evaluation.counterfactual_quality:CounterfactualQuality",
        "faithfulness": "explainers.evaluation.faithfulness:Faithfulness",
    }
)
"""Name of a bench to ``"module:Class"``; nothing is imported before it is asked for."""


def create_bench(name: str, **parameters: object) -> Bench:
    """Make a bench with its default parameters, or some others.

    Raises
    ------
    ExplainerError
        If there is no such bench, or it has no such parameter.
    """
    if name not in BENCHES:
        raise ExplainerError(f"Unknown bench {name!r}; choose from {', '.join(BENCHES)}.")
    module, _, class_name = BENCHES[name].partition(":")
    kind = getattr(importlib.import_module(module), class_name)
    known = [each.name for each in fields(kind) if each.init and not each.name.startswith("_")]
    for parameter in parameters:
        if parameter not in known:
            raise ExplainerError(
                f"The bench {name!r} has no parameter {parameter!r}; it has "
                f"{', '.join(known) or 'none'}."
            )
    return cast(Bench, kind(**parameters))


def run_bench(
    bench: Bench,
    setting: Setting,
    out: Path,
    *,
    chunk_size: int = 8,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> pd.DataFrame:
    """Measure every pair with every classifier; what is there already is kept.

    Parameters
    ----------
    bench, setting
        What is measured, on what.
    out
        Receives ``parts/`` and ``<bench>.csv``.
    chunk_size
        Pairs per piece; an interrupted run loses at most one piece.
    on_progress
        Called with pairs done and wanted, over all classifiers.
    cancelled
        Asked between pieces.

    Returns
    -------
    DataFrame
        All rows, in the order of classifiers and pairs.

    Raises
    ------
    DataError
        If a film or mask cannot be read.
    ExplainerError
        If there is nothing to measure, or the bench cannot measure it.
    """
    if not setting.pairs:
        raise ExplainerError(
            "There is nothing to measure: no case has a finding to be explained. Choose findings "
            "with --findings."
        )
    if not setting.classifiers:
        raise ExplainerError("There is no classifier to measure; name one with --classifier.")
    fixed = _fixed(bench, setting)
    total, done = len(setting.pairs) * len(setting.classifiers), 0
    tables = []
    for label in setting.classifiers:
        for start in range(0, len(setting.pairs), chunk_size):
            stop_if(cancelled)
            pairs = setting.pairs[start : start + chunk_size]
            digest = _digest(fixed, setting, label, pairs)
            path = out / "parts" / f"{bench.name}-{digest}.csv"
            if not path.is_file() or _is_unsaved(setting, label):
                _measure(bench, setting, label, pairs, path)
            tables.append(_kept(path))  # read back, so that a resumed run has the same numbers
            done += len(pairs)
            if on_progress is not None:
                on_progress(done, total)
    filled = [table for table in tables if len(table)]
    rows = pd.concat(filled, ignore_index=True) if filled else tables[0]
    write_table(rows, out / f"{bench.name}.csv")
    return rows


def _measure(bench: Bench, setting: Setting, label: str, pairs: Sequence[Pair], path: Path) -> None:
    table = bench.measure(setting, label, pairs)
    assert list(table.columns) == list(COLUMNS), list(table.columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(table, path)


def _kept(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            path,
            dtype={name: str for name in COLUMNS[:5]},
            keep_default_na=False,
            na_values={"x": [""], "value": [""]},
        )
    except (OSError, ValueError) as error:
        raise ExplainerError(f"{path} is damaged ({error}); delete it and run again.") from error
    if list(table.columns) != list(COLUMNS):
        raise ExplainerError(f"{path} is not a part of a bench; delete it and run again.")
    return table.astype({"x": float, "value": float})


def _is_unsaved(setting: Setting, label: str) -> bool:
    """Say whether a network has no digest: what was measured with it cannot be told apart."""
    judges = (setting.classifiers[label], setting.oracle)
    unsaved = any(each is not None and not each.weights_digest for each in judges)
    return unsaved or "" in setting.digests().values()


def _fixed(bench: Bench, setting: Setting) -> Mapping[str, object]:
    """Return what decides the numbers of every chunk: bench, setting, and files beside the films.

    The other classifiers do not count, so that one more leaves the rows of the first as they are.
    """
    findings = sorted({finding for _, finding in setting.pairs})
    known = setting.references
    others = bench.other_cases() if isinstance(bench, WithOtherCases) else ()
    return {
        "bench": repr(bench),
        "setting": {
            name: value for name, value in setting.description().items() if name != "classifiers"
        },
        "references": None if known is None else reference_digest(known, findings),
        "others": [reference_digest(ReferenceSet.open(root), findings) for root in others],
    }


def reference_digest(references: ReferenceSet, findings: Iterable[str]) -> str:
    """Digest of a reference standard, its masks and its true counterfactuals of some findings.

    Parameters
    ----------
    references
        The reference standard.
    findings
        Whose files count; those of the lungs count always. A missing file is told from any other.
    """
    found = hashlib.sha256(sha256_of(references.root / REFERENCE_FILE).encode())
    names = dict.fromkeys((*findings, "lungs"))
    for case_id in references:
        each = references.get(case_id)
        for name in names:
            for path in (each.masks.get(name), each.counterfactuals.get(name)):
                if path is not None:
                    found.update((sha256_of(path) if path.is_file() else "missing").encode())
    return found.hexdigest()


def _digest(
    fixed: Mapping[str, object], setting: Setting, label: str, pairs: Sequence[Pair]
) -> str:
    decisive = {
        **fixed,
        "classifier": [label, setting.classifiers[label].weights_digest],
        "pairs": [[*pair, setting.cases.entry(pair[0]).sha256] for pair in pairs],
    }
    text = json.dumps(decisive, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
