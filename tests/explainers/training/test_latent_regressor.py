"""Heads on the latent, and the whole chain from films to a regressor in one file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from commands.trainers.latent_regressor import command as train_latent_regressor
from commands.trainers.wgan import command as train_wgan
from commands.trainers.wgan_encoder import command as train_wgan_encoder
from commands.trainers.wgan_start import command as train_wgan_start
from data.phantom.parameters import sample_parameters
from data.phantom.severity import simulate_heart_failure
from explainers.base import ExplainerError
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.latent import open_latent_classifier
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier, save_classifier
from explainers.generators.latent_head import HeadShape
from explainers.training.films import Films
from explainers.training.held_out import auc
from explainers.training.latent_evaluation import roc_curve
from explainers.training.latent_regressor import HeadSettings, fit_head, read_heart_failure
from explainers.training.loop import TrainingInterrupted

SHAPE = HeadShape("h", ("a",), thresholds=(0.0,), slopes=(1.0,))


def test_a_linear_head_finds_a_linear_map() -> None:
    dice = torch.Generator().manual_seed(0)
    z = 3 + 2 * torch.randn(500, 4, generator=dice)
    weight = torch.tensor([0.5, -1.0, 0.0, 2.0])
    wanted = (z @ weight + 7)[:, None]
    settings = HeadSettings(epochs=60, batch_size=64, learning_rate=0.1, jitter=0.0,
                            weight_decay=0.0, patience=60)  # fmt: skip
    head = fit_head(SHAPE, z[:400], wanted[:400], z[400:], wanted[400:], settings)
    error = (head(z[400:]) - wanted[400:]).square().mean()
    assert float(error / wanted.var()) < 1e-3
    assert not any(each.requires_grad for each in head.parameters())


def test_unknown_values_take_no_part_in_a_fit() -> None:
    z = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
    wanted = z[:, :1].clone()
    settings = HeadSettings(epochs=2, jitter=0.0)
    wanted[::2] = torch.nan
    head = fit_head(SHAPE, z, wanted, z[1::2], wanted[1::2], settings)
    assert bool(torch.isfinite(head(z)).all())


def test_a_fit_without_latents_or_told_to_stop_says_so() -> None:
    z, wanted = torch.randn(8, 3), torch.randn(8, 1)
    with pytest.raises(ExplainerError, match="2 training latents"):
        fit_head(SHAPE, z[:1], wanted[:1], z, wanted, HeadSettings())
    with pytest.raises(TrainingInterrupted):
        fit_head(SHAPE, z, wanted, z, wanted, HeadSettings(), cancelled=lambda: True)
    with pytest.raises(ExplainerError, match="learning_rate"):
        HeadSettings(learning_rate=2.0)


def test_the_area_under_the_drawn_curve_is_the_area_by_ranks() -> None:
    dice = np.random.default_rng(2)
    scores, positive = dice.integers(0, 9, 200) / 9, dice.random(200) < 0.4
    curve = roc_curve("c", scores, positive)
    area = np.trapezoid(curve.true_positive, curve.false_positive)
    assert area == pytest.approx(auc(scores, positive))
    assert (curve.false_positive[-1], curve.true_positive[-1]) == (1, 1)


def test_a_film_without_parameters_is_refused(films: Films) -> None:
    with pytest.raises(ExplainerError, match="no row in parameters"):
        read_heart_failure(films, {})
    with pytest.raises(ExplainerError, match="lack the column"):
        read_heart_failure(films, {str(each): {} for each in films.case_ids})


def test_a_counterfactual_has_the_severity_without_its_finding(films: Films) -> None:
    rows = {
        str(case): sample_parameters(3, number, findings=("Mass", "Effusion")).to_row()
        for number, case in enumerate(np.unique(films.case_ids))
    }
    table = read_heart_failure(films, rows)
    first = str(films.case_ids[0])
    assert (
        table.target[0]
        == simulate_heart_failure(sample_parameters(3, 0, findings=("Mass", "Effusion"))).target
    )
    removed = int(np.flatnonzero((films.removed >= 0) & (films.case_ids == first))[0])
    assert table.severity[removed] == table.severity[0]  # a mass is no part of heart failure
    assert table.positive.dtype == bool


def _features(path: Path) -> None:
    torch.manual_seed(5)
    network = build_classifier("smaller", 2)
    save_classifier(
        path,
        OurClassifier(
            network, ("Mass", "Effusion"), (32, 32), Calibration.identity(2),
            architecture="smaller",
        ),
    )  # fmt: skip


def _run(command: object, *arguments: object) -> str:
    result = CliRunner().invoke(command, [str(each) for each in arguments])  # type: ignore[arg-type]
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_the_chain_of_commands_leaves_one_file_with_card_figures_and_pictures(
    make_case_set: object, tmp_path: Path
) -> None:
    cases, work, out = tmp_path / "cases", tmp_path / "work", tmp_path / "w.safetensors"
    make_case_set(cases)  # type: ignore[operator]
    rows = [{"case_id": f"c{i:04d}", **sample_parameters(3, i).to_row()} for i in range(48)]
    with (cases / "parameters.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    _features(tmp_path / "f.safetensors")
    shared = ["--cases", cases, "--work", work, "--validation-share", 0.3]
    once = [*shared, "--epochs", 1, "--size", 32, "--batch-size", 8]
    sizes = ["--latent", 6, "--channel-base", 128, "--channel-limit", 8, "--critic-base", 128]
    begun = tmp_path / "start.safetensors"
    _run(train_wgan_start, *once, *sizes, "--out", begun)
    _run(train_wgan, *once, *sizes, "--out", out, "--features", tmp_path / "f.safetensors",
         "--begin-with", begun, "--anchor", 1, "--validate-every", 2)  # fmt: skip
    _run(train_wgan_encoder, *once, "--wgan", out, "--out", out, "--encoder-base", 128)
    said = _run(train_latent_regressor, *shared, "--wgan", out, "--out", out, "--epochs", 2)
    assert "simulated BNP > 100 ng/L" in said and "0.837" in said
    card = json.loads(out.with_suffix(".json").read_text())
    assert [each["name"] for each in card["sections"]] == ["generator", "encoder", "heads"]
    page = out.with_suffix(".md").read_text()
    assert "variational autoencoder" in page and "Not for patients" in page
    figures = json.loads(out.with_suffix(".evaluation.json").read_text())
    assert figures["heads"]["regressors"][0]["best_auc"]["value"] > 0.7
    for picture in ("w/curves.png", "w/samples.png", "w-encoder/reconstructions.png",
                    "w-encoder/curves.png", "w-heads/roc.png"):  # fmt: skip
        assert (work / picture).stat().st_size > 500
    regressor = open_latent_classifier(str(out))
    assert regressor.probability_at(100) == pytest.approx(0.5, abs=1e-3)
    _run(train_wgan_encoder, *once, "--wgan", out, "--out", out, "--encoder-base", 128)
    card = json.loads(out.with_suffix(".json").read_text())  # old heads do not fit a new encoder
    assert [each["name"] for each in card["sections"]] == ["generator", "encoder"]
