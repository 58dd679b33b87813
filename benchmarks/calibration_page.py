"""Table, figure and page of :mod:`benchmarks.calibration`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.calibration import CASES, MODELS, READERS, Run
from study.analysis.power.methods import ACCURACY_METHODS, METHODS, Method, method_of
from study.analysis.power.simulate import PowerPoint, power
from study.analysis.power.studies import ACCURACY

_COLOURS = {4: "#0072B2", 8: "#D55E00", 16: "#009E73"}
_MARKERS = {4: "o", 8: "s", 16: "D"}
_NULLS = {
    "nothing": "readers and cases drawn anew",
    "readers": "these readers, cases drawn anew",
    "cases": "readers drawn anew, these cases",
}


@dataclass(frozen=True)
class Result:
    """One point with the run it belongs to."""

    run: Run
    point: PowerPoint

    @property
    def own(self) -> bool:
        """Whether the studies follow the test's own null hypothesis."""
        return self.run.kind == "null" and self.run.plan.held == method_of(self.point.method).null

    @property
    def excessive(self) -> bool:
        """Whether it rejects more than 5 % and the Monte-Carlo error."""
        return self.point.rate.interval()[0] > self.run.plan.alpha


def write_results(
    points: Sequence[tuple[Run, PowerPoint]], out: Path, docs: Path | None = None
) -> None:
    """Write ``calibration.csv``, ``calibration.png`` and ``calibration.md`` to a folder.

    Parameters
    ----------
    points
        Everything simulated.
    out
        Folder of the results.
    docs
        Folder of the documentation: the page goes there, the figure to its ``images``.
    """
    results = [Result(run, point) for run, point in points]
    table_of(results).to_csv(out / "calibration.csv", index=False)
    draw(results, out / "calibration.png")
    (out / "calibration.md").write_text(page(results), encoding="utf-8")
    if docs is not None:
        draw(results, docs / "images" / "calibration.png")
        (docs / "calibration.md").write_text(page(results), encoding="utf-8")


def table_of(results: Sequence[Result]) -> pd.DataFrame:
    """Return one row for each point: what was simulated, the share that rejects, its interval."""
    rows = []
    for each in results:
        method, rate = method_of(each.point.method), each.point.rate
        low, high = rate.interval()
        rows.append(
            {
                "model": each.run.name,
                "kind": each.run.kind,
                "held": each.run.plan.held,
                "own_null": each.own,
                "method": method.id,
                "role": method.role,
                "speaks_for": method.speaks_for,
                "readers": each.point.n_readers,
                "cases": each.point.n_cases,
                "studies": rate.n_studies,
                "rejected": rate.value,
                "low": low,
                "high": high,
                "more_than_5_percent": each.run.kind == "null" and each.excessive,
            }
        )
    return pd.DataFrame(rows)


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw the rejection rates of the typical model: own null, everything drawn anew, power."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 6.2), sharey=True, layout="constrained")
    panels = (
        ("No effect, the test's own null", lambda r: r.own),
        (
            "No effect, readers and cases drawn anew",
            lambda r: r.run.kind == "null" and r.run.plan.held == "nothing",
        ),
        ("Power: 0.34 points of a five-point scale", lambda r: r.run.kind == "power"),
    )
    for axis, (title, wanted) in zip(axes, panels, strict=True):
        for place, method in enumerate(METHODS):
            chosen = [
                r
                for r in results
                if r.run.name == "typical" and r.point.method == method.id and wanted(r)
            ]
            _points(axis, place, chosen)
        axis.set_title(title, fontsize=11)
        axis.grid(axis="x", color="#dddddd")
    for axis in axes[:2]:
        axis.axvline(0.05, color="#444444", linestyle="--", linewidth=1)
        axis.set_xlabel("Studies that reject (share; dashed: 5 %)")
        axis.set_xlim(-0.01, 0.45)
    axes[2].set_xlabel("Studies that reject (share)")
    axes[2].set_xlim(0, 1.02)
    axes[0].set_yticks(range(len(METHODS)), [f"{m.label}\n[{m.role}]" for m in METHODS], fontsize=8)
    axes[0].invert_yaxis()
    handles = [
        axes[2].plot([], [], color=_COLOURS[n], marker=_MARKERS[n], linestyle="")[0]
        for n in READERS
    ]
    axes[2].legend(handles, [f"{n} readers" for n in READERS], loc="lower left", fontsize=9)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _points(axis: Axes, place: int, chosen: Sequence[Result]) -> None:
    for each in chosen:
        n, rate = each.point.n_readers, each.point.rate
        low, high = rate.interval()
        axis.errorbar(
            rate.value,
            place + 0.24 * (READERS.index(n) - 1),
            xerr=[[rate.value - low], [high - rate.value]],
            color=_COLOURS[n],
            marker=_MARKERS[n],
            markersize=5,
            linewidth=1.2,
        )


