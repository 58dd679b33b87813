"""The progress bar: drawn for work that is done, not for work that is refused at once."""

from __future__ import annotations

from commands.progress import progress_bar


def test_there_is_no_bar_before_the_total_is_known(capsys):
    with progress_bar("films"):
        pass
    assert capsys.readouterr().err == ""


def test_the_bar_counts_what_is_reported(capsys):
    with progress_bar("films") as advance:
        for done in (1, 2, 3):
            advance(done, 3)
    assert "3/3" in capsys.readouterr().err


def test_a_known_total_is_shown_from_the_start(capsys):
    with progress_bar("films", 240):
        assert "0/240" in capsys.readouterr().err
