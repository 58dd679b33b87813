"""What a result was made with: versions, digests, and when."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata

from study.clock import timestamp

PACKAGES = (
    "counterlight",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "plotly",
    "pydantic",
    "sqlalchemy",
    "openpyxl",
    "pyarrow",
    "streamlit",
    "torch",
)


@dataclass(frozen=True)
class Environment:
    """What a result was made with.

    Parameters
    ----------
    versions
        Package to version; Python among them as ``"python"``.
    machine
        Operating system and processor.
    made_at
        When.
    """

    versions: Mapping[str, str]
    machine: str
    made_at: datetime

    def facts(self, study: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return names and values: time, study's own entries, machine, versions."""
        return (
            ("made at", timestamp(self.made_at)),
            *study.items(),
            ("machine", self.machine),
            *self.versions.items(),
        )

    def to_json(self, study: Mapping[str, str]) -> str:
        """Return everything as JSON; ``study`` holds digests and the head of the record."""
        document = {
            "made_at": timestamp(self.made_at),
            "study": dict(study),
            "machine": self.machine,
            "versions": dict(self.versions),
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def this_environment(now: datetime) -> Environment:
    """Return the environment of this process, without importing any of the packages."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Environment(versions, f"{platform.system()} {platform.machine()}", now)
