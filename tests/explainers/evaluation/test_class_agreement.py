"""Class agreement: what an always-positive generator scores, and whose classes are counted."""

from __future__ import annotations

import numpy as np
import pytest

from explainers.base import ExplainerError
from explainers.evaluation.class_agreement import class_agreement, class_agreements
from tests.support.stub_networks import LinearClassifier
from tests.support.stub_structure_class import LinearStructureClass


class Certain(LinearClassifier):
    """Calls everything positive."""

    weights_digest = "certain"

    def __init__(self) -> None:
        super().__init__()
        self.head.weight.data.zero_()
        self.head.bias.data.fill_(3.0)


def biased(offset: float) -> LinearClassifier:
    """A judge whose logit of the mid-grey image is ``offset``."""
    judge = LinearClassifier()
    judge.head.bias.data = -judge.head.weight.data.sum(dim=1) / 2 + offset
    return judge


def test_always_positive_scores_three_quarters_as_counted_and_half_balanced() -> None:
    found = class_agreement(LinearStructureClass(), Certain(), n_structures=20)
    assert found.as_counted == 0.75 and found.balanced == 0.5
    for each in found.findings:
        assert (each.specificity, each.sensitivity) == (0.0, 1.0)
    assert (found.balanced_interval.low, found.balanced_interval.high) == (0.5, 0.5)
    assert not found.is_trained_with


def test_a_generator_whose_classes_are_seen_scores_one() -> None:
    found = class_agreement(LinearStructureClass(strength=20.0), biased(-0.05), n_structures=20)
    assert found.as_counted > 0.98 and found.balanced > 0.98
    assert found.is_trained_with


def test_a_generator_without_effect_is_never_balanced_above_a_half() -> None:
    found = class_agreement(LinearStructureClass(strength=0.0), biased(-0.05), n_structures=20)
    assert found.as_counted == 0.25 and found.balanced == 0.5


def test_intervals_enclose_the_share_and_shrink_with_structures() -> None:
    few, many = (
        class_agreement(LinearStructureClass(1.5), biased(-1.5), n_structures=n) for n in (20, 200)
    )
    assert many.interval.low < many.as_counted < many.interval.high
    assert many.interval.high - many.interval.low < few.interval.high - few.interval.low


def test_all_judges_see_the_same_images_and_the_seed_repeats_them() -> None:
    network, judge = LinearStructureClass(1.5), biased(-1.5)
    both = class_agreements(network, [judge, judge], n_structures=10, seed=3)
    assert both[0] == both[1] == class_agreement(network, judge, n_structures=10, seed=3)


def test_other_findings_come_from_the_labels() -> None:
    found = class_agreement(
        LinearStructureClass(), biased(-0.05), n_structures=10, labels=np.array([[1, 1]])
    )
    assert found.others == "as in the films"
    with pytest.raises(ExplainerError, match="expected"):
        class_agreement(LinearStructureClass(), biased(0), labels=np.ones((3, 5)))


def test_a_judge_without_the_finding_is_refused() -> None:
    judge = LinearClassifier()
    judge.findings = ("Mass", "Hernia")  # type: ignore[assignment]
    with pytest.raises(ExplainerError, match="The judge knows Mass, Hernia"):
        class_agreement(LinearStructureClass(), judge)
