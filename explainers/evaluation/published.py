"""Published figures that ours stand beside: Charachon et al. 2021 (arXiv:2106.14403)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True)
class Published:
    """Figures of Charachon et al. 2021, pneumonia, ResNet50; ``None`` where not given.

    Parameters
    ----------
    adversarial
        Agreement of f on adversarial images.
    iou
        At the percentiles 90, 95 and 98.
    ncc
        Correlation of the raw map.
    seconds
        Per explanation, on a V100.
    """

    adversarial: float | None
    iou: tuple[float, float, float] | None
    ncc: float | None
    seconds: float | None


PUBLISHED: Final[Mapping[str, Published]] = MappingProxyType(
    {
        "input_gradients": Published(None, (0.187, 0.152, 0.097), 0.312, 2.26),
        "integrated_gradients": Published(None, (0.170, 0.136, 0.086), 0.254, 4.06),
        "grad_cam": Published(None, (0.195, 0.138, 0.070), 0.325, 0.50),
        "bbmp": Published(None, (0.204, 0.154, 0.087), 0.348, 17.26),
        "mgen": Published(0.075, (0.208, 0.169, 0.103), 0.340, 0.06),
        "sagen": Published(0.103, (0.232, 0.173, 0.097), 0.325, 0.04),
        "cyce": Published(0.040, (0.221, 0.191, 0.116), 0.337, 0.11),
        "syce": Published(0.028, (0.299, 0.244, 0.151), 0.506, 0.14),
        "cyclegan": Published(0.739, None, None, None),
    }
)
"""By the name of the system or method."""
