"""A protocol's declared analysis: what it may say, and what is refused."""

import pytest

from study.errors import ProtocolError
from study.protocol import parse_protocol, protocol_from_json, shipped_protocol
from study.protocol_toml import to_toml

DEMO = shipped_protocol("demo").read_text(encoding="utf-8")

SECONDARY = """
secondary = [
    { id = "feature", item = "correct_feature" },
    { id = "calls", outcome = "specificity", threshold = 4, non_inferiority = 0.05 },
    { id = "time", outcome = "reading_time", non_inferiority = 1.25 },
]
gatekeeping = "holm"
pause_minutes = 10
"""


def with_analysis(text):
    assert DEMO.count("[analysis]\n") == 1
    return DEMO.replace("[analysis]\n", "[analysis]\n" + text)


def test_a_plan_without_the_new_entries_has_their_defaults():
    plan = parse_protocol(DEMO).analysis
    assert plan.primary_method == "declared_default"
    assert plan.secondary == ()
    assert (plan.gatekeeping, plan.pause_minutes) == ("fixed_sequence", None)


def test_secondary_endpoints_keep_their_order_through_the_canonical_form():
    protocol = parse_protocol(with_analysis(SECONDARY))
    assert [each.id for each in protocol.analysis.secondary] == ["feature", "calls", "time"]
    assert protocol.analysis.pause_minutes == 10
    assert protocol_from_json(protocol.canonical) == protocol
    assert parse_protocol(to_toml(protocol)).digest == protocol.digest


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('primary_method = "mean_over_readers_and_cases"', "cannot speak for 'these_readers'"),
        ('primary_method = "best"', "analysis.primary_method is 'best'"),
        ("pause_minutes = 0", "analysis.pause_minutes is 0"),
        ('gatekeeping = "hochberg"', "analysis.gatekeeping is 'hochberg'"),
        (
            'secondary = [{ id = "a" }, { id = "A" }]',
            "analysis.secondary[1].id is 'A', which analysis.secondary[0] has already taken",
        ),
        ('secondary = [{ id = "a", item = "trust" }]', "analysis.secondary[0].item is 'trust'"),
        ('secondary = [{ id = "a", item = "comment" }]', "must be one of the likert or scale"),
        ('secondary = [{ id = "a", contrast = ["B", "C"] }]', "contrast[1] is 'C'"),
        ('secondary = [{ id = "a", contrast = ["B", "B"] }]', "the same condition twice"),
        ('secondary = [{ id = "a", outcome = "specificity" }]', "threshold is missing"),
        (
            'secondary = [{ id = "a", outcome = "sensitivity", threshold = 9 }]',
            "threshold is 9; a call on 'confidence' is a rating of at least 2 and at most 5",
        ),
        ('secondary = [{ id = "a", threshold = 3 }]', "makes no calls; remove it"),
        (
            'secondary = [{ id = "a", outcome = "auc", subset = "true_positive" }]',
            "chooses its own cases",
        ),
        (
            'secondary = [{ id = "a", outcome = "reading_time", item = "confidence" }]',
            "reading times have no item",
        ),
        (
            'secondary = [{ id = "a", outcome = "reading_time", non_inferiority = 0.9 }]',
            "a ratio above 1",
        ),
        (
            'secondary = [{ id = "a", outcome = "auc", non_inferiority = 1.5 }]',
            "a share below 1",
        ),
    ],
)
def test_an_analysis_that_cannot_be_done_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(with_analysis(text + "\n"))
    message = str(caught.value)
    assert sentence in message
    assert "\n" not in message
