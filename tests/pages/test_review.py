"""A clinical review on the pages: what experts see, the results, the names of dimensions."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from commands.review import command
from commands.review_cards import fade
from commands.review_cards import made_cards as factor_cards
from commands.review_study import prepare_review
from explainers.stylespace.cards import FactorCard, FilmCard
from explainers.stylespace.factorset import SelectedFactor
from pages.outcome.review_table import headline, review_table
from pages.parts.desk_view import place
from pages.parts.display_files import display_folder, read_record
from pages.parts.display_panels import DisplayError
from pages.parts.form.component import FormSettings, form_data
from pages.parts.review_display import CardPictures, animation_ends
from study.audit import verify
from study.errors import InvalidAnswer, StudyError
from study.export import export_study
from study.folder import StudyFolder
from study.reporting import gather, material_of
from study.review.names import names_path, read_names
from study.review.results import gather_review
from study.session import ReadingDesk
from tests.support.pages import NAVIGATION
from tests.support.reader_study import words_of
from tests.support.stub_networks import FINDINGS, LinearClassifier
from tests.support.tiny_review import (
    NO,
    YES,
    begin,
    judge_all,
    made_card,
    made_cards,
    make_tiny_review,
    review_template,
)
from tests.support.tiny_study import CASE_IDS, TinyStudy, write_case_set

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MIND = {"R1": {7: YES, 1234: NO}, "R2": {7: {**YES, "relevance": "possible"}, 1234: NO}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    """Every expert has judged every card; tests must not write into it."""
    study = make_tiny_review(tmp_path_factory.mktemp("review") / "study")
    for expert, answers in MIND.items():
        judge_all(study, expert, answers)
    return study


@pytest.fixture
def study(whole: TinyStudy, tmp_path: Path) -> TinyStudy:
    """A copy that may be written into."""
    shutil.copytree(whole.root, tmp_path / "study")
    return TinyStudy(tmp_path / "study", whole.protocol)


@pytest.fixture
def results_page(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("COUNTERLIGHT_STUDY", str(study.root))
    st.cache_resource.clear()
    page = AppTest.from_file(str(NAVIGATION), default_timeout=60)
    page.user = {"login": study.login("coordinator")}
    page.run()
    page.switch_page("results.py").run()
    assert not page.exception, page.exception
    yield page
    st.cache_resource.clear()


def test_a_card_shows_three_pictures_with_their_probabilities_and_an_animation(
    whole: TinyStudy,
) -> None:
    card = made_card(7, 1, CASE_IDS[0]).card
    folder = whole.folder
    record = read_record(display_folder(folder.displays, card.card_id, card.finding, "review"))
    assert [panel.title for panel in record.panels] == [
        "Original · 93 %",
        "Reconstruction · 91 %",
        "Perturbed · 28 %",
        "Perturbed over unperturbed",
    ]
    assert [panel.n_frames for panel in record.panels] == [1, 1, 1, 9]
    first, last = animation_ends(folder, whole.protocol, card)
    assert first.startswith(b"\x89PNG") and last.startswith(b"\x89PNG") and first != last


def test_the_form_gets_what_an_item_waits_for(whole: TinyStudy) -> None:
    data = form_data("a" * 32, whole.protocol.items, FormSettings("c" * 32, "read", "Effusion"))
    waits = {item["id"]: item["askedIf"] for item in data["items"]}
    assert waits["description"] == {"item": "meaningful", "equals": "yes"}
    assert waits["meaningful"] is None


def test_an_expert_goes_from_card_to_card_and_owes_a_description(tmp_path: Path) -> None:
    study = make_tiny_review(tmp_path / "study", experts=1)
    desk = ReadingDesk(study.store(), "R1", lambda: datetime.now(UTC))
    begin(desk)
    assignment = desk.current()
    assert assignment is not None
    assert place(study.protocol, assignment, 6) == "card 1 of 6"
    desk.display(assignment.assignment_id)
    with pytest.raises(InvalidAnswer, match="If yes, describe it"):
        desk.submit(assignment.assignment_id, {"meaningful": "yes", "relevance": "yes"})
    receipt = desk.submit(assignment.assignment_id, YES)
    desk.revise(assignment.assignment_id, NO, supersedes=receipt.seq, reason="looked again")
    results = gather_review(study.folder, study.store())
    assert (results.n_done, results.n_planned) == (1, 6)
    assert results.analysis is not None
    assert results.analysis.shares[0].value == 0
    assert "at least two" in results.analysis.agreement[0].note
    assert "5 of 6 judgements are missing" in headline(results)


def test_the_table_holds_dimension_image_description_and_relevance(whole: TinyStudy) -> None:
    results = gather_review(whole.folder, whole.store())
    html = review_table(results, {})
    heads = ["Dimension", "Image", "Clinical description", "Relevance"]
    places = [html.index(f">{head}<") for head in heads]
    assert places == sorted(places)
    assert html.count("<tr>") == 7 and html.count('rowspan="3"') == 2
    assert "experts divided" in html and "Heart size" in html
    assert headline(results).startswith(
        "1 of 2 dimensions judged are semantically meaningful: 50 %"
    )


def test_what_experts_write_is_shown_and_not_executed(tmp_path: Path) -> None:
    study = make_tiny_review(tmp_path / "study", experts=1)
    judge_all(study, "R1", {7: {**YES, "description": "<script>x</script>"}, 1234: NO})
    html = review_table(gather_review(study.folder, study.store()), {})
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_the_results_page_names_a_dimension_and_a_review_has_no_power_to_plan(
    results_page: AppTest, study: TinyStudy
) -> None:
    box = results_page.selectbox(key="name_7")
    assert box.options == ["Heart size"]
    box.select("Heart size").run()
    results_page.button(key="save_7").click().run()
    assert not results_page.exception
    assert read_names(names_path(study.folder)) == {7: "Heart size"}
    (event,) = study.store().events("dimension_named")
    assert event.payload == {"dimension": 7, "name": "Heart size", "before": ""}
    assert event.actor != "study" and not verify(study.folder.database).problems
    shown = " ".join(each.proto.body for each in results_page.get("html"))
    assert '<div class="name">Heart size</div>' in shown
    assert "no power to plan" in words_of(results_page.switch_page("planning.py").run())
    assert "planning_start" not in [button.key for button in results_page.button]


def test_experts_are_told_of_cards(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERLIGHT_STUDY", str(study.root))
    page = AppTest.from_file(str(NAVIGATION), default_timeout=60)
    page.user = {"login": study.login("R1")}
    said = words_of(page.switch_page("instructions.py").run())
    assert not page.exception and "A card counts" in said and "A case counts" not in said


def test_a_review_is_exported_like_any_study(whole: TinyStudy, tmp_path: Path) -> None:
    export = export_study(whole.root, tmp_path / "out")
    assert not export.audit.problems
    ratings = (tmp_path / "out" / "ratings.csv").read_text()
    assert "d1234-case-0007" in ratings
    codebook = (tmp_path / "out" / "codebook.csv").read_text()
    assert "asked only if meaningful is yes" in codebook


def test_the_report_of_comparisons_points_to_that_of_a_review(whole: TinyStudy) -> None:
    with pytest.raises(StudyError, match="counterlight review report"):
        material_of(gather(whole.folder, whole.store()))


def test_the_command_reports_and_names(study: TinyStudy, tmp_path: Path) -> None:
    run = CliRunner().invoke
    said = run(command, ["name", str(study.root), "7", "Heart size"])
    assert said.exit_code == 0, said.output
    assert [each.actor for each in study.store().events("dimension_named")] == ["study"]
    said = run(command, ["report", str(study.root), "--out", str(tmp_path / "out")])
    assert said.exit_code == 0, said.output
    table = (tmp_path / "out" / "table1.csv").read_text().splitlines()
    assert len(table) == 13 and table[1].startswith("7,Heart size,Lung Opacity,case-0007,1,high")
    assert "data:image/png;base64," in (tmp_path / "out" / "review.html").read_text()
    with pytest.raises(StudyError, match="is not reviewed in this study"):
        run(command, ["name", str(study.root), "8", "x"], catch_exceptions=False)


def test_a_review_needs_as_many_films_as_it_asks_for(tmp_path: Path) -> None:
    write_case_set(tmp_path / "films")
    few = [*made_cards([7]), made_card(40, 1, CASE_IDS[0])]
    folder = StudyFolder(tmp_path / "study")
    with pytest.raises(StudyError, match=r"Dimension 40 .* has 1 film .* asks for 3"):
        prepare_review(folder, review_template(), few, tmp_path / "films", readers=1)
    assert not folder.database.exists()
    prepared = prepare_review(
        folder, review_template(), few, tmp_path / "films", readers=1, leave_out=True
    )
    assert (prepared.n_dimensions, prepared.n_cards) == (1, 3)
    assert "Dimension 40" in prepared.left_out[0]
    with pytest.raises(StudyError, match="never overwritten"):
        prepare_review(folder, review_template(), few, tmp_path / "films", readers=1)


def test_pictures_that_do_not_belong_together_are_refused() -> None:
    flat = np.full((8, 8), 0.5, np.float32)
    with pytest.raises(DisplayError, match="expected"):
        CardPictures(flat, flat[:4], np.stack([flat, flat]))
    with pytest.raises(DisplayError, match="outside 0 to 1"):
        CardPictures(flat, flat + 1, np.stack([flat, flat]))


def test_the_animation_fades_from_the_reconstruction_to_the_perturbed_picture() -> None:
    dark, light = np.zeros((4, 4), np.float32), np.full((4, 4), 0.8, np.float32)
    frames = fade(dark, light, 5)
    np.testing.assert_allclose(frames[:, 0, 0], [0, 0.2, 0.4, 0.6, 0.8], atol=1e-6)


def test_factor_cards_become_cards_with_the_logit_of_the_film() -> None:
    grey = np.full((8, 8), 0.4, np.float32)
    film = FilmCard(
        case_id="film-3",
        original=grey,
        reconstruction=grey,
        perturbed=grey + np.float32(0.2),
        frames=np.stack([grey, grey]),
        end="lowest",
        p_original=0.92,
        p_reconstruction=0.9,
        p_perturbed=0.3,
        mae=4.0,
    )
    factor = SelectedFactor(12, "8/convolution 1", 8, 4, FINDINGS[1], 0.5, -0.5, 0.1, 0.6, 3, 9)
    classifier = LinearClassifier()
    (made,) = factor_cards([FactorCard(factor, (film,))], classifier)
    assert made.card.card_id == "d12-film-3"
    assert (made.card.direction, made.card.rank, made.card.perturbed) == ("low", 1, 0.3)
    with torch.no_grad():
        expected = classifier.logits(torch.full((1, 1, 8, 8), 0.4))[0, 1]
    assert made.logit == pytest.approx(float(expected), abs=1e-5)
    assert made.weights_digest == classifier.weights_digest


def test_the_command_offers_what_the_search_of_the_factors_does() -> None:
    said = CliRunner().invoke(command, ["prepare", "--help"])
    assert said.exit_code == 0, said.output
    for option in ("--factors", "--cases", "--out", "--experts", "--per-factor", "--leave-out"):
        assert option in said.output
