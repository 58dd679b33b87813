"""``counterlight review prepare``: from a factor set to a review that experts can open."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from commands.factors import open_search, search_options, stage_bars
from commands.prepare import InvitationLink, refuse_frozen
from commands.review_cards import made_cards, refuse_empty
from commands.review_study import MadeCard, prepare_review
from commands.training import stop_on_interrupt
from data.scratch import replacing
from explainers.checkpoint import weights_path
from explainers.stylespace.cards import film_cards
from explainers.stylespace.factorfile import read_factor_set
from explainers.stylespace.factorset import FactorSet
from explainers.stylespace.opening import keep_factors
from explainers.stylespace.swept import FindSettings
from study.errors import StudyError
from study.folder import StudyFolder
from study.protocol import load_protocol, shipped_protocol


@click.command("prepare")
@click.option("--factors", "name", required=True, metavar="NAME", help="A factor set.")
@search_options
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--protocol",
    "protocol_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: the shipped protocol of a review.",
)
@click.option("--experts", default=2, show_default=True, type=click.IntRange(1, 500))
@click.option(
    "--per-factor", type=click.IntRange(1, 100), help="Films for each dimension.  [default: 5]"
)
@click.option(
    "--leave-out", is_flag=True, help="Leave out dimensions with fewer films, and name them."
)
def command(
    name: str,
    out: Path,
    protocol_file: Path | None,
    experts: int,
    per_factor: int | None,
    leave_out: bool,
    **search: Any,
) -> None:
    """Draw the cards of a factor set on held-out films, and freeze a review in OUT.

    For every selected dimension the films with the largest change, among those that the classifier
    gets right with confidence and that reconstruct faithfully. Takes the options of the search of
    the factors, whose work folder is used again. Prints one invitation link for each expert, a
    researcher and a coordinator.
    """
    template = load_protocol(protocol_file or shipped_protocol("review"))
    if per_factor is not None:
        cases = template.cases.model_copy(update={"per_finding": per_factor})
        template = template.model_copy(update={"cases": cases})
    folder = StudyFolder(out)
    refuse_frozen(folder)
    factors = read_factor_set(name)
    refuse_empty(factors)
    made = _make(factors, search, template.cases.per_finding)
    _keep_networks(folder, name, search["classifier"])
    prepared = prepare_review(
        folder,
        template,
        made,
        search["cases"],
        readers=experts,
        leave_out=leave_out,
        announce=_show,
    )
    for sentence in prepared.left_out:
        click.echo(sentence, err=True)
    click.echo(
        f"{prepared.n_dimensions} dimensions, {prepared.n_cards} cards for each expert. "
        f"Open the review with: counterlight serve {out}"
    )


def _make(factors: FactorSet, search: dict[str, Any], n_films: int) -> tuple[MadeCard, ...]:
    """Draw the films that every selected dimension changes most."""
    opened = open_search(**search)
    factors.check_networks(
        generator=opened.networks.generator_digest,
        classifier=opened.networks.classifier.weights_digest,
        n_styles=opened.networks.generator.n_styles,
    )
    found = factors.made
    settings = FindSettings(
        threshold=found.threshold,
        aggregation="mean",
        mode="screened" if found.mode == "screened" else "exhaustive",
        n_samples=factors.n_samples,
        percentile=factors.percentile,
        confidence=search["confidence"],
        max_mae=search["max_mae"],
        max_shift=search["max_shift"],
        n_steps=search["steps"],
    )
    with stage_bars() as on_stage, stop_on_interrupt() as cancelled:
        cards = film_cards(
            opened.networks,
            opened.films,
            factors,
            settings,
            opened.stages,
            per_factor=n_films,
            on_stage=on_stage,
            cancelled=cancelled,
        )
    return made_cards(cards, opened.networks.classifier)


def _keep_networks(folder: StudyFolder, factors: str, classifier: str) -> None:
    """Copy factors and classifier into the study, for the pages of the researcher."""
    try:
        keep_factors(factors, folder.network("factors"))
        with replacing(folder.classifier) as fresh:
            shutil.copyfile(weights_path(classifier), fresh)
    except OSError as error:
        raise StudyError(
            f"The networks cannot be copied to {folder.root} ({error.strerror or error}); free "
            "some space, or give another folder with --out."
        ) from error


def _show(links: Sequence[InvitationLink]) -> None:
    click.echo("Hand one link to each person; put the address of the server in front of it.")
    for each in links:
        click.echo(f"{each.who:<14} {each.path}")
