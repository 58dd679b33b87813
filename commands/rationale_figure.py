"""``counterlight rationale-figure``: a visual rationale beside traditional maps, for any film."""

from __future__ import annotations

from pathlib import Path

import click

from commands.networks import network_option
from data.films import open_film
from data.raster import to_unit
from explainers.base import ExplainerError
from explainers.comparison import COMPARED, RATIONALE, draw_comparison
from explainers.networks import Networks
from explainers.record import Counterfactual


@click.command("rationale-figure")
@click.argument("film", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--finding", required=True, help="As the classifier spells it.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The PNG to write.",
)
@click.option("--classifier", default="phantom-classifier", show_default=True)
@click.option("--target", type=float, help="Prediction to be passed.  [default: 0.5]")
@click.option("--gamma", type=float, help="Weight of the distance to the reconstruction.")
@click.option(
    "--separate/--symmetric",
    default=False,
    show_default=True,
    help="Scale increase and decrease each by itself, as published, or both alike.",
)
@network_option
def command(
    film: Path,
    finding: str,
    out: Path,
    classifier: str,
    target: float | None,
    gamma: float | None,
    separate: bool,
    networks: Networks,
) -> None:
    """Draw saliency, integrated gradients, occlusion, LIME and a visual rationale of FILM.

    FILM is a PNG, JPEG, TIFF or DICOM file.
    """
    from explainers.classifiers.opening import open_classifier
    from explainers.run import explain_image

    if out.suffix.lower() != ".png":
        raise click.BadParameter(f"{out} must end in .png.", param_hint="--out")
    image = to_unit(open_film(film).samples)
    explained = open_classifier(classifier)
    if finding not in explained.findings:
        raise ExplainerError(
            f"The classifier does not know {finding!r}; it predicts "
            f"{', '.join(explained.findings)}."
        )
    found = explain_image(
        image,
        finding,
        COMPARED,
        classifier=explained,
        networks=networks,
        parameters={RATIONALE: {} if gamma is None else {"gamma": gamma}},
        target=target,
    )
    draw_comparison(image, found, out, separate=separate)
    rationale = found[RATIONALE]
    assert isinstance(rationale, Counterfactual)
    if rationale.note:
        click.echo(rationale.note, err=True)
    click.echo(f"Wrote {out}.")
