"""``counterlight import-stylegan2``: weights of a StyleGAN2-ADA generator in our layout."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from explainers.generators.stylegan2 import to_brightness
from explainers.generators.stylegan2_ada import CLAMP, convert, read_state
from explainers.training.loop import seeded
from explainers.training.stylegan2 import draw_grid, load_generator, save_generator


@click.command("import-stylegan2")
@click.argument("weights", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="The .safetensors file to write.")  # fmt: skip
@click.option("--clamp", default=CLAMP, show_default=True, type=click.FloatRange(0),
              help="conv_clamp of the training; 0 for none.")  # fmt: skip
@click.option("--average-colours", is_flag=True, help="Make grey of colour pictures, too.")
@click.option("--samples", type=click.Path(dir_okay=False, path_type=Path),
              help="Draw 16 samples into this PNG.")  # fmt: skip
def command(
    weights: Path, out: Path, clamp: float, average_colours: bool, samples: Path | None
) -> None:
    """Convert WEIGHTS, the flat state of G_ema of StyleGAN2-ADA (.safetensors or .npz).

    docs/stylegan2-import.md has the lines that write it inside the environment of its authors.
    """
    if out.suffix != ".safetensors":
        raise click.BadParameter(f"{out} must end in .safetensors.", param_hint="--out")
    made = convert(read_state(weights), clamp=clamp, max_colour=None if average_colours else 2.0)
    digest = save_generator(out, made.generator)
    saved = load_generator(out)
    z = torch.randn(16, saved.shape.latent, generator=seeded(0, "imported samples"))
    with torch.no_grad():
        drawn = [to_brightness(saved(part)) for part in z.split(4)]
        apart = (to_brightness(made.generator(z[:4])) - drawn[0]).abs().mean() * 255
    if samples is not None:
        draw_grid(torch.cat(drawn), samples, columns=4)
    shape = saved.shape
    click.echo(
        f"{shape.size} px, {saved.n_styles} style dimensions, {shape.n_mapping} mapping layers; "
        f"{made.colours} image channel(s)"
        + (f", averaged (they differ by {made.colour_spread:.2f}/255)" if made.colours > 1 else "")
    )
    click.echo(f"Kept as float16: pictures change by {float(apart):.3f}/255 on average.")
    click.echo(f"Wrote {out} ({digest[:12]}).")
