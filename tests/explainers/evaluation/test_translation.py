from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from explainers.attribution.bbmp import Bbmp
from explainers.base import ExplainerError
from explainers.evaluation.translation import (
    REAL,
    Subject,
    measure_translation,
)
from explainers.evaluation.translation_parts import place_of
from explainers.evaluation.translation_pictures import examples
from explainers.evaluation.translation_places import mean_overlap
from explainers.evaluation.translation_report import write_translation
from explainers.evaluation.translation_tables import make_tables
from explainers.evaluation.translators import (
    DO_NOTHING,
    Method,
    Translated,
    bbmp_method,
    do_nothing,
    map_method,
    mask_method,
    pair_methods,
)
from explainers.generators.mgen import MaskGenerator, MaskShape
from explainers.generators.paired import Contrast, PairedGenerators, PairedShape
from explainers.generators.vae import VAE, VAEShape
from tests.support.bright_square import (
    FINDING,
    MIDDLE,
    SIDE,
    SquareSeer,
    square_films,
    squares,
)

CONTRASTS = (Contrast(FINDING, 0),)
BLUE, ORANGE = (86, 180, 233), (230, 159, 0)


class Oracle(SquareSeer):
    """Sees a square from a lower brightness on."""

    weights_digest = "square-oracle"

    def logits(self, images):
        return super().logits(images) + 2


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return VAE(VAEShape(SIDE, (4, 8), 4, 1), "vae").eval().requires_grad_(False)


@pytest.fixture(scope="module")
def subject(vae):
    return Subject(
        square_films(48, masked=True, simulated=True),
        SquareSeer(),
        CONTRASTS,
        vae,
        Oracle(),
        limit=20,
    )


def swapped(images, contrast, side):
    """The true counterfactual: the square goes, or comes."""
    made = images.clone()
    made[:, :, MIDDLE, MIDDLE] = 0.3 if side else 0.9
    return Translated(made, images, (made - images).abs()[:, 0].numpy())


TRUTH = Method("Truth", "syce", "truth/1", swapped)


def test_doing_nothing_and_the_true_counterfactual_are_the_ends_of_the_tables(subject, tmp_path):
    methods = [do_nothing(), TRUTH]
    parts = measure_translation(subject, methods, tmp_path, clock=iter(range(10**6)).__next__)
    tables = make_tables(subject, methods, parts)
    agreement = tables.agreement.set_index(["method", "direction"])
    assert agreement.loc[(DO_NOTHING, "both"), "adversarial"] == 1
    assert agreement.loc[(DO_NOTHING, "both"), "change_grey"] == 0
    both = agreement.loc[("Truth", "both")]
    assert (both["adversarial"], both["stable"], both["oracle_turned"]) == (0, 1, 1)
    assert both["paper_adversarial"] == 0.028
    assert both["n_images"] == 40 and 0.05 < both["adversarial_high"] < 0.2
    distances = tables.distances.set_index(["method", "direction"])
    for direction in ("absent → present", "present → absent"):
        nothing = distances.loc[(DO_NOTHING, direction)]
        assert nothing["frechet_ratio"] == pytest.approx(1)
        assert nothing["jensen_shannon_ratio"] == pytest.approx(1)
        truth = distances.loc[("Truth", direction)]
        assert truth["frechet_ratio"] < 0.5
        assert truth["stable_frechet_ratio"] == pytest.approx(0, abs=1e-6)
    chance, truth = tables.localisation.to_dict("records")
    assert truth["iou"] == pytest.approx(1) and truth["ncc"] > 0.9 and truth["n_images"] == 20
    assert truth["paper_iou_p98"] == 0.151 and truth["iou_low"] == pytest.approx(1)
    assert chance["method"] == DO_NOTHING and chance["ncc"] == 0
    assert chance["iou"] == pytest.approx(1 / 32, abs=0.01)  # a/(2 − a), of 16 pixels
    (area,) = tables.areas.to_dict("records")
    assert area["area_q50_percent"] == pytest.approx(100 / 16)
    assert area["percentile_of_q50"] == pytest.approx(100 - 100 / 16)
    assert area["percentiles_used"] == "85 / 90 / 94 / 95 / 97 / 98 / 99"
    assert truth["iou_p94"] > 0.9 > truth["iou_p98"]
    places = tables.places.set_index(["method", "direction"])
    masks = places.loc[("Masks", "reference")]
    assert masks["sd_row_percent"] == 0 and masks["overlap"] == pytest.approx(1)
    assert tables.seconds.set_index("method").loc["Truth", "seconds"] > 0
    assert "the order of the rows compares" in tables.notes[0]


