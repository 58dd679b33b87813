"""Films in S on disk: a back-projection of minutes is made once.

A file is named by everything that decides it: the film's pixels, generator, classifier and the
settings of the search. Films of a study may come with such files (folder ``styles/`` of the study).
An uploaded film is never written: its styles draw it.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.scratch import replacing
from study.folder import StudyFolder

_FORMAT = 1
_NUMBERS = ("styles", "mae", "shift")


@dataclass(frozen=True)
class StylesKey:
    """What decides a back-projection.

    Parameters
    ----------
    film
        Digest of the film's pixels or file.
    generator, classifier
        Digests of the networks' weights.
    settings
        The search, written out.
    """

    film: str
    generator: str
    classifier: str
    settings: str

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, hexadecimal."""
        parts = (str(_FORMAT), self.film, self.generator, self.classifier, self.settings)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class FilmStyles:
    """A film in S, and how well it got there.

    Parameters
    ----------
    styles
        (D,), float32.
    mae
        Mean absolute error of the reconstruction in grey levels of 255.
    shift
        (F,) probability of the reconstruction minus that of the film, by finding.
    """

    styles: NDArray[np.float32]
    mae: float
    shift: NDArray[np.float32]


def styles_folder(folder: StudyFolder) -> Path:
    """Return where a study keeps its films in S."""
    return folder.root / "styles"


def keep_styles(root: Path, key: StylesKey, styles: FilmStyles) -> Path:
    """Write a film in S, whole or not at all, and return the file.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    path = root / f"{key.digest[:32]}.npz"
    with replacing(path) as fresh, fresh.open("wb") as file:
        np.savez(
            file,
            styles=styles.styles.astype(np.float32),
            mae=np.float32(styles.mae),
            shift=styles.shift.astype(np.float32),
        )
    return path


def kept_styles(root: Path, key: StylesKey, n_styles: int, n_findings: int) -> FilmStyles | None:
    """Read a film in S; ``None`` where there is none, or the file is damaged or does not fit.

    Parameters
    ----------
    root
        From :func:`styles_folder`.
    key
        What decides it.
    n_styles, n_findings
        D and F that the networks have.
    """
    path = root / f"{key.digest[:32]}.npz"
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            styles, mae, shift = (np.asarray(file[name], np.float32) for name in _NUMBERS)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = styles.shape == (n_styles,) and shift.shape == (n_findings,) and mae.shape == ()
    if not fits or not all(np.isfinite(each).all() for each in (styles, mae, shift)):
        return None
    return FilmStyles(styles, float(mae), shift)
