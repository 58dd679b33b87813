"""The contact sheet: titles stay above their own pictures."""

from __future__ import annotations

import pytest
from PIL import ImageFont

from explainers import registry
from explainers.sheet import CELL_PX, fitting


@pytest.mark.parametrize("name", registry.names())
def test_every_title_fits_above_its_picture_and_keeps_its_beginning(name: str) -> None:
    font = ImageFont.load_default(size=12)
    title = f"f(x) 0.87: {registry.spec(name).title}"
    shown = fitting(title, font)
    assert font.getlength(shown) <= CELL_PX
    assert shown == title or (shown.endswith("…") and title.startswith(shown[:-1]))
    assert fitting("film", font) == "film"
