"""Factor cards: the held-out films that a dimension changes most, drawn on one page.

Per film: original | reconstruction | perturbed | signed difference, an animation from one end of
the dimension to the other, and the probabilities. The perturbed film is the end of the range that
changes the probability more. Films are held out, the classifier is right about them with confidence
and the reconstruction is faithful: see :mod:`explainers.stylespace.chosen` and ``find``.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from data.scratch import replacing
from explainers.animation import ping_pong, webp_bytes
from explainers.base import Cancelled, ExplainerError
from explainers.generators.stylegan2 import to_brightness
from explainers.overlay import blend, overlay_rgba
from explainers.stylespace.chosen import ChosenFilms
from explainers.stylespace.clamped import clamped_images, known_film, seen_logits
from explainers.stylespace.factorset import FactorSet, SelectedFactor
from explainers.stylespace.factortext import effect_text
from explainers.stylespace.known import layer_of
from explainers.stylespace.stages import Stages
from explainers.stylespace.swept import (
    FindSettings,
    Networks,
    StageProgress,
    SweptFilms,
    sweep_films,
)

_N_FRAMES = 9
_SHOWN_PX = 192
_GAP_PX = 4


@dataclass(frozen=True, eq=False)
class FilmCard:
    """One film under one dimension.

    Parameters
    ----------
    case_id
        The film.
    original, reconstruction, perturbed
        (H, W) in [0, 1].
    frames
        (T, H, W) from the lowest to the highest value of the dimension.
    end
        ``"lowest"`` or ``"highest"``: which the perturbed film shows.
    p_original, p_reconstruction, p_perturbed
        Probabilities of the finding.
    mae
        Of the reconstruction, in grey levels of 255.
    """

    case_id: str
    original: NDArray[np.float32]
    reconstruction: NDArray[np.float32]
    perturbed: NDArray[np.float32]
    frames: NDArray[np.float32]
    end: str
    p_original: float
    p_reconstruction: float
    p_perturbed: float
    mae: float

    @property
    def difference(self) -> NDArray[np.float32]:
        """(H, W), perturbed − reconstruction."""
        return self.perturbed - self.reconstruction


@dataclass(frozen=True, eq=False)
class FactorCard:
    """A dimension with the films it changes most, the largest change first."""

    factor: SelectedFactor
    films: tuple[FilmCard, ...]


def film_cards(
    networks: Networks,
    films: ChosenFilms,
    factors: FactorSet,
    settings: FindSettings,
    stages: Stages,
    *,
    per_factor: int = 5,
    on_stage: StageProgress | None = None,
    cancelled: Cancelled | None = None,
) -> tuple[FactorCard, ...]:
    """Choose and decode the films of every selected dimension; of the largest where none is.

    Parameters
    ----------
    networks, films, settings, stages, on_stage, cancelled
        As for :func:`explainers.stylespace.find.find_factors`; what it kept is used again.
    factors
        Whose dimensions are drawn.
    per_factor
        Films per dimension and finding.

    Raises
    ------
    ExplainerError
        If no film can be inverted, or it is cancelled.
    """
    swept = sweep_films(networks, films, settings, stages, on_stage=on_stage, cancelled=cancelled)
    shown = factors.factors or factors.largest
    on_progress = None if on_stage is None else on_stage("cards")
    cards = []
    for done, factor in enumerate(shown, start=1):
        if cancelled is not None and cancelled():
            raise ExplainerError("Stopped; run the same command again to go on.")
        rows, ends = _most_changed(swept, factor, per_factor)
        drawn = [
            _film_card(networks, swept, factor, row, end)
            for row, end in zip(rows, ends, strict=True)
        ]
        cards.append(FactorCard(factor, tuple(drawn)))
        if on_progress is not None:
            on_progress(done, len(shown))
    return tuple(cards)


def card_picture(film: FilmCard) -> NDArray[np.uint8]:
    """Draw original | reconstruction | perturbed | signed difference, (rows, columns, 3)."""
    overlay = overlay_rgba(film.difference, colormap="PuOr", smoothing_px=0.7)
    tiles = [_grey(film.original), _grey(film.reconstruction), _grey(film.perturbed)]
    tiles.append(blend(film.reconstruction, overlay))
    gap = np.full((tiles[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    parts = [tiles[0]]
    for tile in tiles[1:]:
        parts += [gap, tile]
    return np.concatenate(parts, axis=1)


def draw_cards(out: Path, factors: FactorSet, cards: Sequence[FactorCard]) -> Path:
    """Write one PNG and one WebP per film, and one page that holds them all.

    Parameters
    ----------
    out
        Folder; receives ``index.html``, which needs no other file, and the pictures.
    factors
        For what is said of the set as a whole.
    cards
        From :func:`film_cards`.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    sections = []
    for card in cards:
        rows = []
        for film in card.films:
            still, moving = _png(card_picture(film)), webp_bytes(ping_pong(film.frames), fps=8)
            stem = f"{card.factor.finding.replace(' ', '-').lower()}-{card.factor.dimension}"
            _write(out / f"{stem}-{film.case_id}.png", still)
            _write(out / f"{stem}-{film.case_id}.webp", moving)
            rows.append(_film_html(card.factor, film, still, moving))
        sections.append(_factor_html(factors, card.factor, rows))
    page = out / "index.html"
    _write(page, _page_html(factors, sections).encode())
    return page


def _most_changed(swept: SweptFilms, factor: SelectedFactor, n: int) -> tuple[list[int], list[int]]:
    """Return rows of films, the largest change first, and which end changes each more."""
    number = swept.sweep.findings.index(factor.finding)
    changes = np.abs(np.nan_to_num(swept.sweep.changes[:, factor.dimension, :, number]))  # (N, 2)
    changes[~swept.usable[:, number]] = -1
    order = np.argsort(-changes.max(axis=1), kind="stable")
    rows = [int(row) for row in order if changes[row].max() > 0][:n]
    return rows, [int(changes[row].argmax()) for row in rows]


