"""A folder that is written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from data.case import DataError
from data.scratch import scratch_folder

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class CannotWrite(DataError):
    """A folder that cannot be created: taken, not allowed, or the disk is full."""


@contextlib.contextmanager
def workspace(out: Path) -> Iterator[Path]:
    """Yield a folder that becomes ``out`` if all goes well, and vanishes otherwise.

    Parameters
    ----------
    out
        Folder to create; missing parents are made, and an empty folder is replaced.

    Raises
    ------
    CannotWrite
        If ``out`` is taken, or the disk refuses while the body writes; nothing is left behind.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CannotWrite(f"{out} already exists and is not an empty folder; choose another one.")
    new_parents = [folder for folder in out.absolute().parents if not folder.exists()]
    finished = False
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(out.absolute().parent, f".importing-{out.name}-") as temporary:
            folder = temporary / "cases"
            folder.mkdir()  # unlike the temporary folder itself, with the user's usual permissions
            yield folder
            if out.exists():
                out.rmdir()
            folder.rename(out)
            finished = True
    except OSError as error:
        raise CannotWrite(_disk_message(out, error)) from error
    finally:
        if not finished:
            for parent in new_parents:
                with contextlib.suppress(OSError):
                    parent.rmdir()


def _disk_message(out: Path, error: OSError) -> str:
    """Say in one sentence why the disk refused."""
    if error.errno in FULL_DISK:
        return (
            f"The disk that holds {out.absolute().parent} is full; nothing was kept. "
            "Free some space and try again."
        )
    return f"{out} cannot be written ({error.strerror or error}); nothing was kept."
