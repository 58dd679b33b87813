"""The house keeps its own rules: imports, blinding, pinned versions, documented commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("commands", "data", "explainers", "pages", "study")


def test_the_import_contracts_hold():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


READING_MODULES = (
    "pages.web.gate",
    "pages.web.routes",
    "pages.parts.context",
    "pages.parts.display",
    "pages.parts.desk_view",
    "pages.web.readings",
    "explainers.record",
    "explainers.archive",
    "explainers.overlay",
    "explainers.animation",
    "explainers.registry",
    "study.store",
    "study.session",
    "study.analysis.report.assemble",
    "study.analysis.report.html",
)


def test_the_reading_side_starts_without_torch_and_without_the_reference_standard():
    code = (
        f"import importlib, sys\nfor name in {READING_MODULES!r}: importlib.import_module(name)\n"
        "print('torch' in sys.modules, 'data.reference' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_every_package_init_is_empty():
    filled = [p for name in PACKAGES for p in (ROOT / name).rglob("__init__.py") if p.read_text()]
    assert filled == []


def test_constraints_pin_exact_public_versions():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.]*", line)] == []


def test_constraints_cover_every_declared_dependency():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.match(r"[A-Za-z0-9_-]+", d).group().lower() for d in declared}
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert names - pinned == set()


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_explains_itself(name):
    result = CliRunner().invoke(cli.cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


def test_commands_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"^counterlight ([a-z-]+)", text, flags=re.MULTILINE))
    assert named
    assert named - set(cli.COMMANDS) == set()


def test_no_file_of_the_project_is_too_large_for_the_repository():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    sizes = {name: (ROOT / name).stat().st_size for name in listed if (ROOT / name).is_file()}
    assert {name: size for name, size in sizes.items() if size > 16e6} == {}
    assert sum(sizes.values()) < 120e6


@pytest.mark.parametrize(
    "path", sorted((ROOT / "study" / "protocols").glob("*.toml")), ids=lambda p: p.stem
)
def test_every_shipped_protocol_is_valid_with_the_methods_there_are(path: Path) -> None:
    from explainers.registry import names
    from study.protocol import load_protocol

    protocol = load_protocol(path, known_methods=names())
    assert protocol.study.id == path.stem
