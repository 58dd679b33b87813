"""Consent: asked first, kept with version and time, and readable ever after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from study.errors import StoreUnavailable
from study.store import StudyStore
from tests.support.reader_study import ReaderStudy, button, study_maker, words_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Make = Callable[..., ReaderStudy]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return study_maker(tmp_path, monkeypatch)


def test_a_new_reader_is_asked_for_consent_before_anything_else(make: Make) -> None:
    page = make().open()
    said = words_of(page)
    assert "of my own will" in said and "Version 2.1" in said
    assert [b.label for b in page.button] == ["I consent"]


def test_consent_is_kept_with_version_and_time_and_leads_on(make: Make) -> None:
    study = make()
    page = button(study.open(), "I consent")
    assert "About you" in words_of(page)
    (event,) = study.store().events("consented", "R1")
    assert event.payload["version"] == "2.1"
    assert event.created_at.tzinfo is not None


def test_what_was_consented_to_can_be_read_again_with_the_moment_it_was_given(make: Make) -> None:
    study = make()
    study.begin()
    page = study.open(page="consent.py")
    given = study.store().events("consented", "R1")[0].created_at
    assert f"You consented on {given.day} {given:%B %Y}" in words_of(page)
    assert "of my own will" in words_of(page)
    assert "I consent" not in [b.label for b in page.button]
    assert len(study.store().events("consented")) == 1


def test_a_study_without_consent_begins_with_the_profile(make: Make) -> None:
    study = make(consent="")
    assert "About you" in words_of(study.open())
    assert "About you" in words_of(study.open(page="consent.py"))


def test_two_clicks_in_two_windows_are_one_consent(make: Make) -> None:
    study = make()
    first, second = study.open(), study.open()
    button(first, "I consent")
    button(second, "I consent")
    assert len(study.store().events("consented")) == 1


def test_a_full_disk_is_said_and_nothing_is_claimed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make()
    page = study.open()

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("The disk is full; free some space and try again.")

    with monkeypatch.context() as patch:
        patch.setattr(StudyStore, "writing", full)
        button(page, "I consent")
    assert "The disk is full; free some space and try again." in words_of(page)
    assert study.store().events("consented") == ()
    assert "About you" in words_of(button(page, "I consent"))


def test_markup_in_the_authors_text_stays_text(make: Make) -> None:
    page = make(consent="I agree. <img src=x onerror=alert(1)>").open()
    assert not any(element.allow_html for element in page.markdown)
