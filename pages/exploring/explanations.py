"""Explanations of one film: from the archive where they are there, else computed beside the page.

Torch is imported only when something has to be computed, so that an archived case appears at once.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data.raster import resize
from explainers.archive import ExplanationArchive
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.networks import role
from explainers.record import MAP_KINDS, Attribution, Counterfactual, Goal, Toggles
from explainers.registry import create, spec
from explainers.residual import residual_frames
from pages.exploring.networks import Network, computing, load
from pages.exploring.request import (
    JUST_ABOVE,
    JUST_BELOW,
    OPERATING_POINT,
    FilmRange,
    Request,
    ResidualPredictions,
    Search,
    Task,
    is_shift,
)
from pages.exploring.work import Compute, Explanation, Result
from study.folder import StudyFolder

_WAIT_S: Final = 0.2
_NOTHING: Final = "The search changed nothing, so there is no moving film to show."


@dataclass(frozen=True)
class Explained:
    """What is known about one finding in one film by one classifier.

    Parameters
    ----------
    network
        The classifier.
    finding
        The finding.
    probability
        f(x), calibrated, in [0, 1]; ``None`` if nothing is known yet.
    maps
        Map name to values (H, W), in the order shown.
    film
        The moving film, or ``None``.
    method
        The method that made the film.
    goals
        Probabilities that the ends of the film were to reach.
    seconds
        Method to wall time, of what there is.
    problems
        Why something is missing, a sentence each.
    residual
        (T,), f of the residual frames, or ``None``.
    """

    network: Network
    finding: str
    probability: float | None
    maps: Mapping[str, NDArray[np.float32]]
    film: Counterfactual | None
    method: str
    goals: tuple[float, ...]
    seconds: Mapping[str, float]
    problems: tuple[str, ...] = ()
    residual: NDArray[np.float64] | None = None


def archived(request: Request, folder: StudyFolder, task: Task) -> Result | None:
    """Return what the study's archive holds for a task, or ``None``.

    It is asked only for the study's own classifier, and for films of the usual range and search.
    """
    film = request.film
    usual = task.range in (None, FilmRange(), Search())
    if film.case_id is None or not film.in_study or not usual or task.network[0] != "study":
        return None
    if task.residual:
        return None
    archive = ExplanationArchive(folder.explanations)
    if not archive.has(film.case_id, task.finding, task.method):
        return None
    try:
        explanation = archive.load(film.case_id, task.finding, task.method)
        seconds = archive.provenance(film.case_id, task.finding, task.method).seconds
    except ExplainerError as error:
        return Result(None, str(error), archived=True)
    if isinstance(explanation, Toggles):
        return None  # the page of the factors shows those
    return Result(explanation, seconds=seconds, archived=True)


def computer(request: Request, known: Mapping[Task, Result] = MappingProxyType({})) -> Compute:
    """Return the function that does the tasks of a request.

    Parameters
    ----------
    request
        What is wanted.
    known
        What is there already; residual frames are made from its moving films.
    """
    networks = {(each.name, each.digest): each for each in request.networks}
    films = {
        task: result.explanation
        for task, result in known.items()
        if isinstance(result.explanation, Counterfactual)
    }
    return functools.partial(_compute, request.film.image, networks, films)


def preparer(request: Request) -> Callable[[], None]:
    """Return a function that loads what a request needs; what fails there fails again later."""

    def prepare() -> None:
        for network in request.networks:
            with contextlib.suppress(ExplainerError):
                load(network)

    return prepare


def _compute(
    image: NDArray[np.float32],
    networks: Mapping[tuple[str, str], Network],
    films: dict[Task, Counterfactual],
    task: Task,
    on_progress: OnProgress,
    cancelled: Cancelled,
) -> Explanation:
    """Do one task, alone among all windows; ``films`` receives the moving films made."""
    lock = computing()
    while not lock.acquire(timeout=_WAIT_S):
        if cancelled():
            raise ExplainerError("Stopped.")
    try:
        network = networks[task.network]
        if task.residual:
            return _predict_residual(image, network, films.get(replace(task, residual=False)), task)
        made = _explain(image, network, task, on_progress, cancelled)
        if isinstance(made, Counterfactual):
            films[task] = made
        return made
    finally:
        lock.release()


def _predict_residual(
    image: NDArray[np.float32], network: Network, moving: Counterfactual | None, task: Task
) -> ResidualPredictions:
    """Predict the residual frames; none where the moving film failed, which is said already."""
    from explainers.run import predict_frames

    if moving is None:
        return ResidualPredictions(np.empty(0))
    classifier = load(network)[0]
    small = np.clip(resize(image, classifier.input_size), 0, 1)
    return ResidualPredictions(
        predict_frames(residual_frames(small, moving), task.finding, classifier)
    )


def _explain(
    image: NDArray[np.float32],
    network: Network,
    task: Task,
    on_progress: OnProgress,
    cancelled: Cancelled,
) -> Attribution | Counterfactual:
    import torch

    from explainers.run import predict_image

    classifier, networks = load(network)
    if task.finding not in classifier.findings:
        raise ExplainerError(
            f"{network.title} does not know {task.finding!r}; it predicts "
            f"{', '.join(classifier.findings)}."
        )
    for missing in (role(name) for name in spec(task.method).needs if name not in networks):
        raise ExplainerError(
            f"{spec(task.method).title} needs {missing.title} for {network.title}, and there is "
            f"none for its image size; make one with `{missing.command}`."
        )
    range_ = task.range
    goal = Goal(task.finding)
    if isinstance(range_, Search) or (range_ is not None and range_.to_boundary):
        goal = _goal(task.finding, predict_image(image, classifier)[task.finding][1], range_)
    explainer = create(
        task.method,
        classifier=classifier,
        networks=networks,
        batch_size=1,
        **(range_.parameters() if range_ is not None else {}),
    )
    small = np.clip(resize(image, classifier.input_size), 0, 1)
    images = torch.from_numpy(small[None, None])  # (1, 1, H, W)
    made = explainer.explain(images, [goal], on_progress=on_progress, cancelled=cancelled)[0]
    if isinstance(made, Toggles):
        raise ExplainerError(f"{spec(task.method).title} is shown on the page of the factors.")
    return made


def _goal(finding: str, probability: float, range_: FilmRange | Search) -> Goal:
    """Return where a film with a probability is to go: to the other side."""
    if isinstance(range_, Search):
        return Goal(finding, direction="up" if probability < range_.goal else "down")
    if probability < OPERATING_POINT:
        return Goal(finding, target=JUST_ABOVE, direction="up")
    return Goal(finding, target=JUST_BELOW)


def shows_nothing(film: Counterfactual) -> bool:
    """Say whether a moving film does not move, since there was nothing to do or it failed."""
    return not film.reached and bool((film.frames == film.frames[0]).all())


def explained(request: Request, network: Network, results: Mapping[Task, Result]) -> Explained:
    """Put together what is there for one classifier."""
    maps: dict[str, NDArray[np.float32]] = {}
    seconds: dict[str, float] = {}
    problems: list[str] = []
    known = Explained(network, request.finding, None, maps, None, request.variant, (), seconds)
    for method in (request.variant, *request.methods):
        result = results.get(request.task(network, method))
        if result is None:
            continue
        if result.problem:
            problems.append(result.problem)
        explanation = result.explanation
        if explanation is None:
            continue
        seconds[method] = result.seconds
        if isinstance(explanation, ResidualPredictions):
            continue
        if isinstance(explanation, Attribution):
            maps[method] = explanation.values
            known = replace(known, probability=explanation.probability)
        elif shows_nothing(explanation):
            known = replace(known, probability=explanation.probability_image)
            problems.append(explanation.note or _NOTHING)
        else:
            known = replace(
                known,
                film=explanation,
                probability=explanation.probability_image,
                goals=request.goals(explanation),
            )
            for kind in MAP_KINDS:
                maps[f"{method}-{kind}"] = explanation.to_attribution(kind)
    asked = results.get(request.residual_task(network))
    if asked is not None:
        problems += [asked.problem] if asked.problem else []
        if isinstance(asked.explanation, ResidualPredictions) and known.film is not None:
            values = asked.explanation.probabilities
            known = replace(known, residual=values if len(values) else None)
    return replace(known, problems=tuple(dict.fromkeys(problems)))


def map_title(name: str) -> str:
    """Return a map's name for people: ``"latent_shift-max"`` becomes ``"Shift map, max"``."""
    method, dash, kind = name.rpartition("-")
    if not dash:
        return spec(name).title
    return f"{'Shift map' if is_shift(method) else spec(method).title}, {kind}"
