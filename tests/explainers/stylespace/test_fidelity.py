"""A film that cannot be reconstructed is refused, with its error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from explainers.base import ExplainerError
from explainers.stylespace.fidelity import FidelityLimits, fidelity, fidelity_csv, summary
from explainers.stylespace.projection import Projection

FINDINGS = ("Mass", "Effusion")


def _projection() -> Projection:
    return Projection(
        styles=torch.zeros(3, 4),
        images=np.zeros((3, 8, 8), np.float32),
        mae=np.array([3.0, 20.0, 4.0], np.float32),
        shift=np.array([[0.01, -0.02], [0.0, 0.0], [0.01, -0.4]], np.float32),
    )


def test_error_and_difference_refuse_a_film_each_with_its_number() -> None:
    good, blurred, otherwise = fidelity(_projection(), ("a", "b", "c"), FINDINGS)
    assert good.refused("Mass") == good.refused("Effusion") == ""
    assert "20.0 of 255 grey levels, at most 15" in blurred.refused("Mass")
    assert otherwise.refused("Mass") == ""
    assert "Effusion -0.40, at most 0.1" in otherwise.refused("Effusion")
    assert otherwise.largest_shift == pytest.approx(0.4)


def test_the_limits_decide() -> None:
    wide = FidelityLimits(max_mae=30, max_shift=0.5)
    films = fidelity(_projection(), ("a", "b", "c"), FINDINGS, wide)
    assert not any(film.refused(finding) for film in films for finding in FINDINGS)
    with pytest.raises(ExplainerError, match="above 0"):
        FidelityLimits(max_mae=0)


def test_the_table_has_a_line_per_film_and_names_what_is_refused() -> None:
    films = fidelity(_projection(), ("a", "b", "c"), FINDINGS)
    lines = fidelity_csv(films).splitlines()
    assert lines[0] == "case_id,mae,shift:Mass,shift:Effusion,refused"
    assert lines[1] == "a,3.000,0.0100,-0.0200,"
    assert lines[2].endswith(",Mass; Effusion")
    assert lines[3].endswith(",Effusion")
    assert "3 films: mean error 9.0" in summary(films)
    assert "2 refused" in summary(films)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ExplainerError, match="2 films and 2 findings were named"):
        fidelity(_projection(), ("a", "b"), FINDINGS)
    with pytest.raises(ExplainerError, match="Unknown finding 'Nodule'"):
        fidelity(_projection(), ("a", "b", "c"), FINDINGS)[0].refused("Nodule")
    with pytest.raises(ExplainerError, match="no reconstructed film"):
        fidelity_csv(())
