"""``counterlight analyse``: from a table of ratings to a result."""

from __future__ import annotations

from html import escape
from pathlib import Path

import click
import pandas as pd
from plotly.offline import get_plotlyjs

from data.scratch import write_together
from study.analysis.estimate import AnalysisError
from study.analysis.figures.catalogue import all_figures
from study.analysis.figures.style import PAGE, NamedFigure
from study.analysis.report.analysis import Analysis, analyse

_DELIMITERS = (",", ";", "\t")


@click.command("analyse")
@click.argument("ratings_csv", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything at full precision.")
@click.option("--contrast", default="B,A", show_default=True, help="First minus second condition.")
@click.option("--primary", help="Declared primary item; without it, the first item is described.")
@click.option("--subset", help="Cases of the primary item: true_positive, false_positive or all.")
@click.option(
    "--population",
    default="these_readers",
    show_default=True,
    type=click.Choice(["these_readers", "readers_like_them"]),
    help="Readers that the primary estimate speaks for.",
)
@click.option("--alpha", default=0.05, show_default=True, help="Two-sided level.")
@click.option(
    "--zeros",
    default="wilcox",
    show_default=True,
    type=click.Choice(["wilcox", "pratt", "zsplit"]),
    help="Zero differences in the signed-rank test: dropped, Pratt's way, or split.",
)
@click.option("--correction/--no-correction", default=False, help="Continuity correction.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="OURS=THEIRS",
    help="Name of a column that is not recognised, e.g. value=score. Repeatable.",
)
@click.option(
    "--maps",
    "maps",
    multiple=True,
    metavar="CONDITION=MAP,MAP",
    help="Maps shown under a condition, e.g. A=grad,guided. Repeatable.",
)
@click.option(
    "--figures",
    "figures_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the figures as HTML into this folder.",
)
def command(
    ratings_csv: Path,
    as_json: bool,
    contrast: str,
    primary: str | None,
    subset: str | None,
    population: str,
    alpha: float,
    zeros: str,
    correction: bool,
    columns: tuple[str, ...],
    maps: tuple[str, ...],
    figures_dir: Path | None,
) -> None:
    """Analyse the ratings in RATINGS_CSV: one row for one rating.

    Columns are recognised by name; --column helps where they are not.
    """
    pair = [part.strip() for part in contrast.split(",")]
    if len(pair) != 2:
        raise AnalysisError(
            f"--contrast {contrast!r} is not a pair; expected two conditions, for example B,A."
        )
    shown = {
        condition: [name.strip() for name in names.split(",")]
        for condition, names in (_assignment("--maps", text) for text in maps)
    }
    analysis = analyse(
        read_ratings(ratings_csv),
        contrast=(pair[0], pair[1]),
        alpha=alpha,
        primary=primary,
        subset=subset,
        population=population,  # type: ignore[arg-type]  # click has checked it
        columns=dict(_assignment("--column", text) for text in columns),
        shown_maps=shown or None,
        zero_method=zeros,  # type: ignore[arg-type]  # click has checked it
        correction=correction,
    )
    click.echo(analysis.to_json() if as_json else analysis.to_text())
    if figures_dir is not None:
        n_figures = _write_figures(analysis, figures_dir)
        click.echo(f"{n_figures} figures in {figures_dir}", err=True)


def read_ratings(path: Path) -> pd.DataFrame:
    """Read a CSV of ratings as text cells; the delimiter is the one its header uses most.

    Raises
    ------
    AnalysisError
        If the file is absent, empty, not UTF-8, or its rows differ in length.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        delimiter = max(_DELIMITERS, key=header.count)
        return pd.read_csv(
            path,
            sep=delimiter,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
        )
    except OSError as error:
        raise AnalysisError(
            f"{path} cannot be read ({error.strerror}); expected a CSV file of ratings."
        ) from error
    except UnicodeDecodeError as error:
        raise AnalysisError(
            f"{path} is not UTF-8 text; save the table as CSV with the encoding UTF-8."
        ) from error
    except pd.errors.EmptyDataError as error:
        raise AnalysisError(
            f"{path} is empty; expected a header and one row for each rating."
        ) from error
    except pd.errors.ParserError as error:
        reason = str(error).strip().splitlines()[-1]
        raise AnalysisError(
            f"{path} is not a table with rows of one length ({reason}); save it as CSV again."
        ) from error


def _assignment(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise AnalysisError(
            f"{option} {text!r} is not an assignment; expected NAME=VALUE, for example "
            f"{'A=grad,guided' if option == '--maps' else 'value=score'}."
        )
    return name.strip(), value.strip()


def _write_figures(analysis: Analysis, folder: Path) -> int:
    """Write every figure of every item; ``plotly.min.js`` lies beside them once."""
    try:
        named = [f for item in analysis.items for f in all_figures(analysis, item=item)]
        texts = {"plotly.min.js": get_plotlyjs()}
        for each in named:
            name = "".join(c if c.isalnum() or c in "-_." else "_" for c in each.name)
            texts[f"{name}.html"] = _page(each)
        write_together(folder, texts)
    except OSError as error:
        raise AnalysisError(
            f"The figures cannot be written to {folder} ({error.strerror}); choose a folder that "
            "can be written to and has about 10 MB free."
        ) from error
    return len(named)


def _page(named: NamedFigure) -> str:
    """Return a page that needs ``plotly.min.js`` beside it and nothing else."""
    body = named.figure.to_html(full_html=False, include_plotlyjs=False)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(named.title)}</title>"
        '<script src="plotly.min.js" charset="utf-8"></script></head>'
        f'<body style="margin:0;background:{PAGE}">{body}</body></html>\n'
    )
