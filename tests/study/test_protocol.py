"""Protocols: what is accepted, what is refused and in which words, and what the digest covers."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from study.errors import ProtocolError
from study.protocol import load_protocol, parse_protocol, protocol_from_json, shipped_protocol
from study.protocol_toml import to_toml

DEMO = shipped_protocol("demo").read_text(encoding="utf-8")
METHODS = ("input_gradients", "guided_backprop", "integrated_gradients", "latent_shift")


@pytest.mark.parametrize("name", ["demo", "gifsplanation"])
def test_the_shipped_protocols_are_valid_with_the_four_methods(name: str) -> None:
    protocol = load_protocol(shipped_protocol(name), known_methods=METHODS)
    assert protocol.study.id == name
    assert [c.id for c in protocol.conditions] == ["A", "B"]
    assert (
        protocol.item("confidence").question == "How confident are you in the model's prediction?"
    )
    feature = protocol.item("correct_feature")
    assert feature.question == "Is the model looking at the correct feature?"
    assert (feature.points, feature.kind) == (5, "likert")
    assert protocol.item("comment").kind == "text"
    assert [p.method for p in protocol.condition("A").panels[1:]] == list(METHODS[:3])
    assert [p.method for p in protocol.condition("B").panels[1:]] == [
        "latent_shift-max",
        "latent_shift",
    ]


def test_the_demo_gives_slider_and_play_and_the_published_study_neither() -> None:
    demo = load_protocol(shipped_protocol("demo"))
    published = load_protocol(shipped_protocol("gifsplanation"))
    assert demo.condition("B").controls == ("slider", "play")
    assert not demo.condition("B").autoplay
    assert published.condition("B").controls == ()
    assert published.condition("B").autoplay
    assert demo.cases.per_finding * len(demo.cases.findings) == 48
    assert published.cases.per_finding * len(published.cases.findings) == 240
    assert (demo.design.washout_days, published.design.washout_days) == (0, 28)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            '"guided_backprop"',
            '"gradcamm"',
            "demo.toml: conditions[0].panels[2].method is 'gradcamm'; known methods are "
            "guided_backprop, input_gradients, integrated_gradients, latent_shift; "
            "correct the name.",
        ),
        ("readers = 2", 'readers = "two"', "design.readers is 'two'; expected a whole number"),
        ("readers = 2", "reders = 2", "design.reders is not an entry that a protocol knows"),
        ("readers = 2", "", "design.readers is missing; add it"),
        ("readers = 2", "readers = 0", "design.readers is 0; expected at least 1"),
        ("washout_days = 0", "washout_days = nan", "design.washout_days is nan"),
        ("washout_days = 0", 'washout_days = "0"', "design.washout_days is '0'; expected a number"),
        ("simulated = true", "simulated = 1", "study.simulated is 1; expected true or false"),
        ('kind = "likert"', 'kind = "likart"', "items[0].kind is 'likart'; expected 'likert' or"),
        ('id = "B"', 'id = "A"', "conditions[1].id is 'A', which conditions[0] has already taken"),
        ('id = "correct_feature"', 'id = "confidence"', "items[1].id is 'confidence', which"),
        ('["B", "A"]', '["B", "C"]', "analysis.contrast[1] is 'C'; the conditions are A, B"),
        ('["B", "A"]', '["B", "B"]', "names the same condition twice"),
        ('primary = "confidence"', 'primary = "comment"', "analysis.primary is 'comment'"),
        ("per_finding = 8", "per_finding = 7", "cases.per_finding is 7"),
        ('"Mass", "Pneumo', '"Mass", "Mass", "Pneumo', "cases.findings[5] is 'Mass' a second time"),
        ("sessions = 2", "sessions = 3", "design.sessions is 3 but there are 2 conditions"),
        ('low = "not at all"', 'low = ""', "items[0] has no anchors"),
        ("format_version = 1", "format_version = 2", "format_version is 2"),
        ("[display]", "[display", "is not valid TOML"),
        ('method = "latent_shift-max", ', "", "conditions[1].panels[1].method is missing"),
        (
            '{ show = "film", title = "Film" }',
            '{ show = "film", method = "latent_shift" }',
            "a film has no method",
        ),
        (
            '    { show = "frames", method = "latent_shift", title = "Moving film" },\n',
            "",
            "conditions[1].controls is set, but no panel of this condition shows frames",
        ),
        ('subset = "true_positive"', 'subset = "best"', "analysis.subset is 'best'; expected"),
        ("false_positive_share = 0.5", "false_positive_share = 1.0", "analysis.subset is"),
        ('method = "latent_shift"', 'method = "latent_shift-max"', "panels[2].method is"),
    ],
)
def test_a_faulty_protocol_is_refused_in_one_sentence(old: str, new: str, sentence: str) -> None:
    assert old in DEMO
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(DEMO.replace(old, new, 1), name="demo.toml", known_methods=METHODS)
    message = str(caught.value)
    assert sentence in message
    assert message.startswith("demo.toml")
    assert "\n" not in message
    assert "pydantic" not in message


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path) -> None:
    with pytest.raises(ProtocolError, match="cannot be read"):
        load_protocol(tmp_path / "none.toml")
    (tmp_path / "image.toml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ProtocolError, match="not UTF-8"):
        load_protocol(tmp_path / "image.toml")


def test_the_digest_covers_every_entry_and_not_the_way_it_is_written() -> None:
    protocol = parse_protocol(DEMO)
    respaced = DEMO.replace("readers = 2", "readers   =   2 # two") + "\n# end\n"
    assert parse_protocol(respaced).digest == protocol.digest
    explicit = DEMO.replace("revisions = false\n", "")  # the default, left out
    assert parse_protocol(explicit).digest == protocol.digest
    assert parse_protocol(DEMO.replace("seed = 20210208", "seed = 1")).digest != protocol.digest
    assert parse_protocol(DEMO.replace("Map 1", "Map one")).digest != protocol.digest


def test_a_protocol_is_frozen() -> None:
    protocol = parse_protocol(DEMO)
    with pytest.raises(ValidationError):
        protocol.design.readers = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", ["demo", "gifsplanation"])
def test_a_protocol_survives_json_and_toml(name: str) -> None:
    protocol = load_protocol(shipped_protocol(name))
    assert protocol_from_json(protocol.canonical) == protocol
    assert parse_protocol(to_toml(protocol)) == protocol


def test_written_toml_keeps_quotes_breaks_and_odd_letters() -> None:
    odd = 'He said "no"\\\n\ttab ü 漢 \x7f end'
    protocol = parse_protocol(DEMO)
    header = protocol.study.model_copy(update={"instructions": odd})
    text = to_toml(protocol.model_copy(update={"study": header}))
    assert tomllib.loads(text)["study"]["instructions"] == odd


def test_an_unknown_item_condition_or_shipped_protocol_is_named() -> None:
    protocol = parse_protocol(DEMO)
    with pytest.raises(ProtocolError, match="its items are confidence"):
        protocol.item("certainty")
    with pytest.raises(ProtocolError, match="its conditions are A, B"):
        protocol.condition("C")
    with pytest.raises(ProtocolError, match="demo, gifsplanation"):
        shipped_protocol("other")


def test_a_byte_order_mark_does_not_matter() -> None:
    assert parse_protocol("\ufeff" + DEMO) == parse_protocol(DEMO)
