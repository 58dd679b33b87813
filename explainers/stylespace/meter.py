"""The meter: a small network that reads the simulator's parameters off a film.

It makes "what does this dimension move" a measurement on simulated films: the meter's reading of a
film with the dimension clamped, less its reading of the film as it is. The meter is no oracle. It
reads a parameter only as well as held-out films say (:class:`ReadingQuality`), it sees a
generator's films although it learnt from the simulator's, and parameters that look alike leak into
each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.checkpoint import read_network, write_network
from explainers.classifiers.networks import ResidualBlock
from explainers.stylespace.clamped import enlarged
from explainers.stylespace.readings import Reading, readings_by_name

LEAST_R2 = 0.5
"""A continuous parameter is readable from this R² on held-out films on."""
LEAST_AUC = 0.8
"""A binary parameter is readable from this AUC on held-out films on."""
_WIDTHS = (24, 48, 96, 128)
_GRID, _SQUEEZED, _HIDDEN = 8, 24, 128
_BATCH = 64


class MeterNetwork(nn.Module):
    """Residual network whose head keeps places: where the heart ends matters here.

    Parameters
    ----------
    n_readings
        Number of outputs R.
    widths
        Channels of the stem and of the three stages.
    """

    def __init__(self, n_readings: int, widths: tuple[int, int, int, int] = _WIDTHS) -> None:
        super().__init__()
        stem, first, second, third = widths
        self.stem = nn.Sequential(
            nn.Conv2d(1, stem, 5, 2, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU()
        )
        self.stages = nn.Sequential(
            ResidualBlock(stem, first), ResidualBlock(first, second), ResidualBlock(second, third)
        )
        self.squeeze = nn.Sequential(nn.Conv2d(third, _SQUEEZED, 1), nn.ReLU())
        self.grid = nn.AdaptiveAvgPool2d(_GRID)
        self.mean, self.maximum = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
        self.head = nn.Sequential(
            nn.Linear(_SQUEEZED * _GRID**2 + 2 * third, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, n_readings),
        )

    def forward(self, images: Tensor) -> Tensor:
        """(N, R) of images (N, 1, H, W) in [0, 1]: scaled numbers, or log-odds."""
        maps = self.stages(self.stem(images - 0.5))
        placed = self.grid(self.squeeze(maps)).flatten(1)
        pooled = torch.cat([self.mean(maps), self.maximum(maps)], dim=1).flatten(1)
        return self.head(torch.cat([placed, pooled], dim=1))


@dataclass(frozen=True)
class ReadingQuality:
    """How well a parameter is read off held-out films.

    Parameters
    ----------
    name
        Of the reading.
    score
        R² of a number, AUC of a binary parameter.
    spread
        Standard deviation of the meter's reading over the held-out films, in sd of the parameter
        or in log-odds.
    n_films
        Held-out films.
    """

    name: str
    score: float
    spread: float
    n_films: int


class Meter(nn.Module):
    """A frozen meter.

    Parameters
    ----------
    network
        From images (N, 1, H, W) in [0, 1] to (N, R).
    readings
        R parameters.
    mean, spread
        (R,) of the parameters over the training films; 0 and 1 for binary ones.
    input_size
        Rows and columns it was trained on.
    quality
        One per reading, or none for a meter that was never measured.
    weights_digest
        SHA-256 of its file, empty if it was never saved.

    Raises
    ------
    ExplainerError
        If the numbers of readings differ.
    """

    def __init__(
        self,
        network: nn.Module,
        readings: Sequence[Reading],
        mean: NDArray[np.float32],
        spread: NDArray[np.float32],
        input_size: tuple[int, int],
        quality: Sequence[ReadingQuality] = (),
        weights_digest: str = "",
    ) -> None:
        super().__init__()
        n = len(readings)
        if len(mean) != n or len(spread) != n or (quality and len(quality) != n):
            raise ExplainerError(
                f"A meter of {n} parameters needs as many means, spreads and figures; got "
                f"{len(mean)}, {len(spread)} and {len(quality)}."
            )
        self.network = network
        self.readings = tuple(readings)
        self.parameter_mean, self.parameter_spread = mean, spread
        self.input_size = input_size
        self.quality = tuple(quality)
        self.weights_digest = weights_digest
        self.eval().requires_grad_(False)

    @property
    def readable(self) -> tuple[int, ...]:
        """Indices of the parameters that held-out films say can be read."""
        return tuple(
            place
            for place, (reading, quality) in enumerate(
                zip(self.readings, self.quality, strict=bool(self.quality))
            )
            if is_readable(reading, quality)
        )

    @torch.no_grad()
    def read(self, images: Tensor) -> NDArray[np.float32]:
        """Readings (N, R) of images (N, 1, H, W) in [0, 1].

        A continuous parameter in sd of the parameter over films, from its mean; a binary one in
        log-odds.

        Raises
        ------
        ExplainerError
            If the images are no batch of one channel.
        """
        if images.ndim != 4 or images.shape[1] != 1:
            raise ExplainerError(
                f"A meter reads images of shape (N, 1, H, W); got {tuple(images.shape)}."
            )
        fitting = enlarged(images, self.input_size)
        return torch.cat([self.network(part) for part in fitting.split(_BATCH)]).numpy()


def is_readable(reading: Reading, quality: ReadingQuality) -> bool:
    """Whether a parameter is read well enough for its changes to be believed."""
    least = LEAST_R2 if reading.kind == "continuous" else LEAST_AUC
    return quality.score >= least


def build_meter(n_readings: int) -> MeterNetwork:
    """Build a network with fresh weights from the global random state."""
    network = MeterNetwork(n_readings)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def save_meter(path: Path, meter: Meter) -> str:
    """Write a meter to a ``.safetensors`` file and return its digest.

    Raises
    ------
    ExplainerError
        If the weights are not finite or the disk refuses.
    """
    header = {
        "readings": [reading.name for reading in meter.readings],
        "mean": [float(value) for value in meter.parameter_mean],
        "spread": [float(value) for value in meter.parameter_spread],
        "input_size": list(meter.input_size),
        "quality": [asdict(quality) for quality in meter.quality],
    }
    return write_network(path, meter.network, "meter", header)


def load_meter(path_or_name: str | Path) -> Meter:
    """Load a meter from a file or by the name of a shipped one, e.g. ``"phantom-meter"``.

    Raises
    ------
    ExplainerError
        If the file is missing, unreadable, of another kind, reads something that is not known
        here, or does not fit its architecture.
    """
    saved = read_network(path_or_name, "meter")
    known = readings_by_name()
    names = [str(name) for name in saved.field("readings")]
    strange = [name for name in names if name not in known]
    if strange:
        raise ExplainerError(
            f"{saved.path.name} reads {strange[0]!r}, which this version does not know; train the "
            "meter again with `counterlight train meter`."
        )
    with torch.random.fork_rng(devices=[]):
        network = build_meter(len(names))
    saved.fill(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows, columns = saved.field("input_size")
    return Meter(
        network,
        [known[name] for name in names],
        np.asarray(saved.field("mean"), np.float32),
        np.asarray(saved.field("spread"), np.float32),
        (int(rows), int(columns)),
        [_quality(entry) for entry in saved.field("quality")],
        saved.digest,
    )


def _quality(entry: Mapping[str, object]) -> ReadingQuality:
    try:
        return ReadingQuality(
            str(entry["name"]),
            float(str(entry["score"])),
            float(str(entry["spread"])),
            int(str(entry["n_films"])),
        )
    except (KeyError, ValueError) as error:
        raise ExplainerError(f"The meter's held-out figures cannot be read: {error}.") from error
