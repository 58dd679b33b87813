"""The study that this server serves: found once, opened once, shared by gate, routes and pages."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from study.accounts import Accounts
from study.errors import StudyError
from study.folder import StudyFolder
from study.store import StudyStore

STUDY_VARIABLE: Final = "COUNTERLIGHT_STUDY"


class Site:
    """One study's folder, store and accounts; the files are opened at first use.

    Parameters
    ----------
    study_dir
        The study's directory, or ``None`` if the server was started without one.
    """

    def __init__(self, study_dir: Path | None) -> None:
        self._study_dir = study_dir
        self._lock = threading.Lock()
        self._store: StudyStore | None = None
        self._accounts: Accounts | None = None

    @property
    def folder(self) -> StudyFolder:
        """The study's folder.

        Raises
        ------
        StudyError
            If the server was started without a study, or there is none in the directory.
        """
        if self._study_dir is None:
            raise StudyError(
                f"This server was started without a study: {STUDY_VARIABLE} is not set. "
                "Start it with `counterlight serve STUDY_DIR`."
            )
        return StudyFolder.open(self._study_dir)

    def store(self) -> StudyStore:
        """Return the study's store; raises as :attr:`folder`."""
        with self._lock:
            if self._store is None:
                self._store = StudyStore.open(self.folder.database)
            return self._store

    def accounts(self) -> Accounts:
        """Return the study's accounts; raises as :attr:`folder`."""
        store = self.store()
        with self._lock:
            if self._accounts is None:
                self._accounts = Accounts(store)
            return self._accounts


def site_of(environment: Mapping[str, str]) -> Site:
    """Return the site that an environment names; the same one for the same study."""
    return _site(environment.get(STUDY_VARIABLE) or None)


@functools.cache
def _site(study_dir: str | None) -> Site:
    return Site(Path(study_dir).resolve() if study_dir else None)
