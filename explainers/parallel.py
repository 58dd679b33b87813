"""The same explanations on several processor cores: one process each, one thread per process.

Small networks gain little from more threads in one process; separate processes share nothing but
the archive, whose records are written whole or not at all.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch

from data.manifest import CaseSet
from explainers import registry
from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.classifiers.opening import open_classifier
from explainers.networks import Networks
from explainers.run import MethodRun, Pair, RunReport, explain_cases


def explain_in_processes(
    cases_dir: Path,
    pairs: Iterable[Pair],
    methods: Sequence[str],
    archive_dir: Path,
    *,
    classifier: str,
    networks: Mapping[str, str],
    processes: int,
    target: float | None = None,
    batch_size: int = 8,
    on_progress: OnProgress | None = None,
) -> RunReport:
    """Explain as :func:`explainers.run.explain_cases` does, on several cores.

    Parameters
    ----------
    cases_dir, archive_dir
        Folders of the case set and of the archive.
    pairs
        (case_id, finding).
    methods
        Registered names.
    classifier, networks
        What :func:`explainers.classifiers.opening.open_classifier` takes, and role to what
        :func:`explainers.networks.open_network` takes; each process opens its own, and only those
        that a method needs.
    processes
        Worker processes, at least 1.
    target
        As in :func:`explainers.run.explain_cases`.
    batch_size
        Pairs per task.
    on_progress
        Called with explanations done and wanted.

    Returns
    -------
    RunReport
        Its seconds add up what the processes spent side by side.

    Raises
    ------
    DataError, ExplainerError
        As ``explain_cases``; also if a process was ended from outside.
    """
    wanted = tuple(dict.fromkeys(pairs))
    for name in methods:
        registry.spec(name)
    texts = tuple(sorted(networks.items()))
    arguments = (cases_dir, tuple(methods), archive_dir, classifier, texts, target)
    total, done, reports = len(wanted) * len(methods), 0, []
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context)
    try:
        tasks: dict[Future[RunReport], int] = {}
        for start in range(0, len(wanted), batch_size):
            part = wanted[start : start + batch_size]
            tasks[pool.submit(_explain, part, *arguments)] = len(part) * len(methods)
        if on_progress is not None:
            on_progress(0, total)
        for task in as_completed(tasks):
            reports.append(task.result())
            done += tasks[task]
            if on_progress is not None:
                on_progress(done, total)
    except BrokenProcessPool as error:
        raise ExplainerError(
            "A process that computed explanations was ended from outside, perhaps for lack of "
            "memory. Run the same command again, if need be with fewer processes."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return _merged(methods, reports)


def _explain(
    pairs: tuple[Pair, ...],
    cases_dir: Path,
    methods: tuple[str, ...],
    archive_dir: Path,
    classifier: str,
    networks: tuple[tuple[str, str], ...],
    target: float | None,
) -> RunReport:
    """Do one task in a worker process."""
    torch.set_num_threads(1)
    return explain_cases(
        _cases(cases_dir),
        pairs,
        methods,
        ExplanationArchive(archive_dir),
        classifier=_classifier(classifier),
        networks=_networks(networks),
        target=target,
        batch_size=len(pairs),
    )


@functools.cache
def _cases(folder: Path) -> CaseSet:
    return CaseSet.open(folder)


@functools.cache
def _classifier(text: str) -> Classifier:
    return open_classifier(text)


@functools.cache
def _networks(texts: tuple[tuple[str, str], ...]) -> Networks:
    return Networks(dict(texts))


def _merged(methods: Sequence[str], reports: Iterable[RunReport]) -> RunReport:
    """Add up the reports of all tasks, by method."""
    runs = [run for report in reports for run in report.methods]
    return RunReport(
        tuple(
            MethodRun(
                name,
                sum(run.n_computed for run in runs if run.method == name),
                sum(run.n_kept for run in runs if run.method == name),
                sum(run.seconds for run in runs if run.method == name),
            )
            for name in dict.fromkeys(methods)
        )
    )
