"""``counterlight import-masks``: a folder of images and one of binary masks into a case set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from commands.progress import progress_bar
from data.mask_folders import MaskFolders, pair_masks, read_masked
from data.masked_images import MaskRule, write_masked

FOLDER = click.Path(file_okay=False, path_type=Path)
PATIENT_HELP = (
    "Regular expression that finds the patient in a file's path (its first group); all images of "
    "a patient fall into one split."
)


@click.command("import-masks")
@click.argument("images", type=FOLDER)
@click.argument("masks", type=FOLDER)
@click.option("--out", required=True, type=FOLDER, help="Case set to create.")
@click.option("--finding", help="What the masks are of.  [default: a subfolder of MASKS for each]")
@click.option("--mask-suffix", default="", help="Ends the names of masks, as _mask.")
@click.option("--patient", help=f"{PATIENT_HELP}  [default: every image is one]")
@click.option(
    "--above",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="A finding is present where its mask has more pixels than this.",
)
@click.option(
    "--unmarked",
    default="absent",
    show_default=True,
    type=click.Choice(["absent", "unknown", "refuse"]),
    help="What an image without a mask file is.",
)
@click.option("--grey-masks", is_flag=True, help="Cut masks of many values at half.")
@click.option("--source", default="", help="Name of the collection.")
@click.option("--modality", default="", help="DICOM code, as DX.")
@click.option("--source-names/--no-source-names", default=True, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Draws identifiers.")
def command(
    images: Path,
    masks: Path,
    out: Path,
    above: int,
    source: str,
    modality: str,
    seed: int,
    patient: str | None,
    **reading: Any,
) -> None:
    """Make a case set of IMAGES and of the MASKS of the same names (PNG, JPEG or TIFF).

    A finding is present where its mask is not empty. Trainers split the set by patient.
    """
    folders = MaskFolders(images, masks, patient=patient, **reading)
    pairs = pair_masks(folders)
    rule = MaskRule(pairs.findings, above, source, "mask", modality, seed)
    with progress_bar("images") as advance:
        report = write_masked(out, read_masked(folders, pairs, on_progress=advance), rule)
    for line in report.lines():
        click.echo(line)
    for finding in pairs.findings:
        n_bare = pairs.without_mask(finding)
        if n_bare:
            unmarked = reading["unmarked"]
            click.echo(
                f"Images without a mask file of {finding}: {n_bare}, where it is {unmarked}."
            )
    if patient is None:
        click.echo("Every image counts as a patient; if that is wrong, say who with --patient.")
