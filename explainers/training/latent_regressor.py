"""Heads on the latent of a WGAN: regression of the simulated log-BNP, and logits of the findings.

Seah et al. fit a linear regression and a perceptron of two layers of 256 on z = E(x) to ln(BNP)/10
and measure the area under the ROC curve of BNP > 100 ng/L. Here the BNP is simulated
(:mod:`data.phantom.severity`), so that the best attainable area is known: that of the severity
which the film shows, without the noise.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from data.phantom.names import InvalidParameters
from data.phantom.parameters import FilmParameters, without
from data.phantom.severity import THRESHOLD_NG_L, simulate_heart_failure, target_of
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.calibration import fit_calibration, platt_slope
from explainers.generators.latent_head import Head, HeadShape
from explainers.generators.wgan import WGAN
from explainers.training.films import Films
from explainers.training.images import ImageSource
from explainers.training.loop import TrainingDiverged, TrainingInterrupted, batches, seeded

LINEAR, PERCEPTRON, FINDINGS_HEAD = "bnp-linear", "bnp-mlp", "findings"
OUTPUT = "log BNP"
_NOTE = "ln(BNP)/10 of a simulated BNP in ng/L; threshold 100 ng/L"


@dataclass(frozen=True)
class HeadSettings:
    """How heads are fitted.

    Parameters
    ----------
    hidden
        Width of the two hidden layers of the perceptron.
    epochs
        Passes over the training latents.
    batch_size, learning_rate, weight_decay
        Of AdamW with a cosine schedule.
    jitter
        Standard deviation of noise on the standardised latents while training.
    patience
        Passes without a better validation loss after which the fit ends; the best is kept.
    seed
        Of weights and order.

    Raises
    ------
    ExplainerError
        If a number is out of range.
    """

    hidden: int = 256
    epochs: int = 60
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    jitter: float = 0.1
    patience: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.hidden, self.epochs, self.batch_size, self.patience) < 1:
            raise ExplainerError(f"{self}: expected hidden, epochs, batch_size, patience >= 1.")
        if not 0 < self.learning_rate < 1 or self.jitter < 0 or self.weight_decay < 0:
            raise ExplainerError(f"{self}: learning_rate lies in (0, 1), the others are >= 0.")


@dataclass(frozen=True, eq=False)
class HeartFailureTable:
    """What the simulator says about the rows of a case set.

    Parameters
    ----------
    severity
        (N,), what the film shows.
    target
        (N,), ln(BNP)/10, simulated, noise included.
    """

    severity: NDArray[np.float64]
    target: NDArray[np.float64]

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Whether the simulated BNP is above 100 ng/L, (N,)."""
        return self.target > target_of(THRESHOLD_NG_L)


def read_heart_failure(
    films: Films, parameters: Mapping[str, Mapping[str, Any]]
) -> HeartFailureTable:
    """Simulated severity and target of every row, counterfactuals included.

    Parameters
    ----------
    films
        The case set.
    parameters
        Row of ``parameters.csv`` by case id.

    Raises
    ------
    ExplainerError
        If a film has no parameters, or they cannot be read: it was not simulated.
    """
    severity, target = np.zeros(len(films.removed)), np.zeros(len(films.removed))
    read: dict[str, FilmParameters] = {}
    for row, (case_id, removed) in enumerate(zip(films.case_ids, films.removed, strict=True)):
        name = str(case_id)
        if name not in read:
            if name not in parameters:
                raise ExplainerError(
                    f"Case {name!r} has no row in parameters.csv; the simulated BNP needs the "
                    "parameters of simulated films."
                )
            try:
                read[name] = FilmParameters.from_row(parameters[name])
            except InvalidParameters as error:
                raise ExplainerError(f"Case {name!r} in parameters.csv: {error}.") from error
        shown = read[name] if removed < 0 else without(read[name], films.findings[int(removed)])
        said = simulate_heart_failure(shown)
        severity[row], target[row] = said.severity, said.target
    return HeartFailureTable(severity, target)


@torch.no_grad()
def encode_rows(
    wgan: WGAN,
    images: ImageSource,
    rows: NDArray[np.int64],
    *,
    on_progress: OnProgress | None = None,
) -> Tensor:
    """E(x) of rows, (N, D)."""
    parts, done = [], 0
    for part in batches(rows, 64):
        parts.append(wgan.encode(images.image_batch(part)))
        done += len(part)
        if on_progress is not None:
            on_progress(done, len(rows))
    return torch.cat(parts)


