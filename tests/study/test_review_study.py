"""A clinical review as a study: its protocol, cards, allocation, answers and names."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from study.allocation import CaseChoice, algorithm, allocate
from study.errors import AllocationError, InvalidAnswer, ProtocolError, StudyError
from study.protocol import StudyProtocol, load_protocol, parse_protocol, shipped_protocol
from study.protocol_toml import to_toml
from study.rating import validate_answers
from study.review.cards import ReviewCard, chosen_cards, read_cards, write_cards
from study.review.names import read_names, write_name

ENTROPY = b"0123456789abcdef"
TEXT = shipped_protocol("review").read_text(encoding="utf-8")


def protocol() -> StudyProtocol:
    return load_protocol(shipped_protocol("review"))


def card(dimension: int, rank: int, finding: str = "Effusion") -> ReviewCard:
    return ReviewCard(dimension, finding, f"film-{rank}", rank, "low", 0.95, 0.9, 0.2)


def cards(*dimensions: int, n: int = 5) -> list[ReviewCard]:
    return [card(d, rank) for d in dimensions for rank in range(1, n + 1)]


def test_the_shipped_review_can_be_written_and_read_back() -> None:
    shipped = protocol()
    assert parse_protocol(to_toml(shipped)).digest == shipped.digest
    assert [condition.id for condition in shipped.conditions] == ["review"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('kind = "review"', 'kind = "parallel"', "conditions is a list of 1"),
        ('show = "perturbed"', 'show = "reconstruction"', "shows each of film, reconstruction"),
        ('id = "relevance"', 'id = "pertinence"', "no required choice 'relevance'"),
        ('{ id = "possible", label = "possible" }, ', "", "offers yes, no; a review counts"),
        ('id = "description"', 'id = "words"', "no text 'description'"),
        ('equals = "yes"', 'equals = "maybe"', "'meaningful' offers yes, no; correct the id"),
        ('item = "meaningful"', 'item = "relevance"', "that stands before this one"),
        (
            "[display]",
            '[analysis]\nprimary = "x"\ncontrast = ["review", "review"]\n[display]',
            "a review declares no comparison",
        ),
    ],
)
def test_a_protocol_that_is_no_review_is_refused(old: str, new: str, sentence: str) -> None:
    assert old in TEXT
    with pytest.raises(ProtocolError, match=sentence):
        parse_protocol(TEXT.replace(old, new))


def test_other_studies_show_no_reconstruction_and_need_an_analysis() -> None:
    demo = shipped_protocol("demo").read_text(encoding="utf-8")
    with pytest.raises(ProtocolError, match="analysis is missing"):
        parse_protocol(demo.split("[analysis]")[0])
    wrong = demo.replace('show = "frames", method', 'show = "perturbed", method', 1)
    with pytest.raises(ProtocolError, match="only a review"):
        parse_protocol(
            wrong.replace('frames = "residual"', 'title = "x"').replace(
                ', title = "Moving film"', ""
            )
        )


def test_every_expert_judges_every_card_dimension_by_dimension_in_another_order() -> None:
    shipped = protocol()
    choices = [each.choice for each in cards(3, 40, 500)]
    assignments = allocate(shipped, choices, 7, ["R1", "R2"], entropy=ENTROPY)
    assert algorithm(shipped) == "review-1"
    orders = {}
    for expert in ("R1", "R2"):
        order = [a.case_id for a in assignments if a.reader_id == expert]
        assert sorted(order) == sorted(c.case_id for c in choices)
        dimensions = [case_id.split("-")[0] for case_id in order]
        blocks = [d for n, d in enumerate(dimensions) if n == 0 or dimensions[n - 1] != d]
        assert len(blocks) == 3
        orders[expert] = order
    assert orders["R1"] != orders["R2"]
    assert {a.condition for a in assignments} == {"review"}


def test_dimensions_with_another_number_of_films_are_not_allocated() -> None:
    choices = [each.choice for each in cards(3)][:4]
    with pytest.raises(AllocationError, match="Dimension 3 has 4 films; the review asks for 5"):
        allocate(protocol(), choices, 7, ["R1", "R2"], entropy=ENTROPY)
    with pytest.raises(AllocationError, match="no dimension was selected"):
        allocate(protocol(), [], 7, ["R1", "R2"], entropy=ENTROPY)


def test_repeats_of_a_review_are_cards_that_were_read_before() -> None:
    shipped = protocol()
    repeated = shipped.model_copy(
        update={"design": shipped.design.model_copy(update={"repeats": 2})}
    )
    choices = [each.choice for each in cards(3, 40)]
    assignments = allocate(repeated, choices, 7, ["R1", "R2"], entropy=ENTROPY)
    assert Counter(a.purpose for a in assignments) == {"study": 20, "repeat": 4}


def test_a_description_is_required_only_where_the_change_is_meaningful() -> None:
    items = protocol().items
    with pytest.raises(InvalidAnswer, match="If yes, describe it"):
        validate_answers(items, {"meaningful": "yes", "relevance": "no"})
    with pytest.raises(InvalidAnswer, match="If yes, describe it"):
        validate_answers(items, {"meaningful": "yes", "description": "  ", "relevance": "no"})
    given = validate_answers(items, {"meaningful": "no", "relevance": "no"})
    assert given["description"] is None


def test_what_stands_in_an_item_that_is_not_asked_does_not_count() -> None:
    answers = {"meaningful": "no", "description": "left over", "relevance": "possible"}
    assert validate_answers(protocol().items, answers)["description"] is None


def test_the_cards_of_the_largest_changes_are_chosen() -> None:
    kept, left_out = chosen_cards(cards(40, 3, n=7), 5)
    assert [c.rank for c in kept] == [1, 2, 3, 4, 5] * 2
    assert [c.dimension for c in kept] == [3] * 5 + [40] * 5
    assert left_out == ()


def test_a_dimension_of_two_findings_shows_a_film_once() -> None:
    both = [*cards(3, n=3), *(card(3, rank, "Mass") for rank in (1, 2, 3))]
    kept, _ = chosen_cards(both, 3)
    assert len({c.card_id for c in kept}) == 3


def test_too_few_films_are_refused_with_their_number_or_left_out_by_name() -> None:
    few = [*cards(3), *cards(40, n=2)]
    with pytest.raises(StudyError, match=r"Dimension 40 \(Effusion\) has 2 films .* asks for 5"):
        chosen_cards(few, 5)
    kept, left_out = chosen_cards(few, 5, leave_out=True)
    assert {c.dimension for c in kept} == {3}
    assert left_out == ("Dimension 40 (Effusion) has 2 films and is left out.",)
    with pytest.raises(StudyError, match="has 2 films"):
        chosen_cards(cards(40, n=2), 5, leave_out=True)


def test_without_a_selected_dimension_there_is_nothing_to_review() -> None:
    with pytest.raises(StudyError, match="nothing to review"):
        chosen_cards([], 5)


def test_cards_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "cards.csv"
    write_cards(path, cards(3, 40))
    assert read_cards(path) == tuple(cards(3, 40))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "lists no card"),
        ("dimension,finding\n3,Effusion\n", "Line 2 of .* is no card"),
        (
            "dimension,finding,film,rank,direction,original,reconstruction,perturbed\n"
            "3,Effusion,a,1,low,0.9,nan,0.1\n",
            "Line 2 of .* is no card",
        ),
    ],
)
def test_a_damaged_list_of_cards_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "cards.csv").write_text(content)
    with pytest.raises(StudyError, match=sentence):
        read_cards(tmp_path / "cards.csv")


def test_a_missing_list_of_cards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="made by counterlight review prepare"):
        read_cards(tmp_path / "cards.csv")


def test_a_card_with_a_probability_beyond_one_is_refused() -> None:
    with pytest.raises(StudyError, match="expected three numbers from 0 to 1"):
        replace(card(3, 1), perturbed=1.2)


def test_names_are_written_by_dimension_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    assert read_names(path) == {}
    write_name(path, 1234, "  heart\n size ")
    write_name(path, 7, "aorta")
    assert json.loads(path.read_text()) == {"7": "aorta", "1234": "heart size"}
    assert write_name(path, 7, "") == {1234: "heart size"}


def test_a_name_that_does_not_fit_a_switch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="81 characters; give 1 to 80"):
        write_name(tmp_path / "names.json", 7, "x" * 81)


@pytest.mark.parametrize("content", ["[]", "{", '{"heart": "x"}', '{"7": 3}'])
def test_damaged_names_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "names.json").write_text(content)
    with pytest.raises(StudyError, match="Correct the file"):
        read_names(tmp_path / "names.json")


def test_a_choice_of_cards_carries_the_dimension_as_its_stratum() -> None:
    assert card(7, 2).choice == CaseChoice("d7-film-2", "Effusion", "7")
