"""How well methods carry images to the other side of a prediction: the measurements.

Charachon et al. 2021, §4. Images are sorted by the classifier's prediction. Of every method the
classifier, and an independent one, judge the adversarial and the stable images; a VAE with a class
head embeds them (:mod:`.translation_measures` compares the embeddings). What was measured lies in
pieces, one per method, contrast and direction, so that an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import stop_if
from explainers.evaluation.translation_parts import (
    SHOWN,
    Numbers,
    Part,
    localisation,
    placed,
    read_part,
    write_part,
)
from explainers.evaluation.translators import Method, Translated
from explainers.generators.paired import Contrast
from explainers.generators.vae import VAE
from explainers.training.contrasts import Judge, check_oracle, on_side
from explainers.training.films import Films, Split
from explainers.training.images import ImageSource
from explainers.training.loop import batches

REAL, OTHER_REAL = "Real images", "Other real images"
LEAST = 8
"""Images that a side needs: fewer have no density."""

AT_PERCENTILES = (85.0, 90.0, 95.0, 97.0, 98.0, 99.0)
"""Of the maps: those of the paper's two tasks, pneumonia and tumours."""

AREA_QUANTILES = (0.75, 0.5, 0.25)
"""Of the annotated area; the percentiles that leave as large an area are a task's own."""

