"""What experts answered about a review's cards, laid out and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from study.analysis.review import ReviewAnalysis, Verdict, analyse_review, panel_relevance
from study.errors import StudyError
from study.folder import StudyFolder
from study.review.cards import ReviewCard, cards_path, read_cards
from study.review.checks import DESCRIPTION, MEANINGFUL, RELEVANCE, RELEVANCE_WORDS
from study.review.names import names_path, read_names
from study.store import StudyStore


@dataclass(frozen=True)
class Judgement:
    """What one expert answered about one card.

    Parameters
    ----------
    reader
        Pseudonym of the expert.
    meaningful, relevance
        As chosen.
    description, words
        As written; empty where nothing was.
    """

    reader: str
    meaningful: str
    description: str
    relevance: str
    words: str


@dataclass(frozen=True)
class CardRow:
    """One line of the table of results.

    Parameters
    ----------
    card
        The dimension on a film.
    judgements
        Of the experts who judged it, by pseudonym.
    """

    card: ReviewCard
    judgements: tuple[Judgement, ...]

    @property
    def relevance(self) -> str:
        """What more than half of the experts say: yes, possible, no, divided; empty: nobody."""
        return panel_relevance([each.relevance for each in self.judgements])

    @property
    def descriptions(self) -> tuple[str, ...]:
        """What experts wrote who find the change meaningful."""
        return tuple(each.description for each in self.judgements if each.description)


@dataclass(frozen=True)
class ReviewResults:
    """A review as it stands.

    Parameters
    ----------
    rows
        By dimension and rank, judged or not.
    names
        Dimension to the name that the coordinator settled.
    n_experts
        Experts that the protocol has.
    n_planned, n_done
        Judgements planned and given; skipped ones are not given.
    analysis
        Shares and agreement, or ``None`` before the first answer.
    simulated
        Whether cases or experts are simulated.
    """

    rows: tuple[CardRow, ...]
    names: Mapping[int, str]
    n_experts: int
    n_planned: int
    n_done: int
    analysis: ReviewAnalysis | None
    simulated: bool

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Dimensions in the order of the table."""
        return tuple(dict.fromkeys(row.card.dimension for row in self.rows))

    def rows_of(self, dimension: int) -> tuple[CardRow, ...]:
        """Return the lines of one dimension."""
        return tuple(row for row in self.rows if row.card.dimension == dimension)

    def verdict(self, dimension: int) -> Verdict | None:
        """Return the experts' verdict on a dimension, or ``None`` if nobody judged it."""
        verdicts = self.analysis.verdicts if self.analysis is not None else ()
        return next((each for each in verdicts if each.dimension == dimension), None)

    def proposals(self, dimension: int) -> tuple[str, ...]:
        """Return what experts called the change of a dimension, the most frequent first."""
        written = [
            " ".join(text.split()) for row in self.rows_of(dimension) for text in row.descriptions
        ]
        counts = pd.Series([text.casefold() for text in written], dtype="str").value_counts()
        spelt = {text.casefold(): text for text in reversed(written)}
        order = sorted(spelt, key=lambda text: (-int(counts[text]), text))
        return tuple(spelt[text] for text in order)

    def table(self) -> pd.DataFrame:
        """Return one line for each card and expert; cards that nobody judged have one too."""
        return pd.DataFrame(
            [_line(row, judged, self.names) for row in self.rows for judged in _or_none(row)],
            columns=list(TABLE_COLUMNS),
        )

    def estimate_table(self) -> pd.DataFrame:
        """Return all estimates, one to a line, at full precision."""
        estimates = self.analysis.estimates if self.analysis is not None else ()
        return pd.DataFrame(
            [
                (
                    e.quantity,
                    e.value,
                    *(e.ci or (None, None)),
                    e.ci_level,
                    e.p_value,
                    e.df,
                    e.method,
                    e.population,
                    e.role,
                    e.n_readers,
                    e.n_cases,
                    e.note,
                )
                for e in estimates
            ],
            columns=list(ESTIMATE_COLUMNS),
        )


