import json

from data.schema import SCHEMA_FILE, schema_text


def test_the_schema_file_agrees_with_the_models_that_validate() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "run data.schema.write_schema() after changing a model"
    )


def test_the_schema_describes_the_three_tables_and_closes_the_list_of_cases() -> None:
    tables = json.loads(schema_text())["$defs"]
    assert set(tables) == {"CaseRow", "ReferenceRow", "IncomingRow"}
    assert tables["CaseRow"]["additionalProperties"] is False
    assert "^finding:.+$" in tables["ReferenceRow"]["patternProperties"]
    assert tables["IncomingRow"]["required"] == ["image"]
