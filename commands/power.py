"""``counterlight power``: how many readers and cases a study needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path

import click
import pandas as pd

from commands.power_parts import line_of, plan_key, read_parts, usable
from commands.progress import progress_bar
from study.analysis.estimate import AnalysisError
from study.analysis.power.methods import METHODS, method_of
from study.analysis.power.simulate import PartResult, PowerPlan, run_parts, sample_size, summarise
from study.analysis.power.studies import (
    PUBLISHED_CONFIDENCE,
    PUBLISHED_FEATURE,
    TYPICAL,
    StudyModel,
)
from study.analysis.power.table import power_table

_PRESETS = {
    "typical": TYPICAL,
    "published-confidence": PUBLISHED_CONFIDENCE,
    "published-feature": PUBLISHED_FEATURE,
}
_SHOWN = ["method", "readers", "cases", "power", "low", "high", "formula_power", "ceiling"]


@click.command("power")
@click.option("--readers", default="4,8", show_default=True, help="Numbers of readers.")
@click.option("--cases", default="40,80,120", show_default=True, help="Numbers of cases.")
@click.option(
    "--preset",
    default="typical",
    show_default=True,
    type=click.Choice(list(_PRESETS)),
    help="Populations of readers and cases to start from.",
)
@click.option("--effect", type=float, help="Latent shift between the conditions.")
@click.option("--cuts", help="Rising cut points of the scale on the latent scale, with commas.")
@click.option("--reader-sd", type=float, help="Between readers.")
@click.option("--case-sd", type=float, help="Between cases.")
@click.option("--reader-case-sd", type=float, help="Of readers' views of a case.")
@click.option("--reader-condition-sd", type=float, help="Between readers' own effects: the floor.")
@click.option("--case-condition-sd", type=float, help="Between cases' own effects.")
@click.option("--residual-sd", type=float, help="Of repeated ratings.")
@click.option("--period", type=float, help="Latent shift in the second session.")
@click.option("--missing", type=float, help="Share of missing ratings.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice([m.id for m in METHODS]),
    help="Test; repeatable. Without it, those offered as confirmatory and the pooled one.",
)
@click.option("--studies", default=1000, show_default=True, help="Simulated studies of each size.")
@click.option("--alpha", default=0.05, show_default=True, help="Two-sided level.")
@click.option("--seed", default=1, show_default=True, help="Of the random numbers.")
@click.option(
    "--target",
    type=float,
    help="Also find the fewest cases, up to the largest of --cases, that reach this power.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table as CSV here; what is done is kept beside it and not simulated again.",
)
def command(
    readers: str,
    cases: str,
    preset: str,
    cuts: str | None,
    methods: tuple[str, ...],
    studies: int,
    alpha: float,
    seed: int,
    target: float | None,
    out: Path | None,
    **numbers: float | None,
) -> None:
    """Simulate studies of several sizes and count how often each test rejects.

    Numbers are on the latent scale of the impression behind a rating. The table says whom each test
    speaks for, its power with a Monte-Carlo interval, the power by formula where there is one, and
    the ceiling that the variance between readers sets.
    """
    plan = PowerPlan(
        model_of(preset, cuts, numbers),
        methods or tuple(m.id for m in METHODS if m.role != "descriptive" and not m.slow),
        _whole_numbers("--readers", readers),
        _whole_numbers("--cases", cases),
        studies,
        alpha,
        seed,
    )
    results = simulate(plan, out.with_suffix(".parts.jsonl") if out else None)
    table = power_table(plan, summarise(plan, results))
    if out is not None:
        _write(table, out)
        click.echo(f"Table in {out}", err=True)
    click.echo(f"Populations: {plan.model.source}.")
    click.echo(f"Effect: {plan.model.expected_difference():.3g} points of the rating scale.\n")
    shown = table[_SHOWN].copy()
    for column in shown.select_dtypes("floating"):
        shown[column] = ["" if pd.isna(v) else f"{v:.3f}" for v in shown[column]]
    click.echo(shown.to_string(index=False))
    click.echo("")
    for name in plan.methods:
        method = method_of(name)
        click.echo(f"{name}: {method.label}. Speaks for: {method.speaks_for}. Role: {method.role}.")
    if target is not None:
        click.echo("")
        for sentence in sizes_for(plan, target):
            click.echo(sentence)


def sizes_for(plan: PowerPlan, target: float) -> list[str]:
    """Find, in steps of five cases, what each test needs with each number of readers.

    Parameters
    ----------
    plan
        What is simulated; the largest number of its cases is the limit.
    target
        Power to be reached.
    """
    steps = tuple(range(5, max(plan.cases) + 1, 5))
    said = []
    with progress_bar("sample size", len(plan.methods) * len(plan.readers)) as advance:
        for name in plan.methods:
            for readers in plan.readers:
                wanted = replace(plan, methods=(name,), readers=(readers,), cases=steps)
                found = sample_size(wanted, power=target)
                head = f"{name}, {readers} readers, power {target:g}: "
                said.append(
                    head + (found.note if found.n_cases is None else f"{found.n_cases} cases.")
                )
                advance(len(said), len(plan.methods) * len(plan.readers))
    return said


def model_of(preset: str, cuts: str | None, numbers: dict[str, float | None]) -> StudyModel:
    """Return a preset with what was given in its place.

    Parameters
    ----------
    preset
        Its name.
    cuts
        Cut points with commas, or ``None``.
    numbers
        Further fields of :class:`~study.analysis.power.studies.StudyModel`; ``None``: as in the
        preset.
    """
    model = _PRESETS[preset]
    known = {field.name for field in fields(StudyModel)}
    given: dict[str, object] = {
        name: value for name, value in numbers.items() if value is not None and name in known
    }
    if cuts is not None:
        given["cuts"] = _numbers("--cuts", cuts)
    if not given:
        return model
    said = ", ".join(f"{name} {value}" for name, value in given.items())
    given["source"] = f"{model.source}; changed: {said}"
    return replace(model, **given)  # type: ignore[arg-type]  # names and types are its own fields


def simulate(plan: PowerPlan, parts_file: Path | None) -> list[PartResult]:
    """Run a plan with a progress bar, leaving out what the file of parts already has."""
    key = plan_key(plan)
    results = usable(plan, read_parts(parts_file).get(key, [])) if parts_file else []
    done = {r.part for r in results}
    try:
        with (
            parts_file.open("a", encoding="utf-8") if parts_file else nullcontext() as file,
            progress_bar("batch") as advance,
        ):
            for result in run_parts(plan, done=done, on_progress=advance):
                results.append(result)
                if file is not None:
                    file.write(line_of(key, result))
                    file.flush()
    except OSError as error:
        raise AnalysisError(
            f"{parts_file} cannot be written ({error.strerror}); choose another --out."
        ) from error
    return results


def _write(table: pd.DataFrame, out: Path) -> None:
    try:
        table.to_csv(out, index=False)
    except OSError as error:
        raise AnalysisError(
            f"{out} cannot be written ({error.strerror}); choose another --out."
        ) from error


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise AnalysisError(
            f"{option} {text!r} is not a list of numbers; expected, for example, 4,8."
        ) from error


def _whole_numbers(option: str, text: str) -> tuple[int, ...]:
    values: Sequence[float] = _numbers(option, text)
    if not values or any(value != int(value) for value in values if abs(value) < 1e9):
        raise AnalysisError(f"{option} {text!r}: expected whole numbers, for example 4,8.")
    return tuple(int(min(value, 1e9)) for value in values)
