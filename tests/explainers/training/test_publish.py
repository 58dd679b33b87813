"""The command trains, resumes, evaluates, and leaves weights, card and evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from commands.train import command
from explainers.base import ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.generators.autoencoder import load_autoencoder
from explainers.training.card import write_text


def _train(network: str, case_set: Path, work: Path, *more: str) -> Path:
    out = work / f"{network}.safetensors"
    arguments = [
        network, "--cases", str(case_set), "--out", str(out), "--size", "32", "--epochs", "1",
        "--batch-size", "4", "--validation-share", "0.3", "--work", str(work / "training"), *more,
    ]  # fmt: skip
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def trained(case_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    classifier = _train("classifier", case_set, work, "--arch", "smaller")
    _train(
        "autoencoder", case_set, work, "--arch", "smaller", "--latent-channels", "5",
        "--classifier", str(classifier),
    )  # fmt: skip
    return work


def test_a_trained_classifier_has_weights_card_and_evaluation(trained: Path) -> None:
    classifier = load_classifier(trained / "classifier.safetensors")
    card = json.loads((trained / "classifier.json").read_text())
    page = (trained / "classifier.md").read_text()
    evaluation = json.loads((trained / "classifier.evaluation.json").read_text())
    assert card["weights_digest"] == classifier.weights_digest
    assert card["data"]["findings"] == ["Mass", "Effusion"]
    assert card["data"]["simulator"] == "tiny"
    assert card["simulated"] is True
    assert card["settings"]["epochs"] == 1
    assert card["held_out"] == evaluation
    assert [finding["finding"] for finding in evaluation["findings"]] == ["Mass", "Effusion"]
    assert "Not for patients" in page
    assert "| Mass |" in page
    assert "operating point" in page


def test_a_trained_autoencoder_reports_what_it_does_to_the_classifier(trained: Path) -> None:
    autoencoder = load_autoencoder(trained / "autoencoder.safetensors")
    assert autoencoder.latent_shape == (5, 2, 2)
    card = json.loads((trained / "autoencoder.json").read_text())
    shifts = [finding["probability_shift"] for finding in card["held_out"]["findings"]]
    assert all(0 <= shift <= 1 for shift in shifts)
    digest = load_classifier(trained / "classifier.safetensors").weights_digest
    assert card["options"]["classifier measured with"] == digest
    with Image.open(trained / "training" / "autoencoder" / "reconstructions.png") as picture:
        assert picture.size[1] == 64
        assert picture.mode == "L"


def test_evaluation_can_be_repeated_from_the_file(trained: Path, case_set: Path) -> None:
    again = trained / "again.json"
    arguments = [
        "evaluate", str(trained / "classifier.safetensors"), "--cases", str(case_set),
        "--validation-share", "0.3", "--work", str(trained / "training"), "--out", str(again),
    ]  # fmt: skip
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    before = json.loads((trained / "classifier.evaluation.json").read_text())
    assert json.loads(again.read_text()) == before


def test_the_classifier_to_be_explained_cannot_be_the_helper(trained: Path, case_set: Path) -> None:
    same = str(trained / "classifier.safetensors")
    with pytest.raises(ExplainerError, match="name the same network"):
        _train("autoencoder", case_set, trained, "--perceptual", same, "--classifier", same)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--out", "net.pt"], "must end in .safetensors"),
        (["--out", "n.safetensors", "--epochs", "1", "--minutes", "1"], "not both"),
    ],
)
def test_contradictory_options_are_refused(case_set: Path, more: list[str], message: str) -> None:
    result = CliRunner().invoke(command, ["classifier", "--cases", str(case_set), *more])
    assert result.exit_code == 2
    assert message in result.output


def test_a_text_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "card.md").mkdir()
    with pytest.raises(ExplainerError, match="could not be written"):
        write_text(tmp_path / "card.md", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["card.md"]
