"""Methods and results in words, from what was declared and what was estimated, and no further.

Every sentence is made from the protocol or from an estimate; nothing is concluded, interpreted or
recommended. What the software cannot know is left to the authors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from study.analysis.cells import NOT_GIVEN
from study.analysis.columns import natural_order
from study.analysis.estimate import Estimate
from study.analysis.rendering import (
    interval_of,
    label_of,
    readers_and_cases,
    short,
    short_p,
)
from study.analysis.report.assemble import Report
from study.analysis.report.material import Material
from study.items import Item
from study.protocol import StudyProtocol

_DESIGNS = {
    "crossover": "a crossover: every reader was to read every case once in each condition, in "
    "different sessions",
    "sequential": "sequential: every case was to be read without and then at once with the "
    "explanation, the first answer being locked",
    "parallel": "parallel: every reader was to have one condition",
    "review": "a clinical review: every expert was to judge every card, a dimension on a film",
}
_POPULATIONS = {
    "these_readers": "these readers",
    "readers_like_them": "readers like them",
}


@dataclass(frozen=True)
class Passage:
    """A heading and its paragraphs.

    Parameters
    ----------
    heading
        ``"Design"``, ``"Statistical analysis"``, …
    paragraphs
        Text without markup.
    """

    heading: str
    paragraphs: tuple[str, ...]


def methods(report: Report) -> tuple[Passage, ...]:
    """Return what was declared and what was done."""
    material = report.material
    passages = []
    if material.protocol is not None:
        passages.append(Passage("Design", _design(material.protocol)))
        passages.append(Passage("Declared analysis", (_declared(material.protocol),)))
    else:
        passages.append(
            Passage(
                "Design",
                ("The table of ratings came without a protocol; its design is not known here.",),
            )
        )
    passages.append(Passage("Statistical analysis", _done(report)))
    return tuple(passages)


def results(report: Report) -> tuple[Passage, ...]:
    """Return what was found: flow, primary endpoint, every other section in its own sentence."""
    material = report.material
    passages = [Passage("Readings", _flow(material))]
    passages.append(Passage("Primary endpoint", _primary(report)))
    passages.append(Passage("By item", _items(material)))
    for section in report.sections:
        if section.id not in ("primary", "ratings", "paired"):
            passages.append(Passage(section.title, (section.sentence,)))
    if material.analysis.notes:
        passages.append(Passage("Left out and to be minded", material.analysis.notes))
    return tuple(passages)


def to_markdown(passages: Sequence[Passage], title: str) -> str:
    """Return passages as Markdown under a title."""
    blocks = [f"# {title}"]
    for passage in passages:
        blocks += [f"## {passage.heading}", *passage.paragraphs]
    return "\n\n".join(blocks) + "\n"


def said(estimate: Estimate) -> str:
    """Return an estimate in words: value, interval, p, population and counts."""
    who = readers_and_cases(estimate.n_readers, estimate.n_cases)
    if estimate.value is None:
        return f"{estimate.quantity} not estimated ({estimate.population}; {estimate.note})"
    words = f"{estimate.quantity} {short(estimate.value)}"
    if estimate.ci is not None and estimate.ci_level is not None:
        words += f" ({100 * estimate.ci_level:.3g} % interval {interval_of(estimate)}"
        words += f", p {short_p(estimate.p_value)})" if estimate.p_value is not None else ")"
    elif estimate.p_value is not None:
        words += f" (p {short_p(estimate.p_value)})"
    return f"{words} [{estimate.population}; {who}]"


def _design(protocol: StudyProtocol) -> tuple[str, ...]:
    design, cases = protocol.design, protocol.cases
    conditions = "; ".join(
        f"{c.id}, {c.label}" + (f" (sham: {c.sham.replace('_', ' ')})" if c.sham else "")
        for c in protocol.conditions
    )
    films = "simulated " if protocol.study.simulated else ""
    washout = (
        f"at least {design.washout_days:g} days apart"
        if design.washout_days
        else "without a washout"
    )
    sessions = "1 session" if design.sessions == 1 else f"{design.sessions} sessions, {washout}"
    n_cases = cases.per_finding * len(cases.findings)
    share = (
        f"{cases.n_true_positives} true and {cases.n_false_positives} false positives of the "
        "classifier"
    )
    first = (
        f"The study {protocol.study.id} was declared as {_DESIGNS[design.kind]}. "
        f"{design.readers} readers were to read {n_cases} {films}films in {sessions}: "
        f"{cases.per_finding} for each of {len(cases.findings)} findings "
        f"({', '.join(cases.findings)}), {share} each. Conditions: {conditions}. "
        f"The readings were allocated at random and balanced with the seed {protocol.study.seed} "
        "and stored before the first reading."
    )
    if design.repeats:
        first += f" {design.repeats} cases were to be read once more by each reader."
    items = " ".join(f"{item.id}: “{item.question}”{_anchors(item)}." for item in protocol.items)
    return first, f"Questions after each reading. {items}"


def _anchors(item: Item) -> str:
    if not item.high:
        return ""
    return f" (from {item.lowest}, {item.low}, to {item.highest}, {item.high})"


def _declared(protocol: StudyProtocol) -> str:
    plan = protocol.analysis
    first, second = plan.contrast
    margin = (
        f" A difference of {plan.margin:g} points was declared to matter."
        if plan.margin is not None
        else " No margin was declared."
    )
    return (
        f"Declared before the first reading, in the protocol with the digest "
        f"{protocol.digest[:12]}…: the primary endpoint is the rating of {plan.primary}, "
        f"{label_of(plan.subset)}, {first} − {second}, at the two-sided level {plan.alpha:g}, for "
        f"{_POPULATIONS[plan.population]}.{margin}"
    )


def _done(report: Report) -> tuple[str, ...]:
    """Name the method of every estimate, with its population, once for each section."""
    paragraphs = [
        "Every interval and p-value speaks for one of these: the readers of the study (these "
        "readers), readers drawn from the same population (readers like them), one reader alone, "
        "or nobody, where the method takes all readings for independent ones (marked as a "
        "warning). Only the declared primary endpoint is confirmatory; everything else is "
        "descriptive and not adjusted for its number unless said so."
    ]
    for section in report.sections:
        methods_used: dict[str, list[str]] = {}
        for line in section.lines:
            e = line.estimate
            if e.value is not None and line.main:
                whom = methods_used.setdefault(_without_counts(e.method), [])
                if e.population not in whom:
                    whom.append(e.population)
        if methods_used:
            listed = "; ".join(
                f"{method} ({', '.join(whom)})" for method, whom in methods_used.items()
            )
            paragraphs.append(f"{section.title}. {listed[0].upper()}{listed[1:]}.")
    return tuple(paragraphs)


def _without_counts(method: str) -> str:
    """Drop the counts that some methods begin with (``"12 of 40; …"``)."""
    head, semicolon, rest = method.partition("; ")
    return rest if semicolon and " of " in head and head[:1].isdigit() else method


def _flow(material: Material) -> tuple[str, ...]:
    analysis = material.analysis
    frame = material.frame
    findings = [f for f in natural_order(frame["finding"].unique()) if f != NOT_GIVEN]
    who = readers_and_cases(analysis.n_readers, analysis.n_cases)
    about = f" for {len(findings)} findings" if findings else ""
    simulated = f" ({analysis.provenance})" if analysis.provenance else ""
    words = f"{analysis.n_ratings} ratings by {who}{about} entered{simulated}."
    counts = material.counts
    if counts is None:
        return (words,)
    state = (
        f"Of {counts.planned} planned readings {counts.done} were done and {counts.skipped} "
        f"skipped with a reason; {counts.missing} are missing."
    )
    if material.interim:
        state += " These results are interim: the study is not complete."
    return state, words


def _primary(report: Report) -> tuple[str, ...]:
    section = report.section("primary")
    sentence = report.material.analysis.sentence
    if section is None or not section.lines:
        return (sentence,)
    others = "; ".join(
        f"{line.estimate.method.partition(',')[0]}: {said(line.estimate)}"
        for line in section.lines[1:]
    )
    return sentence, f"The same pairs by other methods: {others}."


def _items(material: Material) -> tuple[str, ...]:
    analysis = material.analysis
    first, second = analysis.contrast
    paragraphs = []
    for item in analysis.items:
        groups = [
            g
            for g in analysis.differences
            if g.item == item and g.finding is None and g.reader is None
        ]
        words = [
            f"{label_of(g.correctness)}: {said(g.mean_difference)}; up in {g.n_up}, down in "
            f"{g.n_down}, the same in {g.n_zero} of {g.n_pairs} pairs"
            for g in groups
        ]
        paragraphs.append(f"{item}, {first} − {second}. {'. '.join(words)}.")
    return tuple(paragraphs)
