"""Images that pairs of generators are trained and judged on, by what a folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.digits import DigitSet, read_digits
from explainers.base import ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.generators.paired import Contrast
from explainers.training.digits import with_margin
from explainers.training.films import Films, open_films
from explainers.training.images import ArrayImages

_VALIDATION_EVERY = 20


def holds_digits(folder: Path) -> bool:
    """Say whether a folder holds digits in the format of MNIST and not a case set."""
    return not (folder / "cases.csv").is_file() and any(folder.glob("t10k-images-idx3-ubyte*"))


def digit_images(
    train: DigitSet, test: DigitSet, contrasts: Sequence[Contrast] = ()
) -> ArrayImages:
    """Digits as an array of 32 × 32; every 20th training digit is kept for validation.

    Parameters
    ----------
    train, test
        The two parts of the collection.
    contrasts
        Where each sets one digit against another, only digits that are named are taken.

    Raises
    ------
    ExplainerError
        If the digits are too large, or none is left.
    """
    wanted = set(range(10))
    if contrasts and all(each.negative is not None for each in contrasts):
        wanted = {each.positive for each in contrasts}
        wanted |= {each.negative for each in contrasts if each.negative is not None}
    parts, splits, labels = [], [], []
    for part, is_test in ((train, False), (test, True)):
        chosen = np.isin(part.labels, sorted(wanted))
        number = np.arange(int(chosen.sum()))
        parts.append(with_margin(part.images[chosen]))
        held_out = np.where(number % _VALIDATION_EVERY == _VALIDATION_EVERY - 1, "val", "train")
        splits.append(np.full(len(number), "test") if is_test else held_out)
        labels.append(part.labels[chosen])
    if not len(parts[0]):
        raise ExplainerError(
            f"The folder holds no training digit of {sorted(wanted)}; give all of MNIST."
        )
    return ArrayImages(np.concatenate(parts), np.concatenate(splits), np.concatenate(labels))


def open_images(
    folder: Path,
    classifier: Classifier,
    contrasts: Sequence[Contrast],
    cache: Path,
    *,
    validation_share: float = 0.1,
    on_progress: OnProgress | None = None,
) -> Films | ArrayImages:
    """Read a case set, or digits, at the size of a classifier.

    Parameters
    ----------
    folder
        Case set, or folder with the four IDX files of MNIST.
    classifier, contrasts
        What is explained, and what is told apart.
    cache
        Folder of the arrays of case sets.
    validation_share, on_progress
        As for :func:`explainers.training.films.open_films`.

    Raises
    ------
    DataError, ExplainerError
        If the folder holds neither, cannot be read, or the classifier is of another size.
    """
    rows, columns = classifier.input_size
    if rows != columns:
        raise ExplainerError(f"The classifier takes {rows} × {columns} pixels; give a square one.")
    if not holds_digits(folder):
        return open_films(
            folder, rows, cache, validation_share=validation_share, on_progress=on_progress
        )
    digits = digit_images(read_digits(folder, "train"), read_digits(folder, "test"), contrasts)
    if digits.size != rows:
        raise ExplainerError(
            f"Digits have {digits.size} pixels, the classifier takes {rows}; give one of digits "
            "(`counterlight train digits`)."
        )
    return digits


def open_judge(text: str) -> Classifier:
    """Open a classifier of films or of digits by its name or file.

    Raises
    ------
    ExplainerError
        As :func:`explainers.classifiers.opening.open_classifier`.
    """
    from explainers.checkpoint import read_kind
    from explainers.classifiers import digits
    from explainers.classifiers.opening import open_classifier

    is_file = text.endswith(".safetensors") and Path(text).is_file()
    if is_file and read_kind(text) == digits.KIND:
        return digits.load_digit_classifier(text)
    return open_classifier(text)
