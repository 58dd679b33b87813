"""The sweep: three ways, one set of numbers; the screening loses nothing that a selection takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from explainers.base import ExplainerError
from explainers.generators.stylegan2 import Generator, StyleGANShape
from explainers.stylespace.clamped import clamped_images, known_film
from explainers.stylespace.ranges import StyleRanges, style_ranges
from explainers.stylespace.screening import screened_ends
from explainers.stylespace.selection import aggregated, flips, selected, strongest
from explainers.stylespace.sweep import Sweep, SweepStopped, sweep

SHAPE = StyleGANShape(size=16, channel_base=64, channel_limit=8, latent=6, n_mapping=2)


class Brightness:
    """Two findings: how bright the upper and the lower half of the film are."""

    findings = ("Above", "Below")
    input_size = (16, 16)
    input_range = (0.0, 1.0)
    weights_digest = "brightness"

    def logits(self, images: Tensor) -> Tensor:
        halves = images.unflatten(2, (2, 8)).mean(dim=(1, 3, 4))
        return 40 * (halves - 0.5)

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Generator(SHAPE).eval().requires_grad_(False)
        made.image_bias.normal_(0, 0.05)
        for layer in made.convolutions:
            layer.noise_strength.fill_(0.1)  # type: ignore[union-attr,operator]
    return made


@pytest.fixture
def ranges(generator: Generator) -> StyleRanges:
    return style_ranges(generator, n_samples=400, seed=1)


def _styles(generator: Generator, n: int = 2) -> Tensor:
    z = torch.randn(n, SHAPE.latent, generator=torch.Generator().manual_seed(2))
    return generator.styles(generator.latents(z))


def test_the_ranges_hold_every_sample_and_a_percentile_less(generator: Generator) -> None:
    whole = style_ranges(generator, n_samples=500, seed=3)
    inner = style_ranges(generator, n_samples=500, seed=3, percentile=5)
    assert (whole.low <= inner.low).all() and (inner.high <= whole.high).all()
    assert (whole.low <= whole.mean).all() and (whole.mean <= whole.high).all()
    again = style_ranges(generator, n_samples=500, seed=3)
    assert torch.equal(whole.low, again.low)
    with pytest.raises(ExplainerError, match="at least two samples"):
        style_ranges(generator, n_samples=1)


def test_a_clamped_image_is_the_one_made_from_the_beginning(generator: Generator) -> None:
    (styles,) = _styles(generator, 1)
    film = known_film(generator, styles)
    assert torch.allclose(film.image, generator.synthesise(styles[None]), atol=1e-6)
    for number, layer in enumerate(generator.layers):
        dims = torch.tensor([layer.start, layer.stop - 1])
        values = torch.tensor([-1.5, 2.5])
        changed = styles.repeat(2, 1)
        changed[[0, 1], dims] = values
        expected = generator.synthesise(changed)
        got = clamped_images(generator, film, number, dims, values)
        assert torch.allclose(got, expected, atol=1e-5), layer.name


def test_exhaustive_gives_the_numbers_of_naive(generator: Generator, ranges: StyleRanges) -> None:
    styles = _styles(generator)
    naive = sweep(generator, Brightness(), styles, ranges, mode="naive")
    fast = sweep(generator, Brightness(), styles, ranges, mode="exhaustive")
    assert naive.changes.shape == (2, generator.n_styles, 2, 2)
    assert fast.measured.all()
    np.testing.assert_allclose(fast.changes, naive.changes, atol=1e-5)
    np.testing.assert_allclose(fast.probabilities, naive.probabilities, atol=1e-6)


def test_screening_measures_less_and_keeps_what_is_selected(
    generator: Generator, ranges: StyleRanges
) -> None:
    styles = _styles(generator, 4)
    whole = sweep(generator, Brightness(), styles, ranges)
    threshold = float(np.quantile(np.abs(whole.changes).max(axis=(0, 2, 3)), 0.9))
    # A random network is far from linear: the gradient is asked for a quarter of the change.
    ends = screened_ends(generator, Brightness(), styles, ranges, threshold / 4)
    part = sweep(generator, Brightness(), styles, ranges, mode="screened", ends=ends)
    assert (part.measured == ends).all()
    assert 0 < part.measured.mean() < 0.8
    np.testing.assert_allclose(part.changes[part.measured], whole.changes[part.measured], atol=1e-6)
    for finding in Brightness.findings:
        wanted = {f.dimension for f in selected(whole, finding, threshold=threshold)}
        found = {f.dimension for f in selected(part, finding, threshold=threshold)}
        assert wanted == found


def test_a_saturated_prediction_is_still_screened_by_its_logit(
    generator: Generator, ranges: StyleRanges
) -> None:
    class Sure(Brightness):
        def logits(self, images: Tensor) -> Tensor:
            return super().logits(images) * 20

    assert screened_ends(generator, Sure(), _styles(generator, 1), ranges, 0.1).any()


def test_what_matters_on_average_is_measured_on_every_film(
    generator: Generator, ranges: StyleRanges
) -> None:
    styles = _styles(generator, 6)
    alone = [screened_ends(generator, Brightness(), one[None], ranges, 0.2)[0] for one in styles]
    together = screened_ends(generator, Brightness(), styles, ranges, 0.2)
    added = together & ~np.stack(alone)
    assert added.any()
    assert (together.all(axis=0) | ~added.any(axis=0)).all()


def test_aggregates_by_hand() -> None:
    changes = np.zeros((2, 3, 2, 1), np.float32)
    changes[0, 0, 1, 0], changes[1, 0, 0, 0] = 0.6, -0.2
    changes[0, 2], changes[1, 2] = -0.35, 0.35
    one = Sweep(changes, np.array([[0.45], [0.6]], np.float32), ("Mass",), "exhaustive")
    assert aggregated(one, "Mass", "mean") == pytest.approx([0.4, 0, 0.35])
    assert aggregated(one, "Mass", "share") == pytest.approx([0.5, 0, 1.0])
    assert aggregated(one, "Mass", "max") == pytest.approx([0.6, 0, 0.35])
    factors = selected(one, "Mass", aggregation="max")
    assert [f.dimension for f in factors] == [0, 2]
    assert factors[0].mean_high == pytest.approx(0.3) and factors[0].mean_low == pytest.approx(-0.1)
    assert flips(one, "Mass", 0).tolist() == [True, True]
    assert selected(one, "Mass", threshold=0.9) == ()
    assert strongest(one, "Mass")[0].dimension == 0
    with pytest.raises(ExplainerError, match="knows nothing of 'Effusion'"):
        selected(one, "Effusion")


def test_a_dimension_that_was_passed_over_counts_as_unmoved() -> None:
    changes = np.full((1, 2, 2, 1), np.nan, np.float32)
    changes[0, 1] = 0.5
    one = Sweep(changes, np.array([[0.5]], np.float32), ("Mass",), "screened")
    assert aggregated(one, "Mass", "max").tolist() == [0, 0.5]
    assert one.measured.tolist() == [[[False, False], [True, True]]]


def test_what_does_not_fit_is_said(generator: Generator, ranges: StyleRanges) -> None:
    with pytest.raises(ExplainerError, match="takes styles of shape"):
        sweep(generator, Brightness(), torch.zeros(2, 3), ranges)
    with pytest.raises(ExplainerError, match="not finite"):
        sweep(generator, Brightness(), torch.full((1, generator.n_styles), torch.nan), ranges)
    with pytest.raises(SweepStopped, match="after 0 of 2"):
        sweep(generator, Brightness(), _styles(generator), ranges, cancelled=lambda: True)
