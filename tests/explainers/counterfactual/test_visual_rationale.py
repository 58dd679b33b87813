"""Visual rationales on networks small enough to know the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explainers.base import ExplainerError
from explainers.counterfactual.rationale_descent import log_odds_per_unit
from explainers.counterfactual.visual_rationale import VisualRationale
from explainers.differentiation import ExplanationCancelled
from explainers.record import Counterfactual, Goal

SIDE, D = 8, 4


class LinearGenerator(nn.Module):
    """G(z) = 0.5 + 0.05 · z A with orthogonal rows A; E its exact inverse."""

    input_size = (SIDE, SIDE)
    latent_shape = (D,)
    weights_digest = "g"
    reconstruction_error = 0.01

    def __init__(self) -> None:
        super().__init__()
        dice = torch.Generator().manual_seed(3)
        rows = torch.linalg.qr(torch.randn(SIDE * SIDE, D, generator=dice))[0].T
        self.rows = nn.Parameter(rows)

    def decode(self, latents: Tensor) -> Tensor:
        return (0.5 + 0.05 * latents @ self.rows).reshape(-1, 1, SIDE, SIDE)

    def encode(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - 0.5) / 0.05 @ self.rows.T


class LinearClassifier(nn.Module):
    """logits = (G's first latent, second latent, third), of an image."""

    findings = ("Effusion", "Mass", "Edema")
    input_size = (SIDE, SIDE)
    input_range = (0.0, 1.0)
    weights_digest = "c"

    def __init__(self, generator: LinearGenerator) -> None:
        super().__init__()
        self.weight = nn.Parameter(generator.rows[:3].detach().T / 0.05)

    def logits(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - 0.5) @ self.weight

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


class Regressor(LinearClassifier):
    """A head on the latent that the encoder sees nothing of if ``blind``."""

    blind = False

    def latent_logits(self, latents: Tensor) -> Tensor:
        return latents[:, :3]

    def logits(self, images: Tensor) -> Tensor:
        return 2 + 0 * super().logits(images) if self.blind else super().logits(images)


def networks() -> tuple[LinearClassifier, LinearGenerator]:
    generator = LinearGenerator()
    return LinearClassifier(generator), generator


def rationale(
    classifier: LinearClassifier | None = None,
    generator: LinearGenerator | None = None,
    **parameters: float,
) -> VisualRationale:
    """The paper's method, without what is ours."""
    made, own = networks()
    paper = {"alpha": 0.05, "gamma": 0.1, "reencode": 0.0, "shell": 0.0, "refine": 0, "keep": 1.0}
    return VisualRationale(classifier or made, generator or own, **{**paper, **parameters})


def film(*latents: tuple[float, ...]) -> Tensor:
    return LinearGenerator().decode(torch.tensor(latents)).detach()


def explained(
    image: Tensor, goal: Goal | None = None, method: VisualRationale | None = None
) -> Counterfactual:
    method = method or rationale()
    goals = [goal or Goal("Effusion")] * len(image)
    return method.explain(image, goals)[0]


def test_the_prediction_descends_past_the_operating_point_and_stops_there() -> None:
    found = explained(film((2.0, 1.0, 0.5, 0.2)))
    assert found.reached and found.note == ""
    assert found.probabilities[0] < 0.5
    assert found.probabilities[-1] == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item())
    assert found.origin == len(found.frames) - 1 and found.steps[-1] == 0
    assert found.measures["logit_counterfactual"] > -0.1, "it went further than it had to"
    assert found.measures["steps_taken"] == -found.steps[0]


def test_only_the_latent_that_the_prediction_needs_is_moved_so_the_rationale_is_its_picture() -> (
    None
):
    generator = LinearGenerator()
    found = explained(film((2.0, 1.0, 0.5, 0.2)))
    moved = -0.05 * found.measures["logit_counterfactual"] + 0.05 * 2.0
    picture = moved * generator.rows[0].detach().reshape(SIDE, SIDE).numpy()
    np.testing.assert_allclose(found.difference, picture, atol=3e-5)


