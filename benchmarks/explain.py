"""Time our explanations against the published procedure done literally, interleaved in one run.

``python -m benchmarks.explain CASES --networks phantom --n 6 --threads 2 --out FOLDER``, where
CASES is a case set, e.g. of ``counterlight phantom``. The networks of torchxrayvision have random
weights: their time is that of trained ones, their maps mean nothing.

Contestants take turns on every case, ``--repeats`` times, in an order that is reversed every other
time; the ratio of a case is that of the medians of its repeats, and the ratio reported the median
over the cases. So another program that slows the machine down slows everybody down.

What must at least be done, "minimum": for condition A 100 points of integrated gradients and the
two other gradients, 102 forward and backward passes; for condition B one prediction, one encoding,
one gradient through the decoder, 25 evaluations that bracket and bisect both ends, and 21 frames.
Both in batches of 4.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import literal
from commands.progress import progress_bar
from data.manifest import CaseSet
from data.raster import resize
from explainers import registry
from explainers.animation import ping_pong, write_gif
from explainers.classifiers.base import Classifier
from explainers.classifiers.opening import open_classifier
from explainers.differentiation import predict, to_input_range
from explainers.generators.base import Autoencoder
from explainers.generators.opening import open_autoencoder
from explainers.record import Attribution, Counterfactual, Goal

TOLERANCE = 0.2
MOST_OVER_MINIMUM = 1.5
MINIMUM_POINTS, MINIMUM_EVALUATIONS, MINIMUM_FRAMES = 100, 25, 21
BARS = {
    "A, same 100 steps": 2.0,
    "A, steps by tolerance": 5.0,
    "B, latent shift and GIF": 5.0,
}


@dataclass(frozen=True, eq=False)
class Networks:
    """A classifier and its autoencoder."""

    classifier: Classifier
    autoencoder: Autoencoder


def phantom_networks(folder: Path, images: Tensor) -> Networks:
    """Return the shipped networks."""
    return Networks(open_classifier("phantom-classifier"), open_autoencoder("phantom-autoencoder"))


def random_torchxrayvision(folder: Path, images: Tensor) -> Networks:
    """Return DenseNet-121 and the ResNet-101 autoencoder, random, scaled to sane outputs."""
    from explainers.classifiers import torchxrayvision as adapter

    package = adapter.import_torchxrayvision()
    name = "densenet121-res224-all"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = adapter.build_network(package, name).eval()
        autoencoder = package.autoencoders.ResNetAE(weights=None).eval()
    films = 2048 * nn.functional.interpolate(images, (224, 224)) - 1024
    with torch.no_grad():
        _scale(classifier.get_submodule("classifier"), classifier(films).std(), 2.0)
        decoded = autoencoder.decode(autoencoder.encode(films))
        _scale(autoencoder.conv1_1, decoded.std(), 300.0)
    torch.save(classifier, folder / "classifier.pt")
    torch.save(autoencoder.state_dict(), folder / "autoencoder.pt")
    return Networks(
        open_classifier(f"torchxrayvision:{name}@{folder / 'classifier.pt'}"),
        open_autoencoder(f"torchxrayvision:101-elastic@{folder / 'autoencoder.pt'}"),
    )


def _scale(layer: nn.Module, found: Tensor, wanted: float) -> None:
    layer.get_parameter("weight").mul_(wanted / found.clamp(min=1e-6))


NETWORKS: dict[str, Callable[[Path, Tensor], Networks]] = {
    "phantom": phantom_networks,
    "torchxrayvision": random_torchxrayvision,
}


class Race:
    """Times of all contestants, case by case."""

    def __init__(self, networks: Networks, images: Tensor, folder: Path) -> None:
        self.networks, self.images, self.folder = networks, images, folder
        self.targets = predict(networks.classifier, images)[1].argmax(dim=1).tolist()
        self.seconds: dict[str, list[list[float]]] = {}
        self.correlations: list[float] = []
        self.reached: list[bool] = []

    def run(self, index: int, repeats: int) -> None:
        """Let everybody explain one case, in turn."""
        contestants = list(self._contestants(index).items())
        for name, _ in contestants:
            self.seconds.setdefault(name, []).append([])
        for number in range(repeats):
            for name, call in contestants[:: -1 if number % 2 else 1]:
                start = time.perf_counter()
                call()
                self.seconds[name][-1].append(time.perf_counter() - start)
        fine = registry.create(
            "integrated_gradients", classifier=self.networks.classifier, n_steps=300
        )
        reference = fine.explain(self.images[index : index + 1], [self._goal(index)])[0]
        assert isinstance(reference, Attribution)
        pair = (self.explain(index, TOLERANCE)().values.ravel(), reference.values.ravel())
        self.correlations.append(float(np.corrcoef(*pair)[0, 1]))
        self.reached.append(self._film(index).reached)

    def warm_up(self) -> None:
        """Let everybody of condition B and the cheaper of A run once, untimed."""
        for name, call in self._contestants(0).items():
            if name in ("A, steps by tolerance", "B, latent shift and GIF"):
                call()

    def _contestants(self, index: int) -> dict[str, Callable[[], object]]:
        classifier, coder = self.networks.classifier, self.networks.autoencoder
        image, target = self.images[index : index + 1], self.targets[index]
        return {
            "literal A": lambda: literal.condition_a(classifier, image, target),
            "A, same 100 steps": self.explain(index, 0.0),
            "A, steps by tolerance": self.explain(index, TOLERANCE),
            "minimum A": lambda: self._gradients(image, target, MINIMUM_POINTS + 2),
            "literal B": lambda: literal.condition_b(classifier, coder, image, target, self.folder),
            "B, latent shift and GIF": lambda: self._film(index),
            "minimum B": lambda: self._frames(image, target),
        }

    def explain(self, index: int, tolerance: float) -> Callable[[], Attribution]:
        """Return our condition A as a call that gives the integrated gradients."""
        image, goal = self.images[index : index + 1], [self._goal(index)]

        def call() -> Attribution:
            for name in ("input_gradients", "guided_backprop"):
                registry.create(name, classifier=self.networks.classifier).explain(image, goal)
            method = registry.create(
                "integrated_gradients", classifier=self.networks.classifier, tolerance=tolerance
            )
            found = method.explain(image, goal)[0]
            assert isinstance(found, Attribution)
            return found

        return call

    def _film(self, index: int) -> Counterfactual:
        method = registry.create(
            "latent_shift",
            classifier=self.networks.classifier,
            networks={"autoencoder": self.networks.autoencoder},
        )
        film = method.explain(self.images[index : index + 1], [self._goal(index)])[0]
        assert isinstance(film, Counterfactual)
        film.to_attribution("max")
        write_gif(ping_pong(film.frames), self.folder / "ours.gif")
        return film

    def _goal(self, index: int) -> Goal:
        return Goal(self.networks.classifier.findings[self.targets[index]])

    def _gradients(self, image: Tensor, target: int, n: int) -> None:
        """Do nothing but the forward and backward passes of ``n`` images, in batches of 4."""
        classifier = self.networks.classifier
        for start in range(0, n, 4):
            given = image.repeat(min(4, n - start), 1, 1, 1).requires_grad_()
            logits = classifier.logits(to_input_range(given, classifier))
            torch.autograd.grad(logits[:, target].sum(), given)

    def _frames(self, image: Tensor, target: int) -> None:
        """Do nothing but predict, encode, one gradient, 25 evaluations and 21 frames."""
        classifier, coder = self.networks.classifier, self.networks.autoencoder
        with torch.no_grad():
            classifier.logits(to_input_range(image, classifier))
        latent = coder.encode(image).detach().requires_grad_()
        logits = classifier.logits(to_input_range(coder.decode(latent), classifier))
        torch.autograd.grad(logits[0, target], latent)
        n = MINIMUM_EVALUATIONS + MINIMUM_FRAMES
        with torch.no_grad():
            for start in range(0, n, 4):
                frames = coder.decode(latent.repeat(min(4, n - start), *[1] * (latent.ndim - 1)))
                classifier.logits(to_input_range(frames, classifier))


def summary(race: Race, label: str, threads: int) -> dict[str, object]:
    """Return medians in seconds and the ratios, each the median of the ratios case by case."""
    seconds = {
        name: np.median(np.array(values), axis=1) for name, values in race.seconds.items()
    }  # (cases,)
    literals = {name: seconds[f"literal {name[0]}"] / seconds[name] for name in BARS}
    overhead = {
        name: seconds[name] / seconds[f"minimum {name[0]}"]
        for name in ("A, same 100 steps", "B, latent shift and GIF")
    }
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "networks": label,
        "threads": threads,
        "n_cases": len(race.correlations),
        "repeats": len(next(iter(race.seconds.values()))[0]),
        "median_seconds": {name: float(np.median(values)) for name, values in seconds.items()},
        "faster_than_literal": {name: float(np.median(each)) for name, each in literals.items()},
        "slowest_case": {name: float(np.min(each)) for name, each in literals.items()},
        "bars": BARS,
        "cost_over_minimum": {name: float(np.median(each)) for name, each in overhead.items()},
        "bar_cost_over_minimum": MOST_OVER_MINIMUM,
        "lowest_correlation_with_300_steps": min(race.correlations),
        "share_of_searches_that_reached_both_ends": float(np.mean(race.reached)),
        "film_of_the_literal": "mp4 by ffmpeg" if shutil.which("ffmpeg") else "GIF by Pillow",
        "torch": torch.__version__,
    }


def table(found: dict[str, Any]) -> str:
    """Return the figures of :func:`summary` as lines of text."""
    seconds, faster, over = (
        found[key] for key in ("median_seconds", "faster_than_literal", "cost_over_minimum")
    )
    lines = [f"{'':26}{'seconds':>9}{'literal':>10}{'bar':>8}{'minimum':>10}{'bar':>8}"]
    for name, median in seconds.items():
        line = f"{name:26}{median:9.3f}"
        if name in faster:
            line += f"{faster[name]:8.2f} ×{found['bars'][name]:6g} ×"
        if name in over:
            line += f"{over[name]:8.2f} ×{MOST_OVER_MINIMUM:6g} ×"
        lines.append(line)
    lines.append(
        f"{found['n_cases']} cases × {found['repeats']}, {found['threads']} threads, "
        f"{found['networks']}; steps by tolerance against 300: r ≥ "
        f"{found['lowest_correlation_with_300_steps']:.4f}; literal film: "
        f"{found['film_of_the_literal']}"
    )
    return "\n".join(lines)


@click.command()
@click.argument("cases_dir", metavar="CASES", type=click.Path(path_type=Path))
@click.option("--networks", "label", type=click.Choice(sorted(NETWORKS)), default="phantom")
@click.option("--n", "n_cases", type=click.IntRange(1), default=6, show_default=True)
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("benchmarks/results"))
def command(
    cases_dir: Path, label: str, n_cases: int, threads: int, repeats: int, out: Path
) -> None:
    """Explain the first films of CASES by everybody and write the ratios to OUT."""
    torch.set_num_threads(threads)
    cases = CaseSet.open(cases_dir)
    films = [cases.load(case_id).image for case_id in cases.case_ids[:n_cases]]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        networks = NETWORKS[label](folder, _tensor(films, (224, 224)))
        race = Race(networks, _tensor(films, networks.classifier.input_size), folder)
        race.warm_up()
        with progress_bar("cases", len(films)) as advance:
            for index in range(len(films)):
                race.run(index, repeats)
                advance(index + 1, len(films))
    found = summary(race, label, threads)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=2)
    click.echo(table(found))
    (out / f"explain-{label}-{found['date']}.json").write_text(text + "\n", encoding="utf-8")


def _tensor(films: list[np.ndarray], size: tuple[int, int]) -> Tensor:
    small = [np.clip(resize(film, size), 0, 1) for film in films]
    return torch.from_numpy(np.stack(small)[:, None])


if __name__ == "__main__":
    command()
