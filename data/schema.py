"""The JSON schema of our tables, generated from the models that validate them."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic.json_schema import models_json_schema

from data.incoming import IncomingRow
from data.manifest import CaseRow
from data.reference import ReferenceRow

SCHEMA_FILE = Path(__file__).with_name("manifest.schema.json")


def table_schema() -> dict[str, object]:
    """Return the schema of one row of each table.

    Returns
    -------
    dict
        JSON Schema 2020-12 whose ``$defs`` describe ``CaseRow`` (``cases.csv``), ``ReferenceRow``
        (``reference.csv``) and ``IncomingRow`` (a manifest to import).
    """
    _, schema = models_json_schema(
        [(model, "validation") for model in (CaseRow, ReferenceRow, IncomingRow)],
        title="Counterlight case sets",
        description="One row of cases.csv, of reference.csv, and of a manifest to import.",
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def schema_text() -> str:
    """Return the schema as it stands in ``manifest.schema.json``."""
    return json.dumps(table_schema(), indent=2, ensure_ascii=False) + "\n"


def write_schema(path: Path = SCHEMA_FILE) -> None:
    """Write the schema file anew, after a change of the models.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path.write_text(schema_text(), encoding="utf-8")
