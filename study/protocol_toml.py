"""Writing a protocol as TOML, so that a frozen one can be read, compared and used again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from study.protocol import StudyProtocol


def to_toml(protocol: StudyProtocol) -> str:
    """Return TOML that :func:`study.protocol.parse_protocol` reads back to the same digest."""
    return "\n".join(_lines(protocol.model_dump(mode="json", exclude_none=True))) + "\n"


def _lines(content: Mapping[str, object]) -> Iterator[str]:
    for name, value in content.items():
        if not isinstance(value, Mapping) and not _is_tables(value):
            yield f"{name} = {_value(value)}"
    for name, value in content.items():
        if isinstance(value, Mapping):
            # Tables of a table are written inline: a heading of their own would need its path.
            yield from ("", f"[{name}]", *(f"{k} = {_value(v)}" for k, v in value.items()))
        elif _is_tables(value):
            for table in value:  # type: ignore[attr-defined]
                yield from ("", f"[[{name}]]", *(f"{k} = {_value(v)}" for k, v in table.items()))


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _value(value: object) -> str:
    if isinstance(value, str):
        # JSON strings are TOML strings, except that TOML also wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    return json.dumps(value)
