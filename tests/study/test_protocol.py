"""Protocols: what is accepted, what is refused and in which words, and what the digest covers."""

from __future__ import annotations

import tomllib

import pytest
from pydantic import ValidationError

from study.errors import ProtocolError
from study.protocol import load_protocol, parse_protocol, protocol_from_json, shipped_protocol
from study.protocol_toml import to_toml
from tests.support.design_protocols import (
    FILM,
    FRAMES,
    MAP,
    condition,
    design,
    design_toml,
    practice,
)

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
        (
            'kind = "likert"',
            'kind = "likart"',
            "items[0].kind is 'likart'; expected 'likert', 'scale', 'choice'",
        ),
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
            '    { show = "frames", method = "latent_shift", title = "Moving film", frames = '
            '"residual" },\n',
            "",
            "conditions[1].controls is set, but no panel of this condition shows frames",
        ),
        (
            'subset = "true_positive"\nalpha',
            'subset = "best"\nalpha',
            "analysis.subset is 'best'; expected",
        ),
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
    explicit = DEMO.replace(
        "revisions = true\nskips = true\n", "revisions = true\n"
    )  # the default, left out
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


ITEM = '[[items]]\nid = "{0}"\nkind = "{1}"\nquestion = "Q?"\n{2}\n'
SCALE = 'low = "no"\nhigh = "yes"'
TWO = 'options = [{ id = "a", label = "A" }, { id = "b", label = "B" }]'
CLOSING = ITEM.replace("items", "closing")
DECODED = '{ show = "frames", method = "latent_shift", frames = "decoded" }'


def sham(kind: str, *panels: str) -> str:
    return condition("B", *panels, sham=kind)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        # designs
        (design_toml("parallel", readers=3), "design.readers is 3, which 2 parallel groups"),
        (design_toml("parallel", readers=1), "design.readers is 1, which 2 parallel groups"),
        (
            design_toml("parallel").replace("sessions = 1", "sessions = 2"),
            "design.sessions is 2, but a parallel study reads every case in one session",
        ),
        (
            design_toml("sequential").replace("sessions = 1", "sessions = 2"),
            "design.sessions is 2, but a sequential study",
        ),
        (
            design_toml("sequential", conditions=[condition(c, FILM, MAP) for c in "AB"]),
            "conditions[0] shows an explanation, but the first stage",
        ),
        (
            design_toml("sequential", conditions=[condition(c, FILM) for c in "AB"]),
            "conditions[1] shows the film only, but the second stage",
        ),
        (
            design_toml("sequential", conditions=[condition(c, FILM) for c in "ABC"]),
            "conditions has 3 entries, but a sequential study has two stages",
        ),
        (design_toml(repeats=9), "design.repeats is 9, but a reader has only 8 cases"),
        (
            design_toml("zigzag"),
            "design.kind is 'zigzag'; expected 'crossover', 'sequential', 'parallel' or",
        ),
        # shams
        (
            design_toml(conditions=[condition("A", FILM, MAP), sham("other_case", FILM, DECODED)]),
            "conditions[1].sham is 'other_case', but decoded frames would show",
        ),
        (
            design_toml(conditions=[condition("A", FILM, MAP), sham("randomised_model", FILM)]),
            "conditions[1].sham is 'randomised_model', but this condition shows the film only",
        ),
        (
            design_toml(
                conditions=[condition("A", FILM, MAP), sham("other_case", FILM, MAP)], per_finding=1
            ).replace("share = 0.5", "share = 0.0"),
            "conditions[1].sham is 'other_case', but cases.per_finding is 1",
        ),
        (
            design_toml(conditions=[condition("A", FILM, MAP), sham("noise", FILM, MAP)]),
            "conditions[1].sham is 'noise'; expected 'other_case' or 'randomised_model'",
        ),
        # panels
        (
            design_toml().replace(MAP, MAP.replace("}", ', frames = "decoded" }'), 1),
            "conditions[0].panels[1].frames is 'decoded', but this panel shows a map",
        ),
        (
            design_toml().replace(FILM, FILM.replace("}", ", signed = true }"), 1),
            "conditions[0].panels[0].signed is true, but only a map has signs",
        ),
        (
            design_toml().replace(
                MAP, '{ show = "map", method = "latent_shift-max", signed = true }', 1
            ),
            "conditions[0].panels[1].signed is true, but 'latent_shift-max' is a magnitude",
        ),
        # items
        (design_toml() + ITEM.format("x", "scale", ""), "items[1] has no anchors"),
        (design_toml() + ITEM.format("x", "text", SCALE), "items[1] is of kind 'text', which has"),
        (design_toml() + ITEM.format("x", "choice", ""), "items[1] offers 0 options; give at"),
        (design_toml() + ITEM.format("x", "point", TWO), "items[1].options is given, but a point"),
        (
            design_toml() + ITEM.format("x", "multi_choice", TWO.replace('"b"', '"A"')),
            "items[1].options[1].id is that of options[0] again",
        ),
        (
            design_toml() + ITEM.format("x", "choice", TWO.replace('"B"', '"a"')),
            "items[1].options[1].label is that of options[0] again",
        ),
        (
            design_toml() + ITEM.format("x", "choice", TWO + "\nmax_marks = 2"),
            "items[1].max_marks is 2, but a choice has no marks",
        ),
        (design_toml() + ITEM.format("x", "box", "max_marks = 21"), "max_marks is 21; expected at"),
        (
            design_toml() + ITEM.format("x", "box", 'conditions = ["C"]'),
            "items[1].conditions[0] is 'C'; the conditions are A, B",
        ),
        (
            design_toml() + ITEM.format("x", "box", 'conditions = ["A", "A"]'),
            "items[1].conditions names 'A' twice",
        ),
        (
            design_toml().replace('high = "very"', 'high = "very"\nconditions = ["A"]'),
            "conditions[1] has no items; ask at least one",
        ),
        (
            design_toml().replace('high = "very"', 'high = "very"\nconditions = ["A"]')
            + ITEM.format("x", "text", ""),
            "analysis.primary is 'confidence', which is not asked in B",
        ),
        (
            design_toml().replace('primary = "confidence"', 'primary = "x"')
            + ITEM.format("x", "choice", TWO),
            "analysis.primary is 'x'; it must be one of the likert or scale items",
        ),
        # practice
        (design_toml(practised=[practice("Gout", "A")]), "practice[0].finding is 'Gout'"),
        (design_toml(practised=[practice("Mass", "C")]), "practice[0].condition is 'C'"),
        (
            design_toml(practised=[practice("Mass", "A").replace("So.", "")]),
            "practice[0].feedback is ''; expected a text of at least 1 characters",
        ),
        (
            design_toml(
                conditions=[condition("A", FILM, MAP), sham("other_case", FILM, MAP)],
                practised=[practice("Mass", "B")],
            ),
            "practice[0].condition is 'B', which is a sham",
        ),
        (
            design_toml(practised=[practice("Mass", "A") + 'case_id = "p1"\n'] * 2),
            "practice[1] is the same case in the same condition a second time",
        ),
        (
            design_toml("parallel", practised=[practice("Mass", "A")]),
            "practice has 1, 0 cases in the conditions A, B; parallel groups must practise",
        ),
        # closing
        (
            design_toml() + CLOSING.format("x", "box", ""),
            "closing[0].kind is 'box', but no film is shown at the end",
        ),
        (
            design_toml() + CLOSING.format("confidence", "text", ""),
            "closing[0].id is 'confidence', which an item has already taken",
        ),
        (
            design_toml() + CLOSING.format("x", "text", "") * 2,
            "closing[1].id is 'x', which closing[0] has already taken",
        ),
        (
            design_toml().replace('"Kind B"', '"Kind A"') + CLOSING.format("x", "text", ""),
            "conditions[1].label is 'Kind A', as that of conditions[0]",
        ),
    ],
)
def test_every_contradiction_is_one_sentence_that_names_the_entry(text: str, sentence: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text, name="p.toml")
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("p.toml: ")
    assert "\n" not in str(caught.value)


