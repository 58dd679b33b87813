"""A structure/class generator that is linear, so that searches and paths have closed forms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from tests.support.stub_networks import FINDINGS, SIDE, LinearClassifier


class LinearStructureClass(nn.Module):
    """G(z1, z2) = 0.5 + A z1 + Σ_f |z2_f| b_f, where b_f raises the logit of finding f only."""

    findings = FINDINGS
    input_size = (SIDE, SIDE)
    input_range = (0.0, 1.0)
    weights_digest = "linear-structure-class"
    classifier_digest = "linear-classifier"
    structure_size = 6
    block_size = 2

    def __init__(self, strength: float = 1.0, seed: int = 4) -> None:
        super().__init__()
        weight = LinearClassifier().head.weight.detach()  # (F, 64)
        dual = torch.linalg.pinv(weight)  # (64, F): moves one logit by 1
        generator = torch.Generator().manual_seed(seed)
        free = torch.randn(SIDE * SIDE, self.structure_size, generator=generator)
        free = free - dual @ (weight @ free)  # structure moves no logit
        self.structure = nn.Parameter(0.05 * torch.linalg.qr(free)[0])
        self.effect = nn.Parameter(strength * dual)

    def target(self, finding: str) -> int:
        if finding not in self.findings:
            raise ExplainerError(f"not trained with {finding}")
        return self.findings.index(finding)

    def decode(self, z1: Tensor, z2: Tensor) -> Tensor:
        size = z2.square().sum(dim=2).clamp(min=1e-12).sqrt()  # (N, F)
        flat = 0.5 + z1 @ self.structure.T + size @ self.effect.T
        return flat.reshape(-1, 1, SIDE, SIDE)
