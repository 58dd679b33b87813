"""Types of the page fixtures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

OpenPage = Callable[..., AppTest]
"""``open_page(who, script="navigation.py")``."""

NAVIGATION = Path(__file__).parents[2] / "pages" / "navigation.py"
"""The script that the server runs."""
