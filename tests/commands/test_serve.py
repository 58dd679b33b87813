"""Before a server starts: the study and the address are looked at."""

from __future__ import annotations

import socket

import pytest

from commands.serve import require_free, serve
from study.errors import StudyError


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 5000, b"garbage" * 500])
def test_a_damaged_study_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "study.sqlite").write_bytes(content)
    with pytest.raises(StudyError, match=r"study\.sqlite.*(backup|prepared study)\.$"):
        serve(tmp_path, port=8501)


def test_a_port_in_use_is_refused_and_another_one_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StudyError, match=f"Port {port} on 127.0.0.1 is in use"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)


@pytest.mark.parametrize("address", ["no such host", "203.0.113.9"])
def test_an_address_of_another_machine_is_refused(address):
    with pytest.raises(StudyError, match=r"is no address of this machine|Nothing can listen"):
        require_free(address, 8501)
