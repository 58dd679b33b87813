"""The share of a change that is kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from explainers.counterfactual.kept_change import kept_change


def change() -> Tensor:
    """A strong square of 8 × 8 on a weak ripple over 64 × 64 pixels."""
    dice = torch.Generator().manual_seed(1)
    values = 0.01 * torch.randn(2, 1, 64, 64, generator=dice)
    values[:, :, 20:28, 30:38] -= 0.5
    return values


def shares(*each: float) -> Tensor:
    return torch.tensor(each)


def test_the_strong_place_stays_with_its_sign_and_the_ripple_goes() -> None:
    kept = kept_change(change(), shares(0.01, 0.01))
    assert float(kept[:, :, 22:26, 32:36].max()) < 0
    assert not kept[:, :, 40:].any()


def test_no_more_pixels_than_the_share_are_changed_and_a_share_of_one_changes_nothing() -> None:
    kept = kept_change(change(), shares(0.01, 1.0))
    assert 0.008 < float((kept[0] != 0).float().mean()) <= 0.01
    assert torch.equal(kept[1], change()[1])


def test_twice_the_change_keeps_twice_as_much_in_the_same_places() -> None:
    once, twice = (kept_change(k * change(), shares(0.1, 0.1)) for k in (1, 2))
    torch.testing.assert_close(2 * once, twice)


def test_no_change_stays_none() -> None:
    assert not kept_change(torch.zeros(1, 1, 64, 64), shares(0.1)).any()


def test_the_gradient_reaches_only_what_is_kept() -> None:
    values = change().requires_grad_()
    kept = kept_change(values, shares(0.01, 0.01))
    (gradient,) = torch.autograd.grad(kept.square().sum(), values)
    assert gradient[:, :, 20:28, 30:38].any() and not gradient[:, :, 45:].any()


def test_an_image_does_not_depend_on_its_batch() -> None:
    both = kept_change(change(), shares(0.02, 0.3))
    for case, share in enumerate((0.02, 0.3)):
        alone = kept_change(change()[case : case + 1], shares(share))
        assert both[case].numpy() == pytest.approx(alone[0].numpy(), abs=1e-7)
