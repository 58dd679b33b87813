"""``counterlight import``: bring real films into a case set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from commands.progress import progress_bar
from data.boxes import READERS, Marks, boxes_to_references, read_marks
from data.importing import REPORT_FILE, ImportPolicy, ImportReport, import_manifest
from data.incoming import ManifestReading


def parse_mappings(
    texts: Iterable[str], option: str = "--map", example: str = "OURS=THEIRS, as image=file"
) -> dict[str, str]:
    """Turn ``OURS=THEIRS`` texts into a mapping.

    Raises
    ------
    click.BadParameter
        If a text has no ``=`` or nothing before it, or maps the same name twice.
    """
    columns: dict[str, str] = {}
    for text in texts:
        ours, separator, theirs = (part.strip() for part in text.partition("="))
        if not separator or not ours:
            raise click.BadParameter(
                f"{text!r} is no mapping; expected {example}.",
                param_hint=option,
            )
        if ours in columns:
            raise click.BadParameter(f"{ours!r} is mapped twice.", param_hint=option)
        columns[ours] = theirs
    return columns


def parse_boxes(texts: Iterable[str]) -> list[Marks]:
    """Read what ``KIND:FILE`` texts name.

    Raises
    ------
    click.BadParameter
        If a text has no known kind.
    InvalidTable
        If a file cannot be read or a row is malformed.
    """
    found = []
    for text in texts:
        kind, _, path = text.partition(":")
        if kind not in READERS or not path:
            raise click.BadParameter(
                f"{text!r} names no boxes; expected KIND:FILE with KIND one of "
                f"{', '.join(READERS)}, as nih:BBox_List_2017.csv.",
                param_hint="--boxes",
            )
        found.append(read_marks(kind, Path(path)))
    return found


@click.command("import")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Case set to create.")
@click.option(
    "--map",
    "mappings",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Read our column from theirs: image=file, case_id=image_id, "
    '"finding:Pneumonia=has_pneumonia", "mask:lungs=lung_mask". Nothing after "=" ignores it.',
)
@click.option("--labels", metavar="COLUMN", help='Column that lists findings: "Mass|Effusion".')
@click.option("--label-separator", default="|", show_default=True, help="Between two labels.")
@click.option(
    "--finding-column",
    "finding_columns",
    multiple=True,
    metavar="COLUMN",
    help="Column that says present or absent of the finding it is named after.",
)
@click.option("--findings", metavar="A,B,…", help="The only findings allowed, in this order.")
@click.option("--positive", multiple=True, metavar="WORD", help="A further word for present.")
@click.option("--negative", multiple=True, metavar="WORD", help="A further word for absent.")
@click.option("--unknown", multiple=True, metavar="WORD", help="A further word for unknown.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Carry into reference.csv.")
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=TEXT",
    help="Only the rows whose column holds exactly this text; may be given for several columns.",
)
@click.option(
    "--boxes",
    multiple=True,
    metavar="KIND:FILE",
    help="Masks from a published file: nih:BBox_List_2017.csv, rsna:stage_2_train_labels.csv or "
    "siim:train-rle.csv; films are found by their source names.",
)
@click.option("--skip-bad", is_flag=True, help="Import the good rows, list the others.")
@click.option("--accept-burned-in", is_flag=True, help="Take films with declared burned-in text.")
@click.option("--accept-lateral", is_flag=True, help="Take films that are called lateral.")
@click.option("--header-demographics", is_flag=True, help="Sex and age band from DICOM headers.")
@click.option(
    "--source-names/--no-source-names",
    default=True,
    show_default=True,
    help="Record source file names in reference.csv (they may name patients).",
)
@click.option("--seed", default=0, show_default=True, help="Shuffles generated identifiers.")
def command(
    manifest: Path,
    out: Path,
    mappings: tuple[str, ...],
    labels: str | None,
    label_separator: str,
    finding_columns: tuple[str, ...],
    findings: str | None,
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    unknown: tuple[str, ...],
    keep: tuple[str, ...],
    where: tuple[str, ...],
    boxes: tuple[str, ...],
    **policy: bool | int,
) -> None:
    """Import the films that MANIFEST (a CSV file, one film per row) lists.

    Columns read: image, case_id, patient_id, source, established_by, split, modality,
    pixel_spacing_row_mm, pixel_spacing_col_mm, view, sex, age, finding:<Name>, mask:<Name>.
    Only image is required. Images may be 8- or 16-bit PNG, JPEG, TIFF or DICOM; identities do not
    leave DICOM headers.
    """
    every = parse_boxes(boxes)  # before the films: a damaged file is reported at once
    columns = {f"finding:{name}": name for name in finding_columns} | parse_mappings(mappings)
    chosen = tuple(name.strip() for name in findings.split(",")) if findings else None
    reading = ManifestReading(
        columns,
        labels,
        label_separator,
        chosen,
        positive,
        negative,
        unknown,
        keep,
        where=parse_mappings(where, "--where", "COLUMN=TEXT, as source=hannover"),
    )
    with progress_bar("films") as advance:
        report = import_manifest(
            manifest,
            out,
            reading=reading,
            policy=ImportPolicy(**policy),  # type: ignore[arg-type]
            on_progress=advance,
        )
    for line in describe(report):
        click.echo(line)
    for marks in every:
        marked = boxes_to_references(marks, out)
        click.echo(
            f"{marked.n_masks} masks from {marks.path.name}, {marked.n_absent} findings absent, "
            f"{len(marked.unmatched)} of its images are not among the films."
        )


def describe(report: ImportReport) -> list[str]:
    """Say in a few lines what an import did and what is left for a person to do."""
    lines = [f"{len(report.case_ids)} films imported into {report.out}"]
    if report.findings:
        lines[0] += f"; findings: {', '.join(report.findings)}"
    n_refused = len({problem.row for problem in report.refused})
    if n_refused:
        rows = "1 row" if n_refused == 1 else f"{n_refused} rows"
        lines.append(f"{rows} refused; {REPORT_FILE} says why.")
    if report.needs_sign_off:
        lines.append(
            f"{len(report.needs_sign_off)} films do not say whether a name is burned into the "
            f"pixels; a person must look at them before a reader does ({REPORT_FILE})."
        )
    if report.notes:
        lines.append(f"{len(report.notes)} remarks on films in {REPORT_FILE}.")
    return lines
