"""``counterlight demo``: the embedded study, from nothing to a page in the browser."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import pandas as pd

from commands.prepare import SignInCode, prepare_study
from commands.progress import progress_bar
from commands.serve import serve
from data.phantom.parameters import FilmParameters, sample_parameters
from data.phantom.write import write_phantoms
from explainers.archive import ExplanationArchive
from explainers.registry import names
from study.accounts import Accounts
from study.allocation import CaseChoice
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import StudyProtocol, load_protocol, shipped_protocol
from study.protocol_toml import to_toml

CASE_LIST = Path(__file__).resolve().parents[1] / "study" / "protocols" / "demo_cases.csv"
FILM_SIZE_PX = 512
MINIMUM_MARGIN = 0.05
SIZES = ("48", "240")


@dataclass(frozen=True)
class DemoCase:
    """One line of the shipped case list.

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


@click.command("demo")
@click.option("--cases", "n_cases", type=click.Choice(SIZES), default="48", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Default: var/demo or var/demo-240.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--serve/--no-serve", "serves", default=True, show_default=True)
@click.option(
    "--explore",
    "more_cases",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Further case set for the explorer; may be repeated (`serve --cases`).",
)
def command(
    n_cases: str, out: Path | None, port: int, serves: bool, more_cases: tuple[Path, ...]
) -> None:
    """Prepare the demo study of simulated films once, then serve it.

    Everything in it is simulated. An interrupted preparation goes on where it stopped.
    """
    folder = StudyFolder(out or Path("var") / ("demo" if n_cases == "48" else f"demo-{n_cases}"))
    if not folder.database.exists():
        codes = prepare_demo(folder, int(n_cases))
        _keep_codes(folder, codes)
    for line in sign_in_codes(folder):
        click.echo(line)
    if serves:
        serve(folder.root, port=port, more_cases=more_cases)


def prepare_demo(folder: StudyFolder, n_cases: int) -> tuple[SignInCode, ...]:
    """Render the shipped case list, check it, explain it and freeze the demo study.

    Raises
    ------
    StudyError
        If a film is no longer the true or false positive that the list says it is.
    """
    protocol = demo_protocol(n_cases)
    cases = read_case_list(protocol)
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.protocol.write_text(to_toml(protocol), encoding="utf-8")
    with progress_bar("simulated films", len(cases)) as advance:
        write_phantoms(
            folder.cases,
            n=len(cases),
            size=FILM_SIZE_PX,
            seed=cases[0].seed,
            processes=os.cpu_count() or 1,
            on_progress=advance,
            parameters=[case.parameters() for case in cases],
        )
    # Strata are opaque letters: what they stand for is not stored with the allocation.
    choices = [CaseChoice(case.case_id, case.finding, "ab"[case.present]) for case in cases]
    codes = prepare_study(
        folder,
        protocol,
        classifier="phantom-classifier",
        autoencoder="phantom-autoencoder",
        choices=choices,
        check=lambda: check_predictions(folder, cases),
    )
    return codes


def demo_protocol(n_cases: int) -> StudyProtocol:
    """Return the demo protocol for 48 or 240 cases."""
    protocol = load_protocol(shipped_protocol("demo"), known_methods=names())
    per_finding = n_cases // len(protocol.cases.findings)
    return protocol.model_copy(
        update={"cases": protocol.cases.model_copy(update={"per_finding": per_finding})}
    )


def read_case_list(protocol: StudyProtocol, path: Path = CASE_LIST) -> tuple[DemoCase, ...]:
    """Return the first true and false positives of each finding, as many as the protocol reads.

    Raises
    ------
    StudyError
        If the list is missing or too short.
    """
    if not path.is_file():
        raise StudyError(
            f"The demo's case list {path.name} is missing; make it with `counterlight select-demo`."
        )
    table = pd.read_csv(path)
    plan = protocol.cases
    rows = []
    for finding in plan.findings:
        for present, n_wanted in (
            (1, plan.per_finding - plan.n_false_positives),
            (0, plan.n_false_positives),
        ):
            found = table[(table["finding"] == finding) & (table["present"] == present)]
            if len(found) < n_wanted:
                raise StudyError(
                    f"{path.name} has {len(found)} cases of {finding} with present = {present}; "
                    f"{n_wanted} are needed. Make a longer list with `counterlight select-demo`."
                )
            rows.append(found.head(n_wanted))
    chosen = pd.concat(rows).to_dict("records")
    return tuple(
        DemoCase(
            case_id=f"ph-{n:06d}",
            seed=int(row["seed"]),
            index=int(row["index"]),
            finding=str(row["finding"]),
            present=bool(row["present"]),
            severity=float(row["severity"]),
            probability=float(row["probability"]),
        )
        for n, row in enumerate(sorted(chosen, key=_shuffled))
    )


def _shuffled(row: Mapping[Hashable, object]) -> bytes:
    """Key of an order that follows neither the findings nor the truth."""
    return hashlib.sha256(f"{row['seed']}/{row['index']}".encode()).digest()


def check_predictions(folder: StudyFolder, cases: tuple[DemoCase, ...]) -> None:
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


def sign_in_codes(folder: StudyFolder) -> list[str]:
    """Return one line for each person of the demo; new codes if the kept ones are lost."""
    kept = _codes_file(folder)
    if not kept.is_file():
        accounts, now = Accounts(folder.database), datetime.now(UTC)
        _keep_codes(
            folder,
            tuple(
                SignInCode(each.label, accounts.reissue(each.account_id, now))
                for each in accounts.accounts()
            ),
        )
    return kept.read_text(encoding="utf-8").splitlines()


def _codes_file(folder: StudyFolder) -> Path:
    """Where the demo keeps its codes. A real study shows them once and keeps none."""
    return folder.root / "sign-in-codes.txt"


def _keep_codes(folder: StudyFolder, codes: tuple[SignInCode, ...]) -> None:
    text = "".join(f"{each.who:<14} {each.code}\n" for each in codes)
    path = _codes_file(folder)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
