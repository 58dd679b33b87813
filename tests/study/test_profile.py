"""The reader's profile takes what an analysis needs and nothing else."""

from __future__ import annotations

import pytest

from study.errors import StudyError
from study.profile import ReaderProfile, read_profile
from tests.support.small_study import PROFILE

GIVEN = PROFILE.model_dump()


def test_a_profile_reads_back_from_its_own_entries() -> None:
    assert read_profile(GIVEN) == PROFILE
    assert read_profile({k: v for k, v in GIVEN.items() if k != "subspecialty"}).subspecialty == ""


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ("role", "surgeon", "radiologist, resident"),
        ("years_of_practice", 71, "0 to 70"),
        ("years_of_practice", "9", "0 to 70"),
        ("years_of_practice", True, "0 to 70"),
        ("subspecialty", "x" * 121, "at most 120"),
        ("prior_ai_use", None, "never, tried or regularly"),
        ("display", "phone", "diagnostic, clinical review"),
        ("attested", False, "confirmation"),
        ("name", "Dr. Who", "has no entry 'name'"),
    ],
)
def test_what_is_not_allowed_is_named_in_one_sentence(
    entry: str, value: object, words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        read_profile({**GIVEN, entry: value})


def test_a_missing_entry_is_named() -> None:
    with pytest.raises(StudyError, match="'role' of the profile is missing"):
        read_profile({})


def test_the_attestation_cannot_be_left_out() -> None:
    with pytest.raises(StudyError, match="'attested'"):
        read_profile({k: v for k, v in GIVEN.items() if k != "attested"})
    assert ReaderProfile.model_fields["attested"].is_required()
