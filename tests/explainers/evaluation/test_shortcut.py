"""What a classifier owes to a chest tube: closed forms with a linear classifier that sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from data.phantom.render import render
from explainers.base import ExplainerError
from explainers.evaluation import shortcut
from explainers.evaluation.shortcut import (
    AUTOENCODER,
    FINDING,
    TubeFilms,
    healthy_with_tube,
    measure_shortcut,
    tube_films,
    without_tube,
)

SIDE = 16
CONTRAST = 0.2


class TubeClassifier(nn.Module):
    """Logit = weight of the pixels of the tube; it sees nothing else."""

    findings = (FINDING,)
    input_size = (SIDE, SIDE)
    input_range = (0.0, 1.0)
    weights_digest = "tube-classifier"

    def __init__(self, tube: np.ndarray) -> None:
        super().__init__()
        weight = torch.from_numpy(tube.astype(np.float32)) / tube.sum() * 20
        self.weight = nn.Parameter(weight)

    def logits(self, images: Tensor) -> Tensor:
        return (images[:, 0] * self.weight).sum(dim=(1, 2))[:, None] - 12.0

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


@dataclass(frozen=True)
class Smearing:
    """An autoencoder whose latent is the image; it decodes a share of the image's detail."""

    share: float
    input_size: tuple[int, int] = (SIDE, SIDE)
    latent_shape: tuple[int, ...] = (1, SIDE, SIDE)
    weights_digest: str = "smearing"

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, latents: Tensor) -> Tensor:
        return (0.5 + self.share * (latents - 0.5)).clamp(0, 1)


def films() -> tuple[TubeFilms, np.ndarray]:
    core = np.zeros((SIDE, SIDE), bool)
    core[3:12, 8] = True
    bare = np.full((2, SIDE, SIDE), 0.5, np.float32)
    shown = bare + CONTRAST * core
    return tube_films(("a", "b"), list(shown), list(bare), (SIDE, SIDE)), core


def value(rows: object, who: str, method: str, quantity: str) -> np.ndarray:
    table = rows  # long rows
    chosen = table[  # type: ignore[index]
        (table["classifier"] == who)  # type: ignore[index]
        & (table["method"] == method)  # type: ignore[index]
        & (table["quantity"] == quantity)  # type: ignore[index]
    ]
    return chosen["value"].to_numpy()  # type: ignore[no-any-return]


def test_the_tube_is_what_differs_and_one_pixel_around_it() -> None:
    pair, core = films()
    assert (pair.tube & core).sum() == 2 * core.sum()
    assert pair.tube[0].sum() == 9 * 3 + 2  # a line of nine, a pixel on every side


def test_a_gradient_that_sees_the_tube_alone_lies_on_it_entirely() -> None:
    pair, core = films()
    rows = measure_shortcut(
        pair, {"tube": TubeClassifier(core)}, Smearing(1.0), ["input_gradients", "latent_shift"]
    )
    assert value(rows, "tube", "input_gradients", "tube_share") == pytest.approx([1, 1])
    assert value(rows, "tube", "input_gradients", "peak") == pytest.approx([1, 1])
    area = pair.tube[0].mean()
    found = value(rows, "tube", "input_gradients", "concentration")
    assert found == pytest.approx([1 / area, 1 / area])
    assert value(rows, "tube", "latent_shift-max", "tube_share") == pytest.approx([1, 1])
    logit = 20 * (0.5 + CONTRAST) - 12
    assert value(rows, "tube", "prediction", "film") == pytest.approx(
        [1 / (1 + np.exp(-logit))] * 2
    )
    # From logit 2 to that of 0.45 is so much of the tube's contrast, worth 20 · 0.2 = 4 logits.
    removed = value(rows, "tube", "latent_shift-max", "tube_removed")
    assert removed == pytest.approx([(2 - np.log(0.45 / 0.55)) / 4] * 2, abs=0.03)
    assert value(rows, "tube", "latent_shift-max", "f_lowest") == pytest.approx(0.45, abs=0.02)


@pytest.mark.parametrize("share", [1.0, 0.4, 0.0])
def test_what_the_autoencoder_keeps_of_the_tube_is_measured(share: float) -> None:
    pair, core = films()
    rows = measure_shortcut(
        pair, {"tube": TubeClassifier(core)}, Smearing(share), ["input_gradients"]
    )
    assert value(rows, AUTOENCODER, "prediction", "tube_kept") == pytest.approx([share] * 2)
    f_without = value(rows, "tube", "prediction", "without_tube")
    f_reconstruction = value(rows, "tube", "prediction", "reconstruction")
    if share == 0:
        assert f_reconstruction == pytest.approx(f_without)
    else:
        assert (f_reconstruction > f_without).all()


def test_films_that_show_no_tube_are_refused() -> None:
    grey = np.full((SIDE, SIDE), 0.5, np.float32)
    with pytest.raises(ExplainerError, match="looks the same without its chest tube"):
        tube_films(("a",), [grey], [grey], (SIDE, SIDE))


def test_healthy_films_with_a_tube_are_found_and_rendered_without_it() -> None:
    (film,) = healthy_with_tube(4242, 1)
    assert film.chest_tube and not film.findings_present
    shown = render(film, 64, counterfactuals=False).image
    assert np.abs(shown - without_tube(film, 64)).max() > 0.05


def test_more_films_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcut, "_LONGEST_SEARCH", 30)
    with pytest.raises(ExplainerError, match="are healthy with a chest tube; 30 were asked for"):
        healthy_with_tube(4242, 30)
