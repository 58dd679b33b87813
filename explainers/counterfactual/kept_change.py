"""The part of a change that stands out.

Moving a latent of a hundred numbers changes every pixel a little. Small differences everywhere sum
up, over a whole film, to more than the finding itself; this keeps the strongest share of them.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError

_WIDER: Final = 1.5
_WIDENINGS: Final = 2
"""Times as large a share is kept where one does not suffice, and at most so many times: more would
be more than the finding, over a whole film."""

_BLUR: Final = 1 / 64  # standard deviation as a share of the image's side
_TINY: Final = 1e-9


def check_keep(keep: float) -> None:
    """Refuse a share of the pixels that is none.

    Raises
    ------
    ExplainerError
        If it is not in (0, 1].
    """
    if not 0 < keep <= 1:
        raise ExplainerError(f"keep is {keep}; expected a share of the pixels above 0 and up to 1.")


def widened(keep: float) -> tuple[float, ...]:
    """Return the shares that are tried one after the other, all at most 1."""
    return tuple(min(keep * _WIDER**times, 1.0) for times in range(_WIDENINGS + 1))


def kept_change(change: Tensor, keep: Tensor) -> Tensor:
    """Shrink a change to its strongest share of pixels, by a soft threshold.

    c · max(1 − τ / |b|, 0) with b the change c under a Gaussian of a 64th of the side, so that
    places count and not single pixels, and τ the quantile of |b| that leaves that share of pixels.
    Twice the change keeps twice as much, in the same places. τ takes no part in the gradient.

    Parameters
    ----------
    change
        (N, 1, H, W), signed; differentiable.
    keep
        (N,), share of the pixels, in (0, 1]; 1 leaves the change as it is.
    """
    strength = _blurred(change).abs()
    ordered = strength.detach().flatten(1).sort(dim=1).values
    ranks = ((1 - keep) * (ordered.shape[1] - 1)).ceil().long().clamp_min(0)
    threshold = ordered.gather(1, ranks[:, None])[:, :, None, None]
    threshold = torch.where(keep[:, None, None, None] < 1, threshold, 0)
    return change * (1 - threshold / strength.clamp_min(_TINY)).clamp_min(0)


def _blurred(change: Tensor) -> Tensor:
    """Gaussian of :data:`_BLUR` of the side; images of a few pixels stay as they are."""
    sigma = _BLUR * max(change.shape[-2:])
    reach = min(math.ceil(3 * sigma), min(change.shape[-2:]) - 1)
    if sigma < 0.5:
        return change
    places = torch.arange(-reach, reach + 1, device=change.device, dtype=change.dtype)
    weights = torch.exp(-(places**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    rows = nn.functional.pad(change, (0, 0, reach, reach), mode="replicate")
    rows = nn.functional.conv2d(rows, weights.view(1, 1, -1, 1))
    columns = nn.functional.pad(rows, (reach, reach, 0, 0), mode="replicate")
    return nn.functional.conv2d(columns, weights.view(1, 1, 1, -1))
