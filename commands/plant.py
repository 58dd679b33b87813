"""``counterlight plant``: blend simulated findings into real healthy films."""

from __future__ import annotations

from pathlib import Path

import click

from commands.progress import progress_bar
from data.planted.recipe import MAX_SEVERITY, MIN_SEVERITY, PLANTABLE
from data.planting import PlantingPlan, write_planted

_SEVERITY = click.FloatRange(MIN_SEVERITY, MAX_SEVERITY)
_N_LISTED = 5


@click.command("plant")
@click.option(
    "--cases",
    required=True,
    type=click.Path(path_type=Path),
    help="Case set with films free of every finding and with mask:lungs.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Case set to create.")
@click.option(
    "--finding",
    "findings",
    multiple=True,
    metavar="NAME",
    help=f"What to plant; repeatable.  [default: {', '.join(PLANTABLE)}]",
)
@click.option("--severity", nargs=2, type=_SEVERITY, default=(0.3, 1.0), show_default=True)
@click.option(
    "--copies",
    default=1,
    show_default=True,
    type=click.IntRange(1, len(PLANTABLE)),
    help="Copies of each healthy film, each with another finding; the film itself stays, too.",
)
@click.option("--limit", type=click.IntRange(1), help="Use so many healthy films.")
@click.option(
    "--call",
    "called",
    default="",
    metavar="NAME",
    help="One name for all of them in reference.csv, as that of a finding a classifier knows.",
)
@click.option(
    "--with-others",
    is_flag=True,
    help="Keep films that show the finding of --call themselves, as they are and without a mask.",
)
@click.option("--skip-unusable", is_flag=True, help="Leave out films without a usable lung mask.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def command(
    cases: Path,
    out: Path,
    findings: tuple[str, ...],
    severity: tuple[float, float],
    copies: int,
    limit: int | None,
    called: str,
    with_others: bool,
    skip_unusable: bool,
    seed: int,
) -> None:
    """Plant simulated findings into the lungs of real films that show none.

    Gives exact masks and, as true counterfactuals, the untouched films. The findings are simulated
    and marked so. An interrupted run goes on where it stopped.
    """
    plan = PlantingPlan(
        findings=findings or PLANTABLE,
        severities=severity,
        copies=copies,
        seed=seed,
        limit=limit,
        skip_unusable=skip_unusable,
        called=called,
        with_others=with_others,
    )
    with progress_bar("films") as advance:
        report = write_planted(cases, out, plan, on_progress=advance)
    click.echo(
        f"{report.n_planted} films with planted (simulated) findings and {report.n_healthy} "
        f"untouched ones in {out} (cases.csv, reference.csv, parameters.csv)"
    )
    if report.not_healthy:
        click.echo(f"{report.not_healthy} films that are not free of every finding passed over.")
    if report.unusable:
        click.echo(f"{len(report.unusable)} films or findings left out:")
        for problem in report.unusable[:_N_LISTED]:
            click.echo(f"  {problem}")
