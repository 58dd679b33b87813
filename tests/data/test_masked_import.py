"""Images and volumes with masks become case sets that trainers and tables take."""

import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from commands import import_masks, import_volumes
from data.case import DataError, InvalidCase
from data.importing import ImportRefused
from data.manifest import CaseSet
from data.mask_folders import MaskFolders, pair_masks, read_masked
from data.masked_images import MaskRule, write_masked
from data.nifti import MissingLibrary, read_volume
from data.raster import read_mask
from data.reference import ReferenceSet
from data.volume_slices import VolumeSlices, pair_volumes, read_slices
from data.workspace import CannotWrite

SIDE = 40


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def folders(tmp_path, ramp):
    """Six images of three patients; odd ones have a mask of ``k`` pixels."""
    for k in range(6):
        save(tmp_path / "images" / f"p{k // 2}_{k}.png", np.roll(ramp, k))
        mask = np.zeros((40, 36), np.uint8)
        mask[5, 5 : 5 + k * (k % 2)] = 1
        save(tmp_path / "masks" / f"p{k // 2}_{k}_mask.png", mask)
    return MaskFolders(
        tmp_path / "images", tmp_path / "masks", "Tumour", "_mask", patient=r"^(p\d+)_"
    )


def written(folders, out, **rule):
    pairs = pair_masks(folders)
    return write_masked(out, read_masked(folders, pairs), MaskRule(pairs.findings, **rule))


def by_source(root):
    references = ReferenceSet.open(root)
    return {
        each.attributes["source_file"]: each for each in (references.get(c) for c in references)
    }


def test_a_finding_is_present_where_its_mask_has_more_pixels_than_asked(folders, tmp_path):
    report = written(folders, tmp_path / "out", above_px=3)
    found = by_source(tmp_path / "out")
    assert [found[f"p{k // 2}_{k}.png"].findings["Tumour"] for k in range(6)] == [
        False, False, False, False, False, True,
    ]  # fmt: skip
    mask = read_mask(found["p2_5.png"].masks["Tumour"])
    assert mask.sum() == 5 and mask[5, 5:10].all()
    assert report.small == {"Tumour": 2} and not found["p1_3.png"].masks
    assert "present on 1, absent on 5 (of these, 2 with a mask too small" in report.lines()[1]


def test_images_of_a_patient_share_an_opaque_patient_and_names_reveal_nothing(folders, tmp_path):
    written(folders, tmp_path / "out")
    found = by_source(tmp_path / "out")
    patients = [found[f"p{k // 2}_{k}.png"].patient_id for k in range(6)]
    assert patients[::2] == patients[1::2] and len(set(patients)) == 3
    assert not any(re.search("p[012]_", case) for case in CaseSet.open(tmp_path / "out"))
    assert not any(each.split for each in found.values())  # the trainers split by patient


def test_every_subfolder_of_masks_is_a_finding_and_a_missing_file_means_what_was_said(
    tmp_path, ramp
):
    full = np.full((40, 36), 255, np.uint8)
    for k in range(3):
        save(tmp_path / "images" / "a" / f"{k}.png", np.roll(ramp, k))
    save(tmp_path / "masks" / "Mass" / "a" / "0.png", full)
    save(tmp_path / "masks" / "Effusion" / "a" / "1.png", full)
    save(tmp_path / "masks" / "Effusion" / "a" / "2.png", 0 * full)
    folders = MaskFolders(tmp_path / "images", tmp_path / "masks")
    written(folders, tmp_path / "out")
    found = by_source(tmp_path / "out")
    assert found["0.png"].findings == {"Effusion": False, "Mass": True}
    unknown = MaskFolders(tmp_path / "images", tmp_path / "masks", unmarked="unknown")
    pairs = pair_masks(unknown)
    first = next(iter(read_masked(unknown, pairs)))
    assert first.masks["Effusion"] is None and first.masks["Mass"].all()
    with pytest.raises(ImportRefused, match="1 of 3 images have no mask of 'Effusion'"):
        pair_masks(MaskFolders(tmp_path / "images", tmp_path / "masks", unmarked="refuse"))


