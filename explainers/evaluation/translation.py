"""How well methods carry images to the other side of a prediction: the measurements.

Charachon et al. 2021, §4. Images are sorted by the classifier's prediction. Of every method the
classifier, and an independent one, judge the adversarial and the stable images; a VAE with a class
head embeds them (:mod:`.translation_measures` compares the embeddings). What was measured lies in
pieces, one per method, contrast and direction, so that an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from data.scratch import replacing
from explainers.base import Cancelled, ExplainerError, OnProgress
from explainers.classifiers.base import Classifier
from explainers.differentiation import stop_if
from explainers.evaluation.localisation import overlap
from explainers.evaluation.localisation_measures import (
    MAX_MASK_SHARE,
    chosen_at,
    ncc,
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

LOCALISATION = ("iou", *(f"iou_p{each:g}" for each in AT_PERCENTILES), "ncc")
_BATCH = 16
_COARSE = 16  # cells per side of the map whose place is compared
_VERSION = "translation/1"

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """One method, contrast and direction: a number per image, NaN where there is none.

    Parameters
    ----------
    rows
        (N,) of the images.
    stays, stable_stays
        Whether the classifier leaves the adversarial and the stable image on the image's side.
    seen
        Whether the independent classifier puts the image where the classifier does.
    oracle_stays, oracle_stable_stays
        Whether it leaves the adversarial and the stable image there.
    stable_error, change
        Mean |s − x| and |s − a|, in [0, 1].
    embeddings, stable_embeddings
        (N, D) of adversarial and stable images; of real ones the images themselves.
    centroids
        (N, 2): row and column of the map's centre of gravity, as shares of the side.
    coarse
        (N, 256): the map on 16 × 16 cells, adding up to 1.
    overlaps
        (N, 8): :data:`LOCALISATION` against the mask.
    seconds
        (1,): of the whole part.
    """

    rows: NDArray[np.int64]
    stays: Numbers
    stable_stays: Numbers
    seen: Numbers
    oracle_stays: Numbers
    oracle_stable_stays: Numbers
    stable_error: Numbers
    change: Numbers
    embeddings: Numbers
    stable_embeddings: Numbers
    centroids: Numbers
    coarse: Numbers
    overlaps: Numbers
    seconds: Numbers


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
        some, are the other real images that a perfect translation is measured by.

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
        whole, most = self._sorted(), self.limit
        sides = tuple((off[:most], on[:most]) for off, on in whole)
        spares = tuple((off[most : 2 * most], on[most : 2 * most]) for off, on in whole)
        object.__setattr__(self, "sides", sides)
        object.__setattr__(self, "spares", spares)

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
            "method": method.identity if isinstance(method, Method) else method,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


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
        If two methods have one label, a network has no contrast of that name, or the disk refuses.
    """
    labels = [REAL, OTHER_REAL, *(each.label for each in methods)]
    doubled = sorted({label for label in labels if labels.count(label) > 1})
    if doubled:
        raise ExplainerError(
            f"Two methods are called {doubled[0]!r}; give each a name, as in --pair 'SyCE without "
            "cycle=FILE'."
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
        part = _read(path)
        if part is None:
            part = _measured(subject, method, number, side, clock, cancelled)
            if part is not None:
                _write(path, part)
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
        columns.append(judged | _placed(made.maps, masks, len(x)))
    joined = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    return Part(rows=rows, seconds=np.array([seconds]), **joined)


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


def _apart(one: Tensor | None, other: Tensor | None) -> Numbers:
    assert one is not None and other is not None
    return (one - other).abs().mean(dim=(1, 2, 3)).double().numpy()


def _placed(
    maps: NDArray[np.float32] | None, masks: NDArray[np.bool_] | None, n_images: int
) -> dict[str, Numbers]:
    """Where the maps are, and how they agree with the masks."""
    found = {
        "centroids": np.full((n_images, 2), np.nan),
        "coarse": np.full((n_images, _COARSE**2), np.nan),
        "overlaps": np.full((n_images, len(LOCALISATION)), np.nan),
    }
    if maps is None:
        return found
    strength = np.abs(maps).astype(np.float64)
    for number, each in enumerate(strength):
        found["centroids"][number], found["coarse"][number] = place_of(each)
        if masks is not None and 0 < masks[number].mean() <= MAX_MASK_SHARE:
            found["overlaps"][number] = _overlaps(each, masks[number])
    return found


def place_of(strength: NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    """Centre of gravity (2,) as shares of the side, and the map on 16 × 16 cells (256,).

    Both are NaN for a map that is zero everywhere.
    """
    total = float(strength.sum())
    if total <= 0:
        return np.full(2, np.nan), np.full(_COARSE**2, np.nan)
    shares = np.asarray(strength, float) / total
    middles = [(np.arange(length) + 0.5) / length for length in shares.shape]
    centre = np.array([shares.sum(axis=1) @ middles[0], shares.sum(axis=0) @ middles[1]])
    cells = functional.adaptive_avg_pool2d(torch.from_numpy(shares)[None, None], _COARSE)
    coarse = cells.numpy().ravel()
    return centre, coarse / coarse.sum()


def _overlaps(strength: Numbers, mask: NDArray[np.bool_]) -> list[float]:
    matched = overlap(strength, mask, int(mask.sum())).iou
    at = [overlap(strength, mask, chosen_at(each, mask.size)).iou for each in AT_PERCENTILES]
    return [matched, *at, ncc(strength, mask)]


def _read(path: Path) -> Part | None:
    """Read a part; ``None`` if it is not there or damaged, so that it is measured anew."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as content:
            return Part(**{each.name: content[each.name] for each in fields(Part)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, part: Part) -> None:
    content = io.BytesIO()
    np.savez(content, **{each.name: getattr(part, each.name) for each in fields(Part)})
    try:
        with replacing(path) as fresh:
            fresh.write_bytes(content.getvalue())
    except OSError as error:
        raise ExplainerError(
            f"{path} could not be written ({error.strerror or error}); choose another --out."
        ) from error