RICH = design_toml(
    conditions=[
        condition("A", FILM, MAP.replace("}", ", signed = true }")),
        condition("B", FILM, FRAMES, sham="other_case"),
        condition("C", FILM, DECODED, sham="randomised_model"),
    ],
    readers=3,
    repeats=2,
    practised=[practice("Mass", "A"), practice("Mass", "A") + 'case_id = "p1"\n'],
)
RICH += "".join(
    (
        ITEM.format("sure", "scale", SCALE),
        ITEM.format("why", "multi_choice", TWO + '\nconditions = ["B", "C"]\nrequired = false'),
        ITEM.format("where", "box", "max_marks = 3"),
        ITEM.format("spot", "point", ""),
        CLOSING.format("again", "choice", TWO),
    )
)


def test_a_protocol_with_everything_survives_json_and_toml() -> None:
    protocol = parse_protocol(RICH)
    again = parse_protocol(to_toml(protocol))
    assert again == protocol
    assert again.digest == protocol.digest
    assert protocol_from_json(protocol.canonical) == protocol
    assert protocol.n_sessions == 4
    assert [item.id for item in protocol.items_of("A")] == ["confidence", "sure", "where", "spot"]
    assert [item.id for item in protocol.items_of("B")][2] == "why"
    assert protocol.items[2].options[1].label == "B"
    assert protocol.conditions[0].panels[1].signed
    assert [p.case_id for p in protocol.practice] == [None, "p1"]


def test_the_items_of_a_condition_that_does_not_exist_are_refused() -> None:
    with pytest.raises(ProtocolError, match="has no condition 'D'"):
        parse_protocol(RICH).items_of("D")


def test_every_design_is_accepted() -> None:
    for kind in ("crossover", "sequential", "parallel"):
        protocol = design(kind, repeats=1)
        assert protocol.n_sessions == protocol.design.sessions + 1
        assert protocol.design.skips
        assert protocol.design.break_every == 0


def test_the_demo_has_consent_practice_breaks_and_closing_and_the_published_study_none() -> None:
    demo = load_protocol(shipped_protocol("demo"))
    published = load_protocol(shipped_protocol("gifsplanation"))
    assert demo.study.consent and demo.study.consent_version == "1"
    assert demo.design.revisions and demo.design.skips
    assert demo.design.break_every == 20
    assert [(p.condition, p.subset) for p in demo.practice] == [
        ("A", "true_positive"),
        ("B", "false_positive"),
    ]
    assert all(p.feedback for p in demo.practice)
    assert len(demo.closing) == 3
    assert demo.condition("B").panels[2].frames == "residual"
    assert published.condition("B").panels[2].frames == "decoded"
    assert not (published.study.consent or published.practice or published.closing)
    assert not (published.design.revisions or published.design.skips)
