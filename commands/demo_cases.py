"""The films of the demo: the shipped lists, and the check that they are still what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from data.phantom.parameters import FilmParameters, sample_parameters
from explainers.archive import ExplanationArchive
from study.allocation import CaseChoice
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import StudyProtocol

_LISTS: Final = Path(__file__).resolve().parents[1] / "study" / "protocols"
CASE_LIST: Final = _LISTS / "demo_cases.csv"
PRACTICE_LIST: Final = _LISTS / "demo_practice.csv"
COLUMNS: Final = ("seed", "index", "finding", "present", "severity", "probability")
FILM_SIZE_PX: Final = 512
MINIMUM_MARGIN: Final = 0.05


@dataclass(frozen=True)
class DemoCase:
    """One line of a shipped list.

    Parameters
    ----------
    case_id
        The case's name in the study; says nothing about the film.
    seed, index
        The film is ``sample_parameters(seed, index)``.
    finding
        What the shipped classifier claims.
    present
        Whether the film has it.
    severity
        Severity of the finding, 0 if absent; checked against the simulator.
    probability
        The shipped classifier's probability when the list was made.
    """

    case_id: str
    seed: int
    index: int
    finding: str
    present: bool
    severity: float
    probability: float

    @property
    def choice(self) -> CaseChoice:
        """The case as it is allocated; strata are opaque letters, stored nowhere."""
        return CaseChoice(self.case_id, self.finding, "ab"[self.present])

    def parameters(self) -> FilmParameters:
        """Return the film's parameters.

        Raises
        ------
        StudyError
            If the simulator no longer draws the severity that the list names.
        """
        drawn = sample_parameters(self.seed, self.index)
        severity = drawn.severity(self.finding)
        if abs(severity - self.severity) > 1e-6:
            raise StudyError(
                f"Demo case {self.case_id} should have {self.finding} of severity "
                f"{self.severity:.3f}, but this simulator draws {severity:.3f}. "
                "Make a new list with `counterlight select-demo`."
            )
        return drawn


def read_case_list(protocol: StudyProtocol, path: Path = CASE_LIST) -> tuple[DemoCase, ...]:
    """Return the first true and false positives of each finding, as many as the protocol reads.

    Returns
    -------
    tuple of DemoCase
        In the order of their names, ``ph-000000`` and on, as the films are to be written.

    Raises
    ------
    StudyError
        If the list is missing or too short.
    """
    table, plan = _table(path), protocol.cases
    rows = []
    for finding in plan.findings:
        for present, n_wanted in ((1, plan.n_true_positives), (0, plan.n_false_positives)):
            found = table[(table["finding"] == finding) & (table["present"] == present)]
            if len(found) < n_wanted:
                raise StudyError(
                    f"{path.name} has {len(found)} cases of {finding} with present = {present}; "
                    f"{n_wanted} are needed. Make a longer list with `counterlight select-demo`."
                )
            rows.append(found.head(n_wanted))
    chosen = pd.concat(rows).to_dict("records")
    return tuple(_case(n, row) for n, row in enumerate(sorted(chosen, key=_shuffled)))


def read_practice_list(
    protocol: StudyProtocol, first_number: int, path: Path = PRACTICE_LIST
) -> tuple[DemoCase, ...]:
    """Return the films of the protocol's practice cases, in its order.

    Parameters
    ----------
    first_number
        Number of the first film's name: the number of the study's cases, which are written first.

    Raises
    ------
    StudyError
        If the list is missing, or does not hold what the protocol practises.
    """
    rows = _table(path).to_dict("records")
    films = tuple(_case(first_number + n, row) for n, row in enumerate(rows))
    wanted = [(each.finding, each.subset == "true_positive") for each in protocol.practice]
    if [(film.finding, film.present) for film in films] != wanted:
        raise StudyError(
            f"{path.name} lists {len(films)} films, which are not the {len(wanted)} practice cases "
            "of the protocol in its order. Make a new list with `counterlight select-demo`."
        )
    return films


def check_predictions(folder: StudyFolder, cases: Sequence[DemoCase]) -> None:
    """Check that every case is still a positive of the shipped classifier, with a margin.

    Raises
    ------
    StudyError
        Naming the first case whose probability is below 0.5 + margin.
    """
    table = ExplanationArchive(folder.explanations).predictions()
    found = table.set_index(["case_id", "finding"])["probability"]
    for case in cases:
        probability = float(found.loc[(case.case_id, case.finding)])
        if probability < 0.5 + MINIMUM_MARGIN - 1e-9:
            raise StudyError(
                f"Demo case {case.case_id} should be a positive of {case.finding} with probability "
                f"{case.probability:.3f}, but the classifier now says {probability:.3f}. "
                "Make a new list with `counterlight select-demo`."
            )


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise StudyError(
            f"The demo's case list {path.name} is missing; make it with `counterlight select-demo`."
        )
    return pd.read_csv(path)


def _case(number: int, row: Mapping[Hashable, object]) -> DemoCase:
    return DemoCase(
        case_id=f"ph-{number:06d}",
        seed=int(str(row["seed"])),
        index=int(str(row["index"])),
        finding=str(row["finding"]),
        present=str(row["present"]) == "1",
        severity=float(str(row["severity"])),
        probability=float(str(row["probability"])),
    )


def _shuffled(row: Mapping[Hashable, object]) -> bytes:
    """Key of an order that follows neither the findings nor the truth."""
    return hashlib.sha256(f"{row['seed']}/{row['index']}".encode()).digest()
