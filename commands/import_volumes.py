"""``counterlight import-volumes``: axial slices of NIfTI volumes with labels into a case set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from commands.import_masks import FOLDER, PATIENT_HELP
from commands.progress import progress_bar
from data.masked_images import MaskRule, write_masked
from data.volume_slices import VolumeSlices, pair_volumes, read_slices


def parse_labels(texts: Iterable[str]) -> dict[str, frozenset[int]]:
    """Read what ``NAME=1,2`` texts say.

    Raises
    ------
    click.BadParameter
        If a text has another form, or a finding is named twice.
    """
    found: dict[str, frozenset[int]] = {}
    for text in texts:
        name, _, numbers = (part.strip() for part in text.partition("="))
        words = [word.strip() for word in numbers.split(",")]
        if not name or name in found or not all(word.isdecimal() for word in words):
            raise click.BadParameter(
                f"{text!r} names no labels of a finding of its own; expected NAME=LABELS, as "
                "Tumour=2,3.",
                param_hint="--finding",
            )
        found[name] = frozenset(map(int, words))
    return found


@click.command("import-volumes")
@click.argument("images", type=FOLDER)
@click.argument("labels", type=FOLDER)
@click.option("--out", required=True, type=FOLDER, help="Case set to create.")
@click.option(
    "--finding",
    "findings",
    multiple=True,
    required=True,
    metavar="NAME=LABELS",
    help="Labels that are its tissue, as Tumour=2,3; all others are background. Repeat it.",
)
@click.option("--channel", type=click.IntRange(0), help="Of volumes with several, from 0.")
@click.option("--image-suffix", default="", help="Ends the names of volumes, as _t1ce.")
@click.option("--label-suffix", default="", help="Ends the names of labels, as _seg.")
@click.option("--size", default=224, show_default=True, help="Rows and columns of a slice.")
@click.option(
    "--above",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    help="A finding is present where its mask has more pixels than this, at that size.",
)
@click.option(
    "--window",
    nargs=2,
    type=float,
    default=(0.5, 99.5),
    show_default=True,
    help="Percentiles of the volume's tissue that become black and white.",
)
@click.option(
    "--least-tissue",
    default=0.05,
    show_default=True,
    help="Share of a slice; emptier slices without a finding are left out.",
)
@click.option("--every", default=1, show_default=True, help="Take every n-th slice only.")
@click.option("--patient", help=f"{PATIENT_HELP}  [default: every volume is one]")
@click.option("--source", default="", help="Name of the collection.")
@click.option("--modality", default="MR", show_default=True, help="DICOM code.")
@click.option("--source-names/--no-source-names", default=True, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Draws identifiers.")
def command(
    images: Path,
    labels: Path,
    out: Path,
    findings: tuple[str, ...],
    above: int,
    source: str,
    modality: str,
    seed: int,
    **cutting: Any,
) -> None:
    """Make a case set of axial slices of the volumes in IMAGES, with masks of their LABELS.

    Volumes are NIfTI files (.nii, .nii.gz), paired by name: the folders imagesTr and labelsTr of
    the Medical Segmentation Decathlon, or one folder with two endings. Trainers split by patient.
    """
    chosen = parse_labels(findings)
    slices = VolumeSlices(images, labels, chosen, **cutting)
    rule = MaskRule(tuple(chosen), above, source, "label volume", modality, seed)
    pairs = pair_volumes(slices)
    with progress_bar("volumes") as advance:
        report = write_masked(out, read_slices(slices, pairs, on_progress=advance), rule)
    for line in report.lines():
        click.echo(line)