def test_the_frames_follow_the_way_of_the_search_without_a_jump() -> None:
    found = explained(film((2.0, 1.0, 0.5, 0.2)))
    assert (np.diff(found.probabilities) > 0).all()
    changes = np.abs(np.diff(found.frames, axis=0)).max(axis=(1, 2))
    assert changes.max() < 0.01


def test_a_prediction_that_is_to_rise_rises_and_the_origin_is_the_first_frame() -> None:
    found = explained(film((-1.0, 1.0, 0.0, 0.0)), Goal("Effusion", 0.7, direction="up"))
    assert found.reached and found.origin == 0
    assert found.probabilities[-1] > 0.7


def test_the_target_of_the_goal_is_rho_and_a_rho_of_the_method_counts_before_it() -> None:
    method = rationale()
    by_goal = explained(film((2.0, 0.0, 0.0, 0.0)), Goal("Effusion", 0.2), method)
    by_method = explained(
        film((2.0, 0.0, 0.0, 0.0)), Goal("Effusion", 0.2), replace(method, rho=0.4)
    )
    assert 0.15 < by_goal.probabilities[0] < 0.2
    assert 0.35 < by_method.probabilities[0] < 0.4


def test_a_class_turns_into_another_one_when_both_weigh_the_same() -> None:
    found = explained(film((2.0, -1.0, 0.0, 0.0)), Goal("Effusion", 0.5, against="Mass"))
    assert found.measures["probability_against"] > torch.sigmoid(torch.tensor(-1.0)).item() + 0.2
    alone = explained(
        film((2.0, -1.0, 0.0, 0.0)),
        Goal("Effusion", 0.5, against="Mass"),
        rationale(beta=0.0),
    )
    assert alone.measures["probability_against"] == pytest.approx(
        torch.sigmoid(torch.tensor(-1.0)).item(), abs=1e-4
    )


def test_a_wanted_certainty_of_the_other_class_prolongs_the_search() -> None:
    goal = Goal("Effusion", 0.5, against="Mass")
    image = film((2.0, -1.0, 0.0, 0.0))
    short = explained(image, goal)
    long = explained(image, goal, rationale(certain=0.9))
    assert long.measures["probability_against"] >= 0.9 > short.measures["probability_against"]
    assert long.reached


def test_a_goal_that_is_out_of_reach_within_the_cap_is_said() -> None:
    found = explained(film((2.0, 0.0, 0.0, 0.0)), None, rationale(cap=3))
    assert not found.reached and found.reached_high
    assert "not reached: after 3 steps" in found.note and "not below 0.5" in found.note


def test_a_rho_that_the_reconstruction_has_met_already_changes_nothing_and_is_said() -> None:
    found = explained(film((-2.0, 0.0, 0.0, 0.0)))
    assert not found.reached
    assert "is below 0.5 already: nothing was changed" in found.note and "'up'" in found.note
    assert not found.difference.any() and len(found.frames) == 16


def test_a_target_that_equals_the_prediction_is_said() -> None:
    target = float(torch.sigmoid(torch.tensor(1.0)))
    found = explained(film((1.0, 0.0, 0.0, 0.0)), Goal("Effusion", target))
    assert "equals the prediction" in found.note
    assert not found.reached and not found.difference.any()


class BreakingGenerator(LinearGenerator):
    """NaN as soon as the first latent falls below 1."""

    def decode(self, latents: Tensor) -> Tensor:
        broken = torch.where(latents[:, :1] < 1, torch.nan, 0.0)
        return super().decode(latents + broken)


def test_an_image_whose_search_meets_nan_shows_its_reconstruction_and_the_others_go_on() -> None:
    classifier, _ = networks()
    method = rationale(classifier, BreakingGenerator())
    images = film((2.0, 0.5, 0.0, 0.0), (3.0, 0.5, 0.0, 0.0))
    goals = [Goal("Effusion"), Goal("Effusion", 0.9)]
    broken, fine = method.explain(images, goals)
    assert not broken.reached and "NaN" in broken.note and not broken.difference.any()
    assert fine.reached and fine.difference.any()


def test_an_image_off_the_manifold_is_said() -> None:
    dice = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 1, SIDE, SIDE, generator=dice)
    found = explained(noise, Goal("Effusion", 0.01))
    assert "does not know this image" in found.note
    assert found.measures["reconstruction_error"] > 0.1
    quiet = explained(noise, Goal("Effusion", 0.01), rationale(off_manifold=0.0))
    assert "does not know" not in quiet.note


