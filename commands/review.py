"""``counterlight review``: experts judge what the dimensions of a generator change."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from data.scratch import write_together
from pages.outcome.review_table import headline, review_page
from pages.parts.review_display import animation_ends
from study.audit import verify
from study.errors import StudyError
from study.export import to_csv
from study.folder import StudyFolder
from study.review.names import settle_name
from study.review.results import ReviewResults, gather_review
from study.store import StudyStore


class _Review(click.Group):
    """A group that imports ``prepare``, and torch with it, when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, sorted."""
        return sorted([*super().list_commands(ctx), "prepare"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called ``cmd_name``; ``None`` if there is no such command."""
        if cmd_name != "prepare":
            return super().get_command(ctx, cmd_name)
        found: click.Command = import_module("commands.review_prepare").command
        return found


@click.group("review", cls=_Review)
def command() -> None:
    """Clinical review of the factors of a generator."""


@command.command("report")
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for the files; it is made if needed.",
)
def report(study_dir: Path, out: Path) -> None:
    """Count what the experts of the review STUDY said, and write table, estimates and page to DIR.

    What is missing is said; a review declares no test that an early look could spoil.
    """
    folder = StudyFolder.open(study_dir)
    audit = verify(folder.database)
    store = StudyStore.open(folder.database)
    try:
        results, protocol = gather_review(folder, store), store.protocol
    finally:
        store.close()
    pictures = {
        row.card.card_id: animation_ends(folder, protocol, row.card) for row in results.rows
    }
    files = {
        "table1.csv": to_csv(results.table()),
        "estimates.csv": to_csv(results.estimate_table()),
        "review.html": review_page(results, pictures, protocol.study.title),
    }
    for path in _written(out, files):
        click.echo(path)
    click.echo(headline(results))
    for problem in audit.problems:
        click.echo(f"Warning: {problem}", err=True)


@command.command("name")
@click.argument("study_dir", metavar="STUDY", type=click.Path(path_type=Path))
@click.argument("dimension", type=click.IntRange(0))
@click.argument("name")
def name_dimension(study_dir: Path, dimension: int, name: str) -> None:
    """Settle the NAME of a DIMENSION of the review STUDY; an empty one takes it back.

    It is put on record and written to names.json of the study, from where it gets onto the
    toggles.
    """
    folder = StudyFolder.open(study_dir)
    store = StudyStore.open(folder.database)
    try:
        _refuse_unknown(gather_review(folder, store), dimension)
        names = settle_name(folder, store, dimension, name, "study")
    finally:
        store.close()
    given = names.get(dimension)
    click.echo(f"Dimension {dimension} is {given!r}." if given else f"{dimension} has no name.")


def _refuse_unknown(results: ReviewResults, dimension: int) -> None:
    if dimension not in results.dimensions:
        raise StudyError(
            f"Dimension {dimension} is not reviewed in this study; its dimensions are "
            f"{', '.join(map(str, results.dimensions))}."
        )


def _written(out: Path, files: dict[str, str]) -> tuple[Path, ...]:
    try:
        return write_together(out, files)
    except OSError as error:
        raise StudyError(
            f"The report cannot be written to {out} ({error.strerror or error}); free some space "
            "or give another directory with --out."
        ) from error
