from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from data.manifest import CaseEntry, write_cases
from data.raster import write_png
from data.reference import Reference, write_references
from explainers.base import ExplainerError
from explainers.evaluation.structure_share import share_inside, structure_table, write_structure
from explainers.evaluation.translation import Subject
from explainers.evaluation.translators import Method, Translated
from explainers.generators.paired import Contrast
from explainers.generators.vae import VAE, VAEShape
from tests.support.bright_square import FINDING, SIDE, SquareSeer, square_films, squares

N = 40


@pytest.fixture
def cases(tmp_path):
    """The left half of every film is called lung; masks have twice the films' resolution."""
    (tmp_path / "masks").mkdir()
    half = np.zeros((2 * SIDE, 2 * SIDE), bool)
    half[:, :SIDE] = True
    write_png(tmp_path / "masks" / "half.png", half)
    entries = [CaseEntry(f"c{k}", "images/x.png", "", None, 32, 32, "0" * 64) for k in range(N)]
    write_cases(tmp_path, entries)
    masks = {"lungs": tmp_path / "masks" / "half.png"}
    findings = {FINDING: True}
    write_references(
        tmp_path,
        [Reference(f"c{k}", f"p{k // 2}", "", "", "", findings, masks) for k in range(N)],
    )
    return tmp_path


@pytest.fixture
def subject():
    films = square_films(N, masked=False, simulated=False)
    torch.manual_seed(0)
    vae = VAE(VAEShape(SIDE, (4, 8), 4, 1), "vae").eval().requires_grad_(False)
    return Subject(films, SquareSeer(), (Contrast(FINDING, 0),), vae, limit=12)


def drawing(label, columns, sides=(0, 1)):
    """A method whose map is one in some columns."""

    def translate(images, contrast, side):
        maps = np.zeros((len(images), SIDE, SIDE), np.float32)
        maps[:, :, columns] = -1
        return Translated(None, None, maps) if side in sides else None

    return Method(label, "", label, translate)


def test_a_map_spread_evenly_has_the_share_that_the_structure_covers(subject, cases):
    quarter = slice(0, SIDE // 4)
    table = structure_table(
        subject,
        [drawing("even", slice(None)), drawing("left", quarter), drawing("one", quarter, (1,))],
        cases,
    )
    path = write_structure(table, "lungs", cases / "out")
    assert path.name == "translation.lungs.csv" and len(pd.read_csv(path)) == len(table) == 5
    table = table.set_index(["method", "direction"])
    for direction in ("absent → present", "present → absent"):
        even, left = table.loc[("even", direction)], table.loc[("left", direction)]
        assert even["area"] == even["share"] == even["peak"] == pytest.approx(0.5)
        assert left["share"] == left["share_low"] == left["peak"] == 1
        assert even["n_images"] == 12
    assert ("one", "absent → present") not in table.index


def test_a_map_of_zeros_has_no_share():
    assert np.isnan(share_inside(np.zeros((4, 4)), np.eye(4) > 0)).all()
    assert share_inside(-np.eye(4), np.eye(4) > 0) == (1, 1)


def test_a_structure_without_masks_is_refused(subject, cases):
    with pytest.raises(ExplainerError, match=r"masks of 'heart' .* on 0 of 12 images"):
        structure_table(subject, [drawing("even", slice(None))], cases, "heart")
    array = replace(squares(n=N), splits=np.full(N, "test"))
    other = Subject(array, SquareSeer(), (Contrast(FINDING, 0),), subject.vae, limit=12)
    with pytest.raises(ExplainerError, match="array of images has no masks of 'lungs'"):
        structure_table(other, [drawing("even", slice(None))], cases)
