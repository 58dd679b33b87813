"""``counterlight audit``: check that a study's record was not changed."""

from __future__ import annotations

from pathlib import Path

import click

from study.audit import verify
from study.folder import StudyFolder


class _WithDefault(click.Group):
    """A group whose first command may be left out: ``audit STUDY`` is ``audit verify STUDY``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["verify", *args]
        return super().parse_args(ctx, args)


@click.group("audit", cls=_WithDefault)
def command() -> None:
    """Check the record of a study; `audit STUDY` is short for `audit verify STUDY`."""


@command.command("verify")
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.option(
    "--head",
    metavar="HASH",
    help="Head noted down earlier; finds events that are missing at the end since then.",
)
def verify_command(study_dir: Path, head: str | None) -> None:
    """Verify the hash chain of STUDY and print its head; exit code 1 if anything was changed."""
    report = verify(StudyFolder.open(study_dir).database, head=head)
    for problem in report.problems:
        click.echo(problem)
    state = "intact" if report.intact else "NOT intact"
    click.echo(f"{report.n_events} events, {state}. Head: {report.head}")
    if not report.intact:
        raise click.exceptions.Exit(1)
