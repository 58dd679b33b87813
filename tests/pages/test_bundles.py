"""The committed bundles of the browser's side are those of the sources beside them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PARTS = Path(__file__).parents[2] / "pages" / "parts"
PROJECT = PARTS / "viewer"
BUNDLES = (
    (PARTS / "viewer" / "src", PARTS / "viewer" / "viewer.js"),
    (PARTS / "form" / "src", PARTS / "form" / "form.js"),
)


def digest(folder: Path) -> str:
    """Return the digest that the build script writes: path and text of every source but tests."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.ts")
        if not path.name.endswith(".test.ts")
    )
    parts = (f"{name}\0".encode() + (folder / name).read_bytes() + b"\0" for name in names)
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize(("folder", "bundle"), BUNDLES, ids=["viewer", "form"])
def test_a_bundle_is_built_from_its_sources(folder: Path, bundle: Path) -> None:
    if not (folder / "main.ts").is_file():
        pytest.skip(f"there is no {folder.parent.name}/src/main.ts")
    first, _, rest = bundle.read_text(encoding="utf-8").partition("\n")
    assert digest(folder) in first, "sources changed; `npm run build` in pages/parts/viewer"
    # Streamlit takes one line without a newline for the name of a file.
    assert rest.endswith("\n") and "export{" in rest


@pytest.mark.parametrize(("folder", "bundle"), BUNDLES, ids=["viewer", "form"])
def test_a_bundle_asks_no_other_site(folder: Path, bundle: Path) -> None:
    if not bundle.is_file():
        pytest.skip("not built")
    text = bundle.read_text(encoding="utf-8")
    assert not re.findall(r"https?://(?!www\.w3\.org/)[^\s\"'`]+", text)
    assert "eval(" not in text and "new Function" not in text


def test_the_locked_packages_name_no_registry() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text(encoding="utf-8"))
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]


def test_the_sources_type_check_and_their_tests_pass() -> None:
    npm = shutil.which("npm")
    if npm is None or not (PROJECT / "node_modules").is_dir():
        pytest.skip("npm or node_modules is not there; run `npm ci` in pages/parts/viewer")
    done = subprocess.run(
        [npm, "test"], cwd=PROJECT, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
