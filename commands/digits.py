"""``counterlight digits``: handwritten nines turned into fours, timed, and judged."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from commands.progress import progress_bar
from data.digits import DIGITS, read_digits
from data.scratch import write_together

_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command("digits")
@click.option("--mnist", required=True, type=_DIRECTORY, help="Folder with the four IDX files.")
@click.option(
    "--networks", required=True, type=_DIRECTORY, help="Folder of `counterlight train digits`."
)
@click.option("--out", required=True, type=_DIRECTORY, help="Folder of figure and numbers.")
@click.option("--from", "source", default="9", show_default=True, type=click.Choice(DIGITS))
@click.option("--to", "wanted", default="4", show_default=True, type=click.Choice(DIGITS))
@click.option("--images", "n_images", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--alpha", default=0.05, show_default=True, help="Step of Adam.")
@click.option(
    "--gamma", default=100.0, show_default=True, help="Weight of the distance; paper: 0.1."
)
@click.option("--rho", default=0.0003, show_default=True, help="Prediction of --from to pass.")
@click.option("--beta", default=1.0, show_default=True, help="Weight of --to.")
@click.option(
    "--certain",
    default=0.9997,
    show_default=True,
    help="Prediction of --to that is wanted as well; 0 is the paper.",
)
@click.option("--shell", default=1.0, show_default=True, help="Pull to the latent shell; 0: paper.")
@click.option("--refine", default=20, show_default=True, help="Steps towards the digit; 0: paper.")
@click.option("--cap", default=200, show_default=True, help="Steps at most.")
@click.option("--batch-size", default=250, show_default=True, type=click.IntRange(1))
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1))
def command(
    mnist: Path,
    networks: Path,
    out: Path,
    source: str,
    wanted: str,
    n_images: int,
    alpha: float,
    gamma: float,
    rho: float,
    beta: float,
    certain: float,
    shell: float,
    refine: int,
    cap: int,
    batch_size: int,
    threads: int,
) -> None:
    """Turn test digits of one kind into another with the multiclass algorithm.

    How many convert is judged by a network that took no part in anything.
    """
    import torch

    from explainers.classifiers.digits import load_digit_classifier
    from explainers.counterfactual.visual_rationale import VisualRationale
    from explainers.evaluation.digit_conversion import PAPER_S, convert_digits, draw_digits
    from explainers.generators.wgan import open_wgan
    from explainers.training.digits import DIGIT_FILES

    torch.set_num_threads(threads)
    digits = read_digits(mnist, "test").of(int(source), n_images)
    explainer = VisualRationale(
        load_digit_classifier(networks / DIGIT_FILES["classifier"]),
        open_wgan(str(networks / DIGIT_FILES["wgan"])),
        alpha=alpha,
        gamma=gamma,
        rho=rho,
        beta=beta,
        certain=certain,
        reencode=0.0,
        shell=shell,
        refine=refine,
        keep=1.0,
        cap=cap,
        batch_size=batch_size,
    )
    oracle = load_digit_classifier(networks / DIGIT_FILES["oracle"])
    with progress_bar("digits", n_images) as advance:
        found = convert_digits(
            digits,
            explainer,
            oracle,
            source=source,
            wanted=wanted,
            clock=time.monotonic,
            on_progress=advance,
        )
    result = found.conversion
    figure = out / f"digits-{source}-{wanted}.png"
    draw_digits(digits, found, figure)
    content = {"conversion": asdict(result), "share": result.share, "parameters": repr(explainer)}
    write_together(out, {"digits.json": json.dumps(content, indent=1) + "\n"})
    click.echo(result.sentence())
    click.echo(
        f"Of {result.n_known} whose reconstruction the explained network takes for a {source}, "
        f"{result.n_converted_known} converted; {result.n_reached} searches obtained what they "
        f"asked for. 95 % end with a latent shorter than {result.norm_95:.2f} √D."
    )
    click.echo(
        f"{result.n_images} rationales in one run: {result.seconds:.1f} s on {result.n_threads} "
        f"threads; the paper's 1000 took {PAPER_S:.0f} s on a graphics card."
    )
    click.echo(f"Wrote {figure} and {out / 'digits.json'}.")
