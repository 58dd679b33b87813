"""The bench ``localisation``: do maps point to where the finding is?

Beside the methods stand ``chance`` (a map that ranks pixels at random) and ``mask_prior`` (the mean
of the masks of other patients with the finding): what a method is worth is the surplus over both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.raster import resize
from data.reference import ReferenceSet
from explainers.archive import ExplanationArchive, split_map_name
from explainers.base import ExplainerError
from explainers.evaluation.bench import COLUMNS, Pair, Quantity, Setting
from explainers.evaluation.localisation_measures import (
    MAX_MASK_SHARE,
    PERCENTILES,
    Regions,
    measures,
    regions,
)
from explainers.evaluation.maps import map_names
from explainers.run import explain_cases

if TYPE_CHECKING:
    import plotly.graph_objects as go

CHANCE = "chance"
PRIOR = "mask_prior"
MASKS = "(masks)"
"""Method of rows that tell of the masks and of no map."""

PRIOR_SIDE = 128

Q = Quantity
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "iou": Q("IoU at matched area", "share", "higher"),
        "precision": Q("Precision at matched area (equals recall)", "share", "higher"),
        **{
            f"{name}_p{each:g}": Q(f"{title} above percentile {each:g}", "share", "higher")
            for name, title in (("iou", "IoU"), ("precision", "Precision"), ("recall", "Recall"))
            for each in PERCENTILES
        },
        "auprc": Q("Area under the precision-recall curve", "share", "higher"),
        "ncc": Q("Correlation of |map| and mask (NCC)", "from −1 to 1", "higher"),
        "pointing": Q("Pointing game: maximum within 3 % of the width", "share", "higher"),
        "share_inside": Q("Share of |map| inside the mask", "share", "higher"),
        "share_rim": Q("Share of |map| in the rim (10 mm; 2.5 % of the width)", "share", None),
        "share_other_lung": Q("Share of |map| in the other lung", "share", "lower"),
        "mask_share": Q("Share of the film that the mask covers", "share", None),
        "left_out": Q("Left out: no mask, or an empty one", "share", None),
        "too_large": Q("Left out: mask larger than half the film", "share", None),
    }
)


@dataclass(frozen=True)
class LocalisationBench:
    """Maps against masks.

    Parameters
    ----------
    prior_cases
        Case set whose masks make the prior; by default the one evaluated, all patients but the
        patient measured.
    """

    name: ClassVar[str] = "localisation"
    title: ClassVar[str] = "Localisation"
    description: ClassVar[str] = (
        "Absolute values of maps are compared with masks at the film's resolution, by rank; ties "
        "count by expectation. chance ranks pixels at random. mask_prior is the mean mask of all "
        "other patients with the finding, in the case set evaluated or in the one given with "
        "--prior-cases. The other lung comes from the lung mask, else it is the other half of "
        "the film; findings on both sides have none. The rim is 10 mm wide where the pixel "
        "spacing is known, else 2.5 % of the film's width. Pairs without a mask, or whose mask "
        "covers more than half the film, are left out and counted."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = QUANTITIES

    prior_cases: Path | None = None
    _sums: dict[tuple[str, str], MaskSums] = field(default_factory=dict, repr=False, compare=False)

    def measure(
        self, setting: Setting, classifier_label: str, pairs: Sequence[Pair]
    ) -> pd.DataFrame:
        """Explain some pairs where that has not been done, and measure their maps.

        Raises
        ------
        DataError
            If a film or mask cannot be read.
        ExplainerError
            If there is no reference standard, or a method cannot be run.
        """
        references = setting.references
        if references is None or not references.mask_names:
            raise ExplainerError(
                "Localisation needs masks, and the case set has none; choose one with mask: "
                "columns in its reference.csv."
            )
        names = map_names(setting.methods)
        rows: list[tuple[object, ...]] = []
        usable: dict[Pair, NDArray[np.bool_]] = {}
        for pair in pairs:
            mask = read_finding_mask(references, *pair)
            share = 0.0 if mask is None else float(mask.mean())
            cells = {"left_out": float(share == 0), "too_large": float(share > MAX_MASK_SHARE)}
            if mask is not None and 0 < share <= MAX_MASK_SHARE:
                usable[pair] = mask
                cells["mask_share"] = share
            rows += _rows(pair, classifier_label, MASKS, cells)
        archive = ExplanationArchive(setting.explanations / classifier_label)
        explain_cases(
            setting.cases,
            usable,
            tuple(dict.fromkeys(split_map_name(name)[0] for name in names)),
            archive,
            classifier=setting.classifiers[classifier_label],
            networks=setting.networks,
        )
        for pair, mask in usable.items():
            around = _regions(setting, references, pair[0], mask)
            maps = {name: archive.load_map(*pair, name) for name in names}
            prior = self._prior(references, *pair)
            references_of = {CHANCE: np.zeros(mask.shape, np.float32)}
            if prior is not None:
                references_of[PRIOR] = prior
            for name, values in (references_of | maps).items():
                found = _chance(around) if name == CHANCE else measures(values, around)
                rows += _rows(pair, classifier_label, name, found)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def figures(self, table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
        """Draw the main measures, and precision and recall at percentiles."""
        from explainers.evaluation.localisation_tables import draw

        return draw(summary)

    def tables(self, setting: Setting, rows: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
        """Return ``table1`` (as the paper's), ``against_prior`` (paired), and what is left out.

        Raises
        ------
        ExplainerError
            If no pair had a mask that can be used.
        """
        from explainers.evaluation.localisation_tables import against_prior, left_out, table1

        found = {"table1": table1(setting, rows), "against_prior": against_prior(setting, rows)}
        missing = left_out(rows)
        return found | ({"left_out": missing} if len(missing) else {})

    def other_cases(self) -> tuple[Path, ...]:
        """Return the case set of the prior where it is not the one evaluated."""
        return () if self.prior_cases is None else (self.prior_cases,)

    def _prior(
        self, references: ReferenceSet, case_id: str, finding: str
    ) -> NDArray[np.float32] | None:
        """Mean mask of the finding in other patients, ``None`` where there is none."""
        own = references.root.resolve()
        root = own if self.prior_cases is None else self.prior_cases.resolve()
        key = (str(root), finding)
        if key not in self._sums:
            others = references if root == own else ReferenceSet.open(root)
            self._sums[key] = MaskSums.read(others, finding)
        patient = references.get(case_id).patient_id
        return self._sums[key].mean_without(patient if root == own else None)


@dataclass(frozen=True, eq=False)
class MaskSums:
    """Sums of the masks of a finding by patient, on a grid of 128 × 128.

    Parameters
    ----------
    sums
        Patient to the sum of their masks, (128, 128).
    counts
        Patient to the number of masks.
    """

    sums: Mapping[str, NDArray[np.float64]]
    counts: Mapping[str, int]

    @classmethod
    def read(cls, references: ReferenceSet, finding: str) -> MaskSums:
        """Read every mask of a finding that is neither empty nor larger than half the film."""
        sums: dict[str, NDArray[np.float64]] = {}
        counts: dict[str, int] = {}
        for case_id in references:
            mask = read_finding_mask(references, case_id, finding)
            if mask is None or not 0 < mask.mean() <= MAX_MASK_SHARE:
                continue
            patient = references.get(case_id).patient_id
            small = resize(mask.astype(np.float32), (PRIOR_SIDE, PRIOR_SIDE)).astype(np.float64)
            sums[patient] = sums.get(patient, 0.0) + small
            counts[patient] = counts.get(patient, 0) + 1
        return cls(sums, counts)

    def mean_without(self, patient: str | None) -> NDArray[np.float32] | None:
        """Mean over all masks but those of one patient; ``None`` where none is left."""
        others = [each for each in self.sums if each != patient]
        if not others:
            return None
        total = np.sum([self.sums[each] for each in others], axis=0)
        mean: NDArray[np.float32] = total / sum(self.counts[each] for each in others)
        return mean.astype(np.float32)


def read_finding_mask(
    references: ReferenceSet, case_id: str, finding: str
) -> NDArray[np.bool_] | None:
    """Read the mask of a pair, ``None`` where the case set knows none."""
    return references.mask(case_id, finding) if case_id in references else None


def _regions(
    setting: Setting, references: ReferenceSet, case_id: str, mask: NDArray[np.bool_]
) -> Regions:
    entry = setting.cases.entry(case_id)
    if mask.shape != (entry.rows, entry.columns):
        raise ExplainerError(
            f"The mask of case {case_id!r} has {mask.shape[0]} × {mask.shape[1]} pixels, its film "
            f"{entry.rows} × {entry.columns}; give masks of the film's size."
        )
    return regions(mask, references.mask(case_id, "lungs"), entry.pixel_spacing_mm)


def _chance(around: Regions) -> Mapping[str, float]:
    """Measure a map that says nothing: constant, which every measure treats as random order."""
    return measures(np.ones(around.mask.shape, np.float32), around)


def _rows(
    pair: Pair, classifier: str, method: str, cells: Mapping[str, float]
) -> list[tuple[object, ...]]:
    return [(*pair, classifier, method, name, float("nan"), value) for name, value in cells.items()]
