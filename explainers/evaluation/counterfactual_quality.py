"""The bench ``counterfactual``: do the changed films flip, move steadily, and come true?

Every quantity belongs to one case, finding, classifier and method; see :data:`QUANTITIES`. Three
references stand beside the methods: the film itself (``do_nothing``), what the autoencoder makes of
the true counterfactual (``autoencoder_ceiling``; only beside a method that takes an autoencoder),
and the true counterfactual (``true_counterfactual``), which says what the classifiers themselves
make of a perfect answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from explainers import registry
from explainers.archive import split_map_name
from explainers.base import Explainer, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import device_of, left_as_found
from explainers.evaluation.bench import COLUMNS, Pair, Quantity, Setting
from explainers.evaluation.counterfactual_measures import (
    CHANGED_LEVELS,
    OPERATING_POINT,
    monotone_share,
)
from explainers.evaluation.counterfactual_subject import (
    Cell,
    Subject,
    known_cells,
    read_subjects,
)
from explainers.evaluation.flips import (
    TARGETS,
    Walk,
    explain_films,
    is_positive,
    probabilities_of,
    search_flips,
    walk_down,
)
from explainers.generators.base import Autoencoder

if TYPE_CHECKING:
    import plotly.graph_objects as go

DO_NOTHING = "do_nothing"
CEILING = "autoencoder_ceiling"
TRUTH = "true_counterfactual"
REFERENCES = (DO_NOTHING, CEILING, TRUTH)
"""Methods that are none: what a figure can be held against."""

Q = Quantity
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        "flip": Q("Flips the classifier (residual frame)", "share", "higher"),
        "flip_decoded": Q("Flips the classifier (decoded frame)", "share", "higher"),
        "flip_oracle": Q("Flips the independent classifier (residual frame)", "share", "higher"),
        "oracle_change": Q("Change of the independent classifier", "probability", "lower"),
        "excluded": Q("Left out of the flips: negative before any change", "share", None),
        "excluded_decoded": Q("Left out, decoded: the reconstruction is negative", "share", None),
        "probability_film": Q("f of the film", "probability", None),
        "probability_reconstruction": Q("f of the reconstruction", "probability", None),
        "probability_residual": Q(
            "f of the residual frame at the operating λ", "probability", None
        ),
        "probability_decoded": Q("f of the decoded frame at the operating λ", "probability", None),
        "monotone": Q("Monotone steps to the flip (residual frames)", "share", "higher"),
        "monotone_decoded": Q("Monotone steps to the flip (decoded frames)", "share", "higher"),
        "monotone_default": Q("Monotone steps over the default range", "share", "higher"),
        "reached_default": Q("Default fall of the prediction obtained", "share", "higher"),
        "flip_reencoded": Q("Default film negative after re-encoding", "share", "higher"),
        "latent_norm": Q("Length of the default film's latent, of √d", "√d", None),
        "rank_correlation": Q("Spearman's ρ of f along the default film", "ρ", "higher"),
        "change_l1": Q("Mean change", "grey levels", "lower"),
        "change_l2": Q("Root mean square change", "grey levels", "lower"),
        "changed_share": Q(f"Pixels changed by > {CHANGED_LEVELS:g} grey levels", "share", "lower"),
        "seconds": Q("Time of a film, default range", "s", "lower"),
        "seconds_flip": Q("Time of the searches for the flip", "s", "lower"),
        "error_inside": Q("Error inside the mask (residual)", "grey levels", "lower"),
        "error_outside": Q("Error outside the mask (residual)", "grey levels", "lower"),
        "error_film": Q("Error over the film (residual)", "grey levels", "lower"),
        "error_inside_decoded": Q("Error inside the mask (decoded)", "grey levels", "lower"),
        "error_outside_decoded": Q("Error outside the mask (decoded)", "grey levels", "lower"),
        "error_film_decoded": Q("Error over the film (decoded)", "grey levels", "lower"),
        "error_reduction": Q("Error inside the mask saved, of doing nothing", "share", "higher"),
        "saved_inside": Q("Doing nothing minus error, inside the mask", "grey levels", "higher"),
        "saved_film": Q("Doing nothing minus error, whole film", "grey levels", "higher"),
        "hindsight_error_inside": Q(
            "Smallest error inside the mask at any λ (chosen by the truth, not available in use)",
            "grey levels",
            "lower",
        ),
        "hindsight_error_film": Q(
            "Smallest error over the film at any λ (chosen by the truth, not available in use)",
            "grey levels",
            "lower",
        ),
        "curve_probability": Q("f of the residual frame along the way down", "probability", None),
        "curve_error_inside": Q("Error inside the mask along the way down", "grey levels", None),
        "curve_error_film": Q("Error over the film along the way down", "grey levels", None),
    }
)
"""What is measured.

