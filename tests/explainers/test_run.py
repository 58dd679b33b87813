"""Runs over case sets with our own networks: archived, resumable, idempotent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from data.manifest import CaseSet
from data.raster import write_png
from explainers import registry
from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.differentiation import ExplanationCancelled
from explainers.generators.autoencoder import load_autoencoder
from explainers.networks import Networks
from explainers.record import Attribution, Counterfactual, Toggles
from explainers.run import explain_cases, explain_image, predict_cases, predict_image
from explainers.sheet import draw_sheet
from tests.support.tiny_factors import write_factor_study
from tests.support.tiny_networks import (
    CASE_IDS,
    FINDINGS,
    SHORT,
    SIDE,
    write_case_set,
    write_networks,
    write_others,
)

PAIRS = [("c0001", "Mass"), ("c0002", "Mass"), ("c0003", "Lung Opacity")]
METHODS = ("input_gradients", "guided_backprop", "integrated_gradients", "latent_shift")
FRAMES = {"visual_rationale": 5, "structure_class_traversal": 5, "syce": 9, "cyce": 9}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    files = write_networks(tmp_path_factory.mktemp("networks"))
    return {
        "classifier": load_classifier(files[0]),
        "networks": {"autoencoder": load_autoencoder(files[1])},
    }


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return write_case_set(tmp_path_factory.mktemp("cases") / "set")


@pytest.fixture
def archive(tmp_path):
    return ExplanationArchive(tmp_path / "explanations")


def run(cases, archive, opened, pairs=PAIRS, methods=METHODS, **options):
    return explain_cases(cases, pairs, methods, archive, **{**opened, **options})


@pytest.fixture(scope="module")
def every_network(networks, tmp_path_factory):
    """Networks for all roles, a factor set with its generator among them."""
    folder = tmp_path_factory.mktemp("others")
    factors = write_factor_study(folder / "factors")
    classifier = networks["classifier"]
    files = write_others(folder, classifier.weights_digest)
    texts = {role: str(path) for role, path in files.items()} | {"factors": str(factors)}
    opened = Networks(texts)
    opened._opened["autoencoder"] = networks["networks"]["autoencoder"]
    return {"classifier": classifier, "networks": opened}


def test_every_method_explains_our_networks_and_is_archived(cases, archive, every_network):
    told, methods = [], registry.names()
    pairs = [("c0002", FINDINGS[1]), ("c0003", FINDINGS[1])]
    total = len(methods) * len(pairs)
    options = {"methods": methods, "on_progress": lambda *each: told.append(each)}
    report = run(cases, archive, every_network, pairs, parameters=SHORT, **options)
    assert told[0] == (0, total)
    assert told[-1] == (total, total)
    assert {each.n_computed for each in report.methods} == {len(pairs)}
    for method in methods:
        assert archive.pairs(method) == tuple(pairs)
        loaded = archive.load(*pairs[0], method)
        if registry.spec(method).kind == "attribution":
            assert isinstance(loaded, Attribution)
            assert loaded.values.shape == (SIDE, SIDE)
        elif registry.spec(method).kind == "toggles":
            assert isinstance(loaded, Toggles)
            assert loaded.frames.shape[1:] == (SIDE, SIDE)
        else:
            assert isinstance(loaded, Counterfactual)
            assert loaded.frames.shape == (FRAMES.get(method, 21), SIDE, SIDE)
    for name in registry.map_names():
        assert archive.load_map(*pairs[0], name).shape == (SIDE, SIDE)


def test_provenance_names_film_networks_parameters_and_time(cases, archive, networks):
    moment = datetime(2025, 3, 1, 12, tzinfo=UTC)
    run(
        cases,
        archive,
        networks,
        parameters={"latent_shift": {"fall": 0.2}},
        now=lambda: moment,
        clock=iter(range(100)).__next__,
    )
    found = archive.provenance("c0002", "Mass", "latent_shift")
    assert found.parameters.startswith("LatentShift(fall=0.2, rise=0.05")
    assert found.image_sha256 == cases.entry("c0002").sha256
    assert found.created == "2025-03-01T12:00:00+00:00"
    assert found.seconds == pytest.approx(1 / 3)
    assert dict(found.weights_digest) == {
        "classifier": networks["classifier"].weights_digest,
        "autoencoder": networks["networks"]["autoencoder"].weights_digest,
    }
    assert (
        "autoencoder" not in archive.provenance("c0002", "Mass", "input_gradients").weights_digest
    )


def test_a_second_run_keeps_everything_and_computes_nothing(cases, archive, networks):
    run(cases, archive, networks)
    before = {path: path.stat().st_mtime_ns for path in archive.root.rglob("*")}
    report = run(cases, archive, networks)
    assert [(each.n_computed, each.n_kept) for each in report.methods] == [(0, 3)] * 4
    assert {path: path.stat().st_mtime_ns for path in archive.root.rglob("*")} == before
    assert report.seconds_per_case(["latent_shift"]) is None


def test_other_parameters_or_weights_are_computed_again(cases, archive, networks):
    methods = ["integrated_gradients"]
    run(cases, archive, networks, methods=methods)
    report = run(
        cases,
        archive,
        networks,
        methods=methods,
        parameters={"integrated_gradients": {"n_steps": 5}},
    )
    assert report.methods[0].n_computed == 3
    archive.save(
        archive.load("c0001", "Mass", "integrated_gradients"),
        replace(
            archive.provenance("c0001", "Mass", "integrated_gradients"),
            weights_digest={"classifier": "an older one"},
        ),
    )
    report = run(
        cases,
        archive,
        networks,
        methods=methods,
        parameters={"integrated_gradients": {"n_steps": 5}},
    )
    assert report.methods[0].n_computed == 1


def test_networks_that_were_never_saved_are_never_taken_for_the_same(cases, archive, networks):
    classifier = load_classifier_copy(networks["classifier"])
    options = {"classifier": classifier}
    for _ in range(2):
        report = run(cases, archive, options, methods=["input_gradients"])
        assert report.methods[0].n_computed == 3


def load_classifier_copy(classifier):
    import copy

    unsaved = copy.deepcopy(classifier)
    unsaved.weights_digest = ""
    return unsaved


def test_an_interrupted_run_goes_on_where_it_stopped(cases, archive, networks):
    passes = iter([False, False, True])
    with pytest.raises(ExplanationCancelled):
        run(
            cases,
            archive,
            networks,
            methods=["input_gradients"],
            batch_size=1,
            cancelled=lambda: next(passes),
        )
    assert len(archive.pairs("input_gradients")) == 2
    report = run(cases, archive, networks, methods=["input_gradients"])
    assert (report.methods[0].n_computed, report.methods[0].n_kept) == (1, 2)


def test_a_film_that_changed_since_the_import_stops_the_run(tmp_path, archive, networks):
    cases = write_case_set(tmp_path / "set")
    write_png(cases.image_path("c0002"), np.zeros((64, 64), np.float32))
    with pytest.raises(Exception, match=r"c0002.*changed since the import"):
        run(CaseSet.open(tmp_path / "set"), archive, networks)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ["gradcam"]}, "Unknown method 'gradcam'"),
        ({"pairs": [("c0001", "Cold")]}, "'Cold', which the classifier does not know"),
        ({"networks": {}}, "needs an autoencoder"),
        ({"parameters": {"latent_shift": {"speed": 1}}}, "no parameter 'speed'"),
        (
            {"methods": ["input_gradients"], "parameters": {"latent_shift": {}}},
            "not among the methods",
        ),
        ({"batch_size": 0}, "at least one image"),
    ],
)
def test_a_wrong_order_is_refused_before_anything_is_computed(
    cases, archive, networks, changes, said
):
    with pytest.raises(ExplainerError, match=said):
        run(cases, archive, networks, **changes)
    assert not archive.root.exists()


def test_an_unknown_case_is_refused(cases, archive, networks):
    with pytest.raises(Exception, match="'c9999' is not among the 3 cases"):
        run(cases, archive, networks, pairs=[("c9999", "Mass")])


def test_predictions_of_a_case_set_and_of_one_image_agree(cases, networks):
    rows = predict_cases(cases, networks["classifier"], batch_size=2)
    assert [(row.case_id, row.finding) for row in rows] == [
        (case_id, finding) for case_id in CASE_IDS for finding in FINDINGS
    ]
    single = predict_image(cases.load("c0003").image, networks["classifier"])
    for row in rows[-2:]:
        assert single[row.finding] == pytest.approx((row.logit, row.probability), abs=1e-5)


def test_an_uploaded_image_gets_the_explanations_of_the_archived_case(cases, archive, networks):
    run(cases, archive, networks)
    found = explain_image(cases.load("c0001").image, "Mass", METHODS, **networks)
    assert tuple(found) == METHODS
    stored = archive.load("c0001", "Mass", "latent_shift")
    np.testing.assert_allclose(found["latent_shift"].frames, stored.frames, atol=1e-4)
    values = archive.load("c0001", "Mass", "guided_backprop").values
    np.testing.assert_allclose(
        found["guided_backprop"].values, values, atol=2e-3 * np.abs(values).max()
    )


def test_an_uploaded_image_with_nan_is_refused(networks):
    image = np.full((40, 40), np.nan, np.float32)
    with pytest.raises(ExplainerError, match="NaN"):
        explain_image(image, "Mass", ["input_gradients"], **networks)


def test_a_contact_sheet_shows_every_picture_of_every_row(cases, archive, networks):
    run(cases, archive, networks)
    sheet = draw_sheet(cases, archive, PAIRS, METHODS)
    columns = 1 + 4 + 4  # film, four pictures of the film, four maps
    assert sheet.width == columns * 196 + 4
    assert sheet.height > 3 * 192
    with pytest.raises(ExplainerError, match="nothing to draw"):
        draw_sheet(cases, archive, [], METHODS)
