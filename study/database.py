"""Connections to a study's SQLite file: settings, transactions, and errors as sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from study.errors import StoreUnavailable, StudyError
from study.schema import APPLICATION_ID, STORE_FORMAT, TRIGGERS, metadata

_WRITE = "counterlight_write"

_CAUSES = (
    ("full", "the disk is full; free some space and submit again"),
    ("disk I/O", "the disk refused; it may be full, so free some space and try again"),
    ("locked", "another program keeps it locked; close that program and submit again"),
    ("readonly", "it is read-only; make the file and its directory writable"),
    ("unable to open", "it cannot be opened; check that the path exists and is writable"),
    ("not a database", "it is not a database; restore it from a backup"),
    ("malformed", "the file is damaged; restore it from a backup"),
)


def connect(path: Path, busy_timeout_s: float) -> tuple[Engine, Engine]:
    """Return two engines on one pool: for reading (snapshot) and for writing (lock first).

    Parameters
    ----------
    path
        Existing ``study.sqlite``.
    busy_timeout_s
        How long a writer waits for another one.

    Raises
    ------
    StoreUnavailable
        If the file is missing or is not a study's database.
    """
    if not path.is_file():
        raise StoreUnavailable(
            f"There is no study database {path}; prepare the study first, or name its directory."
        )
    engine = _engine(path, busy_timeout_s)
    with spoken(path, "Nothing can be read from"), engine.begin() as connection:
        application = connection.execute(text("PRAGMA application_id")).scalar_one()
        version = connection.execute(text("PRAGMA user_version")).scalar_one()
    if application != APPLICATION_ID:
        raise StoreUnavailable(
            f"{path} is not a study's database; name the study.sqlite of a prepared study."
        )
    if version != STORE_FORMAT:
        raise StoreUnavailable(
            f"{path} has store format {version}; this release reads {STORE_FORMAT}. "
            "Open it with the release that made it."
        )
    return engine, engine.execution_options(**{_WRITE: True})


@contextmanager
def create_file(path: Path) -> Iterator[Connection]:
    """Make a database in one transaction, and put it in place only when it is complete.

    Parameters
    ----------
    path
        File to be made; its directory is made if needed.

    Raises
    ------
    StoreUnavailable
        If it cannot be written; nothing is left behind.
    """
    draft = path.with_name(path.name + ".draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(draft)
        engine = _engine(draft, busy_timeout_s=1.0).execution_options(**{_WRITE: True})
        try:
            with spoken(path), engine.begin() as connection:
                metadata.create_all(connection)
                for trigger in TRIGGERS.values():
                    connection.execute(text(trigger))
                connection.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
                connection.execute(text(f"PRAGMA user_version = {STORE_FORMAT}"))
                yield connection
        finally:
            engine.dispose()
        draft.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"The study database {path} cannot be made ({error.strerror or error}); nothing was "
            "written. Choose a directory with space where you may write."
        ) from error
    finally:
        _remove(draft)


@contextmanager
def spoken(path: Path, outcome: str = "Nothing was saved to") -> Iterator[None]:
    """Turn errors of the database into one sentence.

    Parameters
    ----------
    path
        The database, which the sentence names.
    outcome
        How the sentence begins.

    Raises
    ------
    StoreUnavailable
        What happened, and what to do.
    """
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable(
            f"{outcome} {path.name}: too many requests at once; try again."
        ) from error
    except DBAPIError as error:
        cause = str(error.orig)
        for sign, words in _CAUSES:
            if sign in cause:
                raise StoreUnavailable(f"{outcome} {path.name}: {words}.") from error
        raise StoreUnavailable(f"{outcome} {path.name}: the database refused ({cause}).") from error


def purge(engine: Engine) -> None:
    """Write erased rows out of the log file, so that no copy of them stays on disk."""
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            raise StudyError("Only SQLite databases can be purged.")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _engine(path: Path, busy_timeout_s: float) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        pool_size=8,
        max_overflow=32,
    )

    @event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):  # what stops this stops the making of the file, and is said there
            draft.with_name(draft.name + suffix).unlink()
