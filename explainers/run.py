"""Predictions and explanations of many cases, or of one image, by any registered methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.manifest import CaseSet
from data.raster import resize
from explainers import registry
from explainers.archive import ExplanationArchive
from explainers.attribution.batches import check_batch_size
from explainers.base import Cancelled, Explainer, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.counterfactual.wanted import check_targets
from explainers.differentiation import device_of, predict, stop_if
from explainers.networks import digests
from explainers.record import Explanation, Goal, Prediction, Provenance

OPERATING_POINT = 0.5

Pair = tuple[str, str]
"""Case identifier and finding."""

Parameters = Mapping[str, Mapping[str, float]]
"""Method name to the parameters that differ from their defaults."""


@dataclass(frozen=True)
class MethodRun:
    """What one method did in a run.

    Parameters
    ----------
    seconds
        Wall time of the method itself, without reading films and writing records.
    """

    method: str
    n_computed: int
    n_kept: int
    seconds: float


@dataclass(frozen=True)
class RunReport:
    """What a run did, by method."""

    methods: tuple[MethodRun, ...]

    def seconds_per_case(self, names: Iterable[str]) -> float | None:
        """Return the time per case of several methods together, ``None`` if one did nothing."""
        chosen = [each for each in self.methods if each.method in set(names)]
        if not chosen or any(each.n_computed == 0 for each in chosen):
            return None
        return sum(each.seconds / each.n_computed for each in chosen)


def predict_cases(
    cases: CaseSet,
    classifier: Classifier,
    *,
    case_ids: Sequence[str] | None = None,
    batch_size: int = 8,
    on_progress: OnProgress | None = None,
) -> tuple[Prediction, ...]:
    """Predict every finding of every case.

    Parameters
    ----------
    case_ids
        Cases to predict, all by default.
    batch_size
        Images per pass.

    Raises
    ------
    DataError
        If a film cannot be read.
    ExplainerError
        If a prediction is NaN.
    """
    chosen = cases.case_ids if case_ids is None else tuple(case_ids)
    rows: list[Prediction] = []
    for start in range(0, len(chosen), check_batch_size(batch_size)):
        part = chosen[start : start + batch_size]
        logits, probabilities = predict(classifier, _load(cases, part, classifier))
        for case_id, of_case, calibrated in zip(
            part, logits.tolist(), probabilities.tolist(), strict=True
        ):
            for finding, logit, probability in zip(
                classifier.findings, of_case, calibrated, strict=True
            ):
                rows.append(
                    Prediction(case_id, finding, logit, probability, classifier.weights_digest)
                )
        if on_progress is not None:
            on_progress(start + len(part), len(chosen))
    return tuple(rows)


def explain_cases(
    cases: CaseSet,
    pairs: Iterable[Pair],
    methods: Sequence[str],
    archive: ExplanationArchive,
    *,
    classifier: Classifier,
    networks: Mapping[str, Any] = MappingProxyType({}),
    parameters: Parameters | None = None,
    target: float | None = None,
    batch_size: int = 8,
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
    clock: Callable[[], float] = time.perf_counter,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> RunReport:
    """Explain pairs of case and finding by several methods, and archive the results.

    What the archive already holds, made by the same method and parameters with the same weights
    from the same film, is kept; so an interrupted run goes on where it stopped.

    Parameters
    ----------
    cases
        The films.
    pairs
        (case_id, finding); repeated pairs count once.
    methods
        Registered names; all are checked before anything is computed.
    archive
        Where the results go.
    classifier
        What is explained.
    networks
        Role to network, for the methods that take one beside the classifier.
    parameters
        Parameters that differ from the defaults, by method.
    target
        Probability that counterfactual methods search for at the lowest frame, such as 0.45 for
        a flip; ``None`` for a range of their own, where those that go in one direction only take
        a positive prediction down and a negative one up. Maps do not depend on it.
    batch_size
        Cases per pass; an interrupted run loses at most one pass.
    on_progress
        Called with explanations done and wanted, kept ones included.
    cancelled
        Asked between passes.
    clock, now
        Seconds of a monotone clock; the time of day.

    Raises
    ------
    DataError
        If a case is unknown, or a film cannot be read or has changed since the import.
    ExplainerError
        If a method, parameter or finding is unknown, a network is missing, or the disk refuses.
    """
    check_batch_size(batch_size)
    wanted = tuple(dict.fromkeys((str(case_id), str(finding)) for case_id, finding in pairs))
    _check_findings(wanted, classifier)
    if target is not None:
        check_targets([Goal(finding, target=target) for _, finding in wanted])
    explainers = _create(methods, classifier, networks, parameters, batch_size)
    run = _Run(cases, archive, classifier, networks, target, clock, now)
    total, done = len(wanted) * len(explainers), 0
    reports = []
    for name, explainer in explainers.items():
        missing = [pair for pair in wanted if not run.is_kept(pair, explainer)]
        done += len(wanted) - len(missing)
        seconds = 0.0
        if on_progress is not None:
            on_progress(done, total)
        for start in range(0, len(missing), batch_size):
            stop_if(cancelled)
            part = missing[start : start + batch_size]
            seconds += run.explain(part, explainer)
            done += len(part)
            if on_progress is not None:
                on_progress(done, total)
        reports.append(MethodRun(name, len(missing), len(wanted) - len(missing), seconds))
    return RunReport(tuple(reports))


def explain_image(
    image: NDArray[np.float32],
    finding: str,
    methods: Sequence[str],
    *,
    classifier: Classifier,
    networks: Mapping[str, Any] = MappingProxyType({}),
    parameters: Parameters | None = None,
    target: float | None = None,
    cancelled: Cancelled | None = None,
) -> Mapping[str, Explanation]:
    """Explain one finding of one image by several methods; nothing is written.

    Parameters
    ----------
    image
        (H, W), in [0, 1], of any size; it is resampled to that of the classifier.
    target
        As in :func:`explain_cases`.

    Returns
    -------
    mapping
        Method name to explanation, in the order of ``methods``.

    Raises
    ------
    ExplainerError
        If a method, parameter or finding is unknown, a network is missing, or the image holds NaN.
    """
    explainers = _create(methods, classifier, networks, parameters, 1)
    images = _tensor([image], classifier)
    found = {}
    for name, explainer in explainers.items():
        stop_if(cancelled)
        goals = goals_for([finding], target, classifier, images, name)
        found[name] = explainer.explain(images, goals, cancelled=cancelled)[0]
    return found


def predict_image(
    image: NDArray[np.float32], classifier: Classifier
) -> Mapping[str, tuple[float, float]]:
    """Return logit and probability of every finding in one image, (H, W) in [0, 1]."""
    logits, probabilities = predict(classifier, _tensor([image], classifier))
    pairs = zip(logits[0].tolist(), probabilities[0].tolist(), strict=True)
    return dict(zip(classifier.findings, pairs, strict=True))


def goals_for(
    findings: Sequence[str],
    target: float | None,
    classifier: Classifier,
    images: torch.Tensor,
    method: str,
) -> list[Goal]:
    """Return one goal per image of (N, 1, H, W); without a target, films go to the other side.

    Latent Shift goes both ways by itself; other methods are to take a positive prediction down
    and a negative one up. Maps have no direction.

    Raises
    ------
    ExplainerError
        If a prediction is NaN.
    """
    if target is not None or registry.spec(method).kind != "counterfactual":
        return [Goal(finding, target=target) for finding in findings]
    probabilities = predict(classifier, images)[1]
    columns = [classifier.findings.index(finding) for finding in findings]
    return [
        Goal(finding, direction="up" if float(row[column]) < OPERATING_POINT else "down")
        for finding, column, row in zip(findings, columns, probabilities, strict=True)
    ]


def predict_frames(
    frames: NDArray[np.float32], finding: str, classifier: Classifier, *, batch_size: int = 32
) -> NDArray[np.float64]:
    """Return f of every frame, (T,), calibrated, of frames (T, H, W) in [0, 1] of any size.

    Frames at the resolution of the film, such as residual ones, are resampled to that of the
    classifier, as films are.

    Raises
    ------
    ExplainerError
        If the classifier does not know the finding, or a prediction is NaN.
    """
    _check_findings([("the frames", finding)], classifier)
    column = classifier.findings.index(finding)
    starts = range(0, len(frames), check_batch_size(batch_size))
    parts = [
        predict(classifier, _tensor(list(frames[start : start + batch_size]), classifier))[1]
        for start in starts
    ]
    found = torch.cat(parts)[:, column] if parts else torch.empty(0)
    return found.cpu().numpy().astype(np.float64)


@dataclass(frozen=True)
class _Run:
    """What is the same for all methods of a run."""

    cases: CaseSet
    archive: ExplanationArchive
    classifier: Classifier
    networks: Mapping[str, Any]
    target: float | None
    clock: Callable[[], float]
    now: Callable[[], datetime]

    def is_kept(self, pair: Pair, explainer: Explainer) -> bool:
        """Say whether the archive holds the very explanation that would be computed."""
        provenance = self._provenance(pair, explainer, 0.0, "")
        if "" in provenance.weights_digest.values():
            return False  # a network that was never saved cannot be told from another one
        return self.archive.has(*pair, explainer.name, provenance.digest)

    def explain(self, pairs: Sequence[Pair], explainer: Explainer) -> float:
        """Explain and archive one batch; return the seconds that the method took."""
        case_ids = [case_id for case_id, _ in pairs]
        self.cases.verify(dict.fromkeys(case_ids))
        images = _load(self.cases, case_ids, self.classifier)
        start = self.clock()
        findings = [finding for _, finding in pairs]
        goals = goals_for(findings, self.target, self.classifier, images, explainer.name)
        explanations = explainer.explain(images, goals)
        seconds = self.clock() - start
        created = self.now().isoformat(timespec="seconds")
        for pair, explanation in zip(pairs, explanations, strict=True):
            self.archive.save(
                explanation, self._provenance(pair, explainer, seconds / len(pairs), created)
            )
        return seconds

    def _provenance(
        self, pair: Pair, explainer: Explainer, seconds: float, created: str
    ) -> Provenance:
        weights = {"classifier": self.classifier.weights_digest}
        weights |= digests(self.networks, registry.spec(explainer.name).needs)
        parameters = repr(explainer)
        if self.target is not None and registry.spec(explainer.name).kind == "counterfactual":
            parameters += f", target={self.target!r}"
        return Provenance(
            case_id=pair[0],
            finding=pair[1],
            method=explainer.name,
            parameters=parameters,
            seed=getattr(explainer, "seed", None),
            weights_digest=weights,
            image_sha256=self.cases.entry(pair[0]).sha256,
            seconds=seconds,
            created=created,
            version=_version(),
        )


def _version() -> str:
    """Return the version of Counterlight, ``"source"`` where it runs without being installed."""
    try:
        return metadata.version("counterlight")
    except metadata.PackageNotFoundError:
        return "source"


def _create(
    methods: Sequence[str],
    classifier: Classifier,
    networks: Mapping[str, Any],
    parameters: Parameters | None,
    batch_size: int,
) -> dict[str, Explainer]:
    """Make the explainers by name, each once."""
    chosen = parameters or {}
    for name in chosen:
        if name not in methods:
            raise ExplainerError(
                f"Parameters for {registry.spec(name).name!r} were given, which is not among the "
                f"methods {', '.join(methods)}."
            )
    return {
        name: registry.create(
            name,
            classifier=classifier,
            networks=networks,
            batch_size=batch_size,
            **chosen.get(name, {}),
        )
        for name in dict.fromkeys(methods)
    }


def _check_findings(pairs: Iterable[Pair], classifier: Classifier) -> None:
    for case_id, finding in pairs:
        if finding not in classifier.findings:
            raise ExplainerError(
                f"Case {case_id!r} is to be explained for {finding!r}, which the classifier does "
                f"not know; it predicts {', '.join(classifier.findings)}."
            )


def _load(cases: CaseSet, case_ids: Sequence[str], classifier: Classifier) -> torch.Tensor:
    """Read films as the classifier takes them, (N, 1, H, W) in [0, 1]."""
    return _tensor([cases.load(case_id).image for case_id in case_ids], classifier)


def _tensor(images: Sequence[NDArray[np.float32]], classifier: Classifier) -> torch.Tensor:
    """Resample images (H, W) to the classifier's size; (N, 1, h, w), in [0, 1]."""
    small = [np.clip(resize(image, classifier.input_size), 0, 1) for image in images]
    return torch.from_numpy(np.stack(small)[:, None]).to(device_of(classifier))