def test_results_do_not_depend_on_the_batch() -> None:
    method = rationale(batch_size=1)
    images = film((2.0, 1.0, 0.5, 0.2), (0.3, 1.0, -0.5, 0.2), (4.0, 0.0, 0.0, 0.0))
    goals = [Goal("Effusion"), Goal("Mass"), Goal("Effusion", 0.3)]
    for one, many in zip(
        method.explain(images, goals),
        replace(method, batch_size=3).explain(images, goals),
        strict=True,
    ):
        np.testing.assert_allclose(one.frames, many.frames, atol=2e-5)
        assert one.measures["steps_taken"] == many.measures["steps_taken"]


def test_a_heavy_distance_keeps_the_picture_closer_and_a_sum_weighs_more_than_a_mean() -> None:
    image, goal = film((2.0, 0.0, 0.0, 0.0)), Goal("Effusion", 0.3)

    def moved(**parameters: float) -> float:
        found = explained(image, goal, rationale(cap=150, **parameters))
        return float(np.abs(found.difference).sum())

    assert moved(gamma=3000.0) < 0.5 * moved()
    assert moved(gamma=3000.0 / (SIDE * SIDE), summed=1) == pytest.approx(
        moved(gamma=3000.0), rel=1e-3
    )


def test_only_a_share_of_the_pixels_changes() -> None:
    found = explained(film((2.0, 1.0, 0.5, 0.2)), None, rationale(keep=0.2, alpha=0.5))
    assert found.reached and found.probabilities[0] < 0.5
    assert (found.difference != 0).mean() <= found.measures["kept_share"] + 1 / SIDE**2 < 0.5


def test_a_share_that_does_not_suffice_grows_and_then_the_whole_change_counts_which_is_said() -> (
    None
):
    found = explained(film((2.0, 1.0, 0.5, 0.2)), None, rationale(keep=0.02, alpha=0.01))
    assert found.measures["kept_share"] == pytest.approx(0.02 * 1.5**2)
    assert not found.reached and found.probabilities[0] > 0.5
    assert found.measures["head_end"] < 0 and found.measures["probability_reencoded"] < 0.5
    assert "is shown and does not suffice" in found.note


@pytest.mark.parametrize("keep", [0.0, 1.2])
def test_a_share_that_is_none_is_refused(keep: float) -> None:
    with pytest.raises(ExplainerError, match="share of the pixels"):
        rationale(keep=keep)


def test_the_shell_pulls_a_long_latent_back() -> None:
    image, goal = film((4.0, 3.0, 3.0, 3.0)), Goal("Effusion", 0.6)
    free = explained(image, goal)
    pulled = explained(image, goal, rationale(shell=1.0, cap=150))
    assert pulled.measures["norm_end"] < free.measures["norm_end"]
    assert "far outside" in free.note
    assert free.measures["norm_start"] == pytest.approx(np.sqrt((16 + 27) / 4), rel=1e-4)


def test_a_regressor_is_explained_from_the_latent() -> None:
    generator = LinearGenerator()
    found = explained(film((2.0, 1.0, 0.0, 0.0)), None, rationale(Regressor(generator), generator))
    assert found.reached
    assert found.measures["head_start"] == pytest.approx(2.0, abs=1e-4)
    assert found.measures["head_end"] < 0
    assert found.measures["probability_reencoded"] == pytest.approx(found.probabilities[0])


class SteepRegressor(Regressor):
    """Values whose log-odds are twenty times as large."""

    def probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(20 * logits)


def test_the_distance_weighs_the_same_whatever_the_unit_of_a_regressor() -> None:
    generator = LinearGenerator()
    assert log_odds_per_unit(SteepRegressor(generator), torch.zeros(1, 3)) == pytest.approx(
        20, rel=0.01
    )
    assert log_odds_per_unit(Regressor(generator), torch.zeros(1, 3)) == pytest.approx(1, rel=0.01)
    steep = rationale(SteepRegressor(generator), generator, gamma=300.0)
    assert explained(film((0.2, 1.0, 0.0, 0.0)), None, steep).reached