TABLE_COLUMNS = (
    "dimension",
    "name",
    "finding",
    "film",
    "rank",
    "direction",
    "probability_original",
    "probability_reconstruction",
    "probability_perturbed",
    "expert",
    "meaningful",
    "description",
    "relevance",
    "relevance_words",
)
ESTIMATE_COLUMNS = (
    "quantity",
    "value",
    "ci_low",
    "ci_high",
    "ci_level",
    "p_value",
    "df",
    "method",
    "population",
    "role",
    "n_experts",
    "n_units",
    "note",
)


def gather_review(folder: StudyFolder, store: StudyStore) -> ReviewResults:
    """Read a review's answers and count them.

    Raises
    ------
    StudyError
        If the study is no review, or its cards or names are missing or damaged.
    """
    if store.protocol.design.kind != "review":
        raise StudyError(
            f"{folder.root} holds a {store.protocol.design.kind} study, not a clinical review; "
            "see its results with counterlight analyse."
        )
    cards = read_cards(cards_path(folder))
    judged, simulated = _judgements(store)
    rows = tuple(CardRow(card, judged.get(card.card_id, ())) for card in cards)
    planned = [a for a in store.assignments() if a.purpose == "study"]
    return ReviewResults(
        rows,
        read_names(names_path(folder)),
        store.protocol.design.readers,
        len(planned),
        sum(len(row.judgements) for row in rows),
        analysis_of_rows(rows),
        simulated or store.protocol.study.simulated,
    )


def analysis_of_rows(rows: Sequence[CardRow]) -> ReviewAnalysis | None:
    """Count the answers; ``None`` if there are none yet.

    Raises
    ------
    AnalysisError
        If an answer is none that a review offers.
    """
    table = pd.DataFrame(
        [
            (j.reader, row.card.dimension, row.card.card_id, j.meaningful, j.relevance)
            for row in rows
            for j in row.judgements
        ],
        columns=["reader", "dimension", "card", "meaningful", "relevance"],
    )
    return None if table.empty else analyse_review(table)


def _judgements(store: StudyStore) -> tuple[dict[str, tuple[Judgement, ...]], bool]:
    """Return the latest answers about each card, and whether a simulated expert gave any."""
    answers: dict[str, dict[str, str]] = {}
    simulated = False
    for rating in store.ratings():
        if rating.purpose == "study":
            value = "" if rating.value is None else str(rating.value)
            answers.setdefault(rating.assignment_id, {})[rating.item] = value
            simulated = simulated or rating.simulated
    found: dict[str, list[Judgement]] = {}
    for assignment_id, given in answers.items():
        assignment = store.assignment(assignment_id)
        found.setdefault(assignment.case_id, []).append(
            Judgement(
                assignment.reader_id,
                given.get(MEANINGFUL, ""),
                given.get(DESCRIPTION, ""),
                given.get(RELEVANCE, ""),
                given.get(RELEVANCE_WORDS, ""),
            )
        )
    ordered = {c: tuple(sorted(js, key=lambda j: j.reader)) for c, js in found.items()}
    return ordered, simulated


def _or_none(row: CardRow) -> tuple[Judgement | None, ...]:
    return row.judgements or (None,)


def _line(row: CardRow, judged: Judgement | None, names: Mapping[int, str]) -> tuple[object, ...]:
    card = row.card
    said: tuple[object, ...] = (None,) * 5
    if judged is not None:
        said = (
            judged.reader,
            judged.meaningful,
            judged.description,
            judged.relevance,
            judged.words,
        )
    return (
        card.dimension,
        names.get(card.dimension, ""),
        card.finding,
        card.film,
        card.rank,
        card.direction,
        card.original,
        card.reconstruction,
        card.perturbed,
        *said,
    )
