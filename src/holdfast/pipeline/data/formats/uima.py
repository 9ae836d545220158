"""UIMA CAS as XMI and as JSON, as INCEpTION and dkpro-cassis write them. Offsets are UTF-16 units, as Java counts.

No type system is needed: an annotation is an entity if its type is called NamedEntity, and its label is its `value`. Where tokens
are annotated, they are the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

from holdfast.pipeline.data.formats.shape import Format, Item, Mark, Offsets, Problems
from holdfast.pipeline.data.formats.units import place_of
from holdfast.pipeline.data.formats.words import cut

XMI = Format("UIMA CAS XMI", "a root xmi:XMI", Offsets("utf16"))
JSON = Format("UIMA CAS JSON", "an object with %FEATURE_STRUCTURES", Offsets("utf16"))

_NO_VALUE = "named entities without a value, dropped"


def read_xmi(text: str, problems: Problems) -> Iterator[Item]:
    """The document of an XMI file."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        problems.add("", "it declares entities of XML, which no XMI does", "export it again")
        return
    try:
        root = ET.fromstring(text)  # noqa: S314 - it declares no entities, so nothing can grow or be fetched
    except ET.ParseError as error:
        problems.add(f"line {error.position[0]}", f"not XML ({error})", "export it again")
        return
    rows: list[tuple[str, Mapping[str, Any]]] = [(element.tag.rsplit("}", 1)[-1], element.attrib) for element in root]
    yield from _item(rows, problems)


def read_uima_json(given: dict[str, Any], problems: Problems) -> Iterator[Item]:
    """The document of a CAS as JSON."""
    structures = given.get("%FEATURE_STRUCTURES")
    if not isinstance(structures, list):
        problems.add("", "no list '%FEATURE_STRUCTURES'", "export it again with 'Feature structures' as a list")
        return
    yield from _item([(str(s.get("%TYPE", "")).rsplit(".", 1)[-1], s) for s in structures if isinstance(s, dict)], problems)


def _item(rows: Iterable[tuple[str, Mapping[str, Any]]], problems: Problems) -> Iterator[Item]:
    rows = list(rows)
    texts = [text for name, values in rows if name == "Sofa" and isinstance(text := values.get("sofaString"), str)]
    if len(texts) != 1:
        problems.add("", f"it has {len(texts)} texts (Sofa), expected one", "export a CAS with its text, one view alone")
        return
    marks = []
    for n, (_, values) in enumerate((row for row in rows if row[0] == "NamedEntity"), start=1):
        place = f"named entity {n}"
        label = values.get("value")
        if not label:
            problems.note(_NO_VALUE, place)
            continue
        try:
            marks.append(Mark(int(values.get("begin", 0)), int(values["end"]), str(label), place))
        except (KeyError, ValueError):
            problems.add(place, "it has no begin and end in whole numbers", "export it again")
    if not marks and not any(name == "NamedEntity" for name, _ in rows):
        names = sorted({name for name, values in rows if "begin" in values and "value" in values})
        if names:
            problems.add(
                "", f"no NamedEntity stands in it; other layers do: {', '.join(names)}", "export the layer of named entities"
            )
            return
    yield _with_words(texts[0], marks, [values for name, values in rows if name == "Token"])


def _with_words(text: str, marks: Sequence[Mark], tokens: Sequence[Mapping[str, Any]]) -> Item:
    """The item in code points with the tokens as its words; as it stands, where there are none or an offset is no place."""
    given = Item("its text", text, tuple(marks))
    with suppress(KeyError, ValueError, TypeError):
        places = sorted(_place(text, int(values.get("begin", 0)), int(values["end"])) for values in tokens)
        read = [replace(mark, start=start, end=end) for mark in marks for start, end in [_place(text, mark.start, mark.end)]]
        if places and all(a < b for a, b in places) and all(one[1] <= other[0] for one, other in pairwise(places)):
            return replace(given, marks=tuple(read), words=cut(places, read))
    return given


def _place(text: str, start: int, end: int) -> tuple[int, int]:
    found = place_of(text, start, end, Offsets("utf16"))
    if found is None:
        raise ValueError
    return found
