"""A setting of a bench over tiny films and networks, and a linear network of their size."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from data.manifest import CaseSet
from data.reference import ReferenceSet
from explainers.evaluation.bench import Setting

SIDE = 32
FINDINGS = ("Mass", "Lung Opacity")
LABEL = "tiny"
PAIRS = (("c0001", "Mass"), ("c0002", "Lung Opacity"), ("c0003", "Mass"))


class Linear(nn.Module):
    """Logits = w · x + b at 32 × 32."""

    findings = FINDINGS
    input_size = (SIDE, SIDE)
    input_range = (0.0, 1.0)
    weights_digest = "linear"

    def __init__(self, seed: int = 1) -> None:
        super().__init__()
        self.head = nn.Linear(SIDE * SIDE, len(FINDINGS))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(self.head.weight.shape, generator=generator) * 0.1)
            self.head.bias.zero_()

    def logits(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1))

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


class Identity(nn.Module):
    """An autoencoder that changes nothing."""

    input_size = (SIDE, SIDE)
    latent_shape = (1, SIDE, SIDE)
    weights_digest = "identity"

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def setting_of(
    root: Path,
    cases: CaseSet,
    classifier: object,
    autoencoder: object = None,
    methods: tuple[str, ...] = ("input_gradients",),
    seed: int = 0,
) -> Setting:
    """Return a setting of one classifier."""
    return Setting(
        cases=cases,
        references=ReferenceSet.open(cases.root),
        classifiers={LABEL: classifier},
        networks={} if autoencoder is None else {"autoencoder": autoencoder},
        oracle=None,
        methods=methods,
        pairs=PAIRS,
        seed=seed,
        explanations=root / "explanations",
    )


def values_of(table, quantity: str, method: str | None = None):
    """Return rows of one quantity as case × x."""
    rows = table[table["quantity"] == quantity]
    if method is not None:
        rows = rows[rows["method"] == method]
    return rows.set_index(["case_id", "finding", "x"])["value"].unstack("x").sort_index(axis=1)
