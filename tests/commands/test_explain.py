"""The command: from a case set to predictions, explanations and localisation."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from commands.explain import (
    DEFAULT_METHODS,
    _method_names,
    command,
    counterfactual_summary,
)
from data.case import DataError
from explainers import registry
from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError
from explainers.record import Counterfactual
from tests.support.tiny_networks import CASE_IDS, write_case_set, write_networks


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    root = tmp_path_factory.mktemp("explain")
    write_case_set(root / "set")
    return root / "set", *write_networks(root)


def call(material, out, *options):
    cases, classifier, autoencoder = material
    networks = ["--classifier", str(classifier), "--network", f"autoencoder={autoencoder}"]
    arguments = [str(cases), "--out", str(out), *networks, *options]
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def rows_of(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_everything_is_written_and_a_second_call_changes_nothing(material, tmp_path):
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    formats = ["--animate", "gif", "--animate", "webp"]
    options = ["--findings", "Mass", "--sheet", str(sheet), "--threads", "1"]
    done = call(material, out, *formats, *options)
    assert done.exit_code == 0
    assert "3 findings explained" in done.output
    assert "12 computed, 0 kept" in done.output
    assert "condition A" in done.output
    assert "condition B" in done.output
    assert len(rows_of(out / "predictions.csv")) == 6
    measured = rows_of(out / "localisation.csv")
    assert len(measured) == 2 * 7
    assert {row["case_id"] for row in measured} == set(CASE_IDS[:2])
    assert len(list((out / "animations" / "latent_shift").glob("*.gif"))) == 3
    assert len(list((out / "animations" / "latent_shift").glob("*.webp"))) == 3
    assert "latent_shift: both ends of the wanted range reached in" in done.output
    assert sheet.stat().st_size > 1000
    tables = [(out / name).read_bytes() for name in ("predictions.csv", "localisation.csv")]
    again = call(material, out, "--findings", "Mass", "--threads", "1")
    assert "0 computed, 12 kept" in again.output
    assert tables == [(out / name).read_bytes() for name in ("predictions.csv", "localisation.csv")]


def test_by_default_what_is_predicted_is_explained(material, tmp_path):
    call(material, tmp_path, "--methods", "input_gradients")
    archive = ExplanationArchive(tmp_path)
    table = archive.predictions()
    positive = table[table["probability"] > 0.5]
    expected = sorted(zip(positive["case_id"], positive["finding"], strict=True))
    assert list(archive.pairs("input_gradients")) == expected


def test_predicted_and_named_findings_add_up_and_all_means_all(material, tmp_path):
    method = ("--methods", "input_gradients")
    call(material, tmp_path / "a", *method, "--findings", "predicted,Lung Opacity")
    pairs = ExplanationArchive(tmp_path / "a").pairs("input_gradients")
    assert {case_id for case_id, finding in pairs if finding == "Lung Opacity"} == set(CASE_IDS)
    call(material, tmp_path / "b", *method, "--findings", "all")
    assert len(ExplanationArchive(tmp_path / "b").pairs("input_gradients")) == 6


def test_without_a_choice_the_methods_of_the_study_are_used_and_all_means_all():
    assert _method_names(",".join(DEFAULT_METHODS)) == DEFAULT_METHODS
    assert set(DEFAULT_METHODS) < set(_method_names("all"))
    assert _method_names("all") == registry.names()


def test_a_target_is_searched_for_and_another_one_is_another_explanation(material, tmp_path):
    options = ["--methods", "latent_shift", "--findings", "Mass"]
    assert "3 computed" in call(material, tmp_path, *options, "--target", "0.45").output
    assert "3 kept" in call(material, tmp_path, *options, "--target", "0.45").output
    assert "3 computed" in call(material, tmp_path, *options, "--target", "0.4").output
    assert call(material, tmp_path, *options, "--target", "1.5").exit_code == 2


def test_pairs_can_come_from_a_file(material, tmp_path):
    listed = tmp_path / "pairs.csv"
    listed.write_text("case_id,finding\nc0003,Mass\nc0003,Mass\nc0001,Lung Opacity\n")
    call(material, tmp_path / "out", "--methods", "input_gradients", "--findings", str(listed))
    pairs = ExplanationArchive(tmp_path / "out").pairs("input_gradients")
    assert pairs == (("c0001", "Lung Opacity"), ("c0003", "Mass"))


def test_localisation_of_earlier_methods_stays(material, tmp_path):
    for method in ("input_gradients", "guided_backprop"):
        call(material, tmp_path, "--methods", method, "--findings", "Mass")
    maps = {row["map"] for row in rows_of(tmp_path / "localisation.csv")}
    assert maps == {"input_gradients", "guided_backprop"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "gradcam"], "Unknown method 'gradcam'"),
        (["--methods", ","], "No method was named"),
        (["--findings", "Cold"], "--findings names 'Cold'"),
        (["--findings", "missing.csv"], "does not exist"),
        (["--classifier", "nowhere"], "No network at 'nowhere'"),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence_and_nothing_is_written(
    material, tmp_path, options, said
):
    with pytest.raises(ExplainerError, match=said):
        call(material, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("case_id\nc0001\n", "column 'finding' is missing"),
        ("case_id,finding\nc0001,Mass\nc0009,Mass\n", "row 3, column case_id: 'c0009'"),
        ("case_id,finding\nc0001,Cold\n", "row 2, column finding: 'Cold'"),
        ("case_id,finding\n", "lists nothing to explain"),
        ("case_id,finding\nc0001,Mass,1\n", "row 2 has 3 cells"),
        ("", "has no header"),
    ],
)
def test_a_wrong_row_in_the_file_of_pairs_is_named(material, tmp_path, content, said):
    listed = tmp_path / "pairs.csv"
    listed.write_text(content)
    with pytest.raises((ExplainerError, DataError), match=said):
        call(material, tmp_path / "out", "--findings", str(listed))


def test_pairs_may_come_from_a_spreadsheet_with_semicolons(material, tmp_path):
    listed = tmp_path / "pairs.csv"
    listed.write_text("case_id;finding\nc0001;Mass\n", encoding="utf-8-sig")
    options = ["--findings", str(listed), "--methods", "input_gradients"]
    assert "1 findings explained" in call(material, tmp_path / "out", *options).output


def test_a_damaged_localisation_table_is_named_and_not_overwritten(material, tmp_path):
    path = tmp_path / "localisation.csv"
    path.write_text("something,else\n1,2\n")
    with pytest.raises(ExplainerError, match=r"localisation\.csv has the columns something, else"):
        call(material, tmp_path, "--methods", "input_gradients", "--findings", "Mass")
    assert path.read_text().startswith("something")


def made_film(probabilities, *, reached=True):
    n_frames = len(probabilities)
    return Counterfactual(
        frames=np.zeros((n_frames, 8, 8), np.float32),
        steps=np.arange(n_frames) - 1.0,
        origin=1,
        probabilities=np.array(probabilities),
        finding="Mass",
        reached_low=reached,
        reached_high=True,
        probability_image=0.9,
    )


def test_the_flip_rate_counts_only_films_that_were_positive_to_begin_with():
    films = [
        made_film([0.3, 0.6, 0.7]),  # flips
        made_film([0.55, 0.85, 0.9]),  # falls by 0.3 without flipping
        made_film([0.1, 0.4, 0.45], reached=False),  # the reconstruction is negative already
    ]
    said = counterfactual_summary("latent_shift", films)
    assert "reached in 2 of 3" in said
    assert "of 2 with a positive reconstruction 1 flipped" in said
    assert "1 were negative" in said
