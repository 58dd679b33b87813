"""What holds for every test."""

from __future__ import annotations


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: a time stamp among them would differ between two processes."""
    return argname if isinstance(val, bytes) else None
