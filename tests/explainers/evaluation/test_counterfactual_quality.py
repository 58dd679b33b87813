"""Quality of counterfactuals: linear networks for which the true counterfactual is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from data.reference import ReferenceSet
from explainers.base import ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.evaluation.bench import COLUMNS, Setting, run_bench
from explainers.evaluation.counterfactual_figures import saved_share
from explainers.evaluation.counterfactual_measures import coverage
from explainers.evaluation.counterfactual_quality import (
    QUANTITIES,
    CounterfactualQuality,
    film_methods,
    method_cells,
    reference_cells,
)
from explainers.evaluation.counterfactual_subject import Subject, Truth, read_truth
from explainers.evaluation.flips import search_flips
from explainers.evaluation.report import write_report
from explainers.evaluation.summary import summarise
from explainers.generators.autoencoder import load_autoencoder
from explainers.generators.paired import load_syce
from explainers.record import Attribution, Counterfactual
from tests.support.stub_networks import SIDE, LinearAutoencoder, LinearClassifier
from tests.support.tiny_networks import write_case_set, write_networks, write_others

MASK = np.zeros((SIDE, SIDE), bool)
MASK[2:5, 2:6] = True


class Density(LinearClassifier):
    """Positive where the mean brightness inside the mask exceeds 0.5; steep."""

    weights_digest = "density"
    slope = 20.0

    def logits(self, images):
        inside = images[:, 0][:, torch.from_numpy(MASK)].mean(dim=1)
        value = self.slope * (inside - 0.5)
        return torch.stack([value, -value], dim=1)


class Dull(Density):
    """An independent classifier that asks for less brightness before it calls a film negative."""

    def logits(self, images):
        return super().logits(images) + torch.tensor([[1.0, -1.0]])


class Whole(LinearAutoencoder):
    """D(E(x)) = x."""

    def encode(self, images):
        return images

    def decode(self, latents):
        return latents


class Shrinking(Whole):
    """D(E(x)) = x / 2, so that D(E(a)) − D(E(b)) = (a − b) / 2."""

    def decode(self, latents):
        return latents / 2


@dataclass(frozen=True)
class Fading:
    """Takes ``step`` off the pixels chosen, in ten frames, per search whose target is given."""

    name: ClassVar[str] = "fading"
    where: np.ndarray
    amount: float
    offset: float = 0.0
    obeys: bool = True

    def explain(self, images, goals, *, on_progress=None, cancelled=None):
        films = []
        for image, goal in zip(images[:, 0].numpy(), goals, strict=True):
            share = 1.0 if goal.target is None or not self.obeys else 1 - goal.target
            steps = np.linspace(-1, 0, 11)
            base = np.clip(image + self.offset, 0, 1)
            frames = base + steps[:, None, None] * share * self.amount * self.where
            frames = np.clip(frames, 0, 1).astype(np.float32)
            with torch.no_grad():
                f = torch.sigmoid(Density().logits(torch.from_numpy(frames)[:, None]))[:, 0]
            films.append(
                Counterfactual(
                    frames=frames,
                    steps=steps,
                    origin=10,
                    probabilities=f.numpy().astype(float),
                    finding=goal.finding,
                    reached_low=goal.target is None or bool(f[0] <= goal.target),
                    reached_high=True,
                    probability_image=0.0,
                )
            )
        return films


class Telling(Fading):
    """Fading, with measures of its own."""

    def explain(self, images, goals, **options):
        measures = {"norm_end": 1.1, "probability_reencoded": 0.7, "spearman": 0.9}
        films = super().explain(images, goals, **options)
        return [replace(film, measures=measures) for film in films]


def subject(brightness=0.6, *, truth=True, oracle=None, mask=True):
    image = np.full((SIDE, SIDE), 0.3, np.float32)
    without = image.copy()
    image[MASK] = brightness
    f = float(torch.sigmoid(Density().logits(torch.from_numpy(image)[None, None]))[0, 0])
    covered = coverage(MASK, (SIDE, SIDE)) if mask else None
    return Subject("c1", "Mass", image, f, Truth(without, covered) if truth else None, oracle)


def measured(explainer, *subjects, **options):
    lists = method_cells(explainer, Density(), subjects, **options)
    return [{name: value for name, x, value in cells if np.isnan(x)} for cells in lists]


def test_a_perfect_explainer_has_no_error_where_it_ends():
    """It takes off the mask exactly what the finding added; its last frame is the truth."""
    perfect = Fading(MASK, 0.3)
    [values] = measured(perfect, subject(), targets=(1e-9,))
    assert values["flip"] == 1
    assert values["hindsight_error_inside"] == pytest.approx(0, abs=1e-3)
    assert values["hindsight_error_film"] == pytest.approx(0, abs=1e-3)
    # The first negative frame is that which took off 0.12 of the 0.30.
    assert values["error_inside"] == pytest.approx(0.18 * 255, abs=1e-2)
    assert values["error_reduction"] == pytest.approx(0.4, abs=1e-4)
    assert values["saved_film"] == pytest.approx(0.12 * 255 * MASK.mean(), abs=1e-2)
    assert values["error_outside"] == pytest.approx(0, abs=1e-4)
    assert values["monotone"] == 1
    assert values["changed_share"] == MASK.mean()
    assert values["change_l1"] == pytest.approx(0.12 * 255 * MASK.mean(), abs=1e-2)


def test_changes_elsewhere_are_errors_outside_and_do_not_count_as_saved():
    [values] = measured(Fading(~MASK, 0.1), subject(), targets=(1e-9,))
    assert values["flip"] == 0
    assert values["error_reduction"] == pytest.approx(0, abs=1e-5)
    assert values["error_outside"] == pytest.approx(0.1 * 255, abs=1e-2)
    assert values["saved_film"] < 0


def test_the_references_have_their_closed_forms():
    case = subject()
    found = {
        name: {quantity: value for quantity, _, value in cells}
        for name, cells in reference_cells(case, Density(), Shrinking())
    }
    nothing, ceiling, truth = (
        found[name] for name in ("do_nothing", "autoencoder_ceiling", "true_counterfactual")
    )
    assert nothing["error_inside"] == pytest.approx(0.3 * 255, abs=1e-3)
    assert nothing["error_film"] == pytest.approx(0.3 * 255 * MASK.mean(), abs=1e-3)
    assert nothing["error_reduction"] == 0
    # x + D(E(x_cf)) − D(E(x)) takes off half of the finding; D(E(x_cf)) is half as bright.
    assert ceiling["error_inside"] == pytest.approx(0.15 * 255, abs=1e-3)
    assert ceiling["error_outside"] == pytest.approx(0, abs=1e-3)
    assert ceiling["error_inside_decoded"] == pytest.approx(0.15 * 255, abs=1e-3)
    assert ceiling["error_outside_decoded"] == pytest.approx(0.15 * 255, abs=1e-3)
    assert ceiling["error_reduction"] == pytest.approx(0.5, abs=1e-4)
    assert truth["error_film"] == 0
    assert truth["flip"] == 1


def test_a_perfect_autoencoder_has_a_ceiling_without_error():
    found = dict(reference_cells(subject(), Density(), Whole()))
    values = {name: value for name, _, value in found["autoencoder_ceiling"]}
    assert values["error_film"] == pytest.approx(0, abs=1e-4)
    assert values["error_film_decoded"] == pytest.approx(0, abs=1e-4)


def test_a_film_that_is_negative_already_is_counted_as_excluded_and_nowhere_else():
    dark, bright = subject(0.4), subject(0.6)
    first, second = measured(Fading(MASK, 0.3), dark, bright)
    assert first["excluded"] == 1
    assert second["excluded"] == 0
    left = {"flip", "error_inside", "change_l1", "monotone", "seconds_flip"}
    assert not left & set(first)
    assert left <= set(second)
    assert reference_cells(dark, Density(), Whole()) == []


def test_a_reconstruction_that_is_negative_is_excluded_from_the_decoded_flips_only():
    [values] = measured(Fading(MASK, 0.3, offset=-0.15), subject(), targets=(1e-9,))
    assert values["excluded_decoded"] == 1
    assert "flip_decoded" not in values
    assert values["flip"] == 1


def test_the_search_goes_deeper_until_the_residual_frame_flips():
    """Darker by 0.05, the decoded frame flips long before the one with the film's own detail."""
    [case] = [subject(0.6)]
    hesitant = Fading(MASK, 0.2, offset=-0.05)  # to the target p it takes off (1 − p) · 0.2
    [walk] = search_flips(
        hesitant, Density(), case.image[None], ["Mass"], targets=(0.6, 0.55, 0.3, 0.1)
    )
    assert walk.flip is not None
    assert walk.f_residual[-1] <= 0.5 < walk.f_residual[0]
    assert walk.residual[-1][MASK].mean() == pytest.approx(0.6 - 0.7 * 0.2, abs=1e-5)