_BATCH = 16
_VERSION = "translation/2"

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Subject:
    """What methods are judged on.

    Parameters
    ----------
    images
        A case set, or an array.
    classifier, contrasts
        What is explained.
    vae
        Embeds images of the same size.
    oracle
        Independent classifier, or ``None``.
    split, limit
        Which images, and at most how many per contrast and side; as many more, where there are
        some, are the other real images that a perfect translation is measured by. Every other
        patient goes to those: a collection is seldom in random order.

    Attributes
    ----------
    sides, spares
        Rows of side 0 and side 1 of every contrast, and of the other real images.
    areas
        Annotated areas on side 1 of every contrast, as shares of the image; none without masks.
    percentiles
        Those of the maps: the paper's, and the task's own (of all areas, to half a percent).

    Raises
    ------
    ExplainerError
        If sizes differ, a side has too few images, or the oracle does not fit.
    """

    images: ImageSource
    classifier: Classifier
    contrasts: tuple[Contrast, ...]
    vae: VAE
    oracle: Classifier | None = None
    split: Split = "test"
    limit: int = 200
    judge: Judge = field(init=False)
    other: Judge | None = field(init=False)
    sides: tuple[tuple[Rows, Rows], ...] = field(init=False)
    spares: tuple[tuple[Rows, Rows], ...] = field(init=False)
    areas: tuple[Numbers, ...] = field(init=False)
    percentiles: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        size = (self.images.size, self.images.size)
        for what, network in (("classifier", self.classifier), ("VAE", self.vae)):
            if tuple(network.input_size) != size:
                raise ExplainerError(
                    f"The {what} takes images of {network.input_size[0]} pixels, the images have "
                    f"{self.images.size}; give networks of one size."
                )
        object.__setattr__(self, "judge", Judge(self.classifier, self.contrasts))
        object.__setattr__(
            self, "other", check_oracle(self.classifier, self.oracle, self.contrasts)
        )
        halves = [[self._halved(rows) for rows in both] for both in self._sorted()]
        object.__setattr__(self, "sides", tuple((off[0], on[0]) for off, on in halves))
        object.__setattr__(self, "spares", tuple((off[1], on[1]) for off, on in halves))
        object.__setattr__(self, "areas", tuple(map(self._areas, range(len(self.contrasts)))))
        object.__setattr__(self, "percentiles", self._percentiles())

    def _sorted(self) -> tuple[tuple[Rows, Rows], ...]:
        rows = self.images.rows(self.split)
        if not len(rows):
            raise ExplainerError(f"There is no image in the {self.split} split; give another one.")
        with torch.no_grad():
            logits = torch.cat(
                [
                    self.classifier.logits(self.images.image_batch(part)).float()
                    for part in batches(rows, 64)
                ]
            )
        found = []
        for number, contrast in enumerate(self.contrasts):
            off, on = (rows[on_side(self.judge, logits, number, side)] for side in (0, 1))
            if min(len(off), len(on)) < LEAST:
                raise ExplainerError(
                    f"The classifier puts {len(off)} images of the {self.split} split on side 0 of "
                    f"{contrast.name!r} and {len(on)} on side 1; the table needs {LEAST} each. "
                    "Use more images, another classifier, or leave it out with --findings."
                )
            found.append((off, on))
        return tuple(found)

    def _halved(self, rows: Rows) -> tuple[Rows, Rows]:
        """Rows of every other patient, filled up by the rest to the limit; and of what is left."""
        codes = np.unique(self.patients(rows), return_inverse=True)[1]
        ordered = np.concatenate([rows[codes % 2 == 0], rows[codes % 2 == 1]])
        taken = ordered[: self.limit]
        left = np.setdiff1d(rows[codes % 2 == 1], taken)
        return np.sort(taken), left[: self.limit]

    def _areas(self, number: int) -> Numbers:
        masks = self.masks(number, self.sides[number][1])
        shares = np.zeros(0) if masks is None else masks.mean(axis=(1, 2))
        return shares[shares > 0]

    def _percentiles(self) -> tuple[float, ...]:
        areas = np.concatenate(self.areas)
        own = 100 * (1 - np.quantile(areas, AREA_QUANTILES)) if len(areas) else np.zeros(0)
        return tuple(sorted({*AT_PERCENTILES, *(np.round(2 * own) / 2).tolist()}))

    @property
    def localisation(self) -> tuple[str, ...]:
        """Names of what maps are compared with masks by."""
        return localisation(self.percentiles)

    def masks(self, number: int, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Masks (N, S, S) of a contrast, empty where unknown; ``None`` where the task has none."""
        if not isinstance(self.images, Films):
            return None
        finding = self.classifier.findings[self.contrasts[number].positive]
        if finding not in self.images.findings:
            return None
        place = self.images.findings.index(finding)
        return self.images.mask_batch(rows)[:, place].numpy() > 0

    def patients(self, rows: NDArray[np.int64]) -> list[str]:
        """Patient of every image; of an array, each image is its own."""
        if isinstance(self.images, Films):
            return [str(each) for each in self.images.patient_ids[rows]]
        return [str(row) for row in rows]

    def rows_of(self, method: Method | str, number: int, side: int) -> Rows:
        """Rows of a method, or of the real images; as many of the first as it takes."""
        if method == OTHER_REAL:
            return self.spares[number][side]
        return self.sides[number][side][: method.limit if isinstance(method, Method) else None]

    def key(self, method: Method | str, number: int, side: int) -> str:
        """Digest of all that decides a part."""
        content = {
            "version": _VERSION,
            "images": self.images.digest,
            "rows": self.rows_of(method, number, side).tolist(),
            "classifier": self.classifier.weights_digest or repr(self.classifier),
            "oracle": getattr(self.oracle, "weights_digest", None),
            "vae": self.vae.weights_digest,
            "contrast": asdict(self.contrasts[number]),
            "side": side,
            "percentiles": self.percentiles,
            "method": method.identity if isinstance(method, Method) else method,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def direction_of(subject: Subject, number: int, side: int) -> str:
    """A direction in words."""
    contrast = subject.contrasts[number]
    if contrast.negative is None:
        return "present → absent" if side else "absent → present"
    names = subject.classifier.findings
    ends = (names[contrast.negative], names[contrast.positive])
    return f"{ends[side]} → {ends[1 - side]}"


Parts = Mapping[tuple[str, int, int], Part]
"""Parts by method, number of the contrast, and side."""


def measure_translation(
    subject: Subject,
    methods: Sequence[Method],
    folder: Path,
    *,
    clock: Callable[[], float],
    on_progress: OnProgress | None = None,
    cancelled: Cancelled | None = None,
) -> Parts:
    """Measure all methods, or go on where a run was interrupted.

    Parameters
    ----------
    subject, methods
        On what, and what.
    folder
        Of the parts.
    clock
        Seconds, monotonic.
    on_progress, cancelled
        Called with images done and images; asked between batches.

    Raises
    ------
    ExplainerError
        If two methods have one label or one network, a network has no contrast of that name, or
        the disk refuses.
    """
    labels = [REAL, OTHER_REAL, *(each.label for each in methods)]
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if doubled:
        raise ExplainerError(
            f"Two methods are called {doubled[0]!r}; give each a name, as in --pair 'SyCE without "
            "cycle=FILE'."
        )
    same = {each.identity: each.label for each in methods}
    for each in methods:
        if same[each.identity] != each.label:
            raise ExplainerError(
                f"{each.label} and {same[each.identity]} are the same network; give two files."
            )
    found: dict[tuple[str, int, int], Part] = {}
    judged: list[Method | str] = [REAL, OTHER_REAL, *methods]
    jobs = [
        (method, number, side)
        for method in judged
        for number in range(len(subject.contrasts))
        for side in (0, 1)
        if len(subject.rows_of(method, number, side)) >= LEAST
    ]
    sizes = [len(subject.rows_of(*job)) for job in jobs]
    done = 0
    for (method, number, side), size in zip(jobs, sizes, strict=True):
        path = folder / f"{subject.key(method, number, side)}.npz"
        part = read_part(path)
        if part is None:
            part = _measured(subject, method, number, side, clock, cancelled)
            if part is not None:
                write_part(path, part)
        if part is not None:
            found[method.label if isinstance(method, Method) else method, number, side] = part
        done += size
        if on_progress is not None:
            on_progress(done, sum(sizes))
    return found


def _measured(
    subject: Subject,
    method: Method | str,
    number: int,
    side: int,
    clock: Callable[[], float],
    cancelled: Cancelled | None,
) -> Part | None:
    """Measure one part; ``None`` where the method says nothing of it."""
    columns: list[dict[str, Numbers]] = []
    shown: list[NDArray[np.float16]] = []
    seconds = 0.0
    rows = subject.rows_of(method, number, side)
    for chosen in batches(rows, _BATCH):
        stop_if(cancelled)
        x = subject.images.image_batch(chosen)
        made: Translated | None = Translated(x, x, None)
        if isinstance(method, Method):
            started = clock()
            made = method.translate(x, subject.contrasts[number], side)
            seconds += clock() - started
        if made is None:
            return None
        masks = subject.masks(number, chosen) if side else None
        judged = _judged(subject, x, made, number, side)
        columns.append(judged | placed(made.maps, masks, len(x), subject.percentiles))
        if not shown:
            real = masks is not None and not isinstance(method, Method)
            shown.append(_pictures(made, masks if real else made.maps, x.shape))
    joined = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    return Part(rows=rows, seconds=np.array([seconds]), pictures=shown[0], **joined)


@torch.no_grad()
def _judged(
    subject: Subject, x: Tensor, made: Translated, number: int, side: int
) -> dict[str, Numbers]:
    """What classifier, oracle and VAE say of a batch."""
    which = torch.full((len(x),), number)
    unknown = np.full(len(x), np.nan)

    def stays(judge: Judge | None, images: Tensor | None) -> Numbers:
        if judge is None or images is None:
            return unknown
        return ((judge.margins(images, which) >= 0) == bool(side)).double().numpy()

    def embedded(images: Tensor | None) -> Numbers:
        if images is None:
            return np.full((len(x), subject.vae.shape.latent), np.nan)
        mean, _ = subject.vae.encode(images)
        return mean.double().numpy()

    a, s = made.adversarial, made.stable
    known = a is not None and s is not None
    return {
        "stays": stays(subject.judge, a),
        "stable_stays": stays(subject.judge, s),
        "seen": stays(subject.other, x),
        "oracle_stays": stays(subject.other, a),
        "oracle_stable_stays": stays(subject.other, s),
        "stable_error": _apart(s, x) if known else unknown,
        "change": _apart(s, a) if known else unknown,
        "embeddings": embedded(a),
        "stable_embeddings": embedded(s),
    }


def _pictures(
    made: Translated, third: NDArray[np.generic] | None, shape: Sequence[int]
) -> NDArray[np.float16]:
    """Return the first images of a batch (K, 3, S, S); NaN where there is none."""
    pictures = np.full((min(SHOWN, shape[0]), 3, *shape[2:]), np.nan, np.float16)
    for place, images in enumerate((made.stable, made.adversarial)):
        if images is not None:
            pictures[:, place] = images[:SHOWN, 0].numpy()
    if third is not None:
        pictures[:, 2] = np.abs(third[:SHOWN].astype(np.float32))
    return pictures


def _apart(one: Tensor | None, other: Tensor | None) -> Numbers:
    assert one is not None and other is not None
    return (one - other).abs().mean(dim=(1, 2, 3)).double().numpy()
