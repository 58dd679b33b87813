"""Model cards: what a network was trained on, how, how good it is, and what it must not do."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from data.scratch import replacing
from explainers.base import ExplainerError
from explainers.training.adversarial import AdversarialRun
from explainers.training.films import Films
from explainers.training.loop import EpochRecord, LoopSettings, TrainingRun


@dataclass(frozen=True)
class TrainingData:
    """What a network was trained on."""

    case_set_digest: str
    sources: tuple[str, ...]
    simulator: str
    n_films: int
    n_patients: int
    n_training_images: int
    counterfactuals: bool
    size_px: int
    findings: tuple[str, ...]
    split: str


class Figures(Protocol):
    """What is said of a network on held-out patients; a frozen dataclass."""

    @property
    def split(self) -> str:
        """Split that it was measured on."""
        ...

    def lines(self) -> list[str]:
        """Lines of Markdown for the card."""
        ...


@dataclass(frozen=True)
class ModelCard:
    """Everything beside the weights that a user of a network should know.

    Parameters
    ----------
    name, kind, architecture
        What it is.
    n_parameters
        Trained numbers.
    weights_digest
        SHA-256 of the weights file.
    created
        ISO date and time.
    simulated
        Whether every training film was simulated.
    data
        What it was trained on.
    settings
        How it was trained.
    options
        Further choices: loss weights, bottleneck, helper network.
    epochs, minutes
        Length of the run as it was.
    history
        Figures after each epoch.
    held_out
        Figures on held-out patients.
    limits
        Sentences on what the network cannot be used for.
    """

    name: str
    kind: str
    architecture: str
    n_parameters: int
    weights_digest: str
    created: str
    simulated: bool
    data: TrainingData
    settings: LoopSettings
    options: Mapping[str, Any]
    epochs: float
    minutes: float
    history: tuple[EpochRecord, ...]
    held_out: Figures
    limits: tuple[str, ...]


def describe_data(
    films: Films, run_rows: int, *, counterfactuals: bool, validation_share: float
) -> TrainingData:
    """Summary of a case set for the card."""
    originals = films.removed < 0
    return TrainingData(
        case_set_digest=films.digest,
        sources=films.sources,
        simulator=", ".join(films.sources) if films.simulated else "",
        n_films=int(originals.sum()),
        n_patients=len(set(films.patient_ids[originals].tolist())),
        n_training_images=run_rows,
        counterfactuals=counterfactuals,
        size_px=films.size,
        findings=films.findings,
        split=(
            "by patient; the case set's own split column, or else by a hash of the patient id with "
            f"20 % for testing and {100 * validation_share:g} % for validation"
        ),
    )


def make_card(
    path: Path,
    *,
    kind: str,
    architecture: str,
    n_parameters: int,
    weights_digest: str,
    created: str,
    data: TrainingData,
    settings: LoopSettings,
    options: Mapping[str, Any],
    run: TrainingRun | AdversarialRun,
    held_out: Figures,
    limits: tuple[str, ...] = (),
) -> ModelCard:
    """Assemble the card of the weights file ``path``; ``limits`` come before the usual ones."""
    simulated = bool(data.simulator)
    return ModelCard(
        name=path.stem,
        kind=kind,
        architecture=architecture,
        n_parameters=n_parameters,
        weights_digest=weights_digest,
        created=created,
        simulated=simulated,
        data=data,
        settings=settings,
        options=dict(options),
        epochs=run.epochs,
        minutes=run.spent_s / 60,
        history=run.history,
        held_out=held_out,
        limits=(*limits, *_limits(kind, simulated)),
    )


def write_card(path: Path, card: ModelCard) -> tuple[Path, Path]:
    """Write ``<name>.json`` and ``<name>.md`` beside the weights file ``path``.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    machine, human = path.with_suffix(".json"), path.with_suffix(".md")
    write_text(machine, to_json(card))
    write_text(human, card_markdown(card))
    return machine, human


def to_json(record: Any) -> str:
    """A frozen dataclass as JSON; NaN becomes null."""
    return json.dumps(_plain(dataclasses.asdict(record)), indent=2, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    try:
        with replacing(path) as fresh:
            fresh.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExplainerError(f"{path} could not be written: {error}.") from error


def card_markdown(card: ModelCard) -> str:
    """The card as a page for people."""
    data, settings = card.data, card.settings
    films = "simulated films" if card.simulated else "films"
    lines = [
        f"# {card.name}",
        "",
        f"{'An' if card.kind[0] in 'aeiou' else 'A'} {card.kind} ({card.architecture}, "
        f"{card.n_parameters:,} parameters), trained on {films}"
        f"{'' if not card.simulated else ' only. **Not for patients.**'}",
        "",
        "## Trained on",
        "",
        f"- Case set {data.case_set_digest[:16]}…, {data.n_films:,} films of "
        f"{data.n_patients:,} patients"
        + (f", simulator {data.simulator}" if data.simulator else "")
        + f"; sources: {', '.join(data.sources) or 'not stated'}",
        f"- {data.n_training_images:,} training images at {data.size_px} × {data.size_px} px"
        + (", films without each finding among them" if data.counterfactuals else ""),
        f"- Findings: {', '.join(data.findings)}",
        f"- Split: {data.split}",
        "",
        "## How",
        "",
        f"- {card.epochs:.1f} epochs in {card.minutes:.1f} minutes; batches of "
        f"{settings.batch_size}, {_schedule(card)}, seed {settings.seed}",
        *[f"- {name}: {value}" for name, value in card.options.items()],
        "",
        f"## On held-out patients ({card.held_out.split} split)",
        "",
        *card.held_out.lines(),
        "",
        "## Limits",
        "",
        *[f"- {sentence}" for sentence in card.limits],
        "",
        f"Weights: SHA-256 `{card.weights_digest}`. Written {card.created}.",
    ]
    return "\n".join(lines) + "\n"


def _schedule(card: ModelCard) -> str:
    rate = f"{card.settings.learning_rate:g}"
    if card.kind in _ADVERSARIAL:
        return f"Adam, learning rate {rate}, averaged weights"
    return (
        f"AdamW, peak learning rate {rate}, cosine schedule, weights averaged with decay "
        f"{card.settings.ema_decay:g}"
    )


_ADVERSARIAL: Final = ("stylegan2", "wgan", "structure_class", "paired")
_LIMITS: Final[Mapping[str, str]] = {
    "classifier": "Probability 0.5 is the operating point (largest Youden index on validation "
    "films), not an even chance; probabilities are not frequencies.",
    "stylegan2": "Samples show nobody; a film can only be approached, not reproduced.",
    "autoencoder": "Reconstruction loses detail and can move predictions; compare f(x) with "
    "f(D(E(x))) before an explanation is believed.",
}


def _limits(kind: str, simulated: bool) -> tuple[str, ...]:
    limits = []
    if simulated:
        limits.append(
            "Trained on simulated films: figures say nothing about real radiographs, and real "
            "radiographs give meaningless output."
        )
    if kind in _LIMITS:
        limits.append(_LIMITS[kind])
    limits.append("For research on explanations. Not a medical device.")
    return tuple(limits)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
