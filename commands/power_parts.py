"""The file in which a long simulation keeps the parts that are done, so that it can go on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from study.analysis.estimate import AnalysisError
from study.analysis.power.simulate import Part, PartResult, PowerPlan, Rate


def plan_key(plan: PowerPlan) -> str:
    """Return a digest of everything that decides the numbers of a batch, sizes left out."""
    model = replace(plan.model, source="")
    said = repr((model, plan.alpha, plan.seed)) + repr((plan.held, plan.methods))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def read_parts(path: Path) -> dict[str, list[PartResult]]:
    """Return the parts on file by the key of their plan; a torn line is left out.

    Raises
    ------
    AnalysisError
        If the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise AnalysisError(
            f"{path} cannot be read as parts of a simulation ({error}); name another file."
        ) from error
    done: dict[str, list[PartResult]] = {}
    for line in lines:
        found = _part_of(line)
        if found is not None:
            done.setdefault(found[0], []).append(found[1])
    return done


def line_of(key: str, result: PartResult) -> str:
    """Return one part as a line for the file."""
    entry = {
        "run": key,
        "part": [result.part.n_readers, result.part.n_cases, result.part.batch],
        "rates": {name: [rate.n_rejected, rate.n_studies] for name, rate in result.rates},
    }
    return json.dumps(entry) + "\n"


def usable(plan: PowerPlan, results: list[PartResult]) -> list[PartResult]:
    """Return the parts that belong to a plan and are complete in it."""
    wanted = set(plan.parts)
    return [r for r in results if r.part in wanted and _size(r) == plan.studies_of(r.part)]


def _size(result: PartResult) -> int:
    return result.rates[0][1].n_studies if result.rates else 0


def _part_of(line: str) -> tuple[str, PartResult] | None:
    try:
        entry = json.loads(line)
        readers, cases, batch = (int(n) for n in entry["part"])
        rates = tuple(
            (str(name), Rate(int(hits), int(n))) for name, (hits, n) in entry["rates"].items()
        )
        return str(entry["run"]), PartResult(Part(readers, cases, batch), rates)
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None
