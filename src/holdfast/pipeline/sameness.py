"""Whether what was made then is what is asked for now, also across versions and spellings. Pure.

What something was made from stands in its record, in a study and in every checkpoint, as the version wrote it that began it. That
version may not have known a setting, or may have written a number in another way; neither makes it another study.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from holdfast.flow.fingerprint import canonical, differences, plain
from holdfast.pipeline.identity import default_of
from holdfast.pipeline.settings import (
    SEARCHABLE,
    BenchmarkSettings,
    Conversion,
    Hpo,
    Section,
    Selection,
    Training,
    written_alike,
)

#: The sections that stand in what stages are made from, by their key there.
_SECTIONS: Mapping[str, type[Section]] = {
    "training": Training,
    "hpo": Hpo,
    "benchmark": BenchmarkSettings,
    "selection": Selection,
    "conversion": Conversion,
}

#: What was done before there was a setting, where that is not its default.
_BEFORE: Mapping[tuple[str, str], Any] = {("training", "exact"): False}

_SPACE = "search_space"


def same(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether nothing is asked for that differs from what it was made from."""
    return canonical(_in_words_of_today(then, now)) == canonical(plain(now))


def differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line for each value that differs, see `fingerprint.differences`; none for what is only written in another way."""
    return differences(_in_words_of_today(then, now), now)


def narrowed(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the one difference is a search space that lies within the one of then.

    Trials that were suggested within the wider one stay what they are, so a study may go on so.
    """
    before, after = _in_words_of_today(then, now), plain(now)
    wide, narrow = (side.get("hpo", {}).pop(_SPACE, None) for side in (before, after))
    if not wide or not narrow or wide == narrow or canonical(before) != canonical(after) or wide.keys() != narrow.keys():
        return False
    return all(_within(wide[name], narrow[name]) for name in wide)


def _within(wide: Mapping[str, Any], narrow: Mapping[str, Any]) -> bool:
    if wide["type"] != narrow["type"] or wide.get("step") != narrow.get("step"):
        return False
    if wide["type"] == "choice":
        return all(v in wide["values"] for v in narrow["values"])
    step = wide.get("step")
    on_the_grid = step is None or ((narrow["low"] - wide["low"]) / step).is_integer()
    return bool(wide["low"] <= narrow["low"] <= narrow["high"] <= wide["high"]) and on_the_grid


def _in_words_of_today(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What it was made from, as this version would have written it."""
    found: dict[str, Any] = plain(then)
    asked = plain(now)
    for name, kind in _SECTIONS.items():
        before, after = found.get(name), asked.get(name)
        if not isinstance(before, dict) or not isinstance(after, dict):
            continue
        for key in kind.model_fields.keys() & (before.keys() ^ after.keys()):
            default = plain(default_of(kind, key)) if not kind.model_fields[key].is_required() else None
            if key not in before and after[key] in (default, _BEFORE.get((name, key), default)):
                before[key] = after[key]  # nobody asks for anything but what was done
            elif key in before and before[key] == default:
                del before[key]  # written out
    with contextlib.suppress(AttributeError, KeyError, TypeError):
        _respell(found["hpo"][_SPACE])
    return found


def _respell(space: dict[str, dict[str, Any]]) -> None:
    for name, row in space.items():
        if row["type"] == "choice" and name in SEARCHABLE:
            with contextlib.suppress(ValidationError):
                row["values"] = plain(written_alike(name, row["values"]))
        if row["type"] == "int" and row.get("step") == 1:
            del row["step"]