The *operating λ* is that of the first residual frame at or below the boundary (the operating point
unless the bench is made with another one), in a search of its own (see
:mod:`explainers.evaluation.flips`); of the lowest frame where there is none.
Flips, sizes and errors are those of that frame. Cases whose film is negative already are listed as
``excluded`` and count nowhere else; those whose reconstruction is, as ``excluded_decoded``.
``flip_oracle`` counts where the independent classifier calls the film positive. Errors are mean
absolute differences to the true counterfactual, where the case set has one.
"""

_NAN = float("nan")
_BATCH = 8


@dataclass(frozen=True)
class CounterfactualQuality:
    """Counterfactuals against the classifier, an independent one, and the truth.

    Parameters
    ----------
    searches
        At most so many searches per film, for the first of
        :data:`explainers.evaluation.flips.TARGETS`.
    boundary
        Probability of the residual frame at which a search may end, and of the operating λ. A
        frame just below the operating point, 0.5, is the smallest change that flips; one at 0.1
        is as negative as a film without the finding, and is closer to it.
    clock
        Seconds of a monotone clock.
    """

    name: ClassVar[str] = "counterfactual"
    title: ClassVar[str] = "Quality of counterfactuals"
    description: ClassVar[str] = (
        "Each method searches for the decision boundary of every positive film; judged is the "
        "residual frame x + (x'_λ − x'_0), which keeps the film's own detail, at the first λ where "
        "it reaches the boundary (operating λ; 0.5 by default), or at the lowest frame. Films that "
        "are negative before any change are left out; the rows of the quantity excluded name them. "
        "Where the true counterfactual is known, errors are mean absolute differences to it; "
        "do_nothing is the film itself, "
        "autoencoder_ceiling x + D(E(x_cf)) − D(E(x)) (decoded: D(E(x_cf))), which stands beside "
        "methods that take the autoencoder, and "
        "true_counterfactual says what the classifiers make of a perfect answer."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = QUANTITIES

    searches: int = len(TARGETS)
    boundary: float = OPERATING_POINT
    clock: Callable[[], float] = field(default=time.perf_counter, repr=False)

    def measure(
        self, setting: Setting, classifier_label: str, pairs: Sequence[Pair]
    ) -> pd.DataFrame:
        """Measure every counterfactual method on some pairs of case and finding.

        Returns
        -------
        DataFrame
            One row per case, finding, method, quantity and x.

        Raises
        ------
        DataError
            If a film, mask or counterfactual cannot be read.
        ExplainerError
            If no counterfactual method was asked for, or a network is missing or computes NaN.
        """
        methods = film_methods(setting.methods)
        classifier = setting.classifiers[classifier_label]
        autoencoder = _ceiling_of(methods, setting)
        subjects = read_subjects(
            setting.cases, setting.references, classifier, setting.oracle, pairs
        )
        rows = []
        for subject in subjects:
            for method, cells in reference_cells(subject, classifier, autoencoder):
                rows += _rows(subject, classifier_label, method, cells)
        for method in methods:
            explainer = registry.create(
                method,
                classifier=classifier,
                networks=setting.networks,
                batch_size=_BATCH,
            )
            measured = method_cells(
                explainer,
                classifier,
                subjects,
                targets=TARGETS[: self.searches],
                boundary=self.boundary,
                clock=self.clock,
            )
            for subject, cells in zip(subjects, measured, strict=True):
                rows += _rows(subject, classifier_label, method, cells)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def figures(self, table: pd.DataFrame, summary: pd.DataFrame) -> list[go.Figure]:
        """Draw flips, errors and the curves along λ."""
        from explainers.evaluation.counterfactual_figures import draw

        return draw(table, summary)


def method_cells(
    explainer: Explainer,
    classifier: Classifier,
    subjects: Sequence[Subject],
    *,
    targets: Sequence[float] = TARGETS,
    boundary: float = OPERATING_POINT,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[Cell]]:
    """Measure one method on all subjects: its default range, and its searches for the flip.

    Returns
    -------
    list of list of Cell
        One list per subject.

    Raises
    ------
    ExplainerError
        If the method returns no films or a network computes NaN.
    """
    if not subjects:
        return []
    images = np.stack([each.image for each in subjects])
    findings = [each.finding for each in subjects]
    start = clock()
    films = explain_films(explainer, images, findings, None)
    seconds = (clock() - start) / len(subjects)
    cells = []
    for subject, film in zip(subjects, films, strict=True):
        walk = walk_down(subject.image, film, classifier, seconds)
        cells.append([*_default_cells(subject, walk), *_measured_cells(film.measures)])
    counting = [number for number, each in enumerate(subjects) if each.counts]
    chosen = [findings[number] for number in counting]
    walks = search_flips(
        explainer,
        classifier,
        images[counting],
        chosen,
        targets=targets,
        boundary=boundary,
        clock=clock,
    )
    for number, walk in zip(counting, walks, strict=True):
        cells[number] += _flip_cells(subjects[number], walk)
    return cells


def film_methods(methods: Iterable[str]) -> tuple[str, ...]:
    """Return the counterfactual ones among some names of methods or maps, each once.

    Raises
    ------
    ExplainerError
        If there is none, or a name is unknown.
    """
    named = dict.fromkeys(split_map_name(each)[0] for each in methods)
    chosen = tuple(each for each in named if registry.spec(each).kind == "counterfactual")
    if not chosen:
        known = [each for each in registry.names() if registry.spec(each).kind == "counterfactual"]
        raise ExplainerError(
            "None of the methods makes counterfactuals; name at least one of "
            f"{', '.join(known)} with --methods."
        )
    return chosen


def _ceiling_of(methods: Sequence[str], setting: Setting) -> Autoencoder | None:
    """Return the autoencoder whose ceiling is measured: none where no method goes through it.

    Raises
    ------
    ExplainerError
        If a method needs one and there is none.
    """
    users = [name for name in methods if "autoencoder" in registry.spec(name).needs]
    if not users:
        return None
    if setting.autoencoder is None:
        raise ExplainerError(
            f"{registry.spec(users[0]).title} needs an autoencoder, and there is none; name one "
            "with --network autoencoder=… or leave the method out."
        )
    return setting.autoencoder


def reference_cells(
    subject: Subject, classifier: Classifier, autoencoder: Autoencoder | None
) -> list[tuple[str, list[Cell]]]:
    """Measure doing nothing, the autoencoder's ceiling where there is one, and the truth itself.

    Returns
    -------
    list of (str, list of Cell)
        The references by name; none where the truth is unknown or the film is negative, so that
        they speak of the same cases as the methods.
    """
    if subject.truth is None or not subject.counts:
        return []
    image, truth = subject.image, subject.truth.image
    measured = [(DO_NOTHING, image, image)]
    if autoencoder is not None:
        of_image, of_truth = _reconstruct(autoencoder, np.stack([image, truth]))
        measured.append((CEILING, np.clip(image + of_truth - of_image, 0, 1), of_truth))
    found = []
    for method, residual, decoded in (*measured, (TRUTH, truth, truth)):
        cells = subject.error_cells(residual, decoded)
        if method != DO_NOTHING:
            f_residual, f_decoded = probabilities_of(
                classifier, np.stack([residual, decoded]), subject.finding
            )
            cells += [
                ("flip", _NAN, float(not is_positive(f_residual))),
                ("probability_residual", _NAN, float(f_residual)),
                ("probability_decoded", _NAN, float(f_decoded)),
                *subject.oracle_cells(residual),
                *subject.change_cells(residual),
            ]
        found.append((method, cells))
    return found


def _reconstruct(
    autoencoder: Autoencoder, images: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    """Return D(E(x)) of images (N, H, W), one array each, in [0, 1]."""
    tensor = torch.from_numpy(images)[:, None].to(device_of(autoencoder))
    with left_as_found(autoencoder), torch.no_grad():
        decoded = autoencoder.decode(autoencoder.encode(tensor))
    return tuple(np.clip(decoded.squeeze(1).cpu().numpy(), 0, 1).astype(np.float32))


def _default_cells(subject: Subject, walk: Walk) -> list[Cell]:
    """Measure a film over its default range."""
    values = {
        "excluded": float(not subject.counts),
        "probability_film": subject.probability,
        "probability_reconstruction": float(walk.f_decoded[0]),
        "monotone_default": monotone_share(walk.f_decoded),
        "reached_default": float(walk.reached),
        "seconds": walk.seconds,
    }
    return known_cells(values)


def _measured_cells(measures: Mapping[str, float]) -> list[Cell]:
    """What a method says of its own film, where it does."""
    values = {
        "latent_norm": measures.get("norm_end", _NAN),
        "rank_correlation": measures.get("spearman", _NAN),
    }
    if "probability_reencoded" in measures:
        values["flip_reencoded"] = float(not is_positive(measures["probability_reencoded"]))
    return known_cells(values)


def _flip_cells(subject: Subject, walk: Walk) -> list[Cell]:
    """Measure the frame at the operating λ of a search for the flip."""
    end = walk.end
    residual, decoded = walk.residual[end], walk.decoded[end]
    values = {
        "flip": float(walk.flip is not None),
        "excluded_decoded": float(not is_positive(float(walk.f_decoded[0]))),
        "probability_residual": float(walk.f_residual[end]),
        "probability_decoded": float(walk.f_decoded[end]),
        "monotone": monotone_share(walk.f_residual[: end + 1]),
        "monotone_decoded": monotone_share(walk.f_decoded[: end + 1]),
        "seconds_flip": walk.seconds,
    }
    if is_positive(float(walk.f_decoded[0])):
        values["flip_decoded"] = float((walk.f_decoded <= OPERATING_POINT).any())
    return [
        *known_cells(values),
        *subject.change_cells(residual),
        *subject.oracle_cells(residual),
        *subject.error_cells(residual, decoded),
        *subject.curve_cells(walk),
    ]


def _rows(
    subject: Subject, classifier_label: str, method: str, cells: Iterable[Cell]
) -> list[tuple[str, str, str, str, str, float, float]]:
    place = (subject.case_id, subject.finding, classifier_label, method)
    return [(*place, *cell) for cell in cells]
