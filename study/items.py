"""What readers are asked: one record for each question, from which form and checks are made."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from study.record import FromList, Identifier, Record, Sentence

ItemKind: TypeAlias = Literal["likert", "scale", "choice", "multi_choice", "text", "point", "box"]

NUMERIC_KINDS: tuple[ItemKind, ...] = ("likert", "scale")
"""Kinds whose answer is a whole number on a scale with two anchors."""

OPTION_KINDS: tuple[ItemKind, ...] = ("choice", "multi_choice")
"""Kinds whose answer is taken from a list of options."""

MARK_KINDS: tuple[ItemKind, ...] = ("point", "box")
"""Kinds whose answer is marked on the film."""

SCALE_HIGHEST = 100
"""Upper end of an item of kind ``"scale"``; its lower end is 0."""


class Option(Record):
    """One of the answers that a choice offers.

    Parameters
    ----------
    id
        What is stored, and what tables hold.
    label
        Words that the reader sees.
    """

    id: Identifier
    label: Sentence


class Asked(Record):
    """When an item is asked: only once another item has a certain answer.

    Parameters
    ----------
    item
        Identifier of a choice that stands before it.
    equals
        Identifier of the option that has to be chosen.
    """

    item: Identifier
    equals: Identifier


class Item(Record):
    """One question.

    Parameters
    ----------
    id
        Identifier in tables.
    kind
        ``"likert"``: an integer from 1 to ``points``. ``"scale"``: an integer from 0 to 100.
        ``"choice"``: the id of one option. ``"multi_choice"``: ids of options, in the protocol's
        order. ``"text"``: free text. ``"point"``: (x, y), and ``"box"``: (x0, y0, x1, y1) with
        x0 < x1 and y0 < y1, as fractions of the film's width and height in [0, 1] from its upper
        left corner, at most ``max_marks`` of them.
    question
        Words that the reader sees.
    low, high
        Anchors of the ends of the scale (likert and scale).
    points
        Number of points of the scale (likert only).
    required
        Whether a reading can be submitted without it; an empty list is no answer.
    max_length
        Longest text, in characters (text only).
    options
        Answers to choose from (choice and multi_choice).
    max_marks
        Largest number of marks (point and box).
    conditions
        Identifiers of the conditions in which it is asked; empty: in all.
    asked_if
        If given, it is asked (and can be required) only with this answer to another item; without
        it the item is greyed out, and what may stand in it does not count.
    """

    id: Identifier
    kind: ItemKind
    question: Sentence
    low: str = ""
    high: str = ""
    points: Annotated[int, Field(ge=2, le=11)] = 5
    required: bool = True
    max_length: Annotated[int, Field(ge=1, le=20_000)] = 2000
    options: Annotated[tuple[Option, ...], FromList, Field(max_length=40)] = ()
    max_marks: Annotated[int, Field(ge=1, le=20)] = 1
    conditions: Annotated[tuple[Identifier, ...], FromList] = ()
    asked_if: Asked | None = None

    def asked_in(self, condition_id: str) -> bool:
        """Say whether the item is asked where that condition is shown."""
        return not self.conditions or condition_id in self.conditions

    @property
    def lowest(self) -> int:
        """Lower end of the scale of a numeric item."""
        return 0 if self.kind == "scale" else 1

    @property
    def highest(self) -> int:
        """Upper end of the scale of a numeric item."""
        return SCALE_HIGHEST if self.kind == "scale" else self.points
