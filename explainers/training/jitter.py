"""What a frozen classifier sees of a generated image while it teaches: moved a little, with noise.

A generator finds patterns of single pixels that please one classifier. Such a pattern does not
survive a movement by a pixel or two and a little noise; a finding does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def jittered(images: Tensor, shift: int, noise: float, dice: torch.Generator) -> Tensor:
    """Move images together by up to ``shift`` pixels and add noise; gradients pass.

    Parameters
    ----------
    images
        (N, C, S, S).
    shift
        Largest movement in pixels, to all sides; what comes in repeats the border. 0 for none.
    noise
        Standard deviation of the noise, in units of the images; 0 for none.
    dice
        Where randomness comes from.
    """
    if shift:
        side, reach = images.shape[-1], 2 * shift + 1
        padded = functional.pad(images, [shift] * 4, mode="replicate")
        top, left = torch.randint(reach, (2,), generator=dice).tolist()
        images = padded[..., top : top + side, left : left + side]
    if noise:
        images = images + noise * torch.randn(images.shape, generator=dice)
    return images
