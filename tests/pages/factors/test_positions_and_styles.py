"""Positions in links, films in S on disk, messages of the cards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from explainers.base import ExplainerError
from pages.factoring.cards.component import CardsState, cards_data, message_of
from pages.factoring.factors import Card, given_names
from pages.factoring.request import Position, parsed, positions_of, value_at, written
from pages.factoring.styles import FilmStyles, StylesKey, keep_styles, kept_styles

KEY = StylesKey("film", "generator", "classifier", "settings")
STYLES = FilmStyles(np.arange(5, dtype=np.float32), 3.5, np.zeros(2, np.float32))


def test_positions_survive_a_link() -> None:
    positions = positions_of([(512, -1.0), (77, 0.35), (3, 0.0)])
    assert positions == (Position(77, 0.35), Position(512, -1.0))
    assert parsed(written(positions)) == positions


@pytest.mark.parametrize(
    "text", [None, 4, "", "x:1", "5:nan", "5:1e9", "-4:1", "5", "5:1;6:1", "5:0.01", "9" * 5000]
)
def test_a_forged_link_moves_nothing(text: object) -> None:
    assert parsed(text) == ()


def test_positions_are_held_to_the_ends_and_to_what_may_be_moved() -> None:
    assert parsed("5:9,6:0.5", allowed=[5]) == (Position(5, 1.0),)


def test_a_position_moves_straight_from_the_films_value_to_either_end() -> None:
    assert [value_at(at, -2, 1, 5) for at in (-1, -0.5, 0, 0.5, 1)] == [-2, -0.5, 1, 3, 5]
    assert value_at(-1, -2, -3, 5) == -2  # a film beyond the range still goes to its end


def test_styles_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    keep_styles(tmp_path, KEY, STYLES)
    found = kept_styles(tmp_path, KEY, 5, 2)
    assert found is not None and found.mae == 3.5
    np.testing.assert_array_equal(found.styles, STYLES.styles)


def test_styles_of_other_networks_or_settings_are_not_taken(tmp_path: Path) -> None:
    keep_styles(tmp_path, KEY, STYLES)
    assert kept_styles(tmp_path, StylesKey("film", "other", "classifier", "settings"), 5, 2) is None
    assert kept_styles(tmp_path, KEY, 6, 2) is None


def test_damaged_styles_are_searched_anew(tmp_path: Path) -> None:
    path = keep_styles(tmp_path, KEY, STYLES)
    path.write_bytes(path.read_bytes()[:100])
    assert kept_styles(tmp_path, KEY, 5, 2) is None


@pytest.mark.parametrize(
    "value", [None, 3, {}, {"n": True, "at": ""}, {"n": -1, "at": ""}, {"n": 1, "at": 5}]
)
def test_a_forged_message_of_the_cards_is_none(value: object) -> None:
    assert message_of(value) is None


def test_the_cards_say_name_place_change_and_measured_factor() -> None:
    card = Card(
        5, "Heart size", "dimension 5 · layer 8 px", "heart ratio +1 sd", "", -0.2, 0.3, 0.5
    )
    data = cards_data([card], {5: "/x.png"}, CardsState("v", (Position(5, -1.0),), 0, 0), 7)
    (shown,) = data["cards"]
    assert (shown["title"], shown["at"], shown["strip"]) == ("Heart size", -1.0, "/x.png")
    assert "Δf −: −0.20   +: +0.30 · moves 50 % of films" in shown["lines"]
    assert "measured: heart ratio +1 sd" in shown["lines"]


def test_given_names_are_read_and_a_damaged_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    assert given_names(path) == {}
    path.write_text('{"5": " Heart "}', encoding="utf-8")
    assert given_names(path) == {5: "Heart"}
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ExplainerError, match="expected a JSON object of dimension to name"):
        given_names(path)
