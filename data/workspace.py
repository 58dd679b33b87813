"""A folder that is written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data.case import DataError

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
    temporary = None
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.absolute().parent))
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
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
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