@pytest.mark.parametrize(
    ("name", "mask", "sentence"),
    [
        ("p0_1_mask.png", np.zeros((40, 40), np.uint8), "mask of 40 × 40 pixels but its film"),
        ("p0_1_mask.png", np.arange(1440, dtype=np.uint8).reshape(40, 36), "different values"),
        ("p9_9_mask.png", np.zeros((40, 36), np.uint8), "masks of 'Tumour' have no image"),
        ("p0_1_mask.tif", np.zeros((40, 36), np.uint8), "differ by their ending only"),
    ],
)
def test_masks_that_do_not_fit_are_refused_and_nothing_is_left(
    folders, tmp_path, name, mask, sentence
):
    save(tmp_path / "masks" / name, mask)
    with pytest.raises(DataError, match=sentence):
        written(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_without_masks_or_with_one_class_are_refused_in_a_sentence(folders, tmp_path):
    with pytest.raises(ImportRefused, match="'Tumour' is present on 0 images and absent on 6"):
        written(folders, tmp_path / "out", above_px=9)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no mask"):
        pair_masks(MaskFolders(tmp_path / "images", tmp_path / "empty"))
    with pytest.raises(DataError, match="holds no PNG, JPEG or TIFF"):
        pair_masks(MaskFolders(tmp_path / "empty", tmp_path / "masks"))
    with pytest.raises(DataError, match="is not a folder"):
        pair_masks(MaskFolders(tmp_path / "nowhere", tmp_path / "masks"))
    with pytest.raises(DataError, match="finds no patient in 'p0_0'"):
        written(MaskFolders(folders.images, folders.masks, "T", "_mask", "^x"), tmp_path / "out")
    with pytest.raises(DataError, match="no regular expression"):
        pair_masks(MaskFolders(folders.images, folders.masks, "T", "_mask", "("))
    with pytest.raises(DataError, match="what the names of masks end with"):
        pair_masks(MaskFolders(folders.images, folders.images, "T"))
    with pytest.raises(CannotWrite, match="not an empty folder"):
        written(folders, tmp_path / "images")


def test_the_command_for_folders_says_what_it_found(folders, tmp_path):
    arguments = [folders.images, folders.masks, "--out", tmp_path / "out", "--finding", "Tumour"]
    found = CliRunner().invoke(
        import_masks.command, [str(each) for each in (*arguments, "--mask-suffix", "_mask")]
    )
    assert found.exit_code == 0, found.output
    assert "6 images of 6 patients" in found.output
    assert "Every image counts as a patient" in found.output
    (folders.masks / "p0_0_mask.png").unlink()
    arguments[3] = tmp_path / "again"
    found = CliRunner().invoke(
        import_masks.command, [str(each) for each in (*arguments, "--mask-suffix", "_mask")]
    )
    assert "Images without a mask file of Tumour: 1, where it is absent" in found.output


# --- volumes -------------------------------------------------------------------------------------


@pytest.fixture
def nibabel():
    return pytest.importorskip("nibabel", reason="the extra 'nifti' is not installed")


def head(shape=(40, 44, 6)):
    """A volume in RAS+ and labels: 1 around 3 at the right front, in slices 2 and 3."""
    values = np.zeros(shape, np.float32)
    values[4:36, 4:40, 1:] = 100
    values[30:34, 34:38, 1:] = 300  # right, front
    labels = np.zeros(shape, np.uint8)
    labels[26:36, 30:40, 2:4] = 1
    labels[30:34, 34:38, 2] = 3
    labels[30:32, 34:36, 3] = 2
    return values, labels


def save_volume(nibabel, path, values, axes="RAS", channels=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, np.diag([2.0, 1.0, 3.0, 1.0]))
    wanted = nibabel.orientations.axcodes2ornt(axes)
    image = image.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), wanted)
    )
    if channels:
        stack = np.stack([np.asarray(image.dataobj) * (k + 1) for k in range(channels)], axis=3)
        stack[..., 0] = 7  # what the wrong channel would show
        image = nibabel.Nifti1Image(stack, image.affine)
    nibabel.save(image, path)


@pytest.fixture
def volumes(nibabel, tmp_path):
    """Two patients, stored in different directions; four channels, as in the Decathlon."""
    values, labels = head()
    for number, axes in enumerate(("LPI", "PSR")):
        name = f"BRATS_{number:03d}.nii.gz"
        save_volume(nibabel, tmp_path / "imagesTr" / name, values, axes, channels=4)
        save_volume(nibabel, tmp_path / "labelsTr" / name, labels, "RAS" if number else "LAS")
    (tmp_path / "imagesTr" / "._BRATS_000.nii.gz").write_bytes(b"left by another system")
    return tmp_path / "imagesTr", tmp_path / "labelsTr"


def cut(volumes, **more):
    return VolumeSlices(
        *volumes, **({"findings": {"Tumour": frozenset({2, 3})}, "channel": 2, "size": 40} | more)
    )


def test_slices_stand_as_a_radiologist_looks_at_them_whatever_the_file_says(volumes):
    slices = cut(volumes)
    found = list(read_slices(slices, pair_volumes(slices)))
    assert len(found) == 10  # the first slice of either volume holds nothing but background
    for each in found:
        bright = np.argwhere(each.samples > 200)
        assert bright[:, 0].max() < 10 and bright[:, 1].max() < 10  # front up, right at the left
        assert each.pixel_spacing_mm == pytest.approx((1.1, 2.0))
    second = [each for each in found if each.attributes["slice"] == "2"]
    assert len(second) == 2
    for each in second:
        mask = each.masks["Tumour"]
        assert mask.any() and (each.samples[mask] > 150).mean() > 0.7  # on what it outlines
        assert each.samples[~mask].max() < 255