def test_a_lower_boundary_moves_the_operating_frame_but_not_the_meaning_of_a_flip():
    """Logit 20 (b − 0.5): p is 0.12 at b = 0.4, which the film of ten steps has at 2/3 of 0.3."""
    perfect = Fading(MASK, 0.3)
    [shallow] = measured(perfect, subject(), targets=(1e-9,))
    [deep] = measured(perfect, subject(), targets=(1e-9,), boundary=0.13)
    assert deep["flip"] == shallow["flip"] == 1
    assert deep["error_reduction"] == pytest.approx(0.7, abs=1e-4)
    [never] = measured(Fading(MASK, 0.12), subject(), targets=(1e-9,), boundary=0.13)
    assert never["flip"] == 1
    assert never["error_reduction"] == pytest.approx(0.4, abs=1e-4)  # its lowest frame


def test_a_method_that_gave_up_is_not_asked_again():
    asked = []

    class Watched(Fading):
        def explain(self, images, goals, **options):
            asked.extend(goal.target for goal in goals)
            return super().explain(images, goals, **options)

    [walk] = search_flips(
        Watched(MASK, 0.01), Density(), subject().image[None], ["Mass"], targets=(0.4, 0.2)
    )
    assert asked == [0.4]
    assert walk.flip is None
    assert walk.end == 10


