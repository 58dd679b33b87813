"""Words that manifests use for present, absent and unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

POSITIVE = ("1", "1.0", "yes", "y", "true", "t", "positive", "present")
NEGATIVE = ("0", "0.0", "no", "n", "false", "f", "negative", "absent", "none")
UNKNOWN = ("", "-1", "-1.0", "na", "n/a", "nan", "null", "unknown", "uncertain", "unlabelled")
HEALTHY = ("normal", "no finding", "no findings")  # labels of a film without findings


class UnknownWord(ValueError):
    """A cell that says neither present, absent nor unknown."""


@dataclass(frozen=True)
class Vocabulary:
    """How finding cells and label lists are read.

    Parameters
    ----------
    meanings
        Lower-case word to present (``True``), absent (``False``) or unknown (``None``).
    separator
        What stands between the labels of a list.
    """

    meanings: Mapping[str, bool | None]
    separator: str = "|"

    @classmethod
    def build(
        cls,
        positive: Iterable[str] = (),
        negative: Iterable[str] = (),
        unknown: Iterable[str] = (),
        separator: str = "|",
    ) -> Vocabulary:
        """Add a user's words to the usual ones; the user's outweigh them."""
        meanings: dict[str, bool | None] = {}
        for words, meaning in (
            (POSITIVE, True), (NEGATIVE, False), (UNKNOWN, None),
            (positive, True), (negative, False), (unknown, None),
        ):  # fmt: skip
            meanings.update({word.strip().lower(): meaning for word in words})
        return cls(meanings, separator)

    def meaning(self, cell: str) -> bool | None:
        """Say whether a cell means present, absent or unknown.

        Raises
        ------
        UnknownWord
            If the word is none of these.
        """
        try:
            return self.meanings[cell.strip().lower()]
        except KeyError:
            raise UnknownWord(
                f"{cell!r} is neither present, absent nor unknown; expected 1, 0 or an empty cell, "
                "or name the word with --positive, --negative or --unknown."
            ) from None

    def labels(self, cell: str) -> tuple[str, ...] | None:
        """Split a label list.

        Returns
        -------
        tuple of str or None
            The findings it names, empty for a film without findings; ``None`` if nobody has
            labelled the film.
        """
        parts = [part.strip() for part in cell.split(self.separator)] if self.separator else [cell]
        kinds = [self._label_meaning(part) for part in parts]
        if all(kind == "unknown" for kind in kinds):
            return None
        named = (part for part, kind in zip(parts, kinds, strict=True) if kind == "finding")
        return tuple(dict.fromkeys(named))

    def _label_meaning(self, label: str) -> str:
        """Tell a finding from words for healthy and unlabelled films."""
        word = label.lower()
        if word in self.meanings:
            return {True: "finding", False: "absent", None: "unknown"}[self.meanings[word]]
        return "absent" if word in HEALTHY else "finding"
