"""Turning what pydantic found wrong with a protocol into one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_KINDS = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list in square brackets",
    "model_type": "a table",
    "finite_number": "a finite number",
}


def first_problem(error: ValidationError) -> str:
    """Return the first problem as a sentence, with the number of further ones.

    Parameters
    ----------
    error
        What pydantic raised.

    Returns
    -------
    str
        E.g. ``"design.readers is 'two'; expected a whole number."``.
    """
    problems = error.errors(include_url=False)
    # An entry that is missing is often one that was misspelt: name the misspelt one first.
    problems.sort(key=lambda p: p["type"] != "extra_forbidden")
    sentence = _sentence(problems[0])
    if len(problems) > 1:
        sentence = f"{sentence[:-1]} ({len(problems) - 1} more after this)."
    return sentence


def entry_path(location: tuple[int | str, ...]) -> str:
    """Write a location the way TOML authors count: ``conditions[1].panels[0].method``."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else str(part)
    return path


def _sentence(problem: ErrorDetails) -> str:
    path, kind = entry_path(problem["loc"]), problem["type"]
    context: Mapping[str, object] = problem.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return f"{path} is missing; add it."
    if kind == "extra_forbidden":
        return f"{path} is not an entry that a protocol knows; remove it or correct its name."
    given = _shown(problem["input"])
    return f"{path} is {given}; expected {_expected(kind, context, problem['msg'])}."


def _expected(kind: str, context: Mapping[str, object], message: str) -> str:
    bounds = {
        "greater_than": "gt",
        "greater_than_equal": "ge",
        "less_than": "lt",
        "less_than_equal": "le",
    }
    if kind in _KINDS:
        return _KINDS[kind]
    if kind in bounds:
        words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
        return f"{words[bounds[kind]]} {context[bounds[kind]]}"
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "string_pattern_mismatch":
        return "letters, digits, hyphens and underscores, at most 40"
    if kind in ("string_too_short", "string_too_long"):
        limit = context.get("min_length", context.get("max_length"))
        return f"a text of {'at least' if kind.endswith('short') else 'at most'} {limit} characters"
    if kind in ("too_short", "too_long"):
        limit = context.get("min_length", context.get("max_length"))
        return f"{'at least' if kind == 'too_short' else 'at most'} {limit} entries"
    return message[0].lower() + message[1:]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
