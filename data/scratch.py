"""A folder to write in before its content is moved into place."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield an empty folder that vanishes at the end, whatever happens.

    What a killed program left under the same prefix is removed first. A folder is known to be left
    over by its lock: the system releases it when the program that made the folder ends.

    Parameters
    ----------
    parent
        Existing folder, on the file system of what is to be written.
    prefix
        Beginning of the folder's name, one that nobody else's folder has.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """
    for name in _names(parent, prefix):
        with _lock(parent / name) as is_left_over:
            if is_left_over:
                shutil.rmtree(parent / name, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    with _lock(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield where to write a file that takes the place of ``path`` if all goes well.

    The folder is made if needed; a former file stays until the new one is whole.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path.parent, f".saving-{path.name}-") as scratch:
        yield scratch / path.name
        os.replace(scratch / path.name, path)


def write_together(folder: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write text files (name to content, UTF-8) into a folder, which is made if needed.

    All are written beside their places first and moved there at the end, so that a full disk
    leaves the files of before.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder, ".writing-") as draft:
        for name, text in texts.items():
            (draft / name).write_text(text, encoding="utf-8", newline="")
        for name in texts:
            os.replace(draft / name, folder / name)
    return tuple(folder / name for name in texts)


def _names(parent: Path, prefix: str) -> list[str]:
    """Return the names of the folders under a prefix."""
    with os.scandir(parent) as entries:
        return [e.name for e in entries if e.name.startswith(prefix) and e.is_dir()]


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder; yield whether it was free (``False`` where there are no locks)."""
    if sys.platform == "win32":
        yield False
        return
    handle = None
    try:
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:  # held by a living program, gone meanwhile, or a file system without locks
        free = False
    try:
        yield free
    finally:
        if handle is not None:
            os.close(handle)
