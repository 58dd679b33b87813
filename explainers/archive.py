"""Explanations on disk: written once by the batch run, read by pages that know no torch.

Layout::

    <root>/predictions.csv
    <root>/<method>/<case_id>__<finding>/record.json
                                        /frames/000.png …   (films, toggles: grey PNG, lossless)
                                        /values.npy         (attribution: float16)

``values.npy`` holds the attribution divided by ``scale`` of ``record.json`` (its largest absolute
value), so that half precision keeps 11 bits of every magnitude. A record appears whole or not at
all: it is written beside its place and then moved there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.case import slug
from data.scratch import replacing, scratch_folder
from explainers.base import ExplainerError
from explainers.record import (
    MAP_KINDS,
    Attribution,
    Explanation,
    MapKind,
    Prediction,
    Provenance,
    Toggles,
)
from explainers.recordfile import (
    PIXEL_TYPES,
    RECORD_FILE,
    CorruptRecord,
    NotInArchive,
    corrupt,
    is_complete,
    parse_record,
    read_explanation,
    write_explanation,
)

__all__ = [
    "CorruptRecord",
    "ExplanationArchive",
    "NotInArchive",
    "finding_slug",
    "split_map_name",
    "write_table",
]

PREDICTION_COLUMNS = ("case_id", "finding", "logit", "probability", "weights_digest")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ExplanationArchive:
    """A folder of explanations.

    Parameters
    ----------
    root
        The folder; made when the first explanation is saved.
    frame_bits
        16 (default) or 8 bits per pixel for the frames of counterfactuals.
    """

    root: Path
    frame_bits: Literal[8, 16] = 16

    def __post_init__(self) -> None:
        if self.frame_bits not in PIXEL_TYPES:
            raise ExplainerError(f"Frames have 8 or 16 bits; {self.frame_bits} was given.")
        object.__setattr__(self, "root", Path(self.root))

    # -- explanations ------------------------------------------------------------------------

    def folder(self, case_id: str, finding: str, method: str) -> Path:
        """Return where an explanation lies (or would lie).

        Raises
        ------
        ExplainerError
            If a name holds characters that do not belong into a path.
        """
        case = _checked(case_id, "case")
        return self.root / _checked(method, "method") / f"{case}__{finding_slug(finding)}"

    def save(self, explanation: Explanation, provenance: Provenance) -> Path:
        """Write an explanation and how it came about; an older one of the same place is replaced.

        Returns
        -------
        Path
            The folder written.

        Raises
        ------
        ExplainerError
            If explanation and provenance name different findings, if the place is taken by a
            finding of almost the same name, or if the disk refuses (full, read only); nothing
            half-written stays.
        """
        if explanation.finding != provenance.finding:
            raise ExplainerError(
                f"An explanation of {explanation.finding!r} cannot be saved as one of "
                f"{provenance.finding!r}."
            )
        target = self.folder(provenance.case_id, provenance.finding, provenance.method)
        self._refuse_namesake(target, provenance)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with scratch_folder(target.parent, ".saving-") as scratch:
                fresh = scratch / "fresh"
                fresh.mkdir()
                write_explanation(fresh, explanation, provenance, self.frame_bits)
                _move_into_place(fresh, target, scratch / "replaced")
        except OSError as error:
            raise ExplainerError(
                f"The explanation could not be written to {target}: {error.strerror or error}. "
                "Free some space or choose another folder, then run the command again; "
                "what was finished is kept."
            ) from error
        return target

    def _refuse_namesake(self, target: Path, provenance: Provenance) -> None:
        """Refuse to replace another finding whose name gives the same folder."""
        try:
            self._record(provenance.case_id, provenance.finding, provenance.method)
        except CorruptRecord:
            return
        except NotInArchive as error:
            if (target / RECORD_FILE).is_file():
                raise ExplainerError(str(error)) from error

    def has(self, case_id: str, finding: str, method: str, digest: str | None = None) -> bool:
        """Say whether an explanation is there; with ``digest``, whether it is that very one.

        A record that is damaged or lacks a file counts as absent, so that a rerun replaces it.

        Parameters
        ----------
        digest
            :attr:`Provenance.digest` of the explanation wanted.
        """
        try:
            record = self._record(case_id, finding, method)
        except (NotInArchive, CorruptRecord):
            return False
        if digest is not None and record["digest"] != digest:
            return False
        return is_complete(self.folder(case_id, finding, method), record)

    def load(self, case_id: str, finding: str, method: str) -> Explanation:
        """Read an explanation.

        Raises
        ------
        NotInArchive
            If it has not been computed.
        CorruptRecord
            If its files are damaged; the sentence names the file.
        """
        record = self._record(case_id, finding, method)
        return read_explanation(self.folder(case_id, finding, method), record, finding)

    def load_map(self, case_id: str, finding: str, map_name: str) -> NDArray[np.float32]:
        """Read an explanation as one map.

        Parameters
        ----------
        map_name
            A method that makes attributions (``"input_gradients"``), or a method that makes films
            with the way to reduce them (``"latent_shift-max"``).

        Returns
        -------
        ndarray
            (H, W), float32; signed for attributions, ≥ 0 for films.

        Raises
        ------
        NotInArchive, CorruptRecord
            As :meth:`load`.
        ExplainerError
            If the name is that of a film and does not say how to reduce it, or the method makes
            pictures to switch between.
        """
        method, kind = split_map_name(map_name)
        explanation = self.load(case_id, finding, method)
        if isinstance(explanation, Attribution):
            if kind is not None:
                raise ExplainerError(
                    f"{method!r} gives one map, not several; say {method!r} instead of "
                    f"{map_name!r}."
                )
            return explanation.values
        if isinstance(explanation, Toggles):
            raise ExplainerError(
                f"{method!r} makes pictures to switch between and no map; name a method that "
                "makes maps or films."
            )
        if kind is None:
            choices = ", ".join(f"{method}-{each}" for each in MAP_KINDS)
            raise ExplainerError(f"{map_name!r} is a film; name one of its maps: {choices}.")
        return explanation.to_attribution(kind)

    def provenance(self, case_id: str, finding: str, method: str) -> Provenance:
        """Read how an explanation came about; raises as :meth:`load` does."""
        record = self._record(case_id, finding, method)
        try:
            return Provenance(**record["provenance"])
        except TypeError as error:
            path = self.folder(case_id, finding, method) / RECORD_FILE
            raise corrupt(path, f"its provenance is wrong ({error})") from error

    def pairs(self, method: str) -> tuple[tuple[str, str], ...]:
        """Return (case_id, finding) of everything that ``method`` has explained, sorted.

        Raises
        ------
        CorruptRecord
            If a record cannot be read.
        """
        found = []
        for path in (self.root / _checked(method, "method")).glob(f"*/{RECORD_FILE}"):
            held = parse_record(path)["provenance"]
            found.append((str(held.get("case_id")), str(held.get("finding"))))
        return tuple(sorted(found))

    def _record(self, case_id: str, finding: str, method: str) -> dict[str, Any]:
        """Read the record of an explanation and check that it is of this one."""
        path = self.folder(case_id, finding, method) / RECORD_FILE
        if not path.is_file():
            raise NotInArchive(
                f"There is no explanation of {finding!r} by {method!r} for case {case_id!r} in "
                f"{self.root}; run `counterlight explain` for it."
            )
        record = parse_record(path)
        held = record["provenance"]
        wanted = {"case_id": case_id, "finding": finding, "method": method}
        if any(held.get(name) != value for name, value in wanted.items()):
            raise NotInArchive(
                f"{path} holds {held.get('finding')!r} of case {held.get('case_id')!r} by "
                f"{held.get('method')!r}, not {finding!r} of case {case_id!r} by {method!r}; two "
                "names that give one file name cannot share an archive. Rename one of them."
            )
        return record

    # -- predictions -------------------------------------------------------------------------

    @property
    def predictions_path(self) -> Path:
        """Where the predictions lie."""
        return self.root / "predictions.csv"

    def save_predictions(self, rows: Iterable[Prediction]) -> None:
        """Write predictions; those already there for the same case and finding are replaced.

        Raises
        ------
        ExplainerError
            If the disk refuses; the former file is then untouched.
        CorruptRecord
            If the former file is damaged.
        """
        records = [asdict(row) for row in rows]
        if self.predictions_path.exists():
            records = self.predictions().to_dict("records") + records
        table = pd.DataFrame.from_records(records, columns=list(PREDICTION_COLUMNS))
        table = table.drop_duplicates(["case_id", "finding"], keep="last")
        write_table(table.sort_values(["case_id", "finding"]), self.predictions_path)

    def predictions(self) -> pd.DataFrame:
        """Read the predictions: case_id, finding, logit, probability, weights_digest.

        Raises
        ------
        NotInArchive
            If no predictions have been written.
        CorruptRecord
            If the file cannot be read or lacks a column.
        """
        path = self.predictions_path
        try:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
        except FileNotFoundError as error:
            raise NotInArchive(f"There is no {path}; run `counterlight explain` first.") from error
        except (OSError, ValueError) as error:
            raise _damaged_table(path, str(error).split("\n")[0]) from error
        missing = [name for name in PREDICTION_COLUMNS if name not in table.columns]
        if missing:
            raise _damaged_table(path, f"it lacks the column {missing[0]!r}")
        table = table[list(PREDICTION_COLUMNS)]
        try:  # not by pandas, whose parser may be off by one in the last digit
            numbers = {
                name: np.array([float(text) for text in table[name]], float)
                for name in ("logit", "probability")
            }
        except ValueError as error:
            raise _damaged_table(path, f"a logit or probability is no number ({error})") from error
        return table.assign(**numbers)


def finding_slug(finding: str) -> str:
    """Return the spelling of a finding in file names: ``"Lung Opacity"`` to ``"Lung-Opacity"``.

    Raises
    ------
    ExplainerError
        If no letter or digit is left.
    """
    name = slug(finding)
    if not name.strip("-"):
        raise ExplainerError(f"{finding!r} cannot be the name of a finding; it has no letter.")
    return name


def split_map_name(map_name: str) -> tuple[str, MapKind | None]:
    """Split ``"latent_shift-max"`` into method and kind; a bare method has no kind."""
    method, dash, kind = map_name.rpartition("-")
    if dash and kind in MAP_KINDS:
        return method, cast(MapKind, kind)
    return map_name, None


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a CSV whole or not at all.

    Raises
    ------
    ExplainerError
        If the disk refuses; a former file is then untouched.
    """
    try:
        with replacing(path) as fresh:
            table.to_csv(fresh, index=False, lineterminator="\n", encoding="utf-8")
    except OSError as error:
        raise ExplainerError(
            f"{path} could not be written: {error.strerror or error}. "
            "Free some space or choose another folder, then run the command again."
        ) from error


def _damaged_table(path: Path, problem: str) -> CorruptRecord:
    """Build the error for damaged predictions; only a person may throw them away."""
    return CorruptRecord(
        f"{path} is damaged: {problem}. Delete it and run `counterlight explain` again."
    )


def _move_into_place(fresh: Path, target: Path, aside: Path) -> None:
    """Put a finished folder where it belongs; the one before it comes back if that fails."""
    if not target.exists():
        os.replace(fresh, target)
        return
    os.replace(target, aside)
    try:
        os.replace(fresh, target)
    except OSError:
        os.replace(aside, target)
        raise


def _checked(name: str, what: str) -> str:
    """Return ``name`` if it may be part of a path."""
    if not _NAME.fullmatch(name):
        raise ExplainerError(
            f"{name!r} cannot be the name of a {what}: letters, digits and . _ - are allowed, "
            "beginning with a letter, a digit or _."
        )
    return name