def test_a_head_that_moves_while_the_picture_does_not_convince_the_encoder_has_not_reached() -> (
    None
):
    generator = LinearGenerator()
    blind = Regressor(generator)
    blind.blind = True
    found = explained(film((2.0, 1.0, 0.0, 0.0)), None, rationale(blind, generator))
    assert found.measures["head_end"] < 0 and not found.reached
    assert "not reached" in found.note


class ForgetfulGenerator(LinearGenerator):
    """Its encoder returns half of the first latent too much."""

    def encode(self, images: Tensor) -> Tensor:
        return super().encode(images) + torch.tensor([0.5, 0.0, 0.0, 0.0])


def test_a_change_that_the_encoder_does_not_see_is_said_and_can_be_asked_for() -> None:
    classifier, _ = networks()
    generator = ForgetfulGenerator()
    image = film((2.0, 1.0, 0.0, 0.0))
    plain = explained(image, None, rationale(classifier, generator))
    assert plain.reached and "After re-encoding" in plain.note
    asked = explained(image, None, rationale(classifier, generator, reencode=1.0))
    assert asked.reached and asked.note == ""
    assert asked.measures["probability_reencoded"] < 0.5


def test_networks_are_left_as_they_were_found() -> None:
    classifier, generator = networks()
    classifier.train()
    explained(film((2.0, 0.0, 0.0, 0.0)), None, rationale(classifier, generator))
    assert classifier.training and classifier.weight.requires_grad
    assert classifier.weight.grad is None and generator.rows.grad is None


def test_the_repr_states_the_parameters() -> None:
    text = repr(rationale(gamma=0.5))
    assert "gamma=0.5" in text and "alpha=" in text and "cap=" in text and "batch" not in text


def test_a_cancelled_search_stops_between_two_steps() -> None:
    asked = iter([False] * 4 + [True] * 9)
    with pytest.raises(ExplanationCancelled):
        rationale().explain(
            film((5.0, 0.0, 0.0, 0.0)), [Goal("Effusion")], cancelled=lambda: next(asked)
        )


@pytest.mark.parametrize(
    "parameters",
    [
        {"alpha": 0.0},
        {"gamma": -1.0},
        {"gamma": float("nan")},
        {"rho": 1.0},
        {"cap": 0},
        {"summed": 2},
        {"frames": 1},
        {"head": "latent"},
        {"head": "nose"},
        {"certain": 1.0},
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(ExplainerError, match=next(iter(parameters))):
        rationale(**parameters)


def test_goals_that_make_no_sense_are_refused() -> None:
    method, image = rationale(), film((1.0, 0.0, 0.0, 0.0))
    with pytest.raises(ExplainerError, match="another one of"):
        method.explain(image, [Goal("Effusion", against="Effusion")])
    with pytest.raises(ExplainerError, match="direction 'down'"):
        method.explain(image, [Goal("Effusion", against="Mass", direction="up")])
    with pytest.raises(ExplainerError, match="between"):
        method.explain(image, [Goal("Effusion", 1.5)])


def test_refining_brings_the_prediction_of_the_reconstruction_to_that_of_the_image() -> None:
    classifier, _ = networks()
    image = film((2.0, 1.0, 0.0, 0.0))
    plain = explained(image, None, rationale(classifier, ForgetfulGenerator()))
    assert plain.measures["logit_reconstruction"] == pytest.approx(2.5, abs=1e-3)
    refined = explained(image, None, rationale(classifier, ForgetfulGenerator(), refine=60))
    assert refined.measures["logit_reconstruction"] == pytest.approx(2.0, abs=0.05)
    assert refined.measures["reconstruction_error"] < plain.measures["reconstruction_error"]


def test_networks_of_different_sizes_or_without_a_gradient_are_refused() -> None:
    classifier, generator = networks()
    classifier.input_size = (16, 16)
    with pytest.raises(ExplainerError, match="same size"):
        rationale(classifier, generator)
    classifier, generator = networks()
    generator.decode = lambda latents: LinearGenerator.decode(generator, latents).detach()
    with pytest.raises(ExplainerError, match="cannot be differentiated"):
        explained(film((2.0, 0.0, 0.0, 0.0)), None, rationale(classifier, generator))
