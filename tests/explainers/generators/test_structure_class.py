"""The structure/class generator: what z2 = 0 and λ z2 mean, and what its file holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from explainers.base import ExplainerError
from explainers.generators.structure_class import (
    StructureClass,
    StructureClassGenerator,
    StructureClassShape,
    drawn_classes,
    load_structure_class,
    save_structure_class,
)
from explainers.generators.stylegan2 import StyleGANShape

SHAPE = StructureClassShape(
    ("Mass", "Effusion"),
    StyleGANShape(size=8, channel_base=64, channel_limit=8, latent=6, n_mapping=1),
    block=3,
    hidden=5,
    code=4,
)


def made(seed: int = 0) -> StructureClassGenerator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StructureClassGenerator(SHAPE)


def latents(n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(7)
    return torch.randn(n, 6, generator=dice), torch.randn(n, 2, 3, generator=dice)


def test_z2_of_zero_adds_nothing_to_the_styles() -> None:
    generator, (z1, z2) = made(), latents()
    built = generator.synthesis.styles(generator.synthesis.latents(z1))
    assert torch.equal(generator.styles(z1, torch.zeros_like(z2)), built)


def test_the_traversal_is_a_straight_line_in_the_styles() -> None:
    generator, (z1, z2) = made(), latents()
    start = generator.styles(z1, 0 * z2)
    once = generator.styles(z1, z2) - start
    assert once.abs().max() > 0.01
    for factor in (0.3, 1.7):
        torch.testing.assert_close(generator.styles(z1, factor * z2) - start, factor * once)


def test_a_block_moves_nothing_but_its_own_code() -> None:
    generator, (_, z2) = made(), latents()
    other = z2.clone()
    other[:, 1] = 0
    before, after = generator.codes(z2), generator.codes(other)
    assert torch.equal(before[:, 0], after[:, 0])
    assert torch.equal(after[:, 1], torch.zeros_like(after[:, 1]))


def test_the_same_latents_give_the_same_image() -> None:
    generator, (z1, z2) = made(), latents()
    with torch.no_grad():
        assert torch.equal(generator(z1, z2), generator(z1, z2))


def test_a_gradient_passes_where_brightness_is_clipped() -> None:
    network, (z1, z2) = StructureClass(made()), latents()
    network.generator.synthesis.image_bias.data += 10
    z1.requires_grad_()
    images = network.decode(z1, z2)
    assert images.min() == 1
    assert torch.autograd.grad(images.sum(), z1)[0].abs().max() > 0


def test_absent_findings_are_blocks_of_zeros() -> None:
    drawn = drawn_classes(torch.tensor([[0.0, 1.0]]), 3, torch.Generator().manual_seed(0))
    assert not drawn[0, 0].any() and drawn[0, 1].all()


def test_a_file_holds_everything(tmp_path: Path) -> None:
    generator, (z1, z2) = made(), latents()
    digest = save_structure_class(tmp_path / "sc.safetensors", generator, "c" * 64)
    network = load_structure_class(tmp_path / "sc.safetensors")
    assert network.weights_digest == digest and network.classifier_digest == "c" * 64
    assert network.findings == SHAPE.findings and network.input_size == (8, 8)
    assert network.generator.shape == SHAPE
    assert not any(weight.requires_grad for weight in network.parameters())
    with torch.no_grad():
        expected = StructureClass(generator).decode(z1, z2)
        torch.testing.assert_close(network.decode(z1, z2), expected, atol=5e-3, rtol=0)


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(ExplainerError, match="expected 'structure_class'"):
        load_structure_class("phantom-classifier")


def test_latents_of_other_shapes_and_unknown_findings_are_refused() -> None:
    network, (z1, z2) = StructureClass(made()), latents()
    with pytest.raises(ExplainerError, match=r"z1 has shape \(3, 5\)"):
        network.decode(z1[:, :5], z2)
    with pytest.raises(ExplainerError, match="one block per finding"):
        network.decode(z1, z2[:, :1])
    with pytest.raises(ExplainerError, match="not trained with 'Hernia'; it knows Mass, Effusion"):
        network.target("Hernia")
    with pytest.raises(ExplainerError, match="different names"):
        StructureClassShape(("Mass", "Mass"))