def page(results: Sequence[Result]) -> str:
    """Return the page of the documentation."""
    confirmatory = [r for r in results if method_of(r.point.method).role == "confirmatory"]
    own = [r for r in confirmatory if r.own]
    worst = max(own, key=lambda r: r.point.rate.value)
    beyond = [r for r in own if r.excessive]
    low, high = worst.point.rate.interval()
    verdict = (
        "None of their lower limits lies above 5 %."
        if not beyond
        else f"{len(beyond)} of {len(own)} lower limits lie above 5 % "
        f"({', '.join(_name(r) for r in beyond)}); with that many intervals of 95 % "
        f"{0.025 * len(own):.1f} would by chance alone."
    )
    pooled = _range(results, "pooled_signed_rank", "nothing")
    over_readers = _range(results, "mean_over_readers", "nothing")
    parts = [
        _HEAD.format(
            cases=CASES,
            n_own=len(own),
            worst=_percent(worst.point.rate.value),
            low=_percent(low),
            high=_percent(high),
            worst_name=_name(worst),
            verdict=verdict,
            pooled_low=_percent(pooled[0]),
            pooled_high=_percent(pooled[1]),
            over_low=_percent(over_readers[0]),
            over_high=_percent(over_readers[1]),
            same=_same_studies(results),
        )
    ]
    for name, model in (*MODELS, ("accuracy", ACCURACY)):
        methods = ACCURACY_METHODS if name == "accuracy" else METHODS
        table = _markdown(results, name, methods)
        parts.append(f"\n### Model “{name}”\n\n{_model_words(model)}\n\n{table}\n")
    parts.append(_TAIL)
    return "".join(parts)


def _markdown(results: Sequence[Result], name: str, methods: Sequence[Method]) -> str:
    """Return the table of one model: a line for each test and kind of studies."""
    lines = [
        "| Test | Role | Studies | " + " | ".join(f"{n} readers" for n in READERS) + " | n |",
        "|---|---|---|" + "---|" * (len(READERS) + 1),
    ]
    kinds = [("null", held) for held in _NULLS] + [("power", "nothing")]
    for method in methods:
        for kind, held in kinds:
            found = {
                r.point.n_readers: r
                for r in results
                if r.run.name == name
                and (r.run.kind, r.run.plan.held) == (kind, held)
                and r.point.method == method.id
            }
            if not found:
                continue
            words = "with the effect" if kind == "power" else f"no effect: {_NULLS[held]}"
            if kind == "null" and held == method.null:
                words = f"**{words}** (own null)"
            cells = [_cell(found.get(n)) for n in READERS]
            sizes = sorted({r.point.rate.n_studies for r in found.values()})
            n = "–".join(f"{size:,}" for size in {sizes[0]: 0, sizes[-1]: 0})
            lines.append(
                f"| {method.label} | {method.role} | {words} | {' | '.join(cells)} | {n} |"
            )
    return "\n".join(lines)


def _cell(result: Result | None) -> str:
    if result is None:
        return "–"
    low, high = result.point.rate.interval()
    return f"{_percent(result.point.rate.value)} ({_percent(low)}–{_percent(high)})"


