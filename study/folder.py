"""Where the parts of one study lie on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from study.errors import StudyError


@dataclass(frozen=True)
class StudyFolder:
    """The directory of one study; the one place that knows its layout.

    Parameters
    ----------
    root
        Directory that holds the study.
    """

    root: Path

    @property
    def protocol(self) -> Path:
        """The protocol as written by its author (TOML)."""
        return self.root / "protocol.toml"

    @property
    def cases(self) -> Path:
        """The case set (``cases.csv``, ``reference.csv``, images)."""
        return self.root / "cases"

    @property
    def explanations(self) -> Path:
        """The explanation archive."""
        return self.root / "explanations"

    @property
    def classifier(self) -> Path:
        """A copy of the classifier that the study explains."""
        return self.root / "networks" / "classifier.safetensors"

    def network(self, role: str) -> Path:
        """Return where a copy of a network beside the classifier lies, if a method needs one."""
        return self.root / "networks" / f"{role}.safetensors"

    @property
    def displays(self) -> Path:
        """The panels that readers see, made beforehand."""
        return self.root / "displays"

    @property
    def database(self) -> Path:
        """The append-only store."""
        return self.root / "study.sqlite"

    @property
    def predictions(self) -> Path:
        """Table of the classifier's predictions."""
        return self.explanations / "predictions.csv"

    @property
    def localisation(self) -> Path:
        """Table of the maps' agreement with the reference masks."""
        return self.explanations / "localisation.csv"

    @classmethod
    def open(cls, root: Path | str) -> StudyFolder:
        """Return the folder of a prepared study.

        Raises
        ------
        StudyError
            If there is no study database in ``root``.
        """
        folder = cls(Path(root))
        if not folder.database.is_file():
            raise StudyError(
                f"{folder.root} holds no study.sqlite; expected the directory of a prepared study. "
                "Prepare the study first, or name its directory."
            )
        return folder
