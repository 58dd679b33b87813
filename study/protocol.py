"""The design of a study: what is shown, what is asked, to whom, and how it will be analysed.

A protocol is written in TOML, validated into frozen records, and identified by a digest. Everything
that depends on it (form, validation, allocation, codebook) is generated from these records.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from study.errors import ProtocolError
from study.protocol_checks import contradictions, listed, unknown_method
from study.protocol_problems import first_problem

FORMAT_VERSION = 1
SHIPPED = ("demo", "gifsplanation")

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=4000)]


def _tuple(value: object) -> object:
    """TOML arrays arrive as lists; the frozen records hold tuples."""
    return tuple(value) if isinstance(value, list) else value


class _Record(BaseModel):
    """A frozen record that refuses unknown entries and silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, str_strip_whitespace=True, allow_inf_nan=False
    )


class StudyHeader(_Record):
    """What the study is called and what its readers are told.

    Parameters
    ----------
    id
        Short identifier, used in file names and tables.
    title
        Title that readers see.
    instructions
        Text that readers accept before their first reading.
    seed
        Seed of case selection and allocation.
    simulated
        Whether the cases are simulated; shown on every table and figure.
    """

    id: Identifier
    title: Sentence
    instructions: Sentence
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    simulated: bool


class Design(_Record):
    """How readings are spread over readers and sessions.

    Parameters
    ----------
    kind
        ``"crossover"``: every reader reads every case once in each condition.
    sessions
        Number of reading visits; one per condition.
    washout_days
        Days between a reader's last reading of a session and the opening of the next.
    readers
        Number of readers.
    revisions
        Whether a submitted answer may be replaced by a revision (the first answer is kept).
    """

    kind: Literal["crossover"]
    sessions: Annotated[int, Field(ge=2, le=12)] = 2
    washout_days: Annotated[float, Field(ge=0, le=3650)] = 0.0
    readers: Annotated[int, Field(ge=1, le=500)]
    revisions: bool = False


class CasePlan(_Record):
    """Which cases are read.

    Parameters
    ----------
    findings
        Findings in the order of the report.
    per_finding
        Number of cases for each finding.
    false_positive_share
        Share of the cases that are false positives (negative reference, probability over 0.5); the
        rest are true positives.
    minimum_margin
        Smallest |probability - 0.5| of a chosen case.
    """

    findings: Annotated[tuple[Sentence, ...], BeforeValidator(_tuple), Field(min_length=1)]
    per_finding: Annotated[int, Field(ge=1, le=100_000)]
    false_positive_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    minimum_margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.0

    @property
    def n_false_positives(self) -> int:
        """Number of false positives for each finding."""
        return round(self.per_finding * self.false_positive_share)

    @property
    def n_true_positives(self) -> int:
        """Number of true positives for each finding."""
        return self.per_finding - self.n_false_positives


class Panel(_Record):
    """One picture of a condition.

    Parameters
    ----------
    show
        ``"film"``: the film itself; ``"map"``: a map over the film; ``"frames"``: moving film.
    method
        Name of the explanation for a map (``"integrated_gradients"``, ``"latent_shift-max"``) or
        for frames (``"latent_shift"``); absent for the film.
    title
        Heading that the reader sees; empty for none.
    """

    show: Literal["film", "map", "frames"]
    method: str | None = None
    title: str = ""


class Condition(_Record):
    """What is shown with the case.

    Parameters
    ----------
    id
        Identifier in tables; never shown to readers.
    label
        Words that readers see.
    panels
        Pictures from left to right.
    controls
        What the reader may operate: ``"slider"``, ``"play"``; none for a fixed presentation.
    autoplay
        Whether frames move without being asked to.
    """

    id: Identifier
    label: Sentence
    panels: Annotated[tuple[Panel, ...], BeforeValidator(_tuple), Field(min_length=1, max_length=6)]
    controls: Annotated[tuple[Literal["slider", "play"], ...], BeforeValidator(_tuple)] = ()
    autoplay: bool = False


class Item(_Record):
    """One question.

    Parameters
    ----------
    id
        Identifier in tables.
    kind
        ``"likert"``: an integer from 1 to ``points``; ``"text"``: free text.
    question
        Words that the reader sees.
    low, high
        Anchors of the ends of the scale (Likert only).
    points
        Number of points of the scale (Likert only).
    required
        Whether a reading can be submitted without it.
    max_length
        Longest text, in characters (text only).
    """

    id: Identifier
    kind: Literal["likert", "text"]
    question: Sentence
    low: str = ""
    high: str = ""
    points: Annotated[int, Field(ge=2, le=11)] = 5
    required: bool = True
    max_length: Annotated[int, Field(ge=1, le=20_000)] = 2000


class Display(_Record):
    """What surrounds the pictures.

    Parameters
    ----------
    show_probability
        Whether the classifier's calibrated probability is shown.
    slider_low, slider_high
        Words at the ends of the slider.
    frames_per_second
        Speed of moving film.
    """

    show_probability: bool = True
    slider_low: str = "removed"
    slider_high: str = "present"
    frames_per_second: Annotated[float, Field(gt=0, le=60)] = 12.0