@torch.no_grad()
def _film_card(
    networks: Networks, swept: SweptFilms, factor: SelectedFactor, row: int, end: int
) -> FilmCard:
    generator, classifier = networks.generator, networks.classifier
    number = classifier.findings.index(factor.finding)
    styles, d = swept.projection.styles[row], factor.dimension
    ends = torch.stack([swept.ranges.low[d], swept.ranges.high[d]])
    values = torch.cat(
        [torch.linspace(float(ends[0]), float(ends[1]), _N_FRAMES), ends[end : end + 1]]
    )
    known = known_film(generator, styles)
    chosen = torch.full((len(values),), d, dtype=torch.long)
    images = to_brightness(clamped_images(generator, known, layer_of(generator, d), chosen, values))
    rest = to_brightness(known.image)
    seen = torch.cat([rest, images[-1:]])
    p = classifier.probabilities(seen_logits(classifier, seen))[:, number]
    return FilmCard(
        case_id=swept.films.case_ids[row],
        original=swept.films.images[row],
        reconstruction=rest[0, 0].numpy(),
        perturbed=images[-1, 0].numpy(),
        frames=images[:-1, 0].numpy(),
        end=("lowest", "highest")[end],
        p_original=float(swept.films.probabilities[row, number]),
        p_reconstruction=float(p[0]),
        p_perturbed=float(p[1]),
        mae=float(swept.projection.mae[row]),
    )


def _grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _png(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG")
    return stream.getvalue()


def _write(path: Path, content: bytes) -> None:
    try:
        with replacing(path) as fresh:
            fresh.write_bytes(content)
    except OSError as error:
        raise ExplainerError(f"{path} could not be written: {error}.") from error


def _film_html(factor: SelectedFactor, film: FilmCard, still: bytes, moving: bytes) -> str:
    case, finding = html.escape(film.case_id), html.escape(factor.finding)
    alternative = (
        f"{case}: original, reconstruction, dimension {factor.dimension} at its {film.end}, "
        "difference"
    )
    return f"""<figure>
<div class="row"><img class="wide" alt="{alternative}" src="{_data_uri(still, "png")}">
<img class="film" alt="{case} from the lowest to the highest value and back"
 src="{_data_uri(moving, "webp")}"></div>
<figcaption>{case} · P({finding}) original {film.p_original:.2f}, reconstruction
{film.p_reconstruction:.2f}, at {film.end} {film.p_perturbed:.2f} · reconstruction
{film.mae:.1f} of 255 grey levels off</figcaption></figure>"""


def _factor_html(factors: FactorSet, factor: SelectedFactor, rows: Sequence[str]) -> str:
    where = ", ".join(f"{r.region} {r.share:.0%}" for r in factor.regions[:4]) or "not measured"
    effects = "; ".join(effect_text(e) for e in factor.known[:4] if e.significant)
    measured = effects or ("nothing readable" if factors.readings else "no meter was given")
    films = "\n".join(rows) or "<p>No held-out film qualifies.</p>"
    return f"""<section><h2>{html.escape(factor.finding)} · dimension {factor.dimension}
{html.escape(f"({factor.name})") if factor.name else ""}</h2>
<dl><dt>Acts in</dt><dd>{html.escape(factor.layer)}, channel {factor.channel}</dd>
<dt>Mean change</dt><dd>{factor.change_low:+.2f} at its lowest, {factor.change_high:+.2f} at its
highest; reaches {factors.made.threshold:g} on {factor.share:.0%} of {factor.n_films} films, flips
{factor.n_flips}</dd>
<dt>Moves</dt><dd>{html.escape(measured)}</dd>
<dt>Where</dt><dd>{html.escape(where)}</dd></dl>
{films}</section>"""


def _page_html(factors: FactorSet, sections: Sequence[str]) -> str:
    made = factors.made
    note = "" if factors.factors else "<p>No dimension reaches δ; these are the largest.</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Factor cards</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;
color:#1b1b1b;background:#fff}}
h1{{font-size:1.6rem}} h2{{font-size:1.2rem;margin:2.5rem 0 .5rem;border-top:1px solid #ccc;
padding-top:1rem}}
dl{{display:grid;grid-template-columns:8rem 1fr;gap:.1rem .8rem;margin:.5rem 0 1rem}}
dt{{color:#555}} dd{{margin:0}} figure{{margin:0 0 1.2rem}} figcaption{{color:#444}}
.row{{display:flex;gap:1rem;flex-wrap:wrap}} .wide{{width:{4 * _SHOWN_PX}px;max-width:100%}}
.film{{width:{_SHOWN_PX}px}} .key b{{padding:0 .5em;border-radius:3px}}
</style></head><body>
<h1>Factor cards</h1>
<p>{len(factors.factors)} pairs of finding and dimension, {html.escape(made.aggregation)} of |Δ|,
δ = {made.threshold:g}, ranges over {factors.n_samples:,} samples. Every film is held out, the
classifier is right about it with a confidence of {made.confidence:g}, and its reconstruction is
faithful. From left to right: original, reconstruction, dimension clamped to the end that changes
more, signed difference, and the dimension from lowest to highest and back.</p>
<p class="key">Difference: <b style="background:#5e3c99;color:#fff">brightness added</b>
<b style="background:#e66101;color:#000">brightness removed</b>, each map on its own scale.
What a dimension “moves” is a meter's reading of simulated parameters, not a diagnosis.</p>
{note}
{"".join(sections)}
</body></html>
"""


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
