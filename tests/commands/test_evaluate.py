"""The command ``evaluate``: from a case set to tables and a page, once and no more."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from commands.evaluate import command
from explainers.base import ExplainerError
from tests.support.tiny_networks import write_case_set, write_networks


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluate")
    write_case_set(root / "set")
    return root / "set", *write_networks(root)


def call(material, bench, out, *options):
    cases, classifier, autoencoder = material
    networks = ["--classifier", classifier, "--network", f"autoencoder={autoencoder}"]
    options = ("--methods", "input_gradients,latent_shift", *options)
    if "--findings" not in options:
        options = ("--findings", "Mass", *options)
    arguments = [bench, "--cases", cases, "--out", out, *networks, *options]
    return CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)


def test_a_second_call_measures_nothing_and_gives_the_same_tables(material, tmp_path):
    done = call(material, "localisation", tmp_path)
    assert done.exit_code == 0, done.output
    assert f"Wrote {tmp_path / 'localisation.html'}" in done.output
    tables = [tmp_path / "localisation.csv", tmp_path / "localisation.summary.csv"]
    before = [path.read_bytes() for path in tables]
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    assert call(material, "localisation", tmp_path).exit_code == 0
    assert [path.read_bytes() for path in tables] == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()} == made
    methods = set(pd.read_csv(tables[0])["method"])
    assert methods == {"(masks)", "chance", "mask_prior", "input_gradients", "latent_shift-max"}


def test_at_most_so_many_cases_per_finding_and_every_map_of_a_film(material, tmp_path):
    call(material, "localisation", tmp_path, "--limit", "1", "--all-maps")
    rows = pd.read_csv(tmp_path / "localisation.csv")
    assert set(rows["case_id"]) == {"c0001"}
    assert len({each for each in rows["method"] if each.startswith("latent_shift-")}) > 1


def test_another_case_set_may_give_the_prior(material, tmp_path):
    shutil.copytree(material[0], tmp_path / "other")
    done = call(material, "localisation", tmp_path / "out", "--prior-cases", tmp_path / "other")
    assert done.exit_code == 0
    assert str(tmp_path / "other") in (tmp_path / "out" / "localisation.json").read_text()


@pytest.mark.parametrize(
    ("bench", "options", "said"),
    [
        ("robustness", ("--prior-cases", "x"), "'robustness' has no parameter 'prior_cases'"),
        ("localisation", ("--boundary", "0.4"), "'localisation' has no parameter 'boundary'"),
        ("localisation", ("--methods", "tarot"), "tarot"),
        ("localisation", ("--findings", "Mass,Hernia"), "--findings names 'Hernia'; expected"),
        ("localisation", ("--findings", ","), "--findings names nothing"),
        ("localisation", ("--methods", ","), "No method was given"),
        ("localisation", ("--methods", "stylespace"), "'stylespace' makes pictures to switch"),
        ("counterfactual", ("--methods", "stylespace", "--all-maps"), "pictures to switch between"),
        ("counterfactual", ("--methods", "input_gradients"), "makes counterfactuals; name at"),
        ("localisation", ("--methods", "syce", "--network", "syce=nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_measured_is_named(material, tmp_path, bench, options, said):
    with pytest.raises(ExplainerError, match=said):
        call(material, bench, tmp_path, *options)


def test_two_files_of_one_name_are_refused(material, tmp_path):
    copy = tmp_path / "classifier.safetensors"
    shutil.copy(material[1], copy)
    with pytest.raises(ExplainerError, match="both be called 'classifier'"):
        call(material, "localisation", tmp_path, "--classifier", copy)


def test_unknown_benches_are_refused_with_the_known_ones(material, tmp_path):
    done = call(material, "astrology", tmp_path)
    assert done.exit_code == 2 and "localisation" in done.output
