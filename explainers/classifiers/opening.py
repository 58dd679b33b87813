"""A classifier by what a person typed."""

from __future__ import annotations

from explainers.classifiers.base import Classifier
from explainers.classifiers.ours import load_classifier


def open_classifier(text: str) -> Classifier:
    """Open a shipped classifier by name, or one of ours from a .safetensors file.

    Raises
    ------
    ExplainerError
        If there is no such network, or the file is unreadable.
    """
    return load_classifier(text)
