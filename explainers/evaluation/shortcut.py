"""Which explanations show that a classifier looks at a chest tube and not at the pneumothorax.

Healthy simulated films with a chest tube are explained. The tube is known exactly, as the
difference to the same film rendered without it, and so is what it does to a prediction. Three
things decide whether a method can show the shortcut: whether its map lies on the tube, whether the
autoencoder keeps the tube, and whether the moving film takes it away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_dilation

from data.phantom.parameters import FilmParameters, sample_parameters
from data.phantom.render import render
from data.raster import resize
from explainers import registry
from explainers.archive import split_map_name
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import stop_if
from explainers.evaluation.maps import DEFAULT_KIND, PREDICTION, as_tensor, map_names, predictions
from explainers.generators.base import Autoencoder
from explainers.record import Attribution, Counterfactual, Explanation, Goal, Toggles
from explainers.residual import residual_frames

FINDING: Final = "Pneumothorax"
TARGET: Final = 0.45
"""Probability that a moving film searches for where its reconstruction is called positive."""
TUBE_LEVEL: Final = 0.02
"""Change of brightness from which a pixel belongs to the tube."""
AUTOENCODER: Final = "autoencoder"
"""In the column ``classifier``: of the autoencoder alone, whoever looks at it."""
COLUMNS: Final = ["case_id", "finding", "classifier", "method", "quantity", "x", "value"]
_LONGEST_SEARCH: Final = 5000


@dataclass(frozen=True, eq=False)
class TubeFilms:
    """Healthy films with a chest tube, and the same films without it, at one size.

    Parameters
    ----------
    case_ids
        N names.
    with_tube, without_tube
        (N, H, W), float32, in [0, 1].
    tube
        (N, H, W), bool: the tube and one pixel around it.
    """

    case_ids: tuple[str, ...]
    with_tube: NDArray[np.float32]
    without_tube: NDArray[np.float32]
    tube: NDArray[np.bool_]


def healthy_with_tube(seed: int, n: int) -> tuple[FilmParameters, ...]:
    """Return the first ``n`` films of a seed that have a chest tube and no finding.

    Raises
    ------
    ExplainerError
        If there are not so many among the first few thousand.
    """
    found: list[FilmParameters] = []
    for index in range(_LONGEST_SEARCH):
        if len(found) == n:
            break
        film = sample_parameters(seed, index)
        if film.chest_tube and not film.findings_present:
            found.append(film)
    if not found or len(found) < n:
        raise ExplainerError(
            f"Among {_LONGEST_SEARCH} films of seed {seed}, {len(found)} are healthy with a chest "
            f"tube; {n} were asked for. Ask for 1 to {len(found)}, or take another seed."
        )
    return tuple(found)


def without_tube(parameters: FilmParameters, size: int) -> NDArray[np.float32]:
    """Render the same film without its chest tube; (size, size), in [0, 1]."""
    bare = replace(parameters, chest_tube=False)
    image: NDArray[np.float32] = render(bare, size, counterfactuals=False).image
    return image


def tube_films(
    case_ids: Sequence[str],
    films: Sequence[NDArray[np.floating]],
    bare: Sequence[NDArray[np.floating]],
    size: tuple[int, int],
) -> TubeFilms:
    """Put pairs of films together at the size of a classifier.

    Parameters
    ----------
    films, bare
        N images (H, W) in [0, 1], with and without the tube.
    size
        Rows and columns wanted.

    Raises
    ------
    ExplainerError
        If a pair does not differ, so that there is no tube to look for.
    """
    shown = np.stack([np.clip(resize(film, size), 0, 1) for film in films])
    absent = np.stack([np.clip(resize(film, size), 0, 1) for film in bare])
    tube = np.abs(shown - absent) > TUBE_LEVEL
    for case_id, mask in zip(case_ids, tube, strict=True):
        if not mask.any():
            raise ExplainerError(
                f"Film {case_id} looks the same without its chest tube; expected a difference. "
                "Take films that show a tube."
            )
    around = np.stack([binary_dilation(mask) for mask in tube])
    return TubeFilms(tuple(case_ids), shown, absent, around)


@dataclass(frozen=True)
class _Rows:
    """Long rows in the making."""

    case_ids: tuple[str, ...]
    cells: list[tuple[object, ...]]

    def add(self, who: str, method: str, quantity: str, values: ArrayLike) -> None:
        """Add one number per film."""
        for case_id, value in zip(self.case_ids, np.asarray(values, float), strict=True):
            row = (case_id, FINDING, who, method, quantity, np.nan, float(value))
            self.cells.append(row)


def measure_shortcut(
    films: TubeFilms,
    classifiers: Mapping[str, Classifier],
    autoencoder: Autoencoder,
    methods: Sequence[str],
    *,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> pd.DataFrame:
    """Explain every film by every classifier and measure what of it is the tube.

    Parameters
    ----------
    films
        At the size of all classifiers and of the autoencoder.
    classifiers
        Label to network.
    methods
        Methods or maps; a moving film without a kind is reduced by its maximum.

    Returns
    -------
    DataFrame
        Long rows with :data:`COLUMNS`. Quantities of a prediction: ``film``, ``without_tube``,
        ``reconstruction``. Of a map: ``tube_share``, the share of the sum of |map| on the tube;
        ``area_share``, the tube's share of the film; ``concentration``, the one divided by the
        other; ``peak``, whether the strongest pixel lies on the tube. Of a moving film also
        ``f_lowest`` and ``f_lowest_residual``, the predictions of its lowest frames, and
        ``tube_removed``, the share of the tube's contrast that the lowest frame takes away. Of the
        autoencoder: ``tube_kept``, the share of the tube's contrast in the reconstruction.

    Raises
    ------
    ExplainerError
        If a method is unknown, or a network knows no pneumothorax or wants another size.
    """
    names = map_names(methods)
    rows = _Rows(films.case_ids, [])
    kept = _reconstruct(films.with_tube, autoencoder)
    bare = _reconstruct(films.without_tube, autoencoder)
    contrast = films.with_tube - films.without_tube
    rows.add(AUTOENCODER, PREDICTION, "tube_kept", _shares(kept - bare, contrast))
    area = films.tube.mean(axis=(1, 2))
    done, total = 0, len(names) * len(classifiers)
    for label, classifier in classifiers.items():
        wanted = [FINDING] * len(films.case_ids)
        starts = {}
        for quantity, images in (
            ("film", films.with_tube),
            ("without_tube", films.without_tube),
            ("reconstruction", kept),
        ):
            starts[quantity] = predictions(images, wanted, classifier)[1]
            rows.add(label, PREDICTION, quantity, starts[quantity])
        for name in names:
            stop_if(cancelled)
            found = _explain(name, films, starts["reconstruction"], classifier, autoencoder)
            maps = [_map_of(each, name) for each in found]
            weight = [_tube_share(map_, mask) for map_, mask in zip(maps, films.tube, strict=True)]
            rows.add(label, name, "tube_share", weight)
            rows.add(label, name, "area_share", area)
            rows.add(label, name, "concentration", np.asarray(weight) / area)
            rows.add(
                label, name, "peak", [_hit(m, t) for m, t in zip(maps, films.tube, strict=True)]
            )
            moving = [each for each in found if isinstance(each, Counterfactual)]
            if moving:
                _add_film(rows, label, name, films, moving, classifier)
            done += 1
            if on_progress is not None:
                on_progress(done, total)
    return pd.DataFrame(rows.cells, columns=COLUMNS)


def _add_film(
    rows: _Rows,
    label: str,
    name: str,
    films: TubeFilms,
    moving: Sequence[Counterfactual],
    classifier: Classifier,
) -> None:
    """Add what a moving film does to the tube and to the prediction."""
    residual = np.stack(
        [
            residual_frames(image, each)[0]
            for image, each in zip(films.with_tube, moving, strict=True)
        ]
    )
    wanted = [FINDING] * len(moving)
    removed = np.stack([each.reconstruction - each.frames[0] for each in moving])
    rows.add(label, name, "f_lowest", [each.probabilities[0] for each in moving])
    rows.add(label, name, "f_lowest_residual", predictions(residual, wanted, classifier)[1])
    contrast = films.with_tube - films.without_tube
    rows.add(label, name, "tube_removed", _shares(removed, contrast))


def _explain(
    name: str,
    films: TubeFilms,
    f_reconstruction: NDArray[np.floating],
    classifier: Classifier,
    autoencoder: Autoencoder,
) -> Sequence[Explanation]:
    explainer = registry.create(
        split_map_name(name)[0], classifier=classifier, networks={"autoencoder": autoencoder}
    )
    moves = registry.spec(split_map_name(name)[0]).kind == "counterfactual"
    goals = [
        Goal(FINDING, target=TARGET if moves and start >= 0.5 else None)
        for start in f_reconstruction
    ]
    return explainer.explain(as_tensor(films.with_tube, classifier), goals)


def _map_of(explanation: Explanation, name: str) -> NDArray[np.float32]:
    if isinstance(explanation, Attribution):
        return explanation.values
    if isinstance(explanation, Toggles):
        raise ExplainerError(f"{name!r} makes pictures to switch between and no map.")
    return explanation.to_attribution(split_map_name(name)[1] or DEFAULT_KIND)


def _tube_share(values: NDArray[np.floating], tube: NDArray[np.bool_]) -> float:
    """Return the share of |map| on the tube; NaN where the map is zero everywhere."""
    magnitude = np.abs(values, dtype=np.float64)
    total = magnitude.sum()
    return float(magnitude[tube].sum() / total) if total else float("nan")


def _hit(values: NDArray[np.floating], tube: NDArray[np.bool_]) -> float:
    magnitude = np.abs(values)
    if magnitude.max() == magnitude.min():
        return float("nan")
    return float(tube.flat[int(magnitude.argmax())])


def _shares(changes: NDArray[np.floating], contrast: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the least-squares share of a known contrast in each change, ⟨c, d⟩ / ⟨d, d⟩, (N,)."""
    known = contrast.astype(np.float64)
    return (changes * known).sum(axis=(1, 2)) / (known**2).sum(axis=(1, 2))


def _reconstruct(films: NDArray[np.floating], autoencoder: Autoencoder) -> NDArray[np.float32]:
    """Return D(E(x)) of films (N, H, W)."""
    with torch.no_grad():
        decoded = autoencoder.decode(autoencoder.encode(as_tensor(films, autoencoder)))
    found: NDArray[np.float32] = decoded.clamp(0, 1)[:, 0].cpu().numpy()
    return found
