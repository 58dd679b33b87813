"""Factor sets on disk: ``<name>.json`` and ``<name>.safetensors``, whole or not at all; no torch.

The JSON states the SHA-256 of the arrays, so that files of two sets are not mixed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from data.scratch import replacing
from explainers.base import ExplainerError
from explainers.stylespace.factorset import (
    FactorSet,
    KnownEffect,
    ParameterReading,
    RegionShare,
    Search,
    SelectedFactor,
    StyleStretch,
)

FORMAT = "counterlight-factors/1"
_SHIPPED = Path(__file__).resolve().parents[1] / "weights"
_Record = TypeVar("_Record")


def factors_path(path_or_name: str | Path) -> Path:
    """Return the JSON file of a factor set given as a path, or as the name of a shipped one.

    Raises
    ------
    ExplainerError
        If there is no such file.
    """
    given = Path(path_or_name)
    candidates = [given.with_suffix(".json"), given.with_name(given.name + ".json")]
    if given.parent == Path():
        candidates.append(_SHIPPED / f"{given.stem}.json")
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ExplainerError(
        f"No factor set at {str(path_or_name)!r}; give the path of its .json file, or make one "
        "with `counterlight factors find`."
    )


def write_factor_set(path: Path, factors: FactorSet) -> Path:
    """Write a factor set; returns the path of its JSON.

    Parameters
    ----------
    path
        ``<name>.json``, or without the ending.

    Raises
    ------
    ExplainerError
        If the disk refuses.
    """
    target = path if path.suffix == ".json" else path.with_name(path.name + ".json")
    arrays = save(factors.arrays())
    content = {
        "format": FORMAT,
        "arrays": hashlib.sha256(arrays).hexdigest(),
        **factors.content(),
    }
    try:
        with replacing(target.with_suffix(".safetensors")) as fresh:
            fresh.write_bytes(arrays)
        with replacing(target) as fresh:
            text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
            fresh.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ExplainerError(f"{target} could not be written: {error}.") from error
    return target


def read_factor_set(path_or_name: str | Path) -> FactorSet:
    """Read a factor set from its files or by the name of a shipped one.

    Raises
    ------
    ExplainerError
        If a file is missing, damaged, of another kind, or the two do not belong together.
    """
    path = factors_path(path_or_name)
    arrays_path = path.with_suffix(".safetensors")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        raw = arrays_path.read_bytes()
    except OSError as error:
        raise ExplainerError(
            f"The factor set {path.name} needs {arrays_path.name} beside it: {error}."
        ) from error
    except ValueError as error:
        raise _damaged(path, f"it is no JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ExplainerError(
            f"{path.name} is no factor set (expected the format {FORMAT}); make one with "
            "`counterlight factors find`."
        )
    if hashlib.sha256(raw).hexdigest() != content.get("arrays"):
        raise _damaged(path, f"{arrays_path.name} is not the file it was written with")
    try:
        return _parsed(content, load(raw))
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _parsed(content: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]) -> FactorSet:
    return FactorSet(
        generator_digest=str(content["generator_digest"]),
        classifier_digest=str(content["classifier_digest"]),
        meter_digest=str(content["meter_digest"]),
        cases_digest=str(content["cases_digest"]),
        findings=tuple(str(name) for name in content["findings"]),
        stretches=_records(content["stretches"], StyleStretch),
        low=arrays["low"],
        high=arrays["high"],
        mean=arrays["mean"],
        spread=arrays["spread"],
        n_samples=int(content["n_samples"]),
        percentile=float(content["percentile"]),
        made=Search(**content["made"]),
        films=tuple(str(name) for name in content["films"]),
        factors=tuple(_factor(entry) for entry in content["factors"]),
        largest=tuple(_factor(entry) for entry in content["largest"]),
        strengths=arrays["strengths"],
        readings=tuple(_reading(entry) for entry in content["readings"]),
        maps={int(key[4:]): values for key, values in arrays.items() if key.startswith("map ")},
    )


def _factor(entry: Mapping[str, Any]) -> SelectedFactor:
    rest = {key: value for key, value in entry.items() if key not in ("known", "regions")}
    return SelectedFactor(
        **rest,
        known=tuple(
            KnownEffect(
                **{
                    **effect,
                    "low_interval": tuple(effect["low_interval"]),
                    "high_interval": tuple(effect["high_interval"]),
                }
            )
            for effect in entry["known"]
        ),
        regions=_records(entry["regions"], RegionShare),
    )


def _reading(entry: Mapping[str, Any]) -> ParameterReading:
    kept = float("nan") if entry["kept"] is None else float(entry["kept"])
    score = float("nan") if entry["score"] is None else float(entry["score"])
    return ParameterReading(str(entry["name"]), score, bool(entry["readable"]), kept)


def _records(
    entries: list[Mapping[str, Any]], record: Callable[..., _Record]
) -> tuple[_Record, ...]:
    return tuple(record(**entry) for entry in entries)


def _damaged(path: Path, what: str) -> ExplainerError:
    return ExplainerError(
        f"The factor set {path.name} is damaged: {what}. Make it again with "
        "`counterlight factors find`."
    )
