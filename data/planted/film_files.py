"""One film of a planted case set on disk, and the receipt that makes a run resumable."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data.case import InvalidCase, slug
from data.manifest import IMAGES_DIR, CaseEntry, sha256_of
from data.planted.blend import plant
from data.planted.lungs import UnusableLungs, open_chest, separate_lungs
from data.planted.recipe import CannotPlant, Planting
from data.raster import read_mask, to_unit, write_png
from data.rasterfile import read_samples
from data.reference import Reference
from data.scratch import replacing

PLANTER = "planted/1"
"""Version of the planter; the same seed under another version may draw another film."""
RECEIPTS = ".receipts"
LUNGS = "lungs"
_ATTEMPTS = 10


@dataclass(frozen=True)
class Task:
    """One film to write; ``finding`` is ``""`` for an untouched one."""

    case_id: str
    base: CaseEntry
    reference: Reference
    finding: str
    seed: int
    severities: tuple[float, float]


@dataclass(frozen=True)
class Receipt:
    """What one complete film consists of; its file makes an interrupted run resumable."""

    digest: str
    problem: str = ""  # why there is no film
    no_lungs: bool = False
    sha256: str = ""
    severity: float = 0.0
    side: str = ""
    lateral: float = 0.0
    height: float = 0.0
    angle_deg: float = 0.0
    seed: int = 0
    mask_px: int = 0
    rim_px: int = 0
    mean_change: float = 0.0


def complete_film(cases: Path, out: Path, task: Task) -> Receipt:
    """Make a film unless its files are all there and were made from the same parameters.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    digest = _digest(task)
    receipt = _complete(out, task, digest)
    if receipt is None:
        receipt = _write_film(cases, out, task, digest)
        with replacing(out / RECEIPTS / f"{task.case_id}.json") as path:
            path.write_text(json.dumps(asdict(receipt)), encoding="utf-8")
    return receipt


def _digest(task: Task) -> str:
    """Digest of everything that determines the files of a film."""
    lungs = sha256_of(task.reference.masks[LUNGS])
    parts = [PLANTER, task.base.sha256, lungs, task.finding, task.seed, task.severities]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _complete(out: Path, task: Task, digest: str) -> Receipt | None:
    """Receipt of a film whose files are all there and were made from the same parameters."""
    try:
        found = json.loads((out / RECEIPTS / f"{task.case_id}.json").read_text(encoding="utf-8"))
        receipt = Receipt(**found)
    except (OSError, ValueError, TypeError):
        return None
    whole = receipt.problem or all(path.is_file() for path in task_files(out, task))
    return receipt if receipt.digest == digest and whole else None


def task_files(out: Path, task: Task) -> tuple[Path, ...]:
    """Image and lung mask; of a planted film also its finding's mask and its counterfactual."""
    name, own = task.case_id, slug(task.finding)
    image, lungs = out / IMAGES_DIR / f"{name}.png", out / "masks" / f"{name}__{LUNGS}.png"
    if not task.finding:
        return image, lungs
    mask, film = (out / kind / f"{name}__{own}.png" for kind in ("masks", "counterfactuals"))
    return image, lungs, mask, film


def _write_film(cases: Path, out: Path, task: Task, digest: str) -> Receipt:
    """Plant one finding and write the film's files."""
    source = cases / task.base.image
    image, lungs, *own = task_files(out, task)
    where = f"Film {task.base.case_id!r}"
    try:
        samples = read_samples(source)
        mask = read_mask(task.reference.masks[LUNGS])
        if not task.finding:
            separate_lungs(mask)  # a film that cannot be planted into is no use as a negative
        else:
            chest = open_chest(to_unit(samples), mask)
    except (UnusableLungs, InvalidCase) as error:
        return Receipt(digest, problem=f"{where}: {error}", no_lungs=True)
    _copy(task.reference.masks[LUNGS], lungs)
    if not task.finding:
        _copy(source, image)
        return Receipt(digest, sha256=sha256_of(image))
    film, rng = to_unit(samples), np.random.default_rng(task.seed)
    problem = ""
    for _ in range(_ATTEMPTS):
        planting = _draw(rng, task)
        try:
            planted = plant(film, chest, planting)
        except CannotPlant as error:
            problem = f"{where}: {error}"
            continue
        top = np.iinfo(samples.dtype).max
        levels = np.rint(planted.image.astype(np.float64) * top).astype(samples.dtype)
        levels = np.where(planted.changed, levels, samples)
        with replacing(image) as path:
            write_png(path, levels)
        with replacing(own[0]) as path:
            write_png(path, planted.mask)
        _copy(source, own[1])
        change = np.abs(to_unit(levels) - film)
        return Receipt(
            digest,
            sha256=sha256_of(image),
            severity=planting.severity,
            side=planting.side,
            lateral=planting.lateral,
            height=planting.height,
            angle_deg=planting.angle_deg,
            seed=planting.seed,
            mask_px=int(planted.mask.sum()),
            rim_px=int((planted.changed & ~planted.mask).sum()),
            mean_change=float(change[planted.mask].mean()),
        )
    return Receipt(digest, problem=problem)


def _draw(rng: np.random.Generator, task: Task) -> Planting:
    """Draw one planting; every attempt takes the same number of random numbers."""
    low = 0.5 if task.finding == "Atelectasis" else 0.08  # plates lie low in the lung
    return Planting(
        finding=task.finding,
        severity=round(float(rng.uniform(*task.severities)), 4),
        side="L" if rng.random() < 0.5 else "R",
        lateral=round(float(rng.uniform(0.15, 0.85)), 4),
        height=round(float(rng.uniform(low, 0.92)), 4),
        angle_deg=round(float(np.clip(rng.normal(6, 11), -25, 35)), 2),
        seed=int(rng.integers(2**31)),
    )


def _copy(source: Path, target: Path) -> None:
    """Copy a file's bytes."""
    with replacing(target) as path:
        shutil.copyfile(source, path)
