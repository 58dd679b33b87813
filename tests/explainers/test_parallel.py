"""Several processes give the explanations that one gives."""

from __future__ import annotations

import numpy as np
import pytest

from data.manifest import CaseSet
from explainers.archive import ExplanationArchive
from explainers.base import ExplainerError
from explainers.classifiers.ours import load_classifier
from explainers.generators.autoencoder import load_autoencoder
from explainers.parallel import explain_in_processes
from explainers.run import explain_cases
from tests.support.tiny_networks import CASE_IDS, write_case_set, write_networks

METHODS = ("input_gradients", "latent_shift")


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    root = tmp_path_factory.mktemp("parallel")
    write_case_set(root / "set")
    classifier, autoencoder = write_networks(root)
    return root / "set", str(classifier), str(autoencoder)


def test_two_processes_give_what_one_gives_and_keep_it(material, tmp_path):
    cases, classifier, autoencoder = material
    pairs = [(case_id, "Mass") for case_id in CASE_IDS]
    alone = ExplanationArchive(tmp_path / "one")
    explain_cases(
        CaseSet.open(cases),
        pairs,
        METHODS,
        alone,
        classifier=load_classifier(classifier),
        networks={"autoencoder": load_autoencoder(autoencoder)},
    )
    options = {"classifier": classifier, "networks": {"autoencoder": autoencoder}, "processes": 2}
    seen = []
    report = explain_in_processes(
        cases,
        pairs,
        METHODS,
        tmp_path / "two",
        batch_size=1,
        on_progress=lambda done, total: seen.append((done, total)),
        **options,
    )
    total = len(pairs) * len(METHODS)
    assert [run.n_computed for run in report.methods] == [len(pairs)] * 2
    assert seen[0] == (0, total)
    assert seen[-1] == (total, total)
    together = ExplanationArchive(tmp_path / "two")
    for pair in pairs:
        one, two = (a.load(*pair, "input_gradients") for a in (alone, together))
        np.testing.assert_allclose(one.values, two.values, atol=1e-3 * np.abs(one.values).max())
        one, two = (a.load(*pair, "latent_shift") for a in (alone, together))
        np.testing.assert_allclose(one.frames, two.frames, atol=1e-3)
    again = explain_in_processes(cases, pairs, METHODS, tmp_path / "two", **options)
    assert [run.n_kept for run in again.methods] == [len(pairs)] * 2


def test_an_error_in_a_process_arrives_as_its_own_sentence(material, tmp_path):
    cases, classifier, _ = material
    with pytest.raises(ExplainerError, match="Mess"):
        explain_in_processes(
            cases,
            [(CASE_IDS[0], "Mess")],
            ("input_gradients",),
            tmp_path,
            classifier=classifier,
            networks={},
            processes=1,
        )