def test_every_kind_of_method_has_rows_and_what_it_says_nothing_of_is_left_out(subject, tmp_path):
    classifier = SquareSeer()
    pair = PairedGenerators("syce", PairedShape(SIDE, (4, 8)), CONTRASTS, "somebody else")
    masks = MaskGenerator(MaskShape(SIDE, (4, 8)), CONTRASTS)
    (variant,) = pair_methods("SyCE without cycle", pair, classifier)
    assert variant.published == ""  # the paper's figures are of the pair as it is
    methods = [
        do_nothing(),
        *pair_methods("SyCE", pair, classifier),
        mask_method("MGen", masks.eval().requires_grad_(False), classifier),
        bbmp_method(classifier, Bbmp(classifier, mask_size=8, n_iterations=3), limit=9),
        map_method("input_gradients", classifier),
    ]
    parts = measure_translation(subject, methods, tmp_path / "p", clock=iter(range(9**9)).__next__)
    tables, paths = write_translation(
        subject, methods, parts, tmp_path / "out", created="2026-01-01T00:00:00+00:00"
    )
    of = tables.agreement.groupby("method")["direction"].agg(set)
    assert of["BBMP"] == {"present → absent"}
    assert len(parts["BBMP", 0, 1].rows) == 9 < len(parts["MGen", 0, 1].rows)
    assert "SyCE, without the stable image" in of
    assert not (set(of.index) & {"Input gradients", "Gradients"})
    assert len(set(tables.localisation["method"])) >= 3
    assert any("another classifier than the one explained" in note for note in tables.notes)
    page = (tmp_path / "out" / "translation.html").read_text()
    assert "principal component of the real images" in page and "simulated" in page
    assert "https://cdn" not in page.split("</script>")[-1]
    text = (tmp_path / "out" / "translation.md").read_text()
    assert "| SyCE | Square | present → absent |" in text
    rows = pd.read_csv(tmp_path / "out" / "translation.csv")
    assert set(rows["method"]) >= {REAL, "MGen", "BBMP"}
    names = {path.name for path in paths}
    assert names >= {
        "translation.agreement.csv",
        "translation.html",
        "translation.examples-1-0.png",
    }


def test_an_interrupted_run_goes_on_and_a_damaged_part_is_measured_anew(subject, tmp_path):
    calls = []

    def counted(images, contrast, side):
        calls.append(side)
        return Translated(images, images, None)

    method = Method("Counted", "", "counted/1", counted)
    clock = iter(range(10**6)).__next__
    first = measure_translation(subject, [method], tmp_path, clock=clock)
    n_calls = len(calls)
    again = measure_translation(subject, [method], tmp_path, clock=clock)
    assert len(calls) == n_calls == 4
    key = ("Counted", 0, 1)
    assert np.array_equal(first[key].embeddings, again[key].embeddings)
    path = tmp_path / f"{subject.key(method, 0, 1)}.npz"
    path.write_bytes(path.read_bytes()[:100])
    measure_translation(subject, [method], tmp_path, clock=clock)
    assert len(calls) == n_calls + 2
    with pytest.raises(ExplainerError, match="Two methods are called 'Counted'"):
        measure_translation(subject, [method, method], tmp_path, clock=clock)
    with pytest.raises(ExplainerError, match="Counted and Again are the same network"):
        again = replace(method, label="Again")
        measure_translation(subject, [method, again], tmp_path, clock=clock)