def test_the_independent_classifier_is_asked_only_about_films_it_calls_positive():
    convinced = subject(0.6, oracle=Dull())
    [values] = measured(Fading(MASK, 0.3), convinced, targets=(1e-9,))
    assert values["flip_oracle"] == 0  # the frame that flips f at 0.48 is above its threshold
    assert values["oracle_change"] < 0

    class Blind(Density):
        def logits(self, images):
            return super().logits(images) * 0 - 1

    [values] = measured(Fading(MASK, 0.3), subject(0.6, oracle=Blind()), targets=(1e-9,))
    assert "flip_oracle" not in values


def test_without_oracle_or_truth_their_quantities_are_absent():
    [values] = measured(Fading(MASK, 0.3), subject(truth=False))
    assert not [name for name in values if "error" in name or "oracle" in name or "saved" in name]
    assert "flip" in values
    assert reference_cells(subject(truth=False), Density(), Whole()) == []
    assert read_truth(None, Density(), "c1", "Mass") is None


def test_without_a_mask_only_the_error_of_the_film_is_known():
    [values] = measured(Fading(MASK, 0.3), subject(mask=False))
    assert "error_film" in values
    assert "error_inside" not in values
    assert "error_reduction" not in values


def test_the_curve_runs_from_the_film_to_the_lowest_frame():
    [cells] = method_cells(Fading(MASK, 0.3), Density(), [subject()], targets=(1e-9,))
    curve = [(x, value) for name, x, value in cells if name == "curve_error_inside"]
    assert [x for x, _ in curve] == pytest.approx(np.linspace(0, 1, 11))
    assert [value for _, value in curve] == pytest.approx(np.linspace(76.5, 0, 11), abs=1e-2)


def test_every_cell_is_a_declared_quantity():
    case = subject(oracle=Density())
    [cells] = method_cells(Telling(MASK, 0.3), Density(), [case])
    found = {name for name, _, _ in cells}
    for _, more in reference_cells(case, Density(), Whole()):
        found |= {name for name, _, _ in more}
    assert found == set(QUANTITIES) == set(CounterfactualQuality().quantities)


def test_no_subjects_give_no_cells():
    assert method_cells(Fading(MASK, 0.3), Density(), []) == []


def test_methods_that_make_no_films_are_refused():
    with pytest.raises(ExplainerError, match="None of the methods makes counterfactuals"):
        film_methods(["input_gradients"])
    assert film_methods(["input_gradients", "latent_shift"]) == ("latent_shift",)

    class Mapping:
        name = "mapping"

        def explain(self, images, goals, **options):
            values = np.zeros((SIDE, SIDE), np.float32)
            return [Attribution(values, goal.finding, 0.0, 0.5) for goal in goals]

    with pytest.raises(ExplainerError, match="mapping returns maps"):
        measured(Mapping(), subject())


