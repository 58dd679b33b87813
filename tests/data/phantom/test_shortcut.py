"""The planted shortcut: tubes follow the pneumothorax and nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest

from data.phantom.parameters import InvalidParameters, sample_parameters
from data.phantom.render import render
from data.phantom.shortcut import DRAINED, sample_shortcut, with_tube_shortcut


def test_tubes_come_with_most_pneumothoraces_and_with_nothing_else() -> None:
    films = sample_shortcut(4, 800, 0.9)
    ill = [film for film in films if film.pneumothorax_severity > 0]
    well = [film for film in films if not film.pneumothorax_severity > 0]
    assert np.mean([film.chest_tube for film in ill]) == pytest.approx(0.9, abs=0.06)
    assert not any(film.chest_tube for film in well)
    assert all(film.tube_side == film.pneumothorax_side for film in ill if film.chest_tube)


def test_only_tube_and_drained_pneumothorax_differ_from_the_ordinary_population() -> None:
    alike = {"chest_tube": False, "tube_side": "L", "pneumothorax_severity": 0.0}
    for index, film in enumerate(sample_shortcut(4, 24, 0.5)):
        usual = sample_parameters(4, index)
        assert replace(film, **alike) == replace(usual, **alike)
        drained = DRAINED if film.chest_tube else 1.0
        assert film.pneumothorax_severity == pytest.approx(usual.pneumothorax_severity * drained)


def test_a_healthy_film_with_a_planted_tube_has_no_finding() -> None:
    healthy = sample_parameters(4, 0, findings=[])
    planted = with_tube_shortcut(healthy, 0.9, otherwise=1.0)
    film = render(planted, 64)
    assert planted.chest_tube
    assert film.masks == {}


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_outside_zero_to_one_is_refused(share: float) -> None:
    with pytest.raises(InvalidParameters, match="expected 0 to 1"):
        with_tube_shortcut(sample_parameters(4, 0), share)
