"""Methods as the translation table sees them: an adversarial image, a stable one, and a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from explainers import registry
from explainers.attribution.bbmp import Bbmp
from explainers.base import Explainer, ExplainerError
from explainers.classifiers.base import Classifier
from explainers.generators.mgen import MaskGenerator
from explainers.generators.paired import Contrast, PairedGenerators
from explainers.record import Attribution, Goal

DO_NOTHING = "Do nothing"
WITHOUT_STABLE = "{}, without the stable image"


@dataclass(frozen=True, eq=False)
class Translated:
    """What a method makes of images (N, 1, S, S) of one side.

    Parameters
    ----------
    adversarial, stable
        (N, 1, S, S), in [0, 1]; ``None`` for methods that draw a map only.
    maps
        (N, S, S); the absolute value counts. ``None`` for none.
    """

    adversarial: Tensor | None
    stable: Tensor | None
    maps: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Method:
    """One row of the table.

    Parameters
    ----------
    label
        As shown.
    published
        Name under which the paper's figures are looked up; empty for none.
    identity
        Changes with everything that decides its numbers.
    translate
        Images (N, 1, S, S), a contrast and a side to what becomes of them; ``None`` where the
        method says nothing of that side.
    note
        What has to be known of it, in a sentence; empty where nothing.
    limit
        Images per contrast and side at most, of a slow method; ``None`` for all.
    draws_anew
        Whether its adversarial images are those of no other row.
    """

    label: str
    published: str
    identity: str
    translate: Callable[[Tensor, Contrast, int], Translated | None]
    note: str = ""
    limit: int | None = None
    draws_anew: bool = True


def do_nothing() -> Method:
    """The image itself, as stable and as adversarial image; its constant map is chance."""
    return Method(
        DO_NOTHING,
        "",
        "do nothing/2",
        lambda images, *_: Translated(images, images, np.zeros_like(images[:, 0].numpy())),
        draws_anew=False,
    )


def pair_methods(label: str, pair: PairedGenerators, classifier: Classifier) -> list[Method]:
    """Rows of paired generators: as they are, and compared with the image itself.

    The second one has the same adversarial image and the explanation |x − a|. A pair with a label
    of its own is a variant: it has no second row, and no figures of the paper beside it.
    """
    note = _other(pair.classifier_digest, classifier)
    identity = f"pair/1:{pair.weights_digest}"
    published = pair.system.name if label == pair.system.title else ""
    methods = [Method(label, published, identity, partial(_paired, pair, True), note)]
    if published and pair.system.stable != "input":
        methods.append(
            Method(
                WITHOUT_STABLE.format(label),
                "",
                f"{identity}:plain",
                partial(_paired, pair, False),
                note,
                draws_anew=False,
            )
        )
    return methods


def _paired(
    pair: PairedGenerators, with_stable: bool, images: Tensor, contrast: Contrast, side: int
) -> Translated:
    which = torch.full((len(images),), pair.index(contrast.name))
    with torch.no_grad():
        a = pair.adversarial(images, which, side).float()
        s = pair.stable(images, a, which, side).float() if with_stable else images
    return Translated(a, s, (s - a).abs()[:, 0].numpy())


def mask_method(label: str, network: MaskGenerator, classifier: Classifier) -> Method:
    """The row of a mask network: the adversarial image is the image with the mask blurred."""

    def translate(images: Tensor, contrast: Contrast, side: int) -> Translated:
        which = torch.full((len(images),), network.index(contrast.name))
        with torch.no_grad():
            masks = network.masks(images, which, torch.full((len(images),), side))
            deleted = network.deleted(images, masks).clamp(0, 1)
        return Translated(deleted, images, masks[:, 0].numpy())

    note = _other(network.classifier_digest, classifier)
    return Method(label, "mgen", f"mgen/1:{network.weights_digest}", translate, note)


def bbmp_method(
    classifier: Classifier, explainer: Bbmp | None = None, limit: int | None = None
) -> Method:
    """The row of BBMP: the adversarial image is the image with its mask blurred.

    It lowers a logit; the absence of a finding has none, so that side is left out.
    """
    chosen = explainer or Bbmp(classifier)

    def translate(images: Tensor, contrast: Contrast, side: int) -> Translated | None:
        if side == 0 and contrast.negative is None:
            return None
        maps = _maps(chosen, images, _predicted(contrast, side, classifier))
        whole = images.numpy()
        spread = chosen.blur * min(whole.shape[2:])
        smooth = gaussian_filter(whole, spread, mode="nearest", axes=(2, 3))
        made = (whole - maps[:, None] * (whole - smooth)).clip(0, 1)
        return Translated(torch.from_numpy(made), images, maps)

    note = "It takes evidence away and puts none in: an absent finding has no row."
    return Method("BBMP", "bbmp", f"bbmp/1:{chosen!r}", translate, note, limit)


def map_method(name: str, classifier: Classifier) -> Method:
    """The row of a method that draws a map and no image.

    Raises
    ------
    ExplainerError
        If there is no such method, or it needs another network.
    """
    spec = registry.spec(name)
    if spec.kind != "attribution" or spec.needs:
        raise ExplainerError(
            f"{name!r} cannot stand in this table; name attribution methods that need nothing but "
            "the classifier, such as input_gradients, integrated_gradients or grad_cam."
        )
    explainer = registry.create(name, classifier=classifier, networks={})

    def translate(images: Tensor, contrast: Contrast, side: int) -> Translated:
        maps = _maps(explainer, images, _predicted(contrast, side, classifier))
        return Translated(None, None, maps)

    return Method(spec.title, name, f"{name}:{explainer!r}", translate)


def _predicted(contrast: Contrast, side: int, classifier: Classifier) -> str:
    """Name of the class that a logit exists of, on a side of a contrast."""
    absent = side == 0 and contrast.negative is not None
    assert not absent or contrast.negative is not None
    number = contrast.negative if absent else contrast.positive
    return classifier.findings[number or 0]


def _maps(explainer: Explainer, images: Tensor, finding: str) -> NDArray[np.float32]:
    maps = []
    for each in explainer.explain(images, [Goal(finding)] * len(images)):
        assert isinstance(each, Attribution)
        maps.append(each.values)
    return np.stack(maps)


def _other(digest: str, classifier: Classifier) -> str:
    if digest and digest != classifier.weights_digest:
        return "Trained against another classifier than the one explained."
    return ""
