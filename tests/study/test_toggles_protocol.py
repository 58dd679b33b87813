"""Toggles in a protocol: what fits together, and what is refused in one sentence."""

from __future__ import annotations

import pytest

from study.errors import ProtocolError
from study.protocol import load_protocol, parse_protocol, protocol_from_json, shipped_protocol
from study.protocol_toml import to_toml
from study.viewer_log import parse_entries

TEXT = shipped_protocol("stylespace").read_text(encoding="utf-8")
PANEL = (
    '{ show = "toggles", method = "stylespace", title = "Switched picture", frames = "residual" }'
)
LABEL = 'label = "Picture with switches"'


def test_the_shipped_protocol_compares_toggles_with_maps() -> None:
    known = ("input_gradients", "guided_backprop", "integrated_gradients", "stylespace")
    protocol = load_protocol(shipped_protocol("stylespace"), known_methods=known)
    panel = protocol.condition("toggles").panels[1]
    assert (panel.show, panel.method, panel.frames) == ("toggles", "stylespace", "residual")
    assert protocol.study.simulated
    assert parse_protocol(to_toml(protocol)) == protocol
    assert protocol_from_json(protocol.canonical) == protocol


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            PANEL,
            f'{PANEL},\n{{ show = "frames", method = "latent_shift" }}',
            "conditions[1].panels holds toggles beside frames",
        ),
        (PANEL, f"{PANEL},\n{PANEL}", "conditions[1].panels holds 2 panels with toggles"),
        ('method = "stylespace", ', "", "conditions[1].panels[1].method is missing"),
        (LABEL, f'{LABEL}\ncontrols = ["slider"]', "conditions[1].controls is set"),
        (
            LABEL,
            f'{LABEL}\nsham = "randomised_model"',
            "a network with reset weights has none; use 'other_case'",
        ),
        (LABEL, f'{LABEL}\nsham = "other_case"', "set display.show_probability = false"),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(old: str, new: str, sentence: str) -> None:
    assert old in TEXT
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(TEXT.replace(old, new, 1), name="p.toml")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_cases_toggles_are_a_sham_where_no_probability_betrays_them() -> None:
    text = TEXT.replace(LABEL, f'{LABEL}\nsham = "other_case"').replace(
        "show_probability = true", "show_probability = false"
    )
    text = text.replace('condition = "toggles"', 'condition = "maps"')
    assert parse_protocol(text).condition("toggles").sham == "other_case"
    with pytest.raises(ProtocolError, match="decoded frames would show the other case's film"):
        parse_protocol(text.replace('"residual"', '"decoded"'))


def test_changes_of_the_switches_are_kept_in_the_log() -> None:
    entries, n_discarded = parse_entries([{"at_ms": 900, "kind": "toggle", "value": "-0+"}])
    assert (entries[0].kind, entries[0].value, n_discarded) == ("toggle", "-0+", 0)
