"""Errors of ours reach a person as one sentence; our own mistakes do not hide behind one."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path

import cli
from commands.train import TRAINERS
from data.case import InvalidCase

ROOT = Path(__file__).resolve().parents[1]


def test_a_domain_error_is_its_own_sentence():
    assert cli.explain_error(InvalidCase("Case 'a' is too small.")) == "Case 'a' is too small."


def test_a_full_disk_is_one_sentence():
    error = OSError(errno.ENOSPC, "No space left on device", "var/x")
    assert "disk is full" in cli.explain_error(error)
    assert "var/x" in cli.explain_error(error)


def test_a_place_that_may_not_be_written_is_one_sentence():
    error = PermissionError(errno.EACCES, "Permission denied", "/elsewhere/x")
    assert cli.explain_error(error) == (
        "/elsewhere/x cannot be used (Permission denied). "
        "Choose another place, or change its permissions, and run the command again."
    )


def test_a_programming_mistake_is_not_hidden():
    assert cli.explain_error(ValueError("shapes differ")) is None


def test_serving_a_folder_without_a_study_is_refused_in_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "cli.py", "serve", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "holds no prepared study" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_training_that_the_documents_name_is_a_command():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    named = re.findall(r"counterlight train ([a-z][a-z0-9-]*(?:\|[a-z0-9-]+)*)", "\n".join(texts))
    words = {word for each in named for word in each.split("|")}
    assert "vae" in words and not words - set(TRAINERS)
