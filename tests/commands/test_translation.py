"""``counterlight train syce|mgen|vae`` on digits, and ``counterlight translation`` of them."""

from __future__ import annotations

import struct

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from commands.trainers.mgen import command as train_mgen
from commands.trainers.paired import syce
from commands.trainers.vae import command as train_vae
from commands.translation import command
from explainers.base import ExplainerError
from explainers.classifiers.digits import LeNet, save_digit_classifier
from explainers.generators.paired import load_paired

N_DIGITS = 84


def write_digits(folder):
    """Threes are dark, eights are bright; every other digit is absent."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(N_DIGITS) // 3 % 2, 8, 3).astype(np.uint8)
    images = rng.integers(0, 60, (N_DIGITS, 28, 28)).astype(np.uint8)
    images[labels == 8, 8:20, 8:20] += 150
    for prefix in ("train", "t10k"):
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{prefix}-{name}-ubyte").write_bytes(header + array.tobytes())
    return images, labels == 8


def brightness_lenet(images, bright, seed):
    """A LeNet that says 8 of bright digits and 3 of dark ones, and never another digit."""
    torch.manual_seed(seed)
    network = LeNet()
    last = network.layers[-1]
    with torch.no_grad():
        x = torch.from_numpy(np.pad(images, ((0, 0), (2, 2), (2, 2))))[:, None].float() / 255
        features = network.layers[:-1](x)
        apart = features[bright].mean(dim=0) - features[~bright].mean(dim=0)
        apart = 20 * apart / apart.square().sum()
        middle = apart @ (features[bright].mean(dim=0) + features[~bright].mean(dim=0)) / 2
        last.weight.zero_()
        last.bias.fill_(-30)
        last.weight[8], last.weight[3] = apart, -apart
        last.bias[8], last.bias[3] = -middle, middle
    return network


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    images, bright = write_digits(folder / "mnist")
    with torch.random.fork_rng(devices=[]):
        for seed, name in enumerate(("classifier", "oracle")):
            network = brightness_lenet(images, bright, seed)
            save_digit_classifier(folder / f"{name}.safetensors", network, {})
    return folder


def run(command, *options):
    found = CliRunner().invoke(command, [str(each) for each in options], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def trained(files, trainer, name, *more):
    out = files / f"{name}.safetensors"
    output = run(
        trainer, "--cases", files / "mnist", "--classifier", files / "classifier.safetensors",
        "--findings", "3-8", "--channels", "4,8", "--epochs", 0.5, "--work", files / "work",
        "--out", out, *more,
    )  # fmt: skip
    return out, output


def test_pairs_masks_and_space_are_trained_on_digits_and_compared(files):
    pair, output = trained(files, syce, "syce", "--oracle", files / "oracle.safetensors")
    assert "| 3 → 8, from 8 | 42 |" in output
    assert load_paired(pair).contrasts[0].negative == 3
    plain, _ = trained(files, syce, "plain", "--no-cycle")
    card = plain.with_suffix(".md").read_text()
    assert "symmetry" in card and "cycle" not in card.split("discriminator")[0].split("symmetry")[1]
    mgen, _ = trained(files, train_mgen, "mgen")
    vae, _ = trained(files, train_vae, "vae", "--latent", 4)
    assert "findings: 3 → 8" in vae.with_suffix(".md").read_text().lower()
    out = files / "out"
    options = [
        "--cases", files / "mnist", "--classifier", files / "classifier.safetensors",
        "--oracle", files / "oracle.safetensors", "--vae", vae, "--pair", pair,
        "--pair", f"SyCE without cycle={plain}", "--mgen", mgen, "--no-bbmp",
        "--maps", "input_gradients", "--limit", 10, "--out", out,
    ]  # fmt: skip
    said = run(command, *options)
    assert "no masks" in said and "Wrote" in said
    table = pd.read_csv(out / "translation.agreement.csv")
    assert set(table["direction"]) == {"3 → 8", "8 → 3", "both"}
    assert {"SyCE", "SyCE without cycle", "MGen", "Do nothing"} <= set(table["method"])
    assert not (out / "translation.localisation.csv").exists()
    said = run(command, *options, "--table", "seconds")
    assert "CPU seconds" in said and "f: adversarial" not in said
    with pytest.raises(ExplainerError, match="Two methods are called 'SyCE'"):
        run(command, *options, "--pair", pair)


def test_weights_for_other_contrasts_or_another_size_are_refused(files):
    classifier = files / "classifier.safetensors"
    common = ["--cases", files / "mnist", "--classifier", classifier, "--out", files / "no"]
    with pytest.raises(ExplainerError, match="no class '12'"):
        run(syce, *common[:4], "--findings", "12", "--out", files / "no.safetensors")
    from explainers.generators.paired import Contrast, PairedGenerators, PairedShape, save_paired
    from explainers.generators.vae import VAE, VAEShape, save_vae

    save_vae(files / "small.safetensors", VAE(VAEShape(16, (4, 8), 4, 1)))
    with pytest.raises(ExplainerError, match="The VAE takes images of 16 pixels"):
        run(command, *common, "--vae", files / "small.safetensors")
    save_vae(files / "right.safetensors", VAE(VAEShape(32, (4, 8), 4, 1)))
    for size, contrast, sentence in (
        (16, Contrast("3 → 8", 8, 3), "SyCE takes images of 16 pixels, the classifier of 32"),
        (32, Contrast("4 → 9", 9, 4), "SyCE was not trained for 3 → 8"),
    ):
        pair = PairedGenerators("syce", PairedShape(size, (4, 8)), (contrast,))
        save_paired(files / "other.safetensors", pair)
        with pytest.raises(ExplainerError, match=sentence):
            run(command, *common, "--vae", files / "right.safetensors", "--findings", "3-8",
                "--pair", files / "other.safetensors")  # fmt: skip