def fit_head(
    shape: HeadShape,
    latents: Tensor,
    wanted: Tensor,
    held_out: Tensor,
    held_out_wanted: Tensor,
    settings: HeadSettings,
    *,
    cancelled: Cancelled | None = None,
) -> Head:
    """Fit one head, keeping the weights that are best on validation latents.

    Parameters
    ----------
    shape
        What it predicts: ``"regression"`` by squared error, ``"logits"`` by cross-entropy.
    latents, wanted
        Training latents (N, D) and values (N, K); NaN where unknown.
    held_out, held_out_wanted
        The same of validation films.
    settings
        How.
    cancelled
        Asked after every pass.

    Raises
    ------
    ExplainerError
        If there are no latents, or shapes do not fit.
    TrainingDiverged
        If the loss is not finite.
    TrainingInterrupted
        If cancelled.
    """
    if len(latents) < 2 or not len(held_out) or wanted.shape != (len(latents), len(shape.outputs)):
        raise ExplainerError(
            f"A head needs 2 training latents and 1 validation latent with a row of "
            f"{len(shape.outputs)} values each; got {len(latents)}, {len(held_out)} and "
            f"{tuple(wanted.shape)}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(settings.seed, shape.name).initial_seed())
        head = Head(shape, latents.shape[1])
    head.centre.copy_(latents.mean(dim=0))
    head.scale.copy_(latents.std(dim=0).clamp(min=1e-6))
    if shape.kind == "regression":  # begin at the mean
        with torch.no_grad():
            list(head.layers)[-1].bias.copy_(wanted.nanmean(dim=0))  # type: ignore[operator]
    optimiser = torch.optim.AdamW(
        head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs)
    best, kept, since = float("inf"), copy.deepcopy(head.state_dict()), 0
    for epoch in range(settings.epochs):
        dice = seeded(settings.seed, shape.name, epoch)
        order = torch.randperm(len(latents), generator=dice)
        for part in order.split(settings.batch_size):
            noise = torch.randn(len(part), latents.shape[1], generator=dice)
            z = latents[part] + settings.jitter * head.scale * noise
            loss = _loss(shape, head(z), wanted[part])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        schedule.step()
        with torch.no_grad():
            value = float(_loss(shape, head(held_out), held_out_wanted))
        if not np.isfinite(value):
            raise TrainingDiverged(
                f"The loss of head {shape.name!r} is {value} after pass {epoch + 1}; check the "
                "latents, or lower the learning rate."
            )
        since = 0 if value < best else since + 1
        if value < best:
            best, kept = value, copy.deepcopy(head.state_dict())
        if cancelled is not None and cancelled():
            raise TrainingInterrupted("Stopped; run the same command again, it takes a minute.")
        if since >= settings.patience:
            break
    head.load_state_dict(kept)
    return head.eval().requires_grad_(False)


def _loss(shape: HeadShape, values: Tensor, wanted: Tensor) -> Tensor:
    known = torch.isfinite(wanted)
    if not known.any():
        return values.sum() * 0
    if shape.kind == "regression":
        return (values - wanted)[known].square().mean()
    return functional.binary_cross_entropy_with_logits(values[known], wanted[known])


def train_heads(
    wgan: WGAN,
    films: Films,
    table: HeartFailureTable,
    settings: HeadSettings,
    *,
    counterfactuals: bool = True,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> WGAN:
    """Fit the linear and the two-layer regressor of the simulated log-BNP, and the findings' head.

    Returns
    -------
    WGAN
        The same generator and encoder with the heads :data:`LINEAR`, :data:`PERCEPTRON` and
        :data:`FINDINGS_HEAD` (not yet saved). Slopes of the probabilities come from validation
        films: Platt's for log BNP with the threshold at 100 ng/L, the package's own calibration
        for the findings.

    Raises
    ------
    ExplainerError
        If there is no encoder, a class is missing on the validation films, or see
        :func:`fit_head`.
    """
    rows = films.rows("train", counterfactuals=counterfactuals)
    held_out = films.rows("val")
    together = encode_rows(wgan, films, np.concatenate([rows, held_out]), on_progress=on_progress)
    z, z_held_out = together[: len(rows)], together[len(rows) :]
    targets = torch.from_numpy(table.target).float()[:, None]
    heads = []
    for name, hidden in ((LINEAR, 0), (PERCEPTRON, settings.hidden)):
        shape = HeadShape(
            name=name,
            outputs=(OUTPUT,),
            hidden=hidden,
            thresholds=(target_of(THRESHOLD_NG_L),),
            slopes=(1.0,),
            note=_NOTE,
        )
        head = fit_head(
            shape, z, targets[rows], z_held_out, targets[held_out], settings, cancelled=cancelled
        )
        slope = platt_slope(
            head(z_held_out)[:, 0].numpy(), table.positive[held_out].astype(np.float64)
        )
        heads.append(_with(head, slopes=(slope,)))
    labels = films.label_batch(rows)
    shape = HeadShape(
        name=FINDINGS_HEAD,
        outputs=films.findings,
        kind="logits",
        thresholds=(0.0,) * len(films.findings),
        slopes=(1.0,) * len(films.findings),
        note="logits of the findings; probability 0.5 is the operating point",
    )
    held_labels = films.label_batch(held_out)
    head = fit_head(shape, z, labels, z_held_out, held_labels, settings, cancelled=cancelled)
    fitted = fit_calibration(head(z_held_out).numpy(), held_labels.numpy(), films.findings)
    pairs = zip(fitted.slopes, fitted.intercepts, strict=True)
    thresholds = tuple(-intercept / slope for slope, intercept in pairs)
    heads.append(_with(head, slopes=fitted.slopes, thresholds=thresholds))
    return with_heads(wgan, heads)


def with_heads(wgan: WGAN, heads: Sequence[Head]) -> WGAN:
    """The same generator and encoder with other heads, unsaved."""
    return WGAN(wgan.generator, wgan.encoder, heads, reconstruction_error=wgan.reconstruction_error)


def _with(head: Head, **changes: Any) -> Head:
    fresh = Head(replace(head.shape, **changes), len(head.centre))
    fresh.load_state_dict(head.state_dict())
    return fresh.eval().requires_grad_(False)
