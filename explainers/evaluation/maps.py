"""Maps of films as a benchmark needs them: by name, of one network, without an archive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.manifest import CaseSet
from data.raster import resize
from explainers import registry
from explainers.archive import split_map_name
from explainers.base import Cancelled, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.differentiation import device_of, predict
from explainers.record import Attribution, MapKind, Toggles
from explainers.run import goals_for

DEFAULT_KIND: MapKind = "max"
"""How a film becomes a map where its name does not say."""

PREDICTION = "prediction"
"""Method of rows that tell of the prediction and of no map."""


def map_names(methods: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the maps measured for methods; a film method without a kind gets max.

    Raises
    ------
    ExplainerError
        If a method or kind is unknown, or none was given.
    """
    names = []
    for given in methods:
        method, kind = split_map_name(given)
        known = registry.spec(method).map_names()
        if not known:
            raise ExplainerError(
                f"{method!r} makes pictures to switch between and no map; name another method."
            )
        name = f"{method}-{DEFAULT_KIND}" if kind is None and len(known) > 1 else given
        if name not in known:
            raise ExplainerError(f"There is no map {given!r}; choose from {', '.join(known)}.")
        names.append(name)
    if not names:
        raise ExplainerError(
            f"No method was given; choose some of {', '.join(registry.names())} with --methods."
        )
    return tuple(dict.fromkeys(names))


def load_films(
    cases: CaseSet, case_ids: Sequence[str], classifier: Classifier
) -> NDArray[np.float32]:
    """Read films at the size of a classifier; (N, H, W), float32, in [0, 1].

    Raises
    ------
    DataError
        If a film is missing or cannot be read.
    """
    size = (classifier.input_size[0], classifier.input_size[1])
    films = [np.clip(resize(cases.load(case_id).image, size), 0, 1) for case_id in case_ids]
    return np.stack(films) if films else np.zeros((0, *size), np.float32)


def as_tensor(films: NDArray[np.floating], network: object) -> torch.Tensor:
    """Return films (N, H, W) as (N, 1, H, W), float32, where a network computes."""
    tensor = torch.from_numpy(np.ascontiguousarray(films[:, None], dtype=np.float32))
    return tensor.to(device_of(network))


def predictions(
    films: NDArray[np.floating], findings: Sequence[str], classifier: Classifier
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return logit and probability of one finding per film, both (N,).

    Raises
    ------
    ExplainerError
        If a finding is unknown or a prediction is NaN.
    """
    index = [_index(classifier, finding) for finding in findings]
    logits, probabilities = predict(classifier, as_tensor(films, classifier))
    rows = np.arange(len(films))
    return (
        logits.cpu().numpy().astype(np.float64)[rows, index],
        probabilities.cpu().numpy().astype(np.float64)[rows, index],
    )


def compute_maps(
    name: str,
    films: NDArray[np.floating],
    findings: Sequence[str],
    *,
    classifier: Classifier,
    networks: Mapping[str, Any] = MappingProxyType({}),
    cancelled: Cancelled | None = None,
) -> NDArray[np.float32]:
    """Explain one finding per film and return the maps.

    Parameters
    ----------
    name
        Of a map, e.g. ``"input_gradients"`` or ``"latent_shift-max"``.
    films
        (N, H, W), in [0, 1], of the classifier's size.

    Returns
    -------
    ndarray
        (N, H, W), float32, of the classifier's size; signed for attributions, ≥ 0 for films.

    Raises
    ------
    ExplainerError
        As the method does.
    """
    method, kind = split_map_name(name)
    explainer = registry.create(method, classifier=classifier, networks=networks)
    images = as_tensor(films, classifier)
    for finding in findings:
        _index(classifier, finding)
    goals = goals_for(findings, None, classifier, images, method) if len(films) else []
    found = []
    for each in explainer.explain(images, goals, cancelled=cancelled):
        if isinstance(each, Attribution):
            values = each.values
        elif isinstance(each, Toggles):
            raise ExplainerError(f"{method!r} makes pictures to switch between and no map.")
        else:
            values = each.to_attribution(kind or DEFAULT_KIND)
        found.append(resize(values, (films.shape[1], films.shape[2])))
    return np.stack(found) if found else np.zeros(films.shape, np.float32)


def _index(classifier: Classifier, finding: str) -> int:
    if finding not in classifier.findings:
        raise ExplainerError(
            f"The classifier does not know {finding!r}; it predicts "
            f"{', '.join(classifier.findings)}."
        )
    return classifier.findings.index(finding)
