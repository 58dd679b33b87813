"""What the classifier says of every finding, before and after, as a table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from pages.factoring.preparing import Desk

if TYPE_CHECKING:
    from pages.factoring.subject import Moved

OPERATING_POINT = 0.5


def predictions_html(desk: Desk, moved: Moved, finding: str) -> str:
    """Return the table: film, reconstruction and changed film, with the change and what it means.

    A decision that is carried over the operating point is said in words.
    """
    rows = []
    before = desk.subject.reconstruction.probabilities
    for place, name in enumerate(desk.subject.classifier.findings):
        film, start, now = desk.subject.film[place], before[place], moved.probabilities[place]
        flips = (start >= OPERATING_POINT) != (now >= OPERATING_POINT)
        word = "flips" if flips else ""
        here = ' class="here"' if name == finding else ""
        rows.append(
            f'<tr{here}><th scope="row">{escape(name)}</th><td>{film:.2f}</td><td>{start:.2f}</td>'
            f"<td><b>{now:.2f}</b></td><td>{_signed(now - start)}</td><td>{word}</td></tr>"
        )
    return (
        '<table class="predictions" aria-label="Probabilities of the findings"><thead><tr>'
        '<th scope="col">Finding</th><th scope="col">film</th><th scope="col">recon.</th>'
        '<th scope="col">changed</th><th scope="col">change</th>'
        '<th scope="col">decision</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def faithfulness_html(desk: Desk, moved: Moved, finding: str) -> str:
    """Return how near the reconstruction is to the film, and how large the change is."""
    place = desk.subject.classifier.findings.index(finding)
    largest = 255 * float(np.abs(moved.image - desk.subject.reconstruction.image).max())
    shift = _signed(float(desk.subject.styles.shift[place]))
    doubt = f'<div class="doubt">{escape(desk.doubt)}</div>' if desk.doubt else ""
    return (
        f'<div class="faithful">Reconstruction: {desk.subject.styles.mae:.1f} grey levels of 255 '
        f"off on average, f {shift}. Largest difference shown: {largest:.0f} grey levels.</div>"
        f"{doubt}"
    )


def _signed(value: float) -> str:
    rounded = round(value, 2)
    return "0.00" if rounded == 0 else f"{rounded:+.2f}".replace("-", "−")
