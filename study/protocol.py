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

from pydantic import Field, ValidationError, model_validator

from study.errors import ProtocolError
from study.items import Item
from study.plans import NO_ANALYSIS, AnalysisPlan, CasePlan, PracticeCase
from study.protocol_checks import contradictions, listed, unknown_method
from study.protocol_problems import first_problem
from study.record import FromList, Identifier, Record, Sentence

FORMAT_VERSION = 1
SHIPPED = ("demo", "gifsplanation", "review", "stylespace")


class StudyHeader(Record):
    """What the study is called and what its readers are told.

    Parameters
    ----------
    id
        Short identifier, used in file names and tables.
    title
        Title that readers see.
    instructions
        Text that readers accept before their first reading.
    consent
        Text that readers consent to before anything else; empty: no consent is asked.
    consent_version
        Version of that text, kept with each reader's consent.
    seed
        Seed of case selection and allocation.
    simulated
        Whether the cases are simulated; shown on every table and figure.
    """

    id: Identifier
    title: Sentence
    instructions: Sentence
    consent: Annotated[str, Field(max_length=20_000)] = ""
    consent_version: Annotated[str, Field(min_length=1, max_length=40)] = "1"
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    simulated: bool


class Design(Record):
    """How readings are spread over readers and sessions.

    Parameters
    ----------
    kind
        ``"crossover"``: every reader reads every case once in each condition, in different
        sessions. ``"sequential"``: every case is read without and then at once with the
        explanation; the first answer is locked. ``"parallel"``: every reader has one condition.
        ``"review"``: experts judge what each selected dimension of a generator changes; a case is
        a card, one dimension on one film, and there is one condition.
    sessions
        Number of reading visits without repeats: one per condition in a crossover, else 1.
    washout_days
        Days between a reader's last reading of a session and the opening of the next.
    readers
        Number of readers.
    revisions
        Whether a submitted answer may be replaced by a revision (the first answer is kept).
    repeats
        Cases that each reader reads once more, in the condition of the first time, in an extra
        last session that opens ``washout_days`` after the one before.
    skips
        Whether a reading may be skipped with a reason.
    break_every
        Readings of a sitting after which a break is offered; 0: never.
    """

    kind: Literal["crossover", "sequential", "parallel", "review"]
    sessions: Annotated[int, Field(ge=1, le=12)] = 2
    washout_days: Annotated[float, Field(ge=0, le=3650)] = 0.0
    readers: Annotated[int, Field(ge=1, le=500)]
    revisions: bool = False
    repeats: Annotated[int, Field(ge=0, le=100_000)] = 0
    skips: bool = True
    break_every: Annotated[int, Field(ge=0, le=100_000)] = 0


class Panel(Record):
    """One picture of a condition.

    Parameters
    ----------
    show
        ``"film"``: the film itself; ``"map"``: a map over the film; ``"frames"``: moving film;
        ``"toggles"``: a picture whose factors the reader switches down, as they are, or up;
        ``"reconstruction"`` and ``"perturbed"``: what the generative network makes of the film,
        and that with one dimension changed (in a review, whose ``"frames"`` move from one to the
        other).
    method
        Name of the explanation for a map (``"integrated_gradients"``, ``"latent_shift-max"``), for
        frames (``"latent_shift"``) or for toggles (``"stylespace"``); absent for the film.
    title
        Heading that the reader sees; empty for none.
    frames
        ``"residual"``: the film plus the change that the explanation makes, at the film's
        resolution; ``"decoded"``: the pictures of the generative network (frames and toggles).
    signed
        Whether a map of a signed method shows the sign beside the magnitude (maps only).
    """

    show: Literal["film", "map", "frames", "toggles", "reconstruction", "perturbed"]
    method: str | None = None
    title: str = ""
    frames: Literal["decoded", "residual"] = "residual"
    signed: bool = False


class Condition(Record):
    """What is shown with the case.

    Parameters
    ----------
    id
        Identifier in tables; never shown to readers.
    label
        Words that readers see in the closing feedback only, never beside a case.
    panels
        Pictures from left to right.
    controls
        What the reader may operate: ``"slider"``, ``"play"``; none for a fixed presentation.
    autoplay
        Whether frames move without being asked to.
    sham
        What the panels show instead of the explanation of this case: that of another case of the
        same finding (``"other_case"``), or that of a network whose weights were reset
        (``"randomised_model"``); ``None`` for the explanation itself.
    """

    id: Identifier
    label: Sentence
    panels: Annotated[tuple[Panel, ...], FromList, Field(min_length=1, max_length=6)]
    controls: Annotated[tuple[Literal["slider", "play"], ...], FromList] = ()
    autoplay: bool = False
    sham: Literal["other_case", "randomised_model"] | None = None


class Display(Record):
    """What surrounds the pictures.

    Parameters
    ----------
    show_probability
        Whether the classifier's calibrated probability is shown.
    side_labels
        Whether R and L are written beside frontal films: the patient's right is on the left. For
        films that all lie so and carry no marker of their own.
    slider_low, slider_high
        Words at the ends of the slider.
    frames_per_second
        Speed of moving film.
    """

    show_probability: bool = True
    side_labels: bool = False
    slider_low: str = "removed"
    slider_high: str = "present"
    frames_per_second: Annotated[float, Field(gt=0, le=60)] = 12.0


class StudyProtocol(Record):
    """The whole design of one study, frozen.

    Parameters
    ----------
    format_version
        1.
    study, design, cases, display, analysis
        Header, design, choice of cases, what surrounds the pictures, confirmatory analysis (a
        clinical review has none).
    conditions
        What is compared; two at least, but one in a review.
    items
        Questions about each reading.
    practice
        Cases that are tried first, in this order.
    closing
        Questions asked once about each condition, after the last reading.

    Raises
    ------
    pydantic.ValidationError
        On construction; :func:`load_protocol` turns it into one sentence.
    """

    format_version: Literal[1]
    study: StudyHeader
    design: Design
    cases: CasePlan
    conditions: Annotated[tuple[Condition, ...], FromList, Field(min_length=1)]
    items: Annotated[tuple[Item, ...], FromList, Field(min_length=1)]
    practice: Annotated[tuple[PracticeCase, ...], FromList, Field(max_length=40)] = ()
    closing: Annotated[tuple[Item, ...], FromList] = ()
    display: Display = Display()
    analysis: AnalysisPlan = NO_ANALYSIS

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

    def items_of(self, condition_id: str) -> tuple[Item, ...]:
        """Return the items that are asked in a condition, in order.

        Raises
        ------
        ProtocolError
            If the protocol has no such condition.
        """
        known = self.condition(condition_id).id
        return tuple(item for item in self.items if item.asked_in(known))

    @property
    def n_sessions(self) -> int:
        """Number of reading visits, the one of the repeats included."""
        return self.design.sessions + (1 if self.design.repeats else 0)

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
    """Return the path of a protocol that comes with the package, one of ``SHIPPED``.

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
