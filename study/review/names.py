"""Names of dimensions, as the coordinator settled them after a review.

``names.json`` in the study's folder is one JSON object: dimension, as digits, to name, e.g.
``{"1234": "heart size"}``. ``FactorSet.with_names`` takes what :func:`read_names` returns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from data.scratch import replacing
from study.answering import plain_words
from study.errors import StudyError
from study.folder import StudyFolder
from study.store import StudyStore

NAMES_FILE: Final = "names.json"
EVENT: Final = "dimension_named"
"""Kind of the event that records a name."""
LONGEST_NAME: Final = 80
"""Characters of a name at most; it stands on a switch."""


def names_path(folder: StudyFolder) -> Path:
    """Return where the names of a study's dimensions lie."""
    return folder.root / NAMES_FILE


def read_names(path: Path) -> dict[int, str]:
    """Read the names; none if the file is not there.

    Raises
    ------
    StudyError
        If the file is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no object")
        return {int(dimension): checked_name(name) for dimension, name in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, StudyError) as error:
        raise StudyError(
            f"The names in {path} cannot be read; expected a JSON object of dimension to name, "
            'such as {"1234": "heart size"}. Correct the file, or delete it and name them again.'
        ) from error


def settle_name(
    folder: StudyFolder, store: StudyStore, dimension: int, name: str, actor: str
) -> dict[int, str]:
    """Give a dimension a name or take it back, and put that on record.

    Both are done or neither: the file is written while the record is held.

    Parameters
    ----------
    folder, store
        The study and its record.
    dimension
        Index into S.
    name
        At most :data:`LONGEST_NAME` characters; empty to take the name back.
    actor
        Pseudonym of who settled it; ``"study"`` from the command line.

    Returns
    -------
    dict
        All names as they are now.

    Raises
    ------
    StudyError
        If the name is too long or the disk refuses.
    """
    with store.writing() as writer:
        before = read_names(names_path(folder)).get(dimension, "")
        names = write_name(names_path(folder), dimension, name)
        payload = {"dimension": dimension, "name": names.get(dimension, ""), "before": before}
        writer.append(EVENT, actor, payload)
    return names


def write_name(path: Path, dimension: int, name: str) -> dict[int, str]:
    """Give a dimension a name, or take it back with an empty one.

    Returns
    -------
    dict
        All names as they are now.

    Raises
    ------
    StudyError
        If the name is too long or the disk refuses.
    """
    names = read_names(path)
    given = plain_words(name)
    if given:
        names[dimension] = checked_name(given)
    else:
        names.pop(dimension, None)
    _write(path, names)
    return names


def checked_name(name: object) -> str:
    """Return a name in one line, without surrounding blanks.

    Raises
    ------
    StudyError
        If it is empty, no text, or too long.
    """
    words = " ".join(plain_words(name).split())
    if not 1 <= len(words) <= LONGEST_NAME:
        raise StudyError(
            f"The name has {len(words)} characters; give 1 to {LONGEST_NAME}, as few as say what "
            "changes."
        )
    return words


def _write(path: Path, names: Mapping[int, str]) -> None:
    content = {str(dimension): names[dimension] for dimension in sorted(names)}
    try:
        with replacing(path) as fresh:
            text = json.dumps(content, indent=1, ensure_ascii=False)
            fresh.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"{path} cannot be written ({error.strerror or error}); free some space or make it "
            "writable."
        ) from error
