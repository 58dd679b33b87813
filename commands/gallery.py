"""``counterlight gallery``: the page of the documentation that shows every method at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from commands.demo import demo_protocol
from commands.demo_cases import DemoCase, read_case_list
from commands.explain import usable_methods
from commands.networks import network_option
from commands.progress import progress_bar
from data.case import slug
from data.manifest import CaseSet
from data.phantom.write import write_phantoms
from data.reference import ReferenceSet
from data.scratch import write_together
from explainers import registry
from explainers.archive import ExplanationArchive
from explainers.networks import Networks
from explainers.sheet import draw_gallery, write_sheet

FILM_SIZE_PX = 512
PAGE = "gallery.md"


@click.command("gallery")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("docs"),
    show_default=True,
    help="Folder of the page; its pictures go below it.",
)
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/gallery"),
    show_default=True,
    help="Films and explanations; kept, so that an interrupted run goes on.",
)
@click.option("--classifier", default="phantom-classifier", show_default=True)
@network_option
def command(out: Path, work: Path, classifier: str, networks: Networks) -> None:
    """Draw every method on one simulated film per finding, and write the page.

    The films are the true positives of the demo whose probability is the median of their finding.
    """
    from explainers.classifiers.opening import open_classifier
    from explainers.run import explain_cases

    methods, missing = usable_methods(networks)
    for sentence in missing:
        click.echo(sentence, err=True)
    chosen = _median_cases(read_case_list(demo_protocol(240)))
    with progress_bar("simulated films", len(chosen)) as advance:
        write_phantoms(
            work / "cases",
            n=len(chosen),
            size=FILM_SIZE_PX,
            seed=chosen[0].seed,
            on_progress=advance,
            parameters=[case.parameters() for case in chosen],
        )
    cases, archive = CaseSet.open(work / "cases"), ExplanationArchive(work / "explanations")
    pairs = list(zip(cases.case_ids, [case.finding for case in chosen], strict=True))
    with progress_bar("explanations") as advance:
        explain_cases(
            cases,
            pairs,
            methods,
            archive,
            classifier=open_classifier(classifier),
            networks=networks,
            batch_size=2,
            on_progress=advance,
        )
    references = ReferenceSet.open(work / "cases")
    for pair in pairs:
        mask = references.mask(*pair)
        picture = draw_gallery(cases, archive, *pair, methods, mask=mask)
        write_sheet(picture, out / "images" / _picture(pair[1]))
    write_together(out, {PAGE: _page([finding for _, finding in pairs], methods)})
    click.echo(f"Wrote {out / PAGE} and {len(pairs)} pictures.")


def _median_cases(cases: tuple[DemoCase, ...]) -> list[DemoCase]:
    """Choose one true positive per finding: not the best case, not the worst."""
    chosen = []
    for finding in sorted({case.finding for case in cases}):
        positives = [case for case in cases if case.finding == finding and case.present]
        positives.sort(key=lambda case: case.probability)
        chosen.append(positives[len(positives) // 2])
    return chosen


def _picture(finding: str) -> str:
    return f"gallery-{slug(finding)}.png"


def _page(findings: list[str], names: Sequence[str]) -> str:
    methods = "\n".join(f"- {registry.spec(name).title} (`{name}`)" for name in names)
    sections = "\n\n".join(
        f"## {finding}\n\n![{finding}: film, counterfactuals and maps](images/{_picture(finding)})"
        for finding in findings
    )
    return f"""# Gallery: every method on every finding

All films are **simulated** (`phantom/1`), and so is what the networks learned from. For each
finding the film is the true positive of the demo whose predicted probability is the median of its
finding: not the best case, not the worst. The first picture is the film, the second shows the
outline of the finding as the simulator knows it. A counterfactual shows its residual frames,
x + (x′λ − x′₀), at the highest and at the lowest prediction, and what is added (purple) and removed
(orange) from the lowest to the highest. Maps show absolute values, each on its own scale (inferno,
from nothing to the strongest pixels).

Made by `counterlight gallery`.

{methods}

{sections}
"""
