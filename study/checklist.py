"""Reporting checklists, filled where the software knows the answer.

The items are those of CLAIM (Checklist for Artificial Intelligence in Medical Imaging, 2024 update;
Tejani and others, Radiol Artif Intell 2024;6:e240300) and of DECIDE-AI (Vasey and others, Nat Med
2022;28:924; numbered items are specific to AI, Roman ones generic), named in our own short words.
An item that the software cannot know says so and is left to the authors; one that it knows in part
says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from study.analysis.report.assemble import Report
from study.protocol import StudyProtocol

Guideline = Literal["CLAIM 2024", "DECIDE-AI 2022"]
State = Literal["filled", "in part", "for the authors"]
AUTHORS: Final = "For the authors."


@dataclass(frozen=True)
class Answer:
    """One item of a checklist and what is known about it.

    Parameters
    ----------
    guideline, number, topic
        Which item.
    state
        ``"filled"``, ``"in part"`` (the text says what is left) or ``"for the authors"``.
    text
        What the software knows.
    where
        Where in the export it stands; empty if nowhere.
    """

    guideline: Guideline
    number: str
    topic: str
    state: State
    text: str
    where: str


@dataclass(frozen=True)
class Known:
    """What the answers are made from.

    Parameters
    ----------
    report
        The report; its material holds the protocol, if there is one.
    versions
        Package to version.
    digest, head
        Of the protocol, and of the end of the record's chain; empty where there is none.
    """

    report: Report
    versions: Mapping[str, str]
    digest: str = ""
    head: str = ""

    @property
    def protocol(self) -> StudyProtocol | None:
        """The frozen protocol."""
        return self.report.material.protocol


_Filled = tuple[State, str, str]
_Maker = Callable[[Known], "_Filled | None"]


def checklist(known: Known) -> tuple[Answer, ...]:
    """Return every item of both checklists."""
    return (
        *(_answer("CLAIM 2024", entry, known) for entry in _CLAIM),
        *(_answer("DECIDE-AI 2022", entry, known) for entry in _DECIDE),
    )


def checklist_table(answers: tuple[Answer, ...]) -> pd.DataFrame:
    """Return the checklist as a table: guideline, number, topic, state, text, where."""
    return pd.DataFrame(
        [(a.guideline, a.number, a.topic, a.state, a.text, a.where) for a in answers],
        columns=["guideline", "number", "topic", "state", "text", "where"],
    )


def _answer(guideline: Guideline, entry: tuple[str, str, _Maker | None], known: Known) -> Answer:
    number, topic, make = entry
    made = make(known) if make is not None else None
    state, text, where = made if made is not None else ("for the authors", AUTHORS, "")
    return Answer(guideline, number, topic, state, text, where)


def _cases(known: Known) -> _Filled | None:
    if known.protocol is None:
        return None
    plan = known.protocol.cases
    return (
        "in part",
        f"{plan.per_finding} cases for each of {', '.join(plan.findings)}: "
        f"{plan.n_true_positives} true and {plan.n_false_positives} false positives of the "
        f"classifier, at least {plan.minimum_margin:g} from its operating point. Left: where the "
        "case set comes from, and its eligibility criteria.",
        "protocol.toml",
    )


def _sources(known: Known) -> _Filled | None:
    if known.report.material.analysis.ratings.simulated_cases:
        return "filled", "The films are simulated; none shows a patient.", "ratings.csv"
    return None


def _deidentified(known: Known) -> _Filled | None:
    if known.protocol is None:
        return None
    return (
        "in part",
        "Readers and exports see study identifiers only; the key is not in the export. Left: how "
        "the images were de-identified before import.",
        "ratings.csv",
    )


def _missing(known: Known) -> _Filled | None:
    counts = known.report.material.counts
    if counts is None:
        return None
    return (
        "filled",
        f"{counts.planned} readings planned, {counts.done} done, {counts.skipped} skipped with a "
        f"reason, {counts.missing} not read. Paired analyses use complete pairs; mixed models use "
        "every reading (missing at random).",
        "missing.csv",
    )


def _variability(known: Known) -> _Filled | None:
    section = known.report.section("agreement")
    if section is None or not section.lines:
        return None
    return "filled", section.sentence, "estimates.csv"


def _size(known: Known) -> _Filled | None:
    if known.protocol is None:
        return None
    plan = known.protocol
    n_cases = plan.cases.per_finding * len(plan.cases.findings)
    return (
        "in part",
        f"{plan.design.readers} readers and {n_cases} cases were declared. Left: why these "
        "numbers (see the planning page for power).",
        "protocol.toml",
    )


def _software(known: Known) -> _Filled | None:
    names = ("counterlight", "python", "numpy", "scipy", "statsmodels", "pandas", "torch")
    listed = ", ".join(f"{n} {known.versions[n]}" for n in names if n in known.versions)
    return ("filled", f"{listed}.", "environment.json") if listed else None


def _metrics(known: Known) -> _Filled:
    analysis = known.report.material.analysis
    first, second = analysis.contrast
    return (
        "in part",
        f"Ratings of {', '.join(analysis.items)}, {first} − {second}; primary: "
        f"{analysis.primary.item}, {analysis.primary.subset.replace('_', ' ')}. Left: the "
        "classifier's own performance.",
        "estimates.csv",
    )


def _uncertainty(known: Known) -> _Filled:
    level = 100 * (1 - known.report.material.analysis.alpha)
    return (
        "filled",
        f"Every estimate has its method, its population and, where the method gives one, a "
        f"{level:.3g} % interval; p-values that take readings for independent are marked.",
        "estimates.csv, report.html",
    )


def _sensitivity(known: Known) -> _Filled | None:
    if not known.report.has_models:
        return None
    return (
        "filled",
        "Cumulative-link mixed models (logit), beside them probit, linear mixed models and ordinal "
        "estimating equations; signed-rank tests by case and by reader.",
        "estimates.csv",
    )


def _explained(known: Known) -> _Filled | None:
    if known.protocol is None or not known.protocol.methods:
        return None
    shown = "; ".join(
        f"{c.id}: {', '.join(p.method or p.show for p in c.panels)}"
        for c in known.protocol.conditions
    )
    text = f"Shown to the readers: {shown}."
    return "in part", f"{text} Left: how these methods were validated.", "protocol.toml"


def _numbers(known: Known) -> _Filled:
    analysis = known.report.material.analysis
    return (
        "in part",
        f"{analysis.n_cases} cases by {analysis.n_readers} readers, {analysis.n_ratings} ratings. "
        "Left: cases excluded before the study.",
        "assignments.csv, missing.csv",
    )


def _primary(known: Known) -> _Filled:
    return "filled", known.report.material.analysis.sentence, "report.html"


def _performance(known: Known) -> _Filled:
    sentence = known.report.material.analysis.sentence
    return "in part", f"{sentence} Left: the classifier's own performance.", "report.html"


def _diagnostic(known: Known) -> _Filled | None:
    section = known.report.section("multireader")
    if section is None or not section.lines:
        return None
    return "filled", section.sentence, "estimates.csv"


def _subgroups(known: Known) -> _Filled:
    return (
        "filled",
        "Differences by finding, by reader and by whether the classifier was right; descriptive.",
        "estimates.csv, report.html",
    )


def _localisation(known: Known) -> _Filled | None:
    section = known.report.section("localisation")
    if section is None or not section.lines:
        return None
    return "in part", f"{section.sentence} Left: what the failures have in common.", "estimates.csv"


def _protocol(known: Known) -> _Filled | None:
    if not known.digest:
        return None
    return (
        "filled",
        f"The frozen protocol is in the export; SHA-256 {known.digest}. The record's chain ends in "
        f"{known.head}.",
        "protocol.toml, environment.json",
    )


def _available(known: Known) -> _Filled:
    return (
        "in part",
        "Ratings, assignments, codebook and protocol are in the export; the software is free "
        "(Apache-2.0). Left: where the export, the films and the networks are deposited.",
        "README.txt",
    )


def _readers(known: Known) -> _Filled | None:
    tables = known.report.material.tables or {}
    if "profile" not in tables:
        return None
    profile = tables["profile"]
    given = int(profile["role"].notna().sum())
    return (
        "in part",
        f"{len(profile)} readers, {given} with a profile (role, years, subspecialty, use of AI, "
        "display). Left: how they were recruited.",
        "profile.csv",
    )


def _training(known: Known) -> _Filled | None:
    if known.protocol is None:
        return None
    n = len(known.protocol.practice)
    return (
        "filled",
        f"Written instructions that each reader accepted, and {n} practice cases with feedback, "
        "which do not count.",
        "protocol.toml, profile.csv",
    )


def _output(known: Known) -> _Filled | None:
    explained = _explained(known)
    if explained is None or known.protocol is None:
        return None
    shown = "shown" if known.protocol.display.show_probability else "not shown"
    listed = explained[1].partition(" Left:")[0]
    return "filled", f"{listed} The classifier's probability was {shown}.", "protocol.toml"


def _human_agreement(known: Known) -> _Filled | None:
    section = known.report.section("reliance")
    if section is None or not section.lines:
        return None
    return "filled", section.sentence, "estimates.csv"


def _learning(known: Known) -> _Filled | None:
    section = known.report.section("period")
    if section is None or not section.lines:
        return None
    return (
        "in part",
        f"Order, period and learning are estimated. {section.sentence} Left: usability.",
        "estimates.csv, closing.csv",
    )


def _exposure(known: Known) -> _Filled | None:
    counts = known.report.material.counts
    if counts is None:
        return None
    return (
        "filled",
        f"{counts.done} of {counts.planned} readings were done; times and use of the viewer are "
        "recorded.",
        "assignments.csv, events.csv",
    )


_Entries = tuple[tuple[str, str, "_Maker | None"], ...]

_CLAIM: Final[_Entries] = (
    ("1", "Title or abstract names the study as one of AI methods", None),
    ("2", "Structured summary of design, methods, results, conclusions", None),
    ("3", "Scientific and clinical background, intended use and role", None),
    ("4", "Aims, objectives and hypotheses", _primary),
    ("5", "Prospective or retrospective", None),
    ("6", "Goal of the study", None),
    ("7", "Data sources", _sources),
    ("8", "Inclusion and exclusion criteria", _cases),
    ("9", "Preprocessing of the data", None),
    ("10", "Selection of subsets of the data", _cases),
    ("11", "De-identification", _deidentified),
    ("12", "Handling of missing data", _missing),
    ("13", "Acquisition protocol of the images", None),
    ("14", "Definition of the reference standard", None),
    ("15", "Why this reference standard", None),
    ("16", "Who established the reference standard", None),
    ("17", "How the test set was annotated", None),
    ("18", "Variability between and within readers", _variability),
    ("19", "How data were assigned to partitions", None),
    ("20", "Level at which partitions are disjoint", None),
    ("21", "Intended size of the test set, and how it was determined", _size),
    ("22", "Description of the model", None),
    ("23", "Software and packages", _software),
    ("24", "Initialisation of the model's parameters", None),
    ("25", "Training of the model", None),
    ("26", "How the final model was chosen", None),
    ("27", "Ensembling", None),
    ("28", "Measures of performance", _metrics),
    ("29", "Measures of significance and uncertainty", _uncertainty),
    ("30", "Robustness or sensitivity analysis", _sensitivity),
    ("31", "Methods of explanation, and how they were validated", _explained),
    ("32", "Evaluation on internal data", None),
    ("33", "Testing on external data", None),
    ("34", "Registration of a clinical trial", None),
    ("35", "Numbers of cases included and excluded", _numbers),
    ("36", "Demographic and clinical characteristics of the cases", None),
    ("37", "Performance and its uncertainty", _performance),
    ("38", "Estimates of diagnostic performance and their precision", _diagnostic),
    ("39", "Analysis of failures", _localisation),
    ("40", "Limitations", None),
    ("41", "Implications for practice", None),
    ("42", "Where the full protocol is found", _protocol),
    ("43", "Availability of software, model and data", _available),
    ("44", "Funding and role of the funders", None),
)

_DECIDE: Final[_Entries] = (
    ("1", "Title names an early evaluation of decision support", None),
    ("I", "Abstract", None),
    ("2a", "Intended use: condition and patients", None),
    ("2b", "Intended users and place in the pathway", None),
    ("II", "Objectives", _primary),
    ("III", "Research governance: protocol, ethics, registration", _protocol),
    ("3a", "Recruitment of patients (cases)", _cases),
    ("3b", "Recruitment of users (readers)", _readers),
    ("3c", "How users were made familiar with the system", _training),
    ("4a", "The AI system: version, kind of algorithm, regulatory state", None),
    ("4b", "Its input data", None),
    ("4c", "Its output and how it was shown", _output),
    ("5a", "Setting in which it was evaluated", None),
    ("5b", "Steps of the pathway and when the system was used", None),
    ("IV", "Outcomes", _metrics),
    ("6a", "How errors and malfunctions were recorded", None),
    ("6b", "How risks to patients were identified", None),
    ("7", "Human factors: tools, methods, users", None),
    ("V", "Analysis: statistical methods", _uncertainty),
    ("8", "Ethics: equity, transparency, trust", None),
    ("VI", "Patient involvement", None),
    ("9a", "Characteristics of patients (cases)", None),
    ("9b", "Characteristics of users (readers)", _readers),
    ("10a", "Exposure to the system and adherence", _exposure),
    ("10b", "Changes to the pathway", None),
    ("VII", "Main results", _primary),
    ("VIII", "Subgroups", _subgroups),
    ("11", "Changes to the system during the study", None),
    ("12", "Agreement of users with the system", _human_agreement),
    ("13a", "Significant errors and malfunctions", None),
    ("13b", "Risks and harm", None),
    ("14a", "Usability", None),
    ("14b", "Learning curve of the users", _learning),
    ("15", "Support for the intended use", None),
    ("16", "What the results say about safety", None),
    ("IX", "Strengths and limitations", None),
    ("17", "Availability of data and code", _available),
    ("X", "Conflicts of interest", None),
)
