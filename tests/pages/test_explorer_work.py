"""What the explorer computes: by which networks, beside the page, until somebody stops it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.manifest import CaseSet
from data.raster import resize
from explainers.base import ExplainerError
from explainers.record import Attribution, Counterfactual
from pages.exploring.controls import offered
from pages.exploring.explanations import archived, computer, explained, shows_nothing
from pages.exploring.films import CASES_VARIABLE, Film, case_film, case_sets
from pages.exploring.networks import Network, available, load
from pages.exploring.numbers import rows_of
from pages.exploring.request import (
    FilmRange,
    Request,
    ResidualPredictions,
    Search,
    Task,
    film_methods,
    map_methods,
)
from pages.exploring.work import ABANDONED_S, Result, Work
from study.folder import StudyFolder
from tests.support.tiny_networks import SHORT, write_case_set, write_networks, write_others
from tests.support.tiny_study import CASE_IDS, FINDING, TinyStudy

VALUES = np.full((4, 4), 0.5, np.float32)


def some_map() -> Attribution:
    return Attribution(VALUES, FINDING, 0.2, 0.55)


def film(size: int = 40) -> Film:
    image = np.random.default_rng(3).random((size, size), dtype=np.float32)
    return Film("film.png", image, None, None, "d" * 64)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    made = StudyFolder(tmp_path / "study")
    made.classifier.parent.mkdir(parents=True)
    classifier, autoencoder = write_networks(tmp_path)
    classifier.rename(made.classifier)
    autoencoder.rename(made.network("autoencoder"))
    return made


def request_of(folder: StudyFolder, methods: tuple[str, ...] = (), **range_: float) -> Request:
    networks = available(folder)[:1]
    return Request(film(), "Mass", networks, methods, "latent_shift", FilmRange(**range_))


def done(request: Request) -> dict[Task, object]:
    work = Work(request.tasks(), computer(request))
    work.start()
    assert work.wait(60)
    return dict(work.results())


# -- networks -------------------------------------------------------------------------------------


def test_the_studys_own_network_comes_first_and_its_shipped_twin_is_not_listed_again(
    folder: StudyFolder, tmp_path: Path
) -> None:
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "twin.safetensors").write_bytes(folder.classifier.read_bytes())
    (shipped / "notes.safetensors").write_bytes(b"no network")
    (shipped / "coder.safetensors").write_bytes(folder.network("autoencoder").read_bytes())
    (own,) = available(folder, shipped)
    assert own.name == "study" and "twin" in own.title
    assert own.findings == ("Mass", "Lung Opacity") and own.others["autoencoder"] == folder.network(
        "autoencoder"
    )


def test_a_study_without_networks_says_so_only_when_something_is_computed(tmp_path: Path) -> None:
    own = available(StudyFolder(tmp_path))[0]
    assert own.name == "study" and own.findings == ()
    with pytest.raises(ExplainerError, match="keeps no network"):
        load(own)


def test_only_folders_that_the_server_names_are_case_sets(study: TinyStudy, tmp_path: Path) -> None:
    write_case_set(tmp_path / "more")
    named = {CASES_VARIABLE: os.pathsep.join([str(tmp_path / "more"), str(tmp_path / "none")])}
    assert list(case_sets(study.folder, {})) == ["the study's"]
    assert list(case_sets(study.folder, named)) == ["the study's", "more"]


def test_two_case_sets_of_one_folder_name_are_both_offered(
    study: TinyStudy, tmp_path: Path
) -> None:
    for parent in ("north", "south"):
        write_case_set(tmp_path / parent / "films")
    paths = [str(tmp_path / parent / "films") for parent in ("north", "south", "north")]
    found = case_sets(study.folder, {CASES_VARIABLE: os.pathsep.join(paths)})
    assert list(found) == ["the study's", "films", "south/films"]


# -- archive and computation ----------------------------------------------------------------------


def test_an_archived_case_computes_nothing_but_another_range_does(study: TinyStudy) -> None:
    case = case_film(CaseSet.open(study.folder.cases), CASE_IDS[0])
    networks = available(study.folder)[:1]
    usual = Request(case, FINDING, networks, ("guided_backprop",), "latent_shift", FilmRange())
    found = [archived(usual, study.folder, task) for task in usual.tasks()]
    assert all(each is not None and each.archived for each in found)
    other = Request(case, FINDING, networks, (), "latent_shift", FilmRange(fall=0.2))
    assert archived(other, study.folder, other.tasks()[0]) is None


def test_a_case_of_another_set_is_never_taken_for_the_studys(study: TinyStudy) -> None:
    case = case_film(CaseSet.open(study.folder.cases), CASE_IDS[0], in_study=False)
    request = Request(case, FINDING, available(study.folder)[:1], (), "latent_shift", FilmRange())
    assert archived(request, study.folder, request.tasks()[0]) is None


def test_films_and_maps_are_computed_by_the_network_that_was_chosen(folder: StudyFolder) -> None:
    from explainers.classifiers.ours import load_classifier
    from explainers.run import predict_image

    request = request_of(folder, ("input_gradients",), frames_below=2, frames_above=1)
    found = explained(request, request.networks[0], done(request))
    expected = predict_image(request.film.image, load_classifier(folder.classifier))["Mass"][1]
    assert found.probability == pytest.approx(expected, abs=1e-5)
    assert found.film is not None and len(found.film.frames) == 4 and not found.problems
    assert list(found.maps) == [
        "latent_shift-max",
        "latent_shift-mean",
        "latent_shift-minmax",
        "latent_shift-interval",
        "input_gradients",
    ]


def test_what_cannot_be_computed_is_said_and_the_rest_is_there(folder: StudyFolder) -> None:
    own = request_of(folder).networks[0]
    alone = Network(**{**vars(own), "others": {}})
    request = Request(film(), "Mass", (alone,), ("input_gradients",), "latent_shift", FilmRange())
    found = explained(request, alone, done(request))
    assert found.film is None and "input_gradients" in found.maps
    assert any("needs an autoencoder" in said for said in found.problems)
    unknown = Request(film(), "Fracture", (own,), (), "latent_shift", FilmRange())
    assert "does not know 'Fracture'" in explained(unknown, own, done(unknown)).problems[0]


def test_a_search_to_the_boundary_looks_on_the_other_side_of_it(folder: StudyFolder) -> None:
    request = request_of(folder, to_boundary=True)
    found = explained(request, request.networks[0], done(request))
    assert isinstance(found.film, Counterfactual)
    wanted = request.range.wanted(found.film.probability_reconstruction, found.probability or 0)
    assert (0.49 in wanted) == (found.film.probability_image >= 0.5)
    assert (0.51 in wanted) == (found.film.probability_image < 0.5)


# -- methods with networks of their own -----------------------------------------------------------


def searching(folder: StudyFolder, method: str, **values: float) -> Request:
    (own, *_) = available(folder)
    search = Search.of(method, {**SHORT.get(method, {}), **values})
    return Request(film(), "Mass", (own,), (), method, FilmRange(), search)


def test_only_methods_whose_networks_are_there_are_offered(
    folder: StudyFolder, tmp_path: Path
) -> None:
    (before, *_) = available(folder, tmp_path / "none")
    assert set(offered(film_methods(), before, {})) == {
        "latent_shift",
        "latent_shift_path",
        "latent_shift_optimised",
    }
    assert "path_gradients" not in offered(map_methods(), before, {})
    assert "syce" in offered(film_methods(), before, {"syce": frozenset({("c1", "Mass")})})
    write_others(folder.classifier.parent)
    (after, *_) = available(folder, tmp_path / "none")
    assert set(offered(film_methods(), after, {})) == set(film_methods())
    assert "path_gradients" in offered(map_methods(), after, {})
    names = {role: path.stem for role, path in after.others.items()}
    assert names == {name: name for name in names}  # the pair of SyCE is not taken for CyCE's


def test_networks_trained_with_the_very_classifier_come_first(
    folder: StudyFolder, tmp_path: Path
) -> None:
    (own, *_) = available(folder, tmp_path / "none")
    (tmp_path / "other").mkdir()
    (tmp_path / "right").mkdir()
    other = write_others(tmp_path / "other", "of another classifier")["syce"]
    right = write_others(tmp_path / "right", own.digest)["syce"]
    kept = folder.classifier.parent
    other.rename(kept / "a.safetensors")
    right.rename(kept / "b.safetensors")
    assert available(folder, tmp_path / "none")[0].others["syce"].stem == "b"


@pytest.mark.parametrize("method", ["visual_rationale", "syce"])
def test_other_moving_films_are_computed_with_what_was_chosen(
    folder: StudyFolder, method: str
) -> None:
    write_others(folder.classifier.parent)
    request = searching(folder, method)
    found = explained(request, request.networks[0], done(request))
    result = found.film
    if result is None:  # nothing to do: said, and nothing drawn
        assert found.problems and not found.maps
        return
    assert result.measures and found.goals == (0.5,) and f"{method}-max" in found.maps
    assert found.residual is not None and len(found.residual) == len(result.frames)


def test_a_search_with_other_parameters_is_another_task_and_is_not_in_the_archive(
    folder: StudyFolder,
) -> None:
    usual, other = (searching(folder, "visual_rationale", rho=rho) for rho in (0.0, 0.3))
    assert usual.tasks()[0] != other.tasks()[0]
    assert (usual.search.goal, other.search.goal) == (0.5, 0.3)
    assert Search.of("visual_rationale", {"gamma": 600.0, "cap": 500}) == Search()


def test_a_film_that_does_not_move_is_not_drawn_but_said(folder: StudyFolder) -> None:
    request = searching(folder, "visual_rationale")
    still = Counterfactual(
        np.full((3, 4, 4), 0.5, np.float32),
        np.array([-2.0, -1, 0]),
        2,
        np.full(3, 0.2),
        "Mass",
        reached_low=False,
        reached_high=True,
        probability_image=0.3,
        note="The target equals the prediction of the reconstruction: nothing was changed.",
    )
    assert shows_nothing(still)
    task = request.task(request.networks[0], "visual_rationale")
    found = explained(request, request.networks[0], {task: Result(still)})
    assert found.film is None and not found.maps and found.probability == 0.3
    assert found.problems == (still.note,)


# -- the thread -----------------------------------------------------------------------------------


def tasks(n: int) -> list[Task]:
    return [Task("f", FINDING, (f"n{k}", ""), "input_gradients", None) for k in range(n)]


def waiting(started: threading.Event) -> Callable[..., Attribution]:
    def compute(task: Task, on_progress: object, cancelled: Callable[[], bool]) -> Attribution:
        if task.network[0] == "n0":
            return some_map()
        started.set()
        while not cancelled():
            pass
        raise ExplainerError("Stopped.")

    return compute


def test_stopping_ends_the_thread_keeps_what_is_finished_and_drops_the_rest() -> None:
    started = threading.Event()
    work = Work(tasks(3), waiting(started))
    work.start()
    assert started.wait(10) and work.has_news
    assert [task.network[0] for task in work.results()] == ["n0"]
    assert not work.has_news and work.running
    work.stop()
    assert work.wait(10) and len(work.results()) == 1


def test_a_computation_nobody_asks_about_ends_by_itself() -> None:
    now = [0.0]
    started = threading.Event()
    work = Work(tasks(2), waiting(started), clock=lambda: now[0])
    work.start()
    assert started.wait(10)
    now[0] = ABANDONED_S - 1
    work.state()
    now[0] = 2 * ABANDONED_S - 2
    assert not work.cancelled()
    now[0] = 2 * ABANDONED_S
    assert work.wait(10)


def test_progress_grows_and_names_what_is_done() -> None:
    seen: list[tuple[float, str]] = []
    go = threading.Event()

    def compute(task: Task, on_progress: Callable[[int, int], None], _: object) -> Attribution:
        go.wait(10)
        on_progress(1, 2)
        seen.append(work.state())
        return some_map()

    work = Work(tasks(2), compute)
    work.start()
    go.set()
    assert work.wait(10)
    assert [share for share, _ in seen] == [0.25, 0.75]
    assert "Input gradients of n1 (2 of 2)" in seen[1][1]


@pytest.mark.parametrize("error", [ExplainerError("It is NaN."), RuntimeError("no kernel\nat")])
def test_a_failure_is_a_sentence_and_the_next_task_goes_on(error: Exception) -> None:
    def compute(task: Task, *_: object) -> Attribution:
        if task.network[0] == "n0":
            raise error
        return some_map()

    work = Work(tasks(2), compute)
    work.start()
    assert work.wait(10)
    first, second = work.results().values()
    assert first.explanation is None and str(error).splitlines()[0] in first.problem
    assert "\n" not in first.problem and second.explanation is not None


# -- residual frames ------------------------------------------------------------------------------


def test_residual_frames_are_predicted_as_they_are_shown(folder: StudyFolder) -> None:
    from explainers.classifiers.ours import load_classifier
    from explainers.residual import residual_frames
    from explainers.run import predict_image

    request = request_of(folder, frames_below=2, frames_above=1)
    found = explained(request, request.networks[0], done(request))
    assert found.film is not None and found.residual is not None
    classifier = load_classifier(folder.classifier)
    small = np.clip(resize(request.film.image, classifier.input_size), 0, 1)
    frames = residual_frames(small, found.film)
    expected = [predict_image(frame, classifier)["Mass"][1] for frame in frames]
    assert found.residual == pytest.approx(expected, abs=1e-5)
    assert found.residual[found.film.origin] == pytest.approx(found.probability, abs=1e-5)
    rows = rows_of(request.film, found, None)
    written = [row.value for row in rows if row.quantity == "probability_residual_frame"]
    assert written == found.residual.tolist()


def test_residual_frames_of_a_film_that_is_kept_are_predicted_alone(folder: StudyFolder) -> None:
    request = request_of(folder, frames_below=2, frames_above=1)
    (network,) = request.networks
    first = done(request)
    task = request.residual_task(network)
    known = {request.task(network, "latent_shift"): first[request.task(network, "latent_shift")]}
    work = Work((task,), computer(request, known))
    work.start()
    assert work.wait(60)
    again = work.results()[task].explanation
    assert isinstance(again, ResidualPredictions) and len(again.probabilities) == 4
    without = Work((task,), computer(request))
    without.start()
    assert without.wait(60)
    nothing = without.results()[task].explanation
    assert isinstance(nothing, ResidualPredictions) and len(nothing.probabilities) == 0


def test_a_study_without_networks_is_not_asked_for_residual_frames(tmp_path: Path) -> None:
    networks = available(StudyFolder(tmp_path))[:1]
    request = Request(film(), "Mass", networks, (), "latent_shift", FilmRange())
    assert not any(task.residual for task in request.tasks())
