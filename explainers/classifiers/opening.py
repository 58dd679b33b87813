"""A classifier by what a person typed."""

from __future__ import annotations

from explainers.classifiers.base import Classifier
from explainers.classifiers.ours import load_classifier

LATENT = "latent:"
TORCHXRAYVISION = "torchxrayvision:"


def open_classifier(text: str) -> Classifier:
    """Open a classifier.

    Parameters
    ----------
    text
        The name of a shipped one, a ``.safetensors`` file of ours, ``module:factory`` for one's
        own (see :mod:`explainers.classifiers.usermodule`), or
        ``torchxrayvision:<name>@<weights file>``.

    Raises
    ------
    ExplainerError
        If there is no such network, or it cannot be read or explained.
    """
    if text.startswith(TORCHXRAYVISION):
        from explainers.classifiers.torchxrayvision import open_torchxrayvision

        return open_torchxrayvision(text.removeprefix(TORCHXRAYVISION))
    if text.startswith(LATENT):
        from explainers.classifiers.latent import open_latent_classifier

        return open_latent_classifier(text.removeprefix(LATENT))
    if ":" in text and not text.endswith(".safetensors"):
        from explainers.classifiers.usermodule import open_user_classifier

        return open_user_classifier(text)
    return load_classifier(text)
