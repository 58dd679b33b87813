"""Which images stand on which side of a contrast, as the classifier says (not the label)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.scratch import replacing
from explainers.base import ExplainerError
from explainers.classifiers.base import Classifier
from explainers.generators.paired import Contrast
from explainers.training.images import ImageSource
from explainers.training.loop import batches

_REACH = 60.0  # logits between which an operating point is looked for
_HALVINGS = 60
_BATCH = 64


class Judge:
    """A classifier as a paired generator sees it: one margin per contrast, 0 where it wavers.

    Parameters
    ----------
    classifier
        Of findings (any number present) or of classes (one at a time, by a softmax).
    contrasts
        What is told apart.

    Raises
    ------
    ExplainerError
        If a contrast names a class that the classifier does not have, or the other side of a
        finding is another finding.
    """

    def __init__(self, classifier: Classifier, contrasts: Sequence[Contrast]) -> None:
        n_classes = len(classifier.findings)
        self.classifier, self.contrasts = classifier, tuple(contrasts)
        self.exclusive = is_exclusive(classifier)
        for each in self.contrasts:
            classes = [each.positive] if each.negative is None else [each.positive, each.negative]
            if not all(0 <= number < n_classes for number in classes):
                raise ExplainerError(
                    f"The contrast {each.name!r} names the classes {classes}; the classifier has "
                    f"{n_classes}, counted from 0."
                )
            if each.negative is not None and not self.exclusive:
                raise ExplainerError(
                    f"The contrast {each.name!r} sets one finding against another, but this "
                    "classifier's findings do not exclude each other; contrast each with its "
                    "absence."
                )
        self._points = torch.zeros(n_classes) if self.exclusive else operating_points(classifier)

    def margins(self, images: Tensor, contrasts: Tensor) -> Tensor:
        """Margin of side 1 in the contrast of each image, (N,); ≥ 0 is side 1."""
        table = self.all_margins(self.classifier.logits(images).float())
        return table.gather(1, contrasts[:, None])[:, 0]

    def all_margins(self, logits: Tensor) -> Tensor:
        """Margins (N, K) of logits (N, F); NaN where the image belongs to neither class."""
        return torch.stack([self._margin(logits, each) for each in self.contrasts], dim=1)

    def _margin(self, logits: Tensor, contrast: Contrast) -> Tensor:
        own = logits[:, contrast.positive]
        if not self.exclusive:
            return own - self._points[contrast.positive]
        if contrast.negative is not None:
            return own - logits[:, contrast.negative]
        others = [number for number in range(logits.shape[1]) if number != contrast.positive]
        return own - logits[:, others].logsumexp(dim=1)


ALL, EACH = "all", "each-against-each"
"""Words for every class against its absence, and for every class against every other one."""


def named_contrasts(text: str, classifier: Classifier) -> tuple[Contrast, ...]:
    """Return the contrasts that a person typed.

    Parameters
    ----------
    text
        Names of findings or classes separated by commas, each against its absence or all others;
        ``3-8`` for class 3 (side 0) against class 8 (side 1), called ``"3 → 8"``; :data:`ALL` or
        :data:`EACH`.
    classifier
        What is explained.

    Raises
    ------
    ExplainerError
        If a name is unknown or named twice, or findings that do not exclude each other are set
        against each other.
    """
    known = classifier.findings
    if text == ALL:
        return tuple(Contrast(name, number) for number, name in enumerate(known))
    words = [word.strip() for word in text.split(",")]
    if text == EACH:
        words = [f"{a}-{b}" for n, a in enumerate(known) for b in known[n + 1 :]]
    found = tuple(_named_contrast(word, known) for word in words)
    if len(set(found)) < len(found):
        raise ExplainerError(f"A contrast stands twice in {text!r}; name each once.")
    Judge(classifier, found)
    return found


def _named_contrast(word: str, known: tuple[str, ...]) -> Contrast:
    if word in known:
        return Contrast(word, known.index(word))
    for place in (n for n, letter in enumerate(word) if letter == "-"):
        here, there = word[:place].strip(), word[place + 1 :].strip()
        if here in known and there in known and here != there:
            return Contrast(f"{here} → {there}", known.index(there), known.index(here))
    raise ExplainerError(
        f"There is no class {word!r}; the classifier predicts {', '.join(known)}. Name some of "
        f"them, separated by commas, two as in 3-8, {ALL!r} or {EACH!r}."
    )


def is_exclusive(classifier: Classifier) -> bool:
    """Say whether exactly one class holds: a softmax does not see what all logits share."""
    logits = torch.linspace(-1, 1, len(classifier.findings))[None]
    with torch.no_grad():
        here, moved = classifier.probabilities(logits), classifier.probabilities(logits + 1)
    return len(classifier.findings) > 1 and bool(torch.allclose(here, moved, atol=1e-5))


def operating_points(classifier: Classifier) -> Tensor:
    """Logits (F,) at which the calibrated probabilities are 0.5, by halving an interval."""
    low = torch.full((1, len(classifier.findings)), -_REACH)
    high = torch.full_like(low, _REACH)
    with torch.no_grad():
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            above = classifier.probabilities(middle) >= 0.5
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return ((low + high) / 2)[0]


def check_oracle(
    classifier: Classifier, oracle: Classifier | None, contrasts: Sequence[Contrast]
) -> Judge | None:
    """Return an independent classifier as a judge of the same contrasts; ``None`` without one.

    Raises
    ------
    ExplainerError
        If it is the classifier itself, or does not fit; see :func:`contrasts_for`.
    """
    if oracle is None:
        return None
    if oracle.weights_digest and oracle.weights_digest == classifier.weights_digest:
        raise ExplainerError(
            "The independent classifier is the one that is explained; give another one."
        )
    return Judge(oracle, contrasts_for(oracle, Judge(classifier, contrasts)))


def on_side(judge: Judge, logits: Tensor, number: int, side: int) -> NDArray[np.bool_]:
    """Which of logits (N, F) stand on a side of a contrast, (N,)."""
    contrast = judge.contrasts[number]
    margins = judge.all_margins(logits)[:, number].numpy()
    chosen = (margins >= 0) == bool(side)
    if contrast.negative is not None:
        named = logits.argmax(dim=1).numpy()
        chosen &= (named == contrast.positive) | (named == contrast.negative)
    return np.asarray(chosen, bool)


def contrasts_for(oracle: Classifier, judge: Judge) -> tuple[Contrast, ...]:
    """Contrasts of a judge in the numbering of another classifier.

    Raises
    ------
    ExplainerError
        If it takes images of another size or does not know a finding.
    """
    known = judge.classifier.findings
    wanted = {each.positive for each in judge.contrasts}
    wanted |= {each.negative for each in judge.contrasts if each.negative is not None}
    missing = sorted(known[number] for number in wanted if known[number] not in oracle.findings)
    if missing or tuple(oracle.input_size) != tuple(judge.classifier.input_size):
        raise ExplainerError(
            f"The independent classifier knows {', '.join(oracle.findings)} at "
            f"{oracle.input_size[0]} px; the generators turn {', '.join(missing) or 'findings'} at "
            f"{judge.classifier.input_size[0]} px. Give one of the same findings and size."
        )
    return tuple(
        Contrast(
            each.name,
            oracle.findings.index(known[each.positive]),
            None if each.negative is None else oracle.findings.index(known[each.negative]),
        )
        for each in judge.contrasts
    )


@dataclass(frozen=True, eq=False)
class Pools:
    """Rows of the images of both sides of every contrast.

    Parameters
    ----------
    sides
        Per contrast the rows of side 0 and of side 1.
    """

    sides: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]

    def draw(self, contrasts: Tensor, side: int, dice: torch.Generator) -> NDArray[np.int64]:
        """Return one row of a side for each contrast, (N,)."""
        rows = []
        for number in contrasts.tolist():
            pool = self.sides[number][side]
            rows.append(pool[int(torch.randint(len(pool), (), generator=dice))])
        return np.array(rows, np.int64)


def pools_of(
    judge: Judge, images: ImageSource, rows: NDArray[np.int64], kept: Path | None = None
) -> Pools:
    """Sort images by what the classifier says of them.

    Parameters
    ----------
    judge
        The classifier with its contrasts.
    images, rows
        Which images.
    kept
        Folder where the logits are kept, so that a resumed training starts at once.

    Raises
    ------
    ExplainerError
        If a side of a contrast stays empty.
    """
    logits = logits_of(judge.classifier, images, rows, kept)
    margins = judge.all_margins(logits).numpy()
    named = logits.argmax(dim=1).numpy()
    sides = []
    for number, contrast in enumerate(judge.contrasts):
        chosen = np.ones(len(rows), bool)
        if contrast.negative is not None:
            chosen = (named == contrast.positive) | (named == contrast.negative)
        on = margins[:, number] >= 0
        pair = (rows[chosen & ~on], rows[chosen & on])
        if not len(pair[0]) or not len(pair[1]):
            raise ExplainerError(
                f"The classifier says the same of all {int(chosen.sum())} images that the contrast "
                f"{contrast.name!r} is about: {len(pair[0])} on side 0, {len(pair[1])} on side 1. "
                "Images of both are needed; use other images or another classifier."
            )
        sides.append(pair)
    return Pools(tuple(sides))


def logits_of(
    classifier: Classifier,
    images: ImageSource,
    rows: NDArray[np.int64],
    kept: Path | None = None,
) -> Tensor:
    """Logits (N, F) of images, float32; (0, F) of none.

    Parameters
    ----------
    classifier, images, rows
        Whose, and of which images.
    kept
        Folder where they are kept; ``None`` keeps nothing.
    """
    key = hashlib.sha256(rows.tobytes())
    key.update(f"{images.digest}:{classifier.weights_digest}:{images.size}".encode())
    path = None if kept is None else kept / f"logits-{key.hexdigest()[:24]}.npy"
    if path is not None and path.is_file():
        return torch.from_numpy(np.load(path))
    with torch.no_grad():
        parts = [
            classifier.logits(images.image_batch(part)).float() for part in batches(rows, _BATCH)
        ]
    found = torch.cat([torch.zeros(0, len(classifier.findings)), *parts])
    if path is not None and classifier.weights_digest:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as fresh, fresh.open("wb") as file:
            np.save(file, found.numpy())
    return found
