"""The factors page: what it shows, what it says where something is missing, links, combinations."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from data.manifest import CaseSet
from explainers.base import ExplainerError
from pages.exploring.films import case_film
from pages.factoring import progress, subject
from pages.factoring.combinations import combinations_folder, saved
from pages.factoring.factors import files_of, opened
from pages.factoring.preparing import Desk, maker
from pages.factoring.request import Position
from pages.factoring.styles import styles_folder
from study.review.names import names_path, write_name
from tests.pages.test_roles import html_of
from tests.support.pages import OpenPage
from tests.support.tiny_factors import DIMENSIONS, write_factor_study
from tests.support.tiny_study import FINDING, TinyStudy

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    short = dataclasses.replace(subject.SETTINGS, n_steps=2)
    monkeypatch.setattr(subject, "SETTINGS", short)


def finish(page: AppTest) -> AppTest:
    """Wait for what is prepared beside the page."""
    state = page.session_state
    while "factor_work" in state and state["factor_work"] is not None:
        if not state["factor_work"].running and state["factor_work"].problem:
            break
        assert state["factor_work"].wait(60)
        page.run()
    assert not page.exception
    return page


def prepared(study: TinyStudy, finding: str, before: subject.Subject | None = None) -> Desk:
    """Prepare a desk of the first case without a page."""
    film = case_film(CaseSet.open(study.folder.cases), "case-0007", in_study=True)
    make = maker(film, finding, files_of(study.folder), styles_folder(study.folder), before)
    return make(lambda _: None, lambda: False)


def test_cards_predictions_links_and_combinations(
    open_factors_page: OpenPage, with_factors: TinyStudy
) -> None:
    write_name(names_path(with_factors.folder), DIMENSIONS[1], "Fluid")
    at = f"{DIMENSIONS[1]}:0.35"
    page = finish(open_factors_page(film="case-0008", finding=FINDING, moved=f"{at},9:0.5"))
    assert "Probabilities of the findings" in html_of(page)
    (desk,) = page.session_state["factor_desks"].values()
    assert [card.title for card in desk.cards.cards] == ["Heart size", "Fluid"]
    assert len(list((with_factors.root / "styles").glob("*.npz"))) == 1
    # The link shows the same; dimension 9 is no factor of this finding and stays where it is.
    assert page.selectbox(key="film").value == "case-0008"
    assert page.query_params["moved"] in (at, [at])

    page.text_input(key="combination_name").set_value("Larger")
    page.button(key="combination_save").click().run()
    root = combinations_folder(with_factors.folder)
    (kept,) = saved(root).combinations
    assert (kept.name, kept.case_id) == ("Larger", "case-0008")
    assert [one.dimension for one in kept.dimensions] == [DIMENSIONS[1]]
    page.session_state["factor_at"] = ""
    page.button(key=f"load_{kept.combination_id}").click().run()
    assert page.session_state["factor_at"] == at
    page.button(key=f"delete_{kept.combination_id}").click().run()
    assert not page.exception and saved(root).combinations == ()


def test_moving_gives_what_a_whole_run_of_the_generator_gives(with_factors: TinyStudy) -> None:
    desk = prepared(with_factors, FINDING)
    assert tuple(card.dimension for card in desk.cards.cards) == DIMENSIONS
    assert desk.cards.cards[1].title.startswith(f"Dimension {DIMENSIONS[1]} · layer ")
    one = desk.subject
    positions = (Position(DIMENSIONS[0], -1.0), Position(DIMENSIONS[1], 0.5))
    styles = one.known.styles.clone()
    for each in positions:
        styles[each.dimension] = one.value(each.dimension, each.at)
    whole = (one.factors.generator.synthesise(styles[None])[0, 0].numpy() / 2 + 0.5).clip(0, 1)
    moved = one.moved(positions)
    np.testing.assert_allclose(moved.image, whole, atol=1e-5)
    middle = desk.strips[DIMENSIONS[0]][subject.N_FRAMES // 2]
    np.testing.assert_allclose(middle, one.reconstruction.image, atol=1e-5)
    assert one.moved(()) is one.reconstruction

    other = prepared(with_factors, "Mass", one)  # a finding without a factor shows the closest
    assert "No dimension moves Mass" in other.cards.remark and "largest" in other.cards.remark


def test_films_searched_together_land_where_each_would_alone(with_factors: TinyStudy) -> None:
    classifier, factors = opened(files_of(with_factors.folder))
    cases = CaseSet.open(with_factors.folder.cases)
    images = [cases.load(case_id).image for case_id in cases.case_ids[:2]]
    ignored = (lambda done, total: None, lambda: False)
    both = subject.projected_films(classifier, factors, images, *ignored)
    alone = subject.projected(classifier, factors, images[1], *ignored)
    np.testing.assert_allclose(both[1].styles, alone.styles, atol=1e-4)


def test_an_encoder_shortens_the_search_and_is_part_of_its_key(with_factors: TinyStudy) -> None:
    classifier, factors = opened(files_of(with_factors.folder))

    class Guess:
        weights_digest = "guess"

    guessed = dataclasses.replace(factors, encoder=Guess())
    before = subject.key_of("film", classifier, factors)
    after = subject.key_of("film", classifier, guessed)
    assert before.digest != after.digest


def test_a_study_without_a_factor_set_names_the_command(
    open_factors_page: OpenPage, study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_factor_study(study.folder.classifier.parent)
    path.unlink()
    monkeypatch.setattr("pages.factoring.factors.SHIPPED_FACTORS", study.root / "none.json")
    page = open_factors_page()
    assert not page.exception and "counterlight factors find" in html_of(page)


def test_a_study_without_a_classifier_says_so(study: TinyStudy) -> None:
    with pytest.raises(ExplainerError, match="keeps no classifier"):
        files_of(study.folder)


def test_a_factor_set_of_another_classifier_is_refused_in_a_sentence(
    open_factors_page: OpenPage, study: TinyStudy
) -> None:
    write_factor_study(study.folder.classifier.parent, classifier_digest="e" * 64)
    page = finish(open_factors_page())
    assert "another classifier" in html_of(page)
    assert page.button(key="factor_again")


def test_a_film_that_cannot_be_drawn_says_so_and_is_shown_on_request(
    open_factors_page: OpenPage, study: TinyStudy
) -> None:
    write_factor_study(study.folder.classifier.parent, max_mae=0.001)
    page = finish(open_factors_page(finding=FINDING))
    assert "grey levels of 255 off on average" in html_of(page)
    assert "Probabilities of the findings" not in html_of(page)
    page.button(key="anyway").click().run()
    assert not page.exception and "Probabilities of the findings" in html_of(page)


def test_the_search_can_be_stopped_and_goes_on_when_asked(
    open_factors_page: OpenPage, with_factors: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: object) -> object:
        def make(report: object, cancelled: object) -> None:
            while not cancelled():  # type: ignore[operator]
                threading.Event().wait(0.01)
            raise ExplainerError("Stopped.")

        return make

    with monkeypatch.context() as patched:
        patched.setattr(progress, "maker", endless)
        page = open_factors_page(finding=FINDING)
        work = page.session_state["factor_work"]
        page.button(key="factor_stop").click().run()
        assert work.wait(10) and not page.exception and "Stopped" in html_of(page)
    page.button(key="factor_again").click().run()
    finish(page)
    assert "Probabilities of the findings" in html_of(page)
