"""Parts of a report: every one a title, a sentence, estimates, figures and notes.

:func:`estimates_in` collects every :class:`~study.analysis.estimate.Estimate` of a frozen record of
results, however deep, together with the words beside it that say what it is about (item,
condition, reader, finding, …). So an analysis becomes a section without a table of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import pandas as pd

from study.analysis.estimate import Estimate
from study.analysis.rendering import label_of

_WORDS = ("item", "condition", "correctness", "finding", "reader", "session", "map_name", "name")
"""Fields of a record of results whose text says what the estimates beside it are about."""

_READING_PAIRS = "readers"
_BETWEEN = " · "


@dataclass(frozen=True)
class Line:
    """One estimate, and what of the study it is about.

    Parameters
    ----------
    item
        Item; empty where the estimate is about none.
    cases
        Correctness in words (``"true positives"``, ``"all cases"``), or empty.
    part
        Condition, finding, reader, map or session, in words; empty for everything together.
    estimate
        The number with interval, method, population and counts.
    main
        Whether the screen shows it without being asked; downloads hold all.
    """

    item: str
    cases: str
    part: str
    estimate: Estimate
    main: bool = True


@dataclass(frozen=True, eq=False)
class Section:
    """One part of a report.

    Parameters
    ----------
    id
        Short name, fit for an anchor and a file; figures name the section that they stand in.
    title, sentence
        Heading, and what came out or why nothing could be estimated.
    lines
        The estimates.
    notes
        What must be known beside them, one sentence each.
    is_model
        Whether it fits mixed models and so takes seconds.
    """

    id: str
    title: str
    sentence: str
    lines: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    is_model: bool = False


def estimates_in(result: Any, *, item: str = "", main: bool = True) -> tuple[Line, ...]:
    """Return every estimate of a record of results, in the order of its fields.

    Parameters
    ----------
    result
        A dataclass, or a sequence of them.
    item
        Item, where the record does not name one.
    main
        Whether the lines are shown without being asked for.
    """
    return tuple(_walk(result, Line(item, "", "", _NOTHING, main)))


def _walk(node: Any, around: Line) -> Iterator[Line]:
    if isinstance(node, Estimate):
        yield replace(around, estimate=node)
    elif is_dataclass(node) and not isinstance(node, type):
        around = _described(node, around)
        for field in fields(node):
            for line in _walk(getattr(node, field.name), around):
                yield _with_reader(line, field.name, around)
    elif isinstance(node, list | tuple):
        words = [one for one in node if isinstance(one, str)]
        rest = [one for one in node if not isinstance(one, str)]
        if words and len(rest) == 1 and isinstance(rest[0], Estimate):
            around = replace(around, part=_joined(around.part, *words))  # a labelled estimate
        for one in rest:
            yield from _walk(one, around)


def _with_reader(line: Line, field: str, around: Line) -> Line:
    """Say that the words of a pair in ``by_reader`` begin with a reader's name."""
    own = line.part.removeprefix(around.part).removeprefix(_BETWEEN)
    if field != "by_reader" or not own or own.startswith(("reader ", "condition ")):
        return line
    return replace(line, part=_joined(around.part, f"reader {own}"))


def _joined(*words: str) -> str:
    return _BETWEEN.join(dict.fromkeys(word for word in words if word))


def _described(node: Any, around: Line) -> Line:
    """Add the words of a record to those of the records that it lies in."""
    parts = [around.part] if around.part else []
    item, cases = around.item, around.cases
    for name in _WORDS:
        word = getattr(node, name, None)
        if not isinstance(word, str) or not word:
            continue
        if name == "item":
            item = word
        elif name == "correctness":
            cases = label_of(word)
        elif name == "name":
            if word not in parts:
                parts.append(word)
        elif (words := _spoken(name, word)) not in parts:
            parts.append(words)
    readers = getattr(node, _READING_PAIRS, None)
    if isinstance(readers, tuple) and len(readers) == 2 and all(map(_is_text, readers)):
        parts.append(f"readers {readers[0]} and {readers[1]}")
    return replace(around, item=item, cases=cases, part=_joined(*parts))


def _spoken(name: str, word: str) -> str:
    if name in ("finding", "map_name"):
        return word
    return f"{name} {word}"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def lines_table(sections: Iterable[Section]) -> pd.DataFrame:
    """Return every estimate of some sections, one row each, at full precision.

    Returns
    -------
    DataFrame
        section, item, cases, part, quantity, value, low, high, level, p_value, df, n_readers,
        n_cases, population, role, method, note; what is not known is missing.
    """
    rows = [_row(section, line) for section in sections for line in section.lines]
    table = pd.DataFrame(rows, columns=list(LINE_COLUMNS))
    numbers = ("value", "low", "high", "level", "p_value", "df")
    return table.astype(dict.fromkeys(numbers, "float64"))


LINE_COLUMNS = (
    "section",
    "item",
    "cases",
    "part",
    "quantity",
    "value",
    "low",
    "high",
    "level",
    "p_value",
    "df",
    "n_readers",
    "n_cases",
    "population",
    "role",
    "method",
    "note",
)


def _row(section: Section, line: Line) -> tuple[object, ...]:
    e = line.estimate
    low, high = e.ci or (None, None)
    return (
        section.id, line.item, line.cases, line.part, e.quantity, e.value, low, high, e.ci_level,
        e.p_value, e.df, e.n_readers, e.n_cases, e.population, e.role, e.method, e.note,
    )  # fmt: skip


def joined(notes: Sequence[str]) -> tuple[str, ...]:
    """Return the notes without empty ones and repetitions."""
    return tuple(dict.fromkeys(note for note in notes if note))


_NOTHING = Estimate(
    quantity="nothing",
    value=None,
    ci=None,
    ci_level=None,
    p_value=None,
    df=None,
    method="none",
    population="these readers",
    role="descriptive",
    n_readers=0,
    n_cases=0,
    note="A place to be filled.",
)