def test_a_task_without_masks_or_oracle_and_a_method_that_draws_one_image_are_named(vae, tmp_path):
    images = squares(n=48)
    images = replace(images, splits=np.full(48, "test"))
    subject = Subject(images, SquareSeer(), CONTRASTS, vae, limit=12)
    one = Method("One", "", "one/1", lambda x, *_: Translated(0 * x, x, None))
    methods = [TRUTH, one]
    parts = measure_translation(subject, methods, tmp_path, clock=iter(range(10**6)).__next__)
    tables = make_tables(subject, methods, parts)
    (collapsed,) = (note for note in tables.notes if "about the same image for all" in note)
    assert collapsed.startswith("One ")
    assert "localisation" not in tables.named() and "areas" not in tables.named()
    assert any("no masks" in note for note in tables.notes)
    assert any("No independent classifier" in note for note in tables.notes)
    assert tables.agreement["oracle_turned"].isna().all()


def test_what_does_not_fit_is_refused_in_a_sentence(vae):
    films = square_films(48, masked=True, simulated=True)
    with pytest.raises(ExplainerError, match="VAE takes images of 32 pixels"):
        Subject(films, SquareSeer(), CONTRASTS, VAE(VAEShape(32, (4, 8), 4, 1)))
    with pytest.raises(ExplainerError, match="and 0 on side 1; the table needs 8"):
        Subject(films, SquareSeer(), (Contrast("Nothing", 1),), vae)
    with pytest.raises(ExplainerError, match="the one that is explained"):
        Subject(films, SquareSeer(), CONTRASTS, vae, SquareSeer())
    with pytest.raises(ExplainerError, match="cannot stand in this table"):
        map_method("syce", SquareSeer())


def test_other_real_images_are_of_other_patients_from_the_same_part_of_the_split(vae):
    subject = Subject(
        square_films(48, masked=True, simulated=True), SquareSeer(), CONTRASTS, vae, limit=12
    )
    taken, left = subject.sides[0][1], subject.spares[0][1]
    assert len(taken) == len(left) == 12
    assert not set(subject.patients(taken)) & set(subject.patients(left))
    assert abs(taken.mean() - left.mean()) < 12  # blocks would be 24 apart


def test_examples_frame_what_was_turned_and_what_was_not(subject, tmp_path):
    methods = [TRUTH, Method("Stays", "", "stays/1", lambda x, *_: Translated(x, x, None))]
    parts = measure_translation(subject, methods, tmp_path, clock=iter(range(10**6)).__next__)
    pictures = parts["Truth", 0, 1].pictures
    assert pictures.shape == (6, 3, SIDE, SIDE)
    assert pictures[0, 2, MIDDLE, MIDDLE].min() > 0 == pictures[0, 2, :4].max()
    assert parts[REAL, 0, 1].pictures[0, 2].sum() == 16  # the mask
    sheet = np.asarray(examples(subject, methods, parts, 0, 1))
    for line, seen, unseen in ((sheet[:-68], BLUE, ORANGE), (sheet[-68:], ORANGE, BLUE)):
        assert (line == seen).all(axis=2).any() and not (line == unseen).all(axis=2).any()


def test_the_place_of_a_map_is_its_centre_of_gravity():
    strength = np.zeros((32, 32))
    strength[8, 24] = 3.0
    centre, coarse = place_of(strength)
    assert centre == pytest.approx([8.5 / 32, 24.5 / 32])
    assert coarse.sum() == pytest.approx(1) and coarse.reshape(16, 16)[4, 12] == pytest.approx(1)
    assert np.isnan(place_of(np.zeros((4, 4)))[0]).all()
    one, other = np.eye(4)[0], np.eye(4)[1]
    assert mean_overlap(np.stack([one, one, other])) == pytest.approx(1 / 3)
