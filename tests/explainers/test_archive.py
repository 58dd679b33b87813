"""The archive: what goes in comes out, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from explainers import recordfile
from explainers.archive import (
    CorruptRecord,
    ExplanationArchive,
    NotInArchive,
    finding_slug,
    split_map_name,
)
from explainers.base import ExplainerError
from explainers.record import Attribution, Counterfactual, Prediction, Provenance

RANDOM = np.random.default_rng(5)


def provenance(method="latent_shift", **changes):
    made = Provenance(
        case_id="c1",
        finding="Lung Opacity",
        method=method,
        parameters="LatentShift(fall=0.3)",
        seed=None,
        weights_digest={"classifier": "aa", "autoencoder": "bb"},
        image_sha256="cc",
        seconds=0.25,
        created="2025-01-01T00:00:00+00:00",
        version="0.1.0",
    )
    return replace(made, **changes)


def film(n_frames=4, side=6):
    return Counterfactual(
        frames=RANDOM.random((n_frames, side, side), dtype=np.float32),
        steps=np.arange(n_frames) - 2.0,
        origin=2,
        probabilities=np.linspace(0.3, 0.7, n_frames),
        finding="Lung Opacity",
        reached_low=True,
        reached_high=False,
        probability_image=0.61,
    )


def attribution(scale=1.0, finding="Lung Opacity"):
    values = (RANDOM.standard_normal((6, 7)) * scale).astype(np.float32)
    return Attribution(values, finding, 1.25, 0.7, method_error=-0.001)


def predictions(*rows):
    return [Prediction(case, finding, value, value / 2, "aa") for case, finding, value in rows]


@pytest.fixture
def archive(tmp_path):
    return ExplanationArchive(tmp_path / "explanations")


def folder_of(archive, method="latent_shift"):
    return archive.root / method / "c1__Lung-Opacity"


@pytest.mark.parametrize("bits", [8, 16])
def test_a_film_comes_back_within_half_a_grey_level(tmp_path, bits):
    archive = ExplanationArchive(tmp_path, frame_bits=bits)
    saved = film()
    archive.save(saved, provenance())
    loaded = archive.load("c1", "Lung Opacity", "latent_shift")
    np.testing.assert_allclose(loaded.frames, saved.frames, atol=0.5001 / (2**bits - 1))
    assert loaded.frames.dtype == np.float32
    for name in ("origin", "finding", "reached_low", "reached_high", "probability_image"):
        assert getattr(loaded, name) == getattr(saved, name)
    np.testing.assert_array_equal(loaded.steps, saved.steps)
    np.testing.assert_array_equal(loaded.probabilities, saved.probabilities)


def test_a_loaded_film_saved_again_is_the_same_to_the_last_bit(archive):
    archive.save(film(), provenance())
    once = archive.load("c1", "Lung Opacity", "latent_shift")
    archive.save(once, provenance())
    np.testing.assert_array_equal(
        archive.load("c1", "Lung Opacity", "latent_shift").frames, once.frames
    )


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_an_attribution_of_any_magnitude_comes_back_to_half_precision(archive, scale):
    saved = attribution(scale)
    archive.save(saved, provenance("input_gradients"))
    loaded = archive.load("c1", "Lung Opacity", "input_gradients")
    top = np.abs(saved.values).max()
    np.testing.assert_allclose(loaded.values, saved.values, rtol=2e-3, atol=1e-6 * top)
    assert (loaded.logit, loaded.probability, loaded.method_error) == (1.25, 0.7, -0.001)


def test_an_attribution_of_zeros_comes_back(archive):
    archive.save(
        Attribution(np.zeros((3, 3), np.float32), "Lung Opacity", 0.0, 0.5), provenance("m")
    )
    loaded = archive.load("c1", "Lung Opacity", "m")
    assert not loaded.values.any()
    assert loaded.method_error is None


def test_how_it_came_about_comes_back(archive):
    archive.save(film(), provenance())
    assert archive.provenance("c1", "Lung Opacity", "latent_shift") == provenance()


def test_maps_are_loaded_by_their_names(archive):
    archive.save(film(), provenance())
    archive.save(attribution(), provenance("input_gradients"))
    loaded = archive.load("c1", "Lung Opacity", "latent_shift")
    np.testing.assert_array_equal(
        archive.load_map("c1", "Lung Opacity", "latent_shift-interval"),
        loaded.to_attribution("interval"),
    )
    assert archive.load_map("c1", "Lung Opacity", "input_gradients").min() < 0
    with pytest.raises(ExplainerError, match="latent_shift-max, latent_shift-mean"):
        archive.load_map("c1", "Lung Opacity", "latent_shift")
    with pytest.raises(ExplainerError, match="say 'input_gradients' instead"):
        archive.load_map("c1", "Lung Opacity", "input_gradients-max")


def test_map_names_split_at_known_endings_only():
    assert split_map_name("latent_shift-max") == ("latent_shift", "max")
    assert split_map_name("some-method") == ("some-method", None)


def test_an_explanation_is_there_only_with_the_same_digest(archive):
    wanted = ("c1", "Lung Opacity", "latent_shift")
    assert not archive.has(*wanted)
    archive.save(film(), provenance())
    assert archive.has(*wanted)
    assert archive.has(*wanted, provenance(seconds=7.0).digest)
    assert not archive.has(*wanted, provenance(parameters="LatentShift(fall=0.5)").digest)
    assert not archive.has(*wanted, provenance(weights_digest={"classifier": "zz"}).digest)


def test_a_second_save_replaces_the_first_and_leaves_no_old_frames(archive):
    archive.save(film(n_frames=6), provenance())
    archive.save(film(n_frames=4), provenance())
    assert len(archive.load("c1", "Lung Opacity", "latent_shift").frames) == 4
    assert len(list((folder_of(archive) / "frames").iterdir())) == 4
    assert [path.name for path in (archive.root / "latent_shift").iterdir()] == ["c1__Lung-Opacity"]


def test_a_full_disk_leaves_nothing_half_written_and_keeps_what_was_there(archive, monkeypatch):
    archive.save(film(), provenance())
    before = archive.load("c1", "Lung Opacity", "latent_shift").frames

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recordfile, "_write_counterfactual", full)
    with pytest.raises(ExplainerError, match="No space left on device"):
        archive.save(film(), provenance(parameters="other"))
    with pytest.raises(ExplainerError, match="No space left"):
        archive.save(film(), provenance(case_id="c2"))
    assert [path.name for path in (archive.root / "latent_shift").iterdir()] == ["c1__Lung-Opacity"]
    np.testing.assert_array_equal(archive.load("c1", "Lung Opacity", "latent_shift").frames, before)


def test_a_move_that_fails_brings_the_former_record_back(archive, monkeypatch):
    archive.save(film(), provenance())
    genuine = os.replace

    def refuse_fresh(source, target):
        if str(source).endswith("fresh"):
            raise OSError(errno.EIO, "Input/output error")
        genuine(source, target)

    monkeypatch.setattr(os, "replace", refuse_fresh)
    with pytest.raises(ExplainerError, match="Input/output error"):
        archive.save(film(), provenance(parameters="other"))
    assert archive.has("c1", "Lung Opacity", "latent_shift", provenance().digest)


def test_an_interrupt_while_writing_leaves_no_scratch_folder(archive, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(recordfile, "_write_counterfactual", interrupt)
    with pytest.raises(KeyboardInterrupt):
        archive.save(film(), provenance())
    assert list((archive.root / "latent_shift").iterdir()) == []


def test_what_was_not_computed_is_named(archive):
    with pytest.raises(NotInArchive, match="'Lung Opacity' by 'latent_shift' for case 'c1'"):
        archive.load("c1", "Lung Opacity", "latent_shift")


def spoil_json(folder):
    (folder / "record.json").write_text("{")


def spoil_version(folder):
    path = folder / "record.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 99'))


def spoil_origin(folder):
    path = folder / "record.json"
    path.write_text(path.read_text().replace('"origin": 2', '"origin": 40'))


def spoil_shape(folder):
    path = folder / "record.json"
    path.write_text(re.sub(r'"shape": \[\s*4', '"shape": ["4"', path.read_text()))


def spoil_frame(folder):
    path = folder / "frames" / "001.png"
    path.write_bytes(path.read_bytes()[:40])


def lose_frame(folder):
    (folder / "frames" / "003.png").unlink()


def swap_frame(folder):
    recordfile.Image.new("L", (6, 6)).save(folder / "frames" / "000.png")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (spoil_json, "record.json"),
        (spoil_version, "record.json"),
        (spoil_origin, "record.json"),
        (spoil_shape, "record.json"),
        (spoil_frame, "001.png"),
        (lose_frame, "003.png"),
        (swap_frame, "000.png"),
    ],
)
def test_a_damaged_record_names_its_file(archive, spoil, named):
    archive.save(film(), provenance())
    spoil(folder_of(archive))
    with pytest.raises(CorruptRecord, match=f"{named} is damaged"):
        archive.load("c1", "Lung Opacity", "latent_shift")


@pytest.mark.parametrize(
    "spoil", [spoil_json, spoil_version, lose_frame, spoil_shape, spoil_frame, swap_frame]
)
def test_a_damaged_record_counts_as_absent_and_can_be_replaced(archive, spoil):
    archive.save(film(), provenance())
    spoil(folder_of(archive))
    assert not archive.has("c1", "Lung Opacity", "latent_shift", provenance().digest)
    archive.save(film(), provenance())
    assert len(archive.load("c1", "Lung Opacity", "latent_shift").frames) == 4


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"nonsense"])
def test_damaged_values_are_named(archive, content):
    archive.save(attribution(), provenance("m"))
    (folder_of(archive, "m") / "values.npy").write_bytes(content)
    with pytest.raises(CorruptRecord, match=r"values\.npy is damaged: it is cut off"):
        archive.load("c1", "Lung Opacity", "m")
    assert not archive.has("c1", "Lung Opacity", "m")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "a b", ".hidden", "ä", "a\n"]
)
def test_names_that_lead_out_of_the_archive_are_refused(archive, name):
    with pytest.raises(ExplainerError, match="cannot be the name of a method"):
        archive.load("c1", "Mass", name)
    with pytest.raises(ExplainerError, match="cannot be the name of a case"):
        archive.has(name, "Mass", "latent_shift")


@pytest.mark.parametrize(
    ("finding", "slug"),
    [("Lung Opacity", "Lung-Opacity"), ("../../etc", "------etc"), ("A/B", "A-B"), ("9", "9")],
)
def test_a_finding_becomes_a_file_name(finding, slug):
    assert finding_slug(finding) == slug


def test_a_finding_without_a_letter_is_refused():
    with pytest.raises(ExplainerError, match="no letter"):
        finding_slug("...")


def test_two_findings_with_one_file_name_do_not_replace_each_other(archive):
    archive.save(attribution(), provenance("m"))
    with pytest.raises(ExplainerError, match="Rename one"):
        archive.save(attribution(finding="Lung-Opacity"), provenance("m", finding="Lung-Opacity"))
    with pytest.raises(NotInArchive, match="not 'Lung-Opacity'"):
        archive.load("c1", "Lung-Opacity", "m")


def test_an_explanation_of_another_finding_is_not_saved(archive):
    with pytest.raises(ExplainerError, match="'Mass'"):
        archive.save(film(), provenance(finding="Mass"))


def test_the_pairs_of_a_method_are_listed(archive):
    for case_id in ("c2", "c1"):
        archive.save(film(), provenance(case_id=case_id))
    assert archive.pairs("latent_shift") == (("c1", "Lung Opacity"), ("c2", "Lung Opacity"))
    assert archive.pairs("input_gradients") == ()


def test_predictions_come_back_exactly_and_later_ones_replace_earlier_ones(archive):
    archive.save_predictions(predictions(("NA", "Mass", 0.1 + 0.2), ("007", "Mass", -3.0)))
    archive.save_predictions(predictions(("007", "Mass", 1 / 3)))
    table = archive.predictions()
    assert list(table["case_id"]) == ["007", "NA"]
    assert list(table["logit"]) == [1 / 3, 0.1 + 0.2]
    assert not list(archive.root.glob(".saving-*"))


def test_no_predictions_are_told_from_damaged_ones(archive):
    with pytest.raises(NotInArchive, match=r"predictions\.csv"):
        archive.predictions()
    archive.save_predictions([])
    assert len(archive.predictions()) == 0
    archive.predictions_path.write_text("case_id,finding\nc1,Mass\n")
    with pytest.raises(CorruptRecord, match="lacks the column 'logit'"):
        archive.predictions()
    archive.predictions_path.write_text(
        "case_id,finding,logit,probability,weights_digest\nc1,Mass,high,0.5,a\n"
    )
    with pytest.raises(CorruptRecord, match=r"no number .*\. Delete it and run"):
        archive.predictions()


def test_a_folder_that_refuses_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    archive = ExplanationArchive(tmp_path / "file")
    with pytest.raises(ExplainerError, match="could not be written"):
        archive.save(film(), provenance())
    with pytest.raises(ExplainerError, match="could not be written"):
        archive.save_predictions(predictions(("c1", "Mass", 0.0)))


def test_only_8_and_16_bits_are_offered(tmp_path):
    with pytest.raises(ExplainerError, match="8 or 16"):
        ExplanationArchive(tmp_path, frame_bits=12)


def test_an_archive_can_be_moved(archive, tmp_path):
    archive.save(film(), provenance())
    shutil.move(archive.root, tmp_path / "elsewhere")
    assert ExplanationArchive(tmp_path / "elsewhere").has("c1", "Lung Opacity", "latent_shift")


def test_note_and_measures_of_a_film_come_back_and_older_records_have_none(archive):
    saved = replace(film(), note="The goal was not reached.", measures={"norm_end": 1.25})
    folder = archive.save(saved, provenance())
    loaded = archive.load("c1", "Lung Opacity", "latent_shift")
    assert (loaded.note, dict(loaded.measures)) == (saved.note, {"norm_end": 1.25})
    record = folder / "record.json"
    content = json.loads(record.read_text())
    del content["note"], content["measures"]
    record.write_text(json.dumps(content))
    older = archive.load("c1", "Lung Opacity", "latent_shift")
    assert older.note == "" and not older.measures
