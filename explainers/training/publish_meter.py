"""The last step of a meter's training: weights, held-out figures and card on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from explainers.stylespace.meter import (
    LEAST_AUC,
    LEAST_R2,
    Meter,
    ReadingQuality,
    is_readable,
    load_meter,
    save_meter,
)
from explainers.stylespace.readings import readings_by_name
from explainers.training.card import TrainingData, describe_data, to_json, write_text
from explainers.training.films import Films
from explainers.training.loop import EpochRecord, LoopSettings, TrainingRun
from explainers.training.meter import evaluate_meter


@dataclass(frozen=True)
class MeterCard:
    """What a user of a meter should know; fields as in
    :class:`explainers.training.card.ModelCard`, ``held_out`` one entry per parameter."""

    name: str
    kind: str
    n_parameters: int
    weights_digest: str
    created: str
    simulated: bool
    data: TrainingData
    settings: LoopSettings
    epochs: float
    minutes: float
    history: tuple[EpochRecord, ...]
    held_out: tuple[ReadingQuality, ...]
    readable: tuple[str, ...]
    thresholds: Mapping[str, float]
    limits: tuple[str, ...]


_LIMITS = (
    "Reads simulated films only; a reading of a real radiograph means nothing.",
    "Readings of a generator's films are extrapolations: the meter learnt from the simulator's.",
    "Parameters that look alike leak into each other; see the bench on true counterfactual pairs.",
)


def publish_meter(
    path: Path,
    meter: Meter,
    run: TrainingRun,
    films: Films,
    table: pd.DataFrame,
    settings: LoopSettings,
    *,
    created: str,
    validation_share: float = 0.1,
) -> Meter:
    """Save a meter, measure it as saved (float16), and write figures and card beside it.

    Returns
    -------
    Meter
        As it lies on the disk, with its held-out figures.

    Raises
    ------
    ExplainerError
        If the weights are not finite, there are too few held-out films, or the disk refuses.
    """
    save_meter(path, meter)
    saved = load_meter(path)
    quality = evaluate_meter(saved, films, table)
    save_meter(
        path,
        Meter(
            saved.network,
            saved.readings,
            saved.parameter_mean,
            saved.parameter_spread,
            saved.input_size,
            quality,
        ),
    )
    final = load_meter(path)
    card = MeterCard(
        name=path.stem,
        kind="meter",
        n_parameters=sum(weight.numel() for weight in final.network.parameters()),
        weights_digest=final.weights_digest,
        created=created,
        simulated=True,
        data=describe_data(
            films,
            len(films.rows("train", counterfactuals=True)),
            counterfactuals=True,
            validation_share=validation_share,
        ),
        settings=settings,
        epochs=run.epochs,
        minutes=run.spent_s / 60,
        history=run.history,
        held_out=final.quality,
        readable=tuple(final.readings[place].name for place in final.readable),
        thresholds={"R²": LEAST_R2, "AUC": LEAST_AUC},
        limits=_LIMITS,
    )
    write_text(path.with_suffix(".json"), to_json(card))
    write_text(path.with_suffix(".md"), meter_markdown(card))
    return final


def meter_markdown(card: MeterCard) -> str:
    """The card as a page for people."""
    settings, data = card.settings, card.data
    return "\n".join(
        [
            f"# {card.name}",
            "",
            f"A meter ({card.n_parameters:,} parameters): reads the simulator's parameters off "
            "simulated films only. **Not for patients.**",
            "",
            "## Trained on",
            "",
            f"- Case set {data.case_set_digest[:16]}…, {data.n_films:,} films of "
            f"{data.n_patients:,} patients, simulator {data.simulator}",
            f"- {data.n_training_images:,} training images at {data.size_px} × {data.size_px} px, "
            "films without each finding among them",
            f"- Split: {data.split}",
            f"- {card.epochs:.1f} epochs in {card.minutes:.1f} minutes; batches of "
            f"{settings.batch_size}, AdamW, peak learning rate {settings.learning_rate:g}, cosine "
            f"schedule, weights averaged with decay {settings.ema_decay:g}, seed {settings.seed}",
            "",
            "## On held-out patients (test split)",
            "",
            f"A number is readable from R² {LEAST_R2:g} on, a binary parameter from AUC "
            f"{LEAST_AUC:g} on; {len(card.readable)} of {len(card.held_out)} are.",
            "",
            *quality_table(card.held_out),
            "",
            "## Limits",
            "",
            *[f"- {sentence}" for sentence in card.limits],
            "",
            f"Weights: SHA-256 `{card.weights_digest}`. Written {card.created}.",
            "",
        ]
    )


def quality_table(held_out: Sequence[ReadingQuality]) -> list[str]:
    """Markdown lines of a table of the parameters, the readable ones first, best first."""
    known = readings_by_name()

    def place(quality: ReadingQuality) -> tuple[bool, float]:
        return (not is_readable(known[quality.name], quality), -quality.score)

    lines = [
        "| Parameter | Of | Measure | Held-out | Readable |",
        "| --- | --- | --- | --- | --- |",
    ]
    for quality in sorted(held_out, key=place):
        reading = known[quality.name]
        of = f"{reading.group} ({reading.about})" if reading.about else reading.group
        measure = "R²" if reading.kind == "continuous" else "AUC"
        answer = "yes" if is_readable(reading, quality) else "not readable"
        lines.append(f"| {reading.label} | {of} | {measure} | {quality.score:.2f} | {answer} |")
    return lines


def quality_json(held_out: Sequence[ReadingQuality]) -> list[dict[str, object]]:
    """Plain rows of the held-out figures, for a table elsewhere."""
    return [asdict(quality) for quality in held_out]
