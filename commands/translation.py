"""``counterlight translation``: how well methods carry images to the other side of a prediction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from commands.progress import progress_bar
from commands.training import DIRECTORY, now, stop_on_interrupt
from explainers.attribution.bbmp import Bbmp
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import ExplanationCancelled
from explainers.evaluation.one_change import one_change_method
from explainers.evaluation.structure_share import structure_table, write_structure
from explainers.evaluation.translation import Subject, measure_translation
from explainers.evaluation.translation_report import EXPLAINED, TABLES, shown, write_translation
from explainers.evaluation.translators import (
    Method,
    bbmp_method,
    do_nothing,
    map_method,
    mask_method,
    pair_methods,
)
from explainers.generators.mgen import DIGIT_BLUR, load_mgen
from explainers.generators.paired import Contrast, PairedGenerators, load_paired
from explainers.generators.vae import load_vae
from explainers.training.contrasts import named_contrasts
from explainers.training.image_sources import holds_digits, open_images, open_judge

_MAPS = "input_gradients,integrated_gradients,grad_cam"


@click.command("translation")
@click.option(
    "--cases", required=True, type=DIRECTORY, help="Case set, or folder with the files of MNIST."
)
@click.option("--classifier", required=True, help="What is explained.")
@click.option("--vae", "vae_name", required=True, help="The space: `counterlight train vae`.")
@click.option("--oracle", help="Independent classifier of the same findings.")
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    help="Paired generators, FILE or LABEL=FILE ('SyCE without cycle=…'); repeat it.",
)
@click.option("--mgen", "mask_networks", multiple=True, help="Mask network, FILE or LABEL=FILE.")
@click.option("--bbmp/--no-bbmp", default=True, show_default=True)
@click.option(
    "--bbmp-images",
    default=40,
    show_default=True,
    type=click.IntRange(8),
    help="Per contrast and side; it takes seconds for each.",
)
@click.option(
    "--bbmp-blur",
    type=click.FloatRange(0, 0.5, min_open=True),
    help=f"Share of the side.  [default: {Bbmp.blur:g}, of digits {DIGIT_BLUR:g}]",
)
@click.option(
    "--maps", default=_MAPS, show_default=True, help="Methods that draw maps only; or ''."
)
@click.option("--findings", help="As for `counterlight train syce`.  [default: the first pair's]")
@click.option(
    "--split", default="test", show_default=True, type=click.Choice(["train", "val", "test"])
)
@click.option("--limit", default=200, show_default=True, type=click.IntRange(8))
@click.option("--validation-share", default=0.1, show_default=True, help="As in the trainings.")
@click.option("--work", default=Path("var/training"), show_default=True, type=DIRECTORY)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1))
@click.option(
    "--table",
    "wanted",
    default="agreement",
    show_default=True,
    type=click.Choice([*TABLES, "all"]),
    help="What is printed; all of them are written.",
)
@click.option(
    "--structure",
    metavar="NAME",
    help="Also the share of every map inside mask:NAME of reference.csv, as lungs.",
)
@click.option("--out", required=True, type=DIRECTORY)
def command(
    cases: Path,
    classifier: str,
    vae_name: str,
    oracle: str | None,
    pairs: tuple[str, ...],
    mask_networks: tuple[str, ...],
    bbmp: bool,
    bbmp_images: int,
    bbmp_blur: float | None,
    maps: str,
    findings: str | None,
    split: str,
    limit: int,
    validation_share: float,
    work: Path,
    threads: int,
    wanted: str,
    structure: str | None,
    out: Path,
) -> None:
    """Compare adversarial and stable images with real ones, as Charachon et al. 2021 did.

    Writes translation.csv (every number), a table per question, translation.md, pictures and
    translation.html. An interrupted run goes on where it stopped, and --table prints another
    table of what was measured without measuring it again.
    """
    torch.set_num_threads(threads)
    judge, vae = open_judge(classifier), load_vae(vae_name)
    _check_size("The VAE", vae.input_size, judge)
    opened = [_labelled(each) for each in pairs]
    networks = [(label, load_paired(path)) for label, path in opened]
    contrasts = _contrasts(findings, judge, [each for _, each in networks])
    methods: list[Method] = [do_nothing()]
    for label, pair in networks:
        _check_size(label or pair.system.title, pair.input_size, judge)
        check_contrasts(label or pair.system.title, pair.contrasts, contrasts)
        methods += pair_methods(label or pair.system.title, pair, judge)
    for label, path in map(_labelled, mask_networks):
        network = load_mgen(path)
        check_contrasts(label or "MGen", network.contrasts, contrasts)
        _check_size(label or "MGen", network.input_size, judge)
        methods.append(mask_method(label or "MGen", network, judge))
    if bbmp:
        blur = bbmp_blur or (DIGIT_BLUR if holds_digits(cases) else Bbmp.blur)
        methods.append(bbmp_method(judge, Bbmp(judge, blur=blur), limit=bbmp_images))
    methods += [map_method(word.strip(), judge) for word in maps.split(",") if word.strip()]
    with progress_bar("films read") as advance:
        images = open_images(
            cases,
            judge,
            contrasts,
            work / "cache",
            validation_share=validation_share,
            on_progress=advance,
        )
    for label, pair in networks:
        title = label or pair.system.title
        methods.append(one_change_method(title, pair, judge, images, contrasts))
    subject = Subject(
        images,
        judge,
        contrasts,
        vae,
        open_judge(oracle) if oracle else None,
        split,  # type: ignore[arg-type]
        limit,
    )
    try:
        with progress_bar("images") as advance, stop_on_interrupt() as cancelled:
            parts = measure_translation(
                subject,
                methods,
                out / "parts",
                clock=time.process_time,
                on_progress=advance,
                cancelled=cancelled,
            )
    except ExplanationCancelled:
        raise click.Abort from None  # what was measured is kept
    tables, paths = write_translation(subject, methods, parts, out, created=now())
    for name in TABLES if wanted == "all" else (wanted,):
        table = tables.named().get(name)
        if table is not None:
            click.echo(f"{name.capitalize()}: {EXPLAINED[name]}\n")
            click.echo(shown(table).to_string(index=False) + "\n")
    if structure:
        with progress_bar("maps") as advance, stop_on_interrupt() as cancelled:
            inside = structure_table(
                subject, methods, cases, structure, on_progress=advance, cancelled=cancelled
            )
        write_structure(inside, structure, out)
        click.echo(f"Share of the maps inside the {structure}, and how often their peak is:\n")
        click.echo(inside.to_string(index=False, float_format=lambda x: f"{x:.3f}") + "\n")
    for note in tables.notes:
        click.echo(note)
    click.echo(f"Wrote {paths[-1]} and {len(paths) - 1} files beside it.")


def _check_size(what: str, size: tuple[int, int], judge: Classifier) -> None:
    if tuple(size) != tuple(judge.input_size):
        raise ExplainerError(
            f"{what} takes images of {size[0]} pixels, the classifier of {judge.input_size[0]}; "
            "give weights of one size."
        )


def _labelled(text: str) -> tuple[str, str]:
    """Label and file of ``LABEL=FILE``; without a label an empty one."""
    label, found, path = text.partition("=")
    return (label.strip(), path) if found else ("", text)


def _contrasts(
    findings: str | None, judge: Classifier, pairs: Sequence[PairedGenerators]
) -> tuple[Contrast, ...]:
    if findings is not None or not pairs:
        return named_contrasts(findings or "all", judge)
    return pairs[0].contrasts


def check_contrasts(label: str, known: Sequence[Contrast], wanted: Sequence[Contrast]) -> None:
    """Refuse a network that was trained for other contrasts.

    Raises
    ------
    ExplainerError
        If one is missing, or means other classes.
    """
    missing = [each.name for each in wanted if each not in known]
    if missing:
        raise ExplainerError(
            f"{label} was not trained for {', '.join(missing)} (as this classifier numbers them); "
            f"it knows {', '.join(each.name for each in known)}. Name common ones with --findings."
        )
