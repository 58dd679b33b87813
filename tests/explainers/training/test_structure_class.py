"""Training a structure/class generator: it resumes bit by bit, warns, and leaves a card."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from commands.class_agreement import command as agreement_command
from commands.trainers.structure_class import command
from explainers.base import ExplainerError
from explainers.classifiers.calibration import Calibration
from explainers.classifiers.networks import build_classifier
from explainers.classifiers.ours import OurClassifier, load_classifier, save_classifier
from explainers.generators.structure_class import (
    StructureClassGenerator,
    StructureClassShape,
    load_structure_class,
)
from explainers.generators.stylegan2 import Discriminator, Generator, StyleGANShape
from explainers.training.class_control import (
    BALANCED,
    CLASS_LOSS,
    StructureClassSettings,
    class_warnings,
    labels_of,
)
from explainers.training.films import Films
from explainers.training.loop import EpochRecord, LoopSettings, TrainingInterrupted
from explainers.training.starting import start_from
from explainers.training.state import write_state
from explainers.training.structure_class import StructureClassTask, train_structure_class
from explainers.training.stylegan2 import FRECHET, RECALL, SIGN

SYNTHESIS = StyleGANShape(size=32, channel_base=128, channel_limit=8, latent=8, n_mapping=1)
SHAPE = StructureClassShape(("Effusion", "Mass"), SYNTHESIS, block=2, hidden=4, code=3)
SETTINGS = LoopSettings(epochs=1, batch_size=4, learning_rate=2e-3, half_precision=False)
OPTIONS = StructureClassSettings(r1_every=2, n_measured=8, n_structures=1)


def classifier(seed: int = 5, slope: float = 1.0) -> OurClassifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_classifier("smaller", 2)
    calibration = Calibration((slope, slope), (0.0, 0.0))
    return OurClassifier(
        network, ("Mass", "Effusion"), (32, 32), calibration, architecture="smaller"
    )


def trained(films: Films, folder: Path, **more: object):  # type: ignore[no-untyped-def]
    return train_structure_class(
        films, SETTINGS, folder, shape=SHAPE, classifier=classifier(), features=classifier(6),
        clock=lambda: 0.0, options=OPTIONS, validate_every=50, **more,
    )  # type: ignore[arg-type]  # fmt: skip


def test_an_interrupted_run_ends_with_the_same_bits(films: Films, tmp_path: Path) -> None:
    whole, run = trained(films, tmp_path / "whole")
    calls = iter([False] * 4 + [True])
    with pytest.raises(TrainingInterrupted):
        trained(films, tmp_path / "parts", cancelled=lambda: next(calls))
    parts, again = trained(films, tmp_path / "parts")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    assert again.history == run.history
    assert (tmp_path / "whole" / "toggles.png").is_file()


def test_the_frozen_classifier_stays_as_it_was_and_its_loss_falls(
    films: Films, tmp_path: Path
) -> None:
    frozen = classifier(slope=60.0)
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    options = StructureClassSettings(
        n_measured=8, class_weight=20.0, class_noise=0.0, class_shift=0, augmentation_target=0
    )
    task = StructureClassTask(
        films, SHAPE, replace(SETTINGS, learning_rate=0.01), options,
        classifier=frozen, features=frozen, folder=tmp_path,
    )  # fmt: skip
    losses = [
        task.step(k + 1, task.rows[:4], torch.Generator().manual_seed(k))[CLASS_LOSS]
        for k in range(20)
    ]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5]), losses
    assert not frozen.training
    for name, value in frozen.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_labels_come_in_the_order_of_the_blocks_and_unknown_is_absent(films: Films) -> None:
    rows = films.rows("train")
    found = labels_of(films, rows, ("Effusion", "Mass"))
    columns = [films.findings.index(name) for name in ("Effusion", "Mass")]
    np.testing.assert_array_equal(found, np.nan_to_num(films.labels[rows][:, columns]))
    with pytest.raises(ExplainerError, match="no label of 'Hernia'"):
        labels_of(films, rows, ("Hernia",))


def test_a_run_can_begin_with_a_stylegan2_of_the_same_sizes(tmp_path: Path) -> None:
    source = Generator(SYNTHESIS)
    networks = {
        "generator": source,
        "average": deepcopy(source),
        "discriminator": Discriminator(SYNTHESIS),
    }
    write_state(tmp_path / "state.safetensors", "x", networks, {}, {})
    begun, average = StructureClassGenerator(SHAPE), StructureClassGenerator(SHAPE)
    judge = Discriminator(SYNTHESIS)
    start_from(tmp_path / "state.safetensors", begun, average, judge)
    for name, value in source.state_dict().items():
        assert torch.equal(begun.synthesis.state_dict()[name], value)
    other = StructureClassShape(("Mass",), StyleGANShape(32, 256, 16, 8, 1))
    with pytest.raises(ExplainerError, match="of these sizes"):
        start_from(
            tmp_path / "state.safetensors",
            StructureClassGenerator(other),
            StructureClassGenerator(other),
            judge,
        )
    with pytest.raises(ExplainerError, match="cannot be read"):
        start_from(tmp_path / "none.safetensors", begun, average, judge)


def test_other_sizes_and_unknown_findings_are_refused(films: Films, tmp_path: Path) -> None:
    wrong = StructureClassShape(("Mass",), StyleGANShape(16, 128, 8, 8, 1))
    with pytest.raises(ExplainerError, match="use the same size"):
        train_structure_class(
            films, SETTINGS, tmp_path, shape=wrong, classifier=classifier(),
            features=classifier(), clock=lambda: 0.0,
        )  # fmt: skip
    with pytest.raises(ExplainerError, match="does not know 'Hernia'"):
        StructureClassTask(
            films, StructureClassShape(("Hernia",), SYNTHESIS), SETTINGS, OPTIONS,
            classifier=classifier(), features=classifier(), folder=tmp_path,
        )  # fmt: skip


def test_a_class_that_z2_does_not_control_is_warned_of() -> None:
    figures = {BALANCED: 0.52, FRECHET: 1.0, RECALL: 0.4, SIGN: 0.3}
    history = tuple(EpochRecord(0, step, 0.0, 1.0, figures) for step in range(5))
    assert any("hardly controls" in each for each in class_warnings(history))
    assert class_warnings(history[:1]) == ()


def test_the_commands_train_publish_and_measure(case_set: Path, tmp_path: Path) -> None:
    save_classifier(tmp_path / "c.safetensors", classifier())
    save_classifier(tmp_path / "o.safetensors", classifier(6))
    out, names = tmp_path / "sc.safetensors", ["c.safetensors", "o.safetensors"]
    judges = [str(tmp_path / name) for name in names]
    result = CliRunner().invoke(
        command,
        ["--cases", str(case_set), "--out", str(out), "--epochs", "0.3", "--size", "32",
         "--batch-size", "4", "--classifier", judges[0], "--features", judges[1],
         "--finding", "Mass", "--channel-base", "128", "--channel-limit", "8",
         "--structures", "2", "--work", str(tmp_path / "work")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    network = load_structure_class(out)
    assert network.findings == ("Mass",)
    assert network.classifier_digest == load_classifier(judges[0]).weights_digest
    card = out.with_suffix(".md").read_text()
    assert "class agreement by the classifier it was trained with" in card
    figures = json.loads(out.with_suffix(".evaluation.json").read_text())
    assert [each["is_trained_with"] for each in figures["agreement"]] == [True, False]
    measured = CliRunner().invoke(
        agreement_command,
        [str(out), "--judge", judges[0], "--structures", "2", "--out", str(tmp_path / "a.json")],
    )
    assert measured.exit_code == 0, measured.output
    assert "as the paper counts it" in measured.output
    assert json.loads((tmp_path / "a.json").read_text())[0]["n_structures"] == 2
