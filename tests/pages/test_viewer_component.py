"""What the viewer is given: addresses, words and colours, and nothing that nobody asked for."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from explainers.base import ExplainerError
from explainers.overlay import (
    MAGNITUDE_TABLES,
    SIGN_TABLES,
    SIGN_ZERO,
    TableName,
    colour_table,
    overlay_rgba,
)
from pages.exploring.view import legends, levels
from pages.parts.viewer.component import ViewerPanel, ViewerSettings, viewer_data

FILM = ViewerPanel("Film", "film", ("/0.png",))
MAP = ViewerPanel("Map", "map", ("/1.png",), "/0.png")
SIGNED = ViewerPanel("Map", "map", ("/1.png",), "/0.png", signed=True, meaning="evidence")
STILL = ViewerSettings(slider=False, play=False)


def test_a_film_alone_is_given_no_colours_and_nothing_of_the_explorer() -> None:
    data = viewer_data("a", (FILM,), STILL)
    assert data["tables"] == []
    assert data["panels"] == [{"title": "Film", "kind": "film", "urls": ["/0.png"], "under": None}]
    assert not {"logUrl", "csrf", "prefetch", "modes", "readings", "spacingMm"} & set(data)
    json.dumps(data, allow_nan=False)


def test_maps_are_given_the_colours_and_words_of_their_kind() -> None:
    data = viewer_data("a", (MAP, SIGNED), STILL)
    assert [each["name"] for each in data["tables"]] == [*MAGNITUDE_TABLES, *SIGN_TABLES]
    assert data["panels"][0]["legend"] == ["none", "strongest"]
    assert data["panels"][1]["legend"][::2] == ["against the finding", "for the finding"]
    only = ViewerSettings(slider=False, play=False, colormaps=("cividis",))
    assert [each["name"] for each in viewer_data("a", (MAP, SIGNED), only)["tables"]] == [
        "cividis",
        "PuOr",
    ]
    packed = base64.b64decode(data["tables"][0]["rgba"])
    assert np.array_equal(np.frombuffer(packed, np.uint8).reshape(256, 4), colour_table("inferno"))


@pytest.mark.parametrize("name", [*MAGNITUDE_TABLES, *SIGN_TABLES])
def test_opacity_grows_with_magnitude_in_every_table(name: TableName) -> None:
    alpha = colour_table(name)[:, 3].astype(int)
    if name in SIGN_TABLES:
        assert alpha[SIGN_ZERO] == 0 and alpha[0] == alpha[1]
        assert np.array_equal(alpha[1:SIGN_ZERO], alpha[:SIGN_ZERO:-1])
        alpha = alpha[SIGN_ZERO:]
    assert alpha[0] == 0 and (np.diff(alpha) >= 0).all() and alpha[-1] == round(0.85 * 255)


@pytest.mark.parametrize("signed", [False, True])
def test_levels_coloured_by_the_table_are_the_overlay_to_half_a_level(signed: bool) -> None:
    values = np.random.default_rng(4).normal(size=(40, 30)).astype(np.float32)
    stored = np.asarray(Image.open(io.BytesIO(levels(values, signed=signed))))
    assert stored.dtype == np.uint8 and stored.shape == values.shape
    drawn = colour_table("PuOr" if signed else "inferno")[stored].astype(int)
    expected = overlay_rgba(values, colormap="PuOr" if signed else "inferno").astype(int)
    assert np.abs(drawn[..., 3] - expected[..., 3]).max() <= 4
    assert np.abs(drawn[..., :3] - expected[..., :3])[expected[..., 3] > 8].max() <= 8


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(ExplainerError, match="'jet'"):
        colour_table("jet")  # type: ignore[arg-type]


def test_the_explorer_says_what_its_maps_are_scaled_to() -> None:
    assert legends(signed=False, magnitude=False) == ""
    assert "highest − lowest" in legends(signed=True, magnitude=True)
