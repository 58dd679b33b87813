from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.importing import command, parse_mappings
from data.importing import ImportRefused
from data.manifest import CaseSet
from data.reference import ReferenceSet

Make = Callable[..., Path]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_command_imports_and_says_what_is_left_to_do(
    make_manifest: Make, tmp_path: Path
) -> None:
    path = make_manifest(
        3, id=["a1", "a2", "a3"], labels=["Mass;Effusion", "ok", "?"], Nodule=["ja", "nein", ""],
        licence=["CC0"] * 3,
    )  # fmt: skip
    (path.parent / "doe_john_1.png").unlink()
    result = run(
        path, "--out", tmp_path / "cases", "--map", "case_id=id", "--labels", "labels",
        "--label-separator", ";", "--finding-column", "Nodule", "--positive", "ja",
        "--negative", "nein", "--negative", "ok", "--unknown", "?", "--keep", "licence",
        "--skip-bad", "--no-source-names",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "2 films imported into" in result.output
    assert "findings: Nodule, Effusion, Mass" in result.output
    assert "1 row refused" in result.output and "a person must look" in result.output
    assert CaseSet.open(tmp_path / "cases").case_ids == ("a1", "a3")
    reference = ReferenceSet.open(tmp_path / "cases").get("a1")
    assert reference.findings == {"Nodule": True, "Effusion": True, "Mass": True}
    assert reference.attributes == {"burned_in": "unknown", "licence": "CC0"}


def test_a_refused_import_raises_our_error_for_the_command_line_to_show(
    make_manifest: Make, tmp_path: Path
) -> None:
    result = run(
        make_manifest(2, Mass=["1", "2"]), "--out", tmp_path / "cases", "--finding-column", "Mass"
    )
    assert isinstance(result.exception, ImportRefused)
    assert "row 3, column Mass: '2' is neither present" in str(result.exception)


def test_the_allowed_findings_are_given_as_a_list(make_manifest: Make, tmp_path: Path) -> None:
    path = make_manifest(2, labels=["Mass", "Effusion"])
    result = run(path, "--out", tmp_path / "c", "--labels", "labels", "--findings", "Mass, Nodule")
    assert "finding 'Effusion' is unknown; expected one of Mass, Nodule" in str(result.exception)


@pytest.mark.parametrize(
    ("texts", "message"),
    [(["image"], "is no mapping"), (["=x"], "is no mapping"), (["a=b", "a=c"], "mapped twice")],
)
def test_a_malformed_mapping_is_a_usage_error(texts: list[str], message: str) -> None:
    arguments = [part for text in texts for part in ("--map", text)]
    result = run("m.csv", "--out", "cases", *arguments)
    assert result.exit_code == 2 and message in result.output


def test_a_mapping_may_hold_further_equals_signs() -> None:
    assert parse_mappings(["finding:A=b=c", "view="]) == {"finding:A": "b=c", "view": ""}
