"""The figure that sets a visual rationale beside traditional maps of the same film.

After Seah et al. (Fig. 5 there): saliency, integrated gradients, occlusion, LIME, and the
rationale, each over the film. NumPy and matplotlib only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Final

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from data.raster import resize
from explainers.base import ExplainerError
from explainers.overlay import blend, overlay_rgba
from explainers.record import Attribution, Counterfactual, Explanation
from explainers.registry import spec

RATIONALE: Final = "visual_rationale"
COMPARED: Final = ("input_gradients", "integrated_gradients", "occlusion", "lime", RATIONALE)
"""Methods of the figure, in its order."""

FIGURE_PX: Final = 384


def draw_comparison(
    film: NDArray[np.float32],
    explanations: Mapping[str, Explanation],
    path: Path,
    *,
    separate: bool = False,
) -> None:
    """Draw film, maps, and the rationale over the film and over the reconstruction.

    Maps that speak for or against the finding keep their signs, except saliency, which is
    |∂f/∂x| as published.

    Parameters
    ----------
    film
        (H, W), in [0, 1].
    explanations
        Method name to explanation, of one film and finding; the rationale among them.
    path
        PNG to write.
    separate
        Scale increase and decrease of the rationale each by itself, as the paper does, instead of
        on one symmetric scale.

    Raises
    ------
    ExplainerError
        If there is no rationale, or the disk refuses.
    """
    rationale = explanations.get(RATIONALE)
    if not isinstance(rationale, Counterfactual):
        raise ExplainerError(
            "The comparison needs the film of a visual rationale; explain with "
            f"{RATIONALE!r} as well."
        )
    shown = resize(film, (FIGURE_PX, FIGURE_PX))
    panels = [("film", _grey(shown))]
    for name, explanation in explanations.items():
        if isinstance(explanation, Attribution):
            panels.append((spec(name).title, _map(shown, name, explanation)))
    size = (FIGURE_PX, FIGURE_PX)
    reconstruction = resize(rationale.reconstruction, size)
    drawn = overlay_rgba(
        rationale.difference, colormap="PuOr", size=size, smoothing_px=0, separate=separate
    )
    end = rationale.frames[0] if rationale.origin else rationale.frames[-1]
    panels += [
        ("Visual rationale", blend(shown, drawn)),
        ("over G(E(x))", blend(reconstruction, drawn)),
        ("G(E(x))", _grey(reconstruction)),
        ("G(z*)", _grey(resize(end, size))),
    ]
    _write(panels, _caption(rationale, separate), path)


def _map(film: NDArray[np.float32], name: str, found: Attribution) -> NDArray[np.uint8]:
    saliency = name == "input_gradients"
    drawn = overlay_rgba(
        found.values, colormap="inferno" if saliency else "PuOr", size=(FIGURE_PX, FIGURE_PX)
    )
    return blend(film, drawn)


def _caption(rationale: Counterfactual, separate: bool) -> str:
    measures = rationale.measures
    numbers = [
        f"{rationale.finding}: f(x) {rationale.probability_image:.2f}",
        f"f(G(E(x))) {rationale.probability_reconstruction:.2f}",
    ]
    for title, name in (
        ("f(G(z*))", "probability_counterfactual"),
        ("after re-encoding", "probability_reencoded"),
        ("‖z*‖/√D", "norm_end"),
    ):
        if name in measures:
            numbers.append(f"{title} {measures[name]:.2f}")
    scale = "scaled separately" if separate else "one scale"
    sentence = (
        f"{', '.join(numbers)}. Purple: brightness that belongs to the finding, or evidence for "
        f"it; orange: brightness added when it goes, or evidence against it (rationale: {scale})."
    )
    return f"{sentence} {rationale.note}".strip()


def _grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    whole = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.repeat(whole[..., None], 3, axis=2)


def _write(panels: list[tuple[str, NDArray[np.uint8]]], caption: str, path: Path) -> None:
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(1.9 * len(panels), 2.9), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (title, picture) in zip(axes, panels, strict=True):
            axis.imshow(picture)
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
        figure.supxlabel("\n".join(wrap(caption, 30 * len(panels))), fontsize=8)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=150, format="png")
        except OSError as error:
            raise ExplainerError(
                f"{path} could not be written: {error.strerror or error}. Choose another place."
            ) from error
