"""The figure of a rationale beside traditional maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explainers.base import ExplainerError
from explainers.comparison import COMPARED, draw_comparison
from explainers.record import Attribution, Counterfactual

FILM = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)


def explanations() -> dict[str, Attribution | Counterfactual]:
    values = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    maps = {name: Attribution(values, "Mass", 1.0, 0.7) for name in COMPARED[:-1]}
    frames = np.stack([FILM * 0.5, FILM])
    rationale = Counterfactual(
        frames,
        np.array([-3.0, 0.0]),
        1,
        np.array([0.4, 0.8]),
        "Mass",
        True,
        True,
        0.9,
        note="After re-encoding the prediction is 0.60, not below 0.5.",
        measures={"norm_end": 1.1, "probability_reencoded": 0.6},
    )
    return {**maps, "visual_rationale": rationale}


def test_the_figure_has_a_panel_per_method_and_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "figure.png"
    draw_comparison(FILM, explanations(), path)
    with Image.open(path) as picture:
        assert picture.width > 4 * picture.height
    two = tmp_path / "two.png"
    draw_comparison(FILM, explanations(), two, separate=True)
    assert path.read_bytes() != two.read_bytes()


def test_a_figure_without_a_rationale_or_a_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExplainerError, match="needs the film of a visual rationale"):
        draw_comparison(FILM, {}, tmp_path / "figure.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExplainerError, match="could not be written"):
        draw_comparison(FILM, explanations(), tmp_path / "file" / "figure.png")
