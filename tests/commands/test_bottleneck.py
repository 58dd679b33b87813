"""``counterlight bottleneck``: the files it writes, and sweeps that compare nothing."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from explainers.base import ExplainerError
from explainers.generators.autoencoder import OurAutoencoder, save_autoencoder
from explainers.generators.networks import AutoencoderShape, build_autoencoder
from tests.support.tiny_networks import SIDE, write_case_set, write_networks

pytest.importorskip("explainers.generators.opening")
from commands.bottleneck import command


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    write_case_set(folder / "cases")
    classifier, narrow = write_networks(folder)
    larger = AutoencoderShape(8, (4, 4, 8, 8), (8, 8, 8, 4, 4))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        wide = OurAutoencoder(build_autoencoder(larger), larger, (SIDE, SIDE))
    save_autoencoder(folder / "wide.safetensors", wide)
    return folder, classifier, narrow, folder / "wide.safetensors"


def run(files, out, *autoencoders):
    folder, classifier, *_ = files
    options = ["--cases", folder / "cases", "--classifier", classifier, "--out", out]
    for each in autoencoders:
        options += ["--autoencoder", each]
    options += ["--findings", "Mass", "--examples", "1"]
    return CliRunner().invoke(command, [str(each) for each in options], catch_exceptions=False)


def test_a_sweep_writes_table_report_and_pictures(files, tmp_path):
    result = run(files, tmp_path / "out", *files[2:])
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert names == {f"bottleneck.{kind}" for kind in ("csv", "summary.csv", "json", "html", "png")}
    summary = pd.read_csv(tmp_path / "out" / "bottleneck.summary.csv")
    assert set(summary["method"]) == {"autoencoder", "wide"}
    assert summary[summary["quantity"] == "iou"]["n_cases"].tolist() == [2, 2]


def test_one_autoencoder_is_no_sweep(files, tmp_path):
    with pytest.raises(ExplainerError, match="at least 2 autoencoders"):
        run(files, tmp_path / "out", files[2])
    assert not (tmp_path / "out").exists()
