"""Inversion of a structure/class generator, and the films along its class latent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logit
from scipy.stats import spearmanr

from explainers.attribution.path_gradients import PathGradients, integrated_along
from explainers.base import ExplainerError
from explainers.counterfactual.inversion import SearchSettings, invert
from explainers.counterfactual.traversal import StructureClassTraversal, monotonicity, violations
from explainers.differentiation import ExplanationCancelled, Logits
from explainers.record import Goal
from tests.support.stub_networks import LinearClassifier
from tests.support.stub_structure_class import LinearStructureClass

MASS = Goal("Mass")
QUICK = {"iterations": 60, "restarts": 2, "rate": 0.2, "class_weight": 0.0, "prior_weight": 0.0}


def classifier() -> LinearClassifier:
    """A classifier whose logits of the mid-grey image are −1."""
    found = LinearClassifier()
    found.head.bias.data = -found.head.weight.data.sum(dim=1) / 2 - 1.0
    return found


class CurvedClassifier(LinearClassifier):
    """A classifier whose gradient changes along every way."""

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return super().logits(images).sinh()


def films(n: int = 2, mass: float = 2.0, opacity: float = 0.0) -> torch.Tensor:
    """Images of the generator with given sizes of both findings."""
    dice = torch.Generator().manual_seed(11)
    z1 = torch.randn(n, 6, generator=dice)
    z2 = torch.zeros(n, 2, 2)
    z2[:, 0, 0], z2[:, 1, 1] = mass, opacity
    with torch.no_grad():
        return LinearStructureClass().decode(z1, z2).clamp(0, 1)


def explainer(**parameters: object) -> StructureClassTraversal:
    given = {"keep": 1.0, **QUICK, **parameters}
    return StructureClassTraversal(classifier(), LinearStructureClass(), **given)  # type: ignore[arg-type]


def test_a_generated_film_is_found_again() -> None:
    found = invert(LinearStructureClass(), classifier(), films(), SearchSettings(**QUICK))  # type: ignore[arg-type]
    assert found.error.max() < 0.004
    np.testing.assert_allclose(found.z2[:, 0].norm(dim=1), 2.0, atol=0.15)
    assert found.present.tolist() == [[True, False]] * 2
    assert not found.z2[:, 1].any()  # what the classifier does not see stays at zero


def test_the_batch_does_not_change_the_film() -> None:
    images = films(3)
    together = explainer().explain(images, [MASS] * 3)
    alone = explainer(batch_size=1).explain(images[2:], [MASS])
    np.testing.assert_allclose(together[2].frames, alone[0].frames, atol=1e-5)


def test_a_positive_film_runs_over_its_reconstruction_to_without_the_finding() -> None:
    (film,) = explainer(n_steps=12, lam_max=1.5).explain(films(1), [MASS])
    assert len(film.frames) == 13 and film.origin == 8
    np.testing.assert_allclose(film.steps[[0, 8, -1]], [-1, 0, 0.5])
    logits = logit(film.probabilities)  # linear networks: logit is −1 + λ |z2|
    np.testing.assert_allclose(logits[0], -1, atol=0.02)
    np.testing.assert_allclose(logits, -1 + (film.steps + 1) * (logits[8] + 1), atol=1e-3)
    assert film.measures["spearman"] == 1 and film.measures["violations"] == 0
    assert film.reached and film.note == ""


def test_last_minus_first_is_the_map_and_the_finding_in_pixels() -> None:
    (film,) = explainer().explain(films(1), [MASS])
    effect = LinearStructureClass().effect.detach()[:, 0].reshape(8, 8).numpy()
    ratio = float((film.difference * effect).sum() / (effect**2).sum())
    np.testing.assert_allclose(film.difference, ratio * effect, atol=1e-5)
    np.testing.assert_array_equal(film.to_attribution("minmax"), np.abs(film.difference))


def test_only_a_share_of_the_pixels_changes_and_what_that_leaves_unreached_is_said() -> None:
    goals, images = [MASS] * 2, films(mass=4.0)
    whole = explainer().explain(images, goals)
    for film, full in zip(explainer(keep=0.02).explain(images, goals), whole, strict=True):
        assert full.measures["kept_share"] == 1.0 and full.reached_low
        assert film.measures["kept_share"] == pytest.approx(0.02 * 1.5**2)
        changed = film.frames[0] != film.reconstruction
        assert 0 < changed.mean() <= film.measures["kept_share"]
        assert not film.reached_low and "was wanted" in film.note


def test_a_negative_film_begins_at_its_reconstruction_and_adds_the_finding() -> None:
    (film,) = explainer(n_steps=12, lam_max=3.0).explain(films(1, mass=0.0), [MASS])
    assert film.origin == 0 and film.steps[0] == 0 and film.steps[-1] == 3.0
    assert film.probabilities[0] < 0.5 < film.probabilities[-1]
    assert film.reached and "the frames add it" in film.note


def test_only_the_block_of_the_goal_is_scaled() -> None:
    images = films(1, mass=2.0, opacity=2.0)
    mass, opacity = explainer().explain(images.repeat(2, 1, 1, 1), [MASS, Goal("Lung Opacity")])
    weight = classifier().head.weight.detach().numpy()
    moved = [weight @ each.difference.ravel() for each in (mass, opacity)]
    assert moved[0][0] > 1 and abs(moved[0][1]) < 1e-3
    assert moved[1][1] > 1 and abs(moved[1][0]) < 1e-3


def test_a_film_that_the_generator_cannot_draw_is_said() -> None:
    noise = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    (film,) = explainer(max_error=0.05).explain(noise, [MASS])
    assert film.measures["off_manifold"] == 1
    assert "off what the generator can draw" in film.note


def test_another_classifier_than_that_of_the_training_is_said() -> None:
    network = LinearStructureClass()
    network.classifier_digest = "another"
    (film,) = StructureClassTraversal(classifier(), network, **QUICK).explain(films(1), [MASS])  # type: ignore[arg-type]
    assert "trained with another classifier" in film.note


def test_a_target_that_is_missed_and_one_that_the_film_has_are_said() -> None:
    images = films(1)
    f = float(classifier().probabilities(classifier().logits(images))[0, 0].detach())
    missed, had = explainer().explain(
        images.repeat(2, 1, 1, 1), [Goal("Mass", target=0.01), Goal("Mass", target=f)]
    )
    assert not missed.reached_low and "0.01 was wanted" in missed.note
    assert "nothing had to change" in had.note


def test_path_gradients_sum_to_the_difference_of_the_logits() -> None:
    network, curved = LinearStructureClass(strength=0.2), CurvedClassifier()
    given = {**QUICK, "n_steps": 60}
    (found,) = PathGradients(curved, network, **given).explain(films(1), [MASS])  # type: ignore[arg-type]
    (path,) = PathGradients(curved, network, **given)._traversal().paths(films(1), ["Mass"])  # type: ignore[arg-type]
    with torch.no_grad():
        ends = curved.logits(path.at(network, np.array([0.0, 1.0])))[:, 0]
    difference = float(ends[1] - ends[0])
    assert abs(difference) > 0.05
    assert found.values.sum() == pytest.approx(difference, rel=0.01)
    assert found.method_error == pytest.approx(found.values.sum() - difference, abs=1e-4)


def test_path_gradients_of_a_linear_classifier_are_weight_times_change() -> None:
    frames = films(3)
    values, error = integrated_along(Logits(classifier()), frames, 0)
    change = (frames[-1] - frames[0])[0]
    weight = classifier().head.weight.detach()[0].reshape(8, 8)
    torch.testing.assert_close(values[0], weight * change, atol=1e-5, rtol=1e-4)
    assert abs(float(error)) < 1e-5


def test_monotonicity_is_spearmans_and_violations_are_falls() -> None:
    f = np.array([0.1, 0.3, 0.2, 0.6, 0.9])
    assert monotonicity(f) == pytest.approx(spearmanr(range(5), f).statistic)
    assert violations(f) == 0.25
    assert monotonicity(np.full(4, 0.5)) == 0


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(ExplainerError, match="share of the pixels"):
        explainer(keep=0.0)
    for wrong in ({"lam_max": 1.0}, {"n_steps": 1}, {"iterations": 0}, {"rate": float("nan")},
                  {"mse_weight": 0.0}, {"max_error": 0.0}):  # fmt: skip
        with pytest.raises(ExplainerError, match="expected"):
            explainer(**wrong)
    with pytest.raises(ExplainerError, match="does not know 'Hernia'"):
        explainer().explain(films(1), [Goal("Hernia")])
    with pytest.raises(ExplainerError, match="NaN"):
        explainer().explain(torch.full((1, 1, 8, 8), torch.nan), [MASS])
    network = LinearStructureClass()
    network.findings = ("Mass",)
    with pytest.raises(ExplainerError, match="not trained with Lung Opacity"):
        StructureClassTraversal(classifier(), network).explain(films(1), [Goal("Lung Opacity")])
    with pytest.raises(ExplainerError, match="small architecture"):
        explainer(feature_weight=1.0).explain(films(1), [MASS])


def test_a_search_that_meets_nan_says_so() -> None:
    network = LinearStructureClass()
    network.structure.data[0, 0] = torch.nan
    with pytest.raises(ExplainerError, match="NaN"):
        StructureClassTraversal(classifier(), network, **QUICK).explain(films(1), [MASS])  # type: ignore[arg-type]


def test_a_run_can_be_cancelled() -> None:
    with pytest.raises(ExplanationCancelled):
        explainer().explain(films(1), [MASS], cancelled=lambda: True)