def _same_studies(results: Sequence[Result]) -> str:
    """Say what the confirmatory mean does on the very studies that a mixed model was fitted to."""
    fitted = [r for r in results if r.own and r.point.method == "linear_mixed"]
    said = []
    for each in fitted:
        plan = replace(
            each.run.plan,
            methods=("mean_readers_cases",),
            readers=(each.point.n_readers,),
            n_studies=each.point.rate.n_studies,
        )
        (mean,) = power(plan)
        said.append(
            f"{each.point.n_readers} readers: {mean.rate.n_rejected} against "
            f"{each.point.rate.n_rejected} of {mean.rate.n_studies}"
        )
    if not said:
        return "None was fitted for this page."
    return (
        "On the very same studies the confirmatory mean and the linear model with both slopes "
        f"reject about as often ({'; '.join(said)})."
    )


def _range(results: Sequence[Result], method: str, held: str) -> tuple[float, float]:
    rates = [
        r.point.rate.value
        for r in results
        if r.run.kind == "null" and r.run.plan.held == held and r.point.method == method
    ]
    return min(rates), max(rates)


def _name(result: Result) -> str:
    point = result.point
    return f"{method_of(point.method).label}, {point.n_readers} readers, “{result.run.name}”"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _model_words(model: object) -> str:
    source = str(getattr(model, "source", ""))
    numbers = {
        "readers": getattr(model, "reader_sd", 0),
        "cases": getattr(model, "case_sd", 0),
        "reader × case": getattr(model, "reader_case_sd", 0),
        "readers' own effects": getattr(model, "reader_condition_sd", 0),
        "cases' own effects": getattr(model, "case_condition_sd", 0),
        "residual": getattr(model, "residual_sd", 0),
    }
    said = ", ".join(f"{name} {value:g}" for name, value in numbers.items())
    effect = getattr(model, "effect", 0)
    return f"Standard deviations: {said}; stated effect {effect:g}. Source: {source}."


_HEAD = """# Calibration: how often each test rejects

A test that is offered as confirmatory must reject no more than 5 % of studies without any effect.
Whole studies were simulated ({cases} cases; 4, 8 and 16 readers; every reader reads every case
under both conditions; the variance components of Roe and Metz, the effects of readers *and* of
cases both varying) and given to the tests of this package. Shares are of studies with p ≤ 0.05,
with 95 % Monte-Carlo intervals.

![Rejection rates of all tests](images/calibration.png)

“No effect” is not one hypothesis. A test for *these readers* must keep its level when the mean
effect of the readers who took part is 0; if readers are drawn anew it rejects because these readers
do differ from 0, and rightly so. A test for *readers like them* must keep its level when readers
are drawn anew. The first column of the figure holds fixed what the test itself holds fixed (its own
null); the second draws everything anew.

## What came out

- **Tests offered as confirmatory** keep their level. The largest of {n_own} shares under their own
  null is {worst} ({low} to {high}; {worst_name}). {verdict}
- **The pooled signed-rank test**, the one published with the original study, rejects {pooled_low}
  to {pooled_high} of studies without any effect. It is shown as a warning only.
- **A t test over readers**, and the exact sign flip of whole readers, keep their level for the
  cases of the study. With cases drawn anew they reject {over_low} to {over_high}: what some cases
  gain by a condition is taken for what readers gain. They are described and not confirmatory; the
  mean difference with random readers and cases takes their place.
- **Signed rank and mean clustered by case** are confirmatory for these readers alone.
- **The mixed models** are descriptive. The ordinal model with intercepts of reader and case alone
  (Wald z), and the one with a slope over readers alone, know nothing of cases that differ in what a
  condition does for them; see their lines under “feature”. With slopes over readers and cases a
  model takes about a second for each study, and too few studies were simulated to vouch for 5 %.
  {same}
- **AUC**: Obuchowski and Rockette's test with Hillis' degrees of freedom rejects a little too often
  with 4 readers; with the variance of readers not below 0 it does not.

Whoever wants a conclusion about readers like these needs more readers: with 4 of them the honest
test has a fraction of the power that the pooled one pretends to have, and no number of cases mends
that (`counterlight power`, or the page *Planning*).

## All numbers
"""

_TAIL = """
## To repeat it

`python -m benchmarks.calibration --out DIR --docs docs` goes on from what is in `DIR`;
`--fits 400` simulates more studies for the mixed models. A smaller version runs with `make slow`.
"""