def test_a_finding_that_the_classifier_does_not_know_is_refused():
    with pytest.raises(ExplainerError, match="does not know 'Fracture'"):
        search_flips(Fading(MASK, 0.3), Density(), subject().image[None], ["Fracture"])


def test_the_bench_measures_a_case_set_and_draws_its_report(tmp_path):
    cases = write_case_set(tmp_path / "cases")
    classifier_file, autoencoder_file = write_networks(tmp_path)
    pairs = (("c0001", "Mass"), ("c0002", "Mass"), ("c0003", "Lung Opacity"))
    setting = Setting(
        cases=cases,
        references=ReferenceSet.open(tmp_path / "cases"),
        classifiers={"f": load_classifier(classifier_file)},
        networks={"autoencoder": load_autoencoder(autoencoder_file)},
        oracle=None,
        methods=("latent_shift-max", "latent_shift-mean", "input_gradients"),
        pairs=pairs,
        seed=0,
        explanations=tmp_path / "explanations",
    )
    bench = CounterfactualQuality()
    table = run_bench(bench, setting, tmp_path / "out", chunk_size=2)
    assert tuple(table.columns) == COLUMNS
    assert set(table["method"]) == {"latent_shift"}  # no true counterfactuals, no references
    assert table[table["quantity"] == "excluded"].groupby("case_id").size().to_dict() == {
        case_id: 1 for case_id, _ in pairs
    }
    assert not table["value"].isna().any()
    written = write_report(bench, setting, table, tmp_path / "out", created="2026-01-01T00:00Z")
    page = next(path for path in written if path.suffix == ".html").read_text("utf-8")
    assert "Quality of counterfactuals" in page
    with pytest.raises(ExplainerError, match="Latent Shift, one-step needs an autoencoder"):
        bench.measure(replace(setting, networks={}), "f", pairs)


def test_a_method_that_takes_no_autoencoder_is_measured_without_one(tmp_path):
    cases = write_case_set(tmp_path / "cases")
    classifier_file, _ = write_networks(tmp_path)
    syce = load_syce(str(write_others(tmp_path)["syce"]))
    setting = Setting(
        cases=cases,
        references=None,
        classifiers={"f": load_classifier(classifier_file)},
        networks={"syce": syce},
        oracle=None,
        methods=("syce",),
        pairs=(("c0001", "Mass"),),
        seed=0,
        explanations=tmp_path / "explanations",
    )
    table = CounterfactualQuality().measure(setting, "f", setting.pairs)
    assert set(table["method"]) == {"syce"}


def test_without_an_autoencoder_there_is_no_ceiling_but_the_other_references():
    found = dict(reference_cells(subject(), Density(), None))
    assert list(found) == ["do_nothing", "true_counterfactual"]


def rows_of(cells_by_method):
    return pd.DataFrame(
        [
            ("c1", "Mass", "f", method, quantity, x, value)
            for method, cells in cells_by_method.items()
            for quantity, x, value in cells
        ],
        columns=list(COLUMNS),
    )


def test_the_saved_share_is_a_ratio_of_means_without_trivial_references():
    case = subject()
    [cells] = method_cells(Fading(MASK, 0.3), Density(), [case], targets=(1e-9,))
    table = rows_of({"fading": cells, **dict(reference_cells(case, Density(), Shrinking()))})
    summary = summarise(table, {"c1": "p1"})
    saved = saved_share(summary).set_index("method")["mean"]
    assert saved.to_dict() == pytest.approx({"fading": 0.4, "autoencoder_ceiling": 0.5}, abs=1e-4)
    titles = [
        figure.layout.title.text for figure in CounterfactualQuality().figures(table, summary)
    ]
    assert any(title.startswith("error inside the mask on the way down") for title in titles)
    assert not any(title.startswith("independent classifier") for title in titles)


def test_what_a_method_says_of_its_own_film_stands_beside_what_is_measured():
    [values] = measured(Telling(MASK, 0.3), subject(), targets=(1e-9,))
    assert values["latent_norm"] == 1.1 and values["rank_correlation"] == 0.9
    assert values["flip_reencoded"] == 0
    [silent] = measured(Fading(MASK, 0.3), subject(), targets=(1e-9,))
    assert not {"latent_norm", "rank_correlation", "flip_reencoded"} & silent.keys()
