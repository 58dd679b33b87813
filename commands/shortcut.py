"""``counterlight shortcut``: which explanations show that a classifier looks at the tube."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from commands.progress import progress_bar
from data.manifest import CaseSet
from data.phantom.write import write_phantoms

DEFAULT_METHODS = (
    "input_gradients,guided_backprop,integrated_gradients,smoothgrad,grad_cam,occlusion,bbmp,"
    "latent_shift,latent_shift_path,latent_shift_optimised"
)
SIZE_PX = 512


@click.command("shortcut")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--films", "n_films", default=12, show_default=True, type=click.IntRange(1, 200))
@click.option("--seed", default=4242, show_default=True, type=click.IntRange(0))
@click.option(
    "--classifier",
    "classifier_names",
    multiple=True,
    default=("phantom-classifier", "phantom-shortcut"),
    show_default=True,
    help="Shipped name or .safetensors file; repeat it to compare several.",
)
@click.option("--autoencoder", "autoencoder_name", default="phantom-autoencoder", show_default=True)
@click.option("--methods", default=DEFAULT_METHODS, show_default=True, help="Separated by commas.")
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1))
def command(
    out: Path,
    n_films: int,
    seed: int,
    classifier_names: tuple[str, ...],
    autoencoder_name: str,
    methods: str,
    processes: int,
) -> None:
    """Explain healthy simulated films with a chest tube, and measure what of it is the tube.

    Writes OUT/films, a case set for the explorer (`counterlight serve STUDY --cases OUT/films`),
    OUT/shortcut.csv (every number) and OUT/shortcut.summary.csv (means with 95 % intervals), and
    prints the means as tables.
    """
    import torch

    from commands.evaluate import classifier_labels
    from explainers.archive import write_table
    from explainers.classifiers.opening import open_classifier
    from explainers.evaluation.shortcut import (
        healthy_with_tube,
        measure_shortcut,
        tube_films,
        without_tube,
    )
    from explainers.evaluation.summary import summarise
    from explainers.generators.opening import open_autoencoder

    torch.set_num_threads(1)
    labels = classifier_labels(classifier_names)
    classifiers = {label: open_classifier(name) for label, name in labels.items()}
    autoencoder = open_autoencoder(autoencoder_name)
    names = tuple(name.strip() for name in methods.split(",") if name.strip())
    films = healthy_with_tube(seed, n_films)
    with progress_bar("simulated films", n_films) as advance:
        write_phantoms(
            out / "films",
            n=n_films,
            size=SIZE_PX,
            seed=seed,
            processes=processes,
            on_progress=advance,
            parameters=films,
            counterfactuals=False,
        )
    cases = CaseSet.open(out / "films")
    size = next(iter(classifiers.values())).input_size
    subject = tube_films(
        cases.case_ids,
        [cases.load(case_id).image for case_id in cases.case_ids],
        [without_tube(film, SIZE_PX) for film in films],
        (size[0], size[1]),
    )
    with progress_bar("methods") as advance:
        rows = measure_shortcut(subject, classifiers, autoencoder, names, on_progress=advance)
    summary = summarise(rows, {case_id: case_id for case_id in cases.case_ids})
    write_table(rows, out / "shortcut.csv")
    write_table(summary, out / "shortcut.summary.csv")
    for line in tables(summary, rows):
        click.echo(line)


def tables(summary: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """Return the means as Markdown tables: predictions, maps, moving films."""
    found = summary.set_index(["classifier", "method", "quantity"])
    who = [name for name in dict.fromkeys(summary["classifier"]) if name != "autoencoder"]
    kept = found.loc[("autoencoder", "prediction", "tube_kept")]
    lines = [
        f"{rows['case_id'].nunique()} healthy simulated films with a chest tube; means, in "
        "brackets 95 % intervals by bootstrap over films.",
        f"The reconstruction keeps {_cell(kept)} of the tube's contrast.",
        "",
        "| f of | film | same film without the tube | reconstruction | films called positive | "
        "without the tube |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in who:
        cells = [
            _cell(found.loc[(name, "prediction", quantity)])
            for quantity in ("film", "without_tube", "reconstruction")
        ]
        called = [
            _count(rows, name, "prediction", quantity) for quantity in ("film", "without_tube")
        ]
        lines.append(f"| {name} | {' | '.join([*cells, *called])} |")
    methods = [each for each in dict.fromkeys(summary["method"]) if each != "prediction"]
    area = float(found.loc[(who[0], methods[0], "area_share"), "mean"])
    lines += [
        "",
        f"Share of the map on the tube (the tube is {area:.3f} of the film); in how many films "
        "the strongest pixel lies on it.",
        "",
        "| map | " + " | ".join(f"{name}: share | peak" for name in who) + " |",
        "| --- |" + " --- | --- |" * len(who),
    ]
    for method in methods:
        cells = [
            _cell(found.loc[(name, method, quantity)])
            if quantity == "tube_share"
            else _count(rows, name, method, quantity)
            for name in who
            for quantity in ("tube_share", "peak")
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    moving = [each for each in methods if (who[0], each, "tube_removed") in found.index]
    lines += [
        "",
        "| moving film | classifier | f(x'_0) | f lowest, decoded | f lowest, residual | "
        "residual called positive | share of the tube removed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for method in moving:
        for name in who:
            cells = [_cell(found.loc[(name, "prediction", "reconstruction")])] + [
                _cell(found.loc[(name, method, quantity)])
                for quantity in ("f_lowest", "f_lowest_residual", "tube_removed")
            ]
            cells.insert(-1, _count(rows, name, method, "f_lowest_residual"))
            lines.append(f"| {method} | {name} | {' | '.join(cells)} |")
    return lines


def _count(rows: pd.DataFrame, name: str, method: str, quantity: str) -> str:
    """Count the films where a probability, or a yes or no, is at least 0.5."""
    of_name = (rows["classifier"] == name) & (rows["method"] == method)
    values = rows[of_name & (rows["quantity"] == quantity)]["value"]
    return f"{int((values >= 0.5).sum())} of {len(values)}"


def _cell(row: pd.Series) -> str:
    if pd.isna(row["low"]):
        return f"{row['mean']:.2f}"
    return f"{row['mean']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