def test_labels_that_are_not_named_are_background_and_few_pixels_are_none(volumes, tmp_path):
    slices = cut(volumes, size=44)
    report = write_masked(
        tmp_path / "out", read_slices(slices, pair_volumes(slices)), MaskRule(("Tumour",), 10)
    )
    assert report.present == {"Tumour": 2} and report.absent == {"Tumour": 8}
    assert report.small == {"Tumour": 2}  # 2 × 2 voxels are fewer than 11 pixels
    references = ReferenceSet.open(tmp_path / "out")
    found = [references.get(case) for case in references]
    assert len({each.patient_id for each in found}) == 2
    assert {len({e.attributes["source_file"] for e in found if e.patient_id == p})
            for p in {e.patient_id for e in found}} == {1}  # fmt: skip
    for each in found:
        if each.findings["Tumour"]:
            assert each.attributes["slice"] == "2"
            assert 11 <= read_mask(each.masks["Tumour"]).sum() <= 30  # not the oedema's 100


def test_no_patient_of_a_volume_stands_in_two_splits(volumes, tmp_path):
    torch_side = pytest.importorskip("explainers.training.films")
    slices = cut(volumes)
    write_masked(
        tmp_path / "out", read_slices(slices, pair_volumes(slices)), MaskRule(("Tumour",), 3)
    )
    films = torch_side.open_films(tmp_path / "out", 32, tmp_path / "cache")
    splits = {}
    for patient, split in zip(films.patient_ids, films.splits, strict=True):
        splits.setdefault(patient, set()).add(split)
    assert len(splits) == 2 and all(len(each) == 1 for each in splits.values())
    assert films.findings == ("Tumour",) and (films.masks.max(axis=(1, 2)) > 0).any()


def test_volumes_that_do_not_fit_are_refused_in_a_sentence(nibabel, volumes, tmp_path):
    labels = volumes[1]
    values, _ = head()
    path = tmp_path / "other.nii.gz"

    def refused(sentence, **more):
        with pytest.raises(DataError, match=sentence):
            slices = cut(volumes, **more)
            list(read_slices(slices, pair_volumes(slices)))

    refused(r"has 4 channels; say which one with --channel", channel=None)
    refused("has no channel 4: it has 4", channel=4)
    refused("names the label 9, which occurs in none of the 2", findings={"T": frozenset({9})})
    refused("needs labels from 1 on", findings={"T": frozenset({0})})
    refused("holds no volume file", image_suffix="_t1ce")
    nibabel.save(nibabel.Nifti1Image(values[:, :, 0], np.eye(4)), path)
    with pytest.raises(InvalidCase, match="shape 40 × 44; expected a volume of three axes"):
        read_volume(path)
    path.write_bytes(b"no volume")
    with pytest.raises(InvalidCase, match="damaged, cut off, or no NIfTI"):
        read_volume(path)
    target = labels / "BRATS_000.nii.gz"
    save_volume(nibabel, target, np.zeros((40, 44, 5), np.uint8))
    refused("40 × 44 × 5 voxels but its volume has 40 × 44 × 6")
    save_volume(nibabel, target, values / 7)
    refused("holds values that are no labels")
    nibabel.save(nibabel.Nifti1Image(head()[1], np.diag([1.0, 1.0, 1.0, 1.0])), target)
    refused("lies elsewhere than its volume")
    target.unlink()
    refused("1 of 2 volumes have no labels of the same name, 'BRATS_000' first")


def test_without_nibabel_one_sentence_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(MissingLibrary, match=r"pip install 'counterlight\[nifti\]'"):
        pair_volumes(VolumeSlices(tmp_path, tmp_path, {"Tumour": frozenset({2})}))


def test_the_command_for_volumes_takes_one_folder_with_two_endings(nibabel, tmp_path):
    values, labels = head()
    for patient in ("a", "b"):
        for ending, array in (("t1ce", values), ("flair", values), ("seg", labels)):
            path = tmp_path / "brats" / patient / f"{patient}_{ending}.nii"
            save_volume(nibabel, path, array)
    options = ["--out", tmp_path / "out", "--image-suffix", "_t1ce", "--label-suffix", "_seg"]
    arguments = [tmp_path / "brats", tmp_path / "brats", *options, "--size", 44, "--finding"]
    found = CliRunner().invoke(
        import_volumes.command, [str(each) for each in (*arguments, "Tumour=2,3")]
    )
    assert found.exit_code == 0, found.output
    assert "10 images of 2 patients" in found.output and "present on 2, absent on 8" in found.output
    wrong = CliRunner().invoke(
        import_volumes.command, [str(each) for each in (*arguments, "Tumour=two")]
    )
    assert wrong.exit_code == 2 and "expected NAME=LABELS" in wrong.output