class AnalysisPlan(_Record):
    """The confirmatory analysis, declared before the first reading.

    Parameters
    ----------
    primary
        Identifier of the primary item.
    contrast
        Pair of condition identifiers; the effect is the first minus the second.
    subset
        Cases of the primary analysis.
    margin
        Difference on the item's scale that would matter; ``None`` if none is declared.
    alpha
        Two-sided level.
    population
        Readers that the conclusion is about.
    """

    primary: Identifier
    contrast: Annotated[tuple[Identifier, Identifier], BeforeValidator(_tuple)]
    subset: Literal["true_positive", "false_positive", "all"] = "all"
    margin: Annotated[float, Field(ge=0)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    population: Literal["these_readers", "readers_like_them"] = "these_readers"


class StudyProtocol(_Record):
    """The whole design of one study, frozen.

    Raises
    ------
    pydantic.ValidationError
        On construction; :func:`load_protocol` turns it into one sentence.
    """

    format_version: Literal[1]
    study: StudyHeader
    design: Design
    cases: CasePlan
    conditions: Annotated[tuple[Condition, ...], BeforeValidator(_tuple), Field(min_length=2)]
    items: Annotated[tuple[Item, ...], BeforeValidator(_tuple), Field(min_length=1)]
    display: Display = Display()
    analysis: AnalysisPlan

    @model_validator(mode="after")
    def _agree(self) -> StudyProtocol:
        problem = next(iter(contradictions(self)), None)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def canonical(self) -> str:
        """Canonical JSON: every entry with its value, defaults included, keys sorted."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical.encode("ascii")).hexdigest()

    def item(self, item_id: str) -> Item:
        """Return the item of that identifier.

        Raises
        ------
        ProtocolError
            If the protocol has no such item.
        """
        for item in self.items:
            if item.id == item_id:
                return item
        raise ProtocolError(
            f"The protocol has no item {item_id!r}; its items are "
            f"{listed(i.id for i in self.items)}."
        )

    def condition(self, condition_id: str) -> Condition:
        """Return the condition of that identifier.

        Raises
        ------
        ProtocolError
            If the protocol has no such condition.
        """
        for condition in self.conditions:
            if condition.id == condition_id:
                return condition
        raise ProtocolError(
            f"The protocol has no condition {condition_id!r}; its conditions are "
            f"{listed(c.id for c in self.conditions)}."
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the explanations shown, in the order of their first appearance."""
        shown = [p.method for c in self.conditions for p in c.panels if p.method is not None]
        return tuple(dict.fromkeys(shown))


def load_protocol(
    path: Path | str, *, known_methods: Collection[str] | None = None
) -> StudyProtocol:
    """Read and validate a protocol.

    Parameters
    ----------
    path
        TOML file.
    known_methods
        Names that panels may use, e.g. ``("integrated_gradients", "latent_shift")``; a map may also
        be a variant of a known method (``"latent_shift-max"``). ``None`` skips this check.

    Raises
    ------
    ProtocolError
        If the file cannot be read, is not TOML, or describes no valid study; one sentence that
        names the entry.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(
            f"The protocol {path} cannot be read ({_reason(error)}); "
            "expected a TOML file in UTF-8. Check the path."
        ) from error
    return parse_protocol(text, name=path.name, known_methods=known_methods)


def parse_protocol(
    text: str, *, name: str = "protocol", known_methods: Collection[str] | None = None
) -> StudyProtocol:
    """Validate the text of a protocol; see :func:`load_protocol`.

    Parameters
    ----------
    text
        TOML.
    name
        What error messages call it, usually the file's name.
    """
    try:
        content = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"{name} is not valid TOML: {error}; correct that line.") from error
    return _validated(content, name, known_methods)


def protocol_from_json(text: str) -> StudyProtocol:
    """Rebuild a protocol from its canonical JSON.

    Raises
    ------
    ProtocolError
        If the text is not the canonical JSON of a valid protocol.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"The stored protocol is not JSON ({error}).") from error
    return _validated(content, "stored protocol", None)


def shipped_protocol(name: str) -> Path:
    """Return the path of a protocol that comes with the package: ``demo`` or ``gifsplanation``.

    Raises
    ------
    ProtocolError
        If no protocol of that name is shipped.
    """
    if name not in SHIPPED:
        raise ProtocolError(f"No protocol {name!r} is shipped; choose one of {listed(SHIPPED)}.")
    return Path(__file__).parent / "protocols" / f"{name}.toml"


def _validated(
    content: Mapping[str, object], name: str, known_methods: Collection[str] | None
) -> StudyProtocol:
    version = content.get("format_version")
    if version is not None and version != FORMAT_VERSION:
        raise ProtocolError(
            f"{name}: format_version is {version!r}; this release reads format_version = "
            f"{FORMAT_VERSION}. Write the protocol in that format."
        )
    try:
        protocol = StudyProtocol.model_validate(content)
    except ValidationError as error:
        raise ProtocolError(f"{name}: {first_problem(error)}") from error
    unknown = unknown_method(protocol, known_methods)
    if unknown:
        raise ProtocolError(f"{name}: {unknown}")
    return protocol


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8 text"
