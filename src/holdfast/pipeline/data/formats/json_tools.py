"""What annotation tools export as JSON with offsets into a text: Label Studio, doccano, Prodigy, spaCy, DataTurks and others.

Each is recognised by the keys of its objects. What a person rejected, cancelled or never looked at is left out, and said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from holdfast.pipeline.data.formats.objects import kind, short
from holdfast.pipeline.data.formats.own import left_out, mark
from holdfast.pipeline.data.formats.shape import Format, Item, Mark, ObjectFormat, Offsets, Problems
from holdfast.pipeline.data.formats.words import Places, fitting

_NEVER = "documents that nobody has annotated, left out"
_REJECTED = "documents that were cancelled or skipped, left out"
_NO_LABEL = "annotations without a label, dropped"
_RELATION = "relations, choices and other annotations that mark no words, dropped"


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _text(given: dict[str, Any], key: str, place: str, problems: Problems) -> str | None:
    text = given.get(key)
    if isinstance(text, str):
        return text
    problems.add(place, f"{key!r} should be text, got {kind(text)}", "export it again, with the text")
    return None


def _mark(value: dict[str, Any], keys: tuple[str, str], label: Any, place: str, problems: Problems) -> Mark | None:
    start, end = value.get(keys[0]), value.get(keys[1])
    if type(start) is not int or type(end) is not int:
        problems.add(place, f"expected whole numbers as {keys[0]!r} and {keys[1]!r}, got {short([start, end])}", "export it again")
        return None
    if not isinstance(label, str):
        problems.add(place, f"the label should be text, got {short(label)}", "give its name")
        return None
    said = value.get("text")
    return Mark(start, end, label, place, said if isinstance(said, str) else None)


def _words(given: dict[str, Any], text: str, marks: Sequence[Mark], place: str, problems: Problems) -> Places | None:
    """The words that a task brought to a tool that keeps none, as `words` beside its text: `[[start, end], ...]` in code points.

    Doccano and Label Studio give back what they were given beside a text.
    """
    rows = given.get("words")
    if not isinstance(rows, list) or not all(isinstance(r, list) and [type(n) for n in r] == [int, int] for r in rows):
        return None
    return fitting([(a, b) for a, b in rows], text, marks, place, problems)


def _tokens(given: dict[str, Any], text: str, marks: Sequence[Mark], place: str, problems: Problems) -> Places | None:
    """The tokens of spaCy and of Prodigy, which has them of spaCy, as words."""
    rows = [(token.get("start"), token.get("end")) for token in _dicts(given.get("tokens"))]
    pairs = [(a, b) for a, b in rows if type(a) is int and type(b) is int]
    return fitting(pairs, text, marks, place, problems) if len(pairs) == len(rows) else None


# Label Studio


def _is_label_studio(given: dict[str, Any]) -> bool:
    if not isinstance(given.get("data"), dict):
        return False
    return any(isinstance(given.get(key), list) for key in ("annotations", "completions", "predictions"))


def _label_studio(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    data = given["data"]
    annotations = _dicts(given.get("annotations", given.get("completions")))
    names = {
        key.lstrip("$")
        for a in annotations
        for r in _dicts(a.get("result"))
        for key in [r.get("to_name")]
        if isinstance(key, str) and isinstance(data.get(key), str)
    }
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    key = names.pop() if len(names) == 1 else "text" if "text" in texts else next(iter(texts), None) if len(texts) == 1 else None
    if key is None:
        problems.add(place, f"which of {short(sorted(texts))} in 'data' is the text cannot be told", "name it 'text'")
        return
    if not annotations:
        yield Item(place, texts[key], left_out=_NEVER)
    for n, annotation in enumerate(annotations, start=1):
        at = place if len(annotations) == 1 else f"{place}, annotation {n}"
        gone = annotation.get("was_cancelled") is True or annotation.get("skipped") is True
        marks = tuple(_label_studio_marks(annotation.get("result"), at, problems, others=texts.keys() - {key}, counted=not gone))
        by = annotation.get("completed_by")
        who = by.get("email", by.get("id")) if isinstance(by, dict) else by
        name = None if who is None else str(who)
        words = None if gone else _words(data, texts[key], marks, place, problems)
        yield Item(at, texts[key], marks, words, _REJECTED if gone else None, name, f"{place}")


def _label_studio_marks(result: Any, place: str, problems: Problems, *, others: set[str], counted: bool) -> Iterator[Mark]:
    for n, region in enumerate(_dicts(result), start=1):
        at = f"{place}, result {n}"
        value = region.get("value")
        kind_of = region.get("type")
        if not isinstance(value, dict) or not (isinstance(kind_of, str) and kind_of.endswith("labels")):
            if counted:
                problems.note(_RELATION, at)
            continue
        if isinstance(field := region.get("to_name"), str) and field.lstrip("$") in others:
            if counted:
                problems.note(f"annotations of another field than the text that is read, {short(field)}, dropped", at)
            continue
        if isinstance(value.get("start"), str) or isinstance(value.get("globalOffsets"), dict):
            what = "its offsets count in HTML, not in a text"
            problems.add(at, what, "label it as Text in Label Studio, or export JSON of a project with a Text tag")
            continue
        yield from _labelled(value, value.get(kind_of, value.get("labels")), at, problems)


def _labelled(value: dict[str, Any], labels: Any, place: str, problems: Problems) -> Iterator[Mark]:
    """One mark for each label of a span."""
    names = labels if isinstance(labels, list) else [labels] if labels is not None else []
    if not names:
        problems.note(_NO_LABEL, place)
    for name in names:
        if found := _mark(value, ("start", "end"), name, place, problems):
            yield found


def _is_label_studio_min(given: dict[str, Any]) -> bool:
    return "annotation_id" in given and ("annotator" in given or "lead_time" in given)


def _label_studio_min(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    text = _text(given, "text", place, problems)
    if text is None:
        return
    if given.get("annotation_id") in {None, ""}:
        yield Item(place, text, left_out=_NEVER)
        return
    marks: list[Mark] = []
    for key, value in given.items():
        spans = [v for v in _dicts(value) if "start" in v and "end" in v]
        for n, span in enumerate(spans, start=1):
            marks += _labelled(span, span.get("labels"), f"{place}, {key} {n}", problems)
    who = given.get("annotator")
    words = _words(given, text, marks, place, problems)
    yield Item(place, text, tuple(marks), words, None, None if who is None else str(who), f"task {given.get('id')}")


# doccano


def _triples(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, list) and len(v) in {3, 4} for v in value)


def _is_doccano(given: dict[str, Any]) -> bool:
    if not isinstance(given.get("text", given.get("data")), str):
        return False
    key = "label" if "label" in given else "labels"
    return _triples(given.get(key)) and not ("labels" in given and "annotations" in given)


def _doccano(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    text = _text(given, "text" if "text" in given else "data", place, problems)
    rows = given["label"] if "label" in given else given.get("labels")
    if text is None:
        return
    if given.get("label") and given.get("labels"):
        problems.add(place, "it has both 'label' and 'labels'", "leave the one that holds")
        return
    if rows is None and "annotations" in given:
        problems.add(place, "it has 'annotations' where others have 'label' or 'labels'", "give it the same key as the others")
        return
    if not isinstance(rows, list):
        problems.add(place, f"'label' should be a list, got {kind(rows)}", "give [] where there are none")
        return
    marks = tuple(m for n, r in enumerate(rows, start=1) if (m := mark(r, f"{place}, label {n}", problems)))
    yield Item(place, text, marks, _words(given, text, marks, place, problems))


def _is_doccano_relations(given: dict[str, Any]) -> bool:
    entities = given.get("entities")
    return isinstance(given.get("text"), str) and isinstance(entities, list) and "relations" in given


def _doccano_relations(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    text = _text(given, "text", place, problems)
    if text is None:
        return
    if given.get("relations"):
        problems.note(_RELATION, place)
    rows = enumerate(_dicts(given.get("entities")), start=1)
    keys = ("start_offset", "end_offset")
    marks = tuple(m for n, e in rows if (m := _mark(e, keys, e.get("label"), f"{place}, entity {n}", problems)))
    yield Item(place, text, marks, _words(given, text, marks, place, problems))


# Prodigy


def _is_prodigy(given: dict[str, Any]) -> bool:
    return isinstance(given.get("text"), str) and ("_task_hash" in given or ("answer" in given and "spans" in given))


def _prodigy(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    text = _text(given, "text", place, problems)
    if text is None:
        return
    gone = left_out(given)
    if gone is None and given.get("_is_binary") is True:
        what = "it says yes or no to one span, so the words beside it are unknown and not outside"
        problems.add(place, what, "make it whole with ner.correct or review, and export that")
        return
    spans = enumerate(_dicts(given.get("spans")), start=1)
    marks = [m for n, s in spans if (m := _mark(s, ("start", "end"), s.get("label"), f"{place}, span {n}", problems))]
    who = given.get("_annotator_id", given.get("_session_id"))
    key = given.get("_input_hash")
    words = None if gone else _tokens(given, text, marks, place, problems)
    name = who if isinstance(who, str) else None
    yield Item(place, text, tuple(marks), words, gone, name, None if key is None else f"input {key}")


# spaCy


def _is_spacy_doc(given: dict[str, Any]) -> bool:
    tokens = given.get("tokens")
    # Prodigy's tokens say whether a blank follows, and spaCy's do not
    own = isinstance(tokens, list) and all(
        isinstance(t, dict) and {"id", "start", "end"} <= t.keys() and "ws" not in t for t in tokens
    )
    return isinstance(given.get("text"), str) and ("ents" in given or (own and not isinstance(given.get("spans"), list)))


def _spacy_doc(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    text = _text(given, "text", place, problems)
    if text is None:
        return
    if "ents" not in given:
        groups = given.get("spans")
        if isinstance(groups, dict) and any(groups.values()):
            what = f"its spans stand in groups ({short(sorted(groups))}), not in 'ents'"
            problems.add(place, what, "set doc.ents from the group that holds, and write it again")
        else:
            yield Item(place, text, left_out=_NEVER)
        return
    rows = enumerate(_dicts(given["ents"]), start=1)
    marks = tuple(m for n, e in rows if (m := _mark(e, ("start", "end"), e.get("label"), f"{place}, ent {n}", problems)))
    yield Item(place, text, marks, _tokens(given, text, marks, place, problems))


def is_pair(given: Any) -> bool:
    """True for spaCy 2's `[text, {"entities": [...]}]`."""
    return (
        isinstance(given, list | tuple)
        and len(given) == 2
        and isinstance(given[0], str)
        and isinstance(given[1], dict)
        and "entities" in given[1]
    )


def read_pair(given: Any, place: str, problems: Problems) -> Iterator[Item]:
    """The item of `[text, {"entities": [[start, end, label], ...]}]`."""
    if given is None:
        yield Item(place, "", left_out=_NEVER)
        return
    if not is_pair(given):
        problems.add(place, f'expected [text, {{"entities": [...]}}], got {short(given)}', "mend it there")
        return
    text, rows = given[0], given[1]["entities"]
    if not isinstance(rows, list | tuple):
        problems.add(place, f"'entities' should be a list, got {kind(rows)}", "give [] where there are none")
        return
    yield Item(place, text, tuple(m for n, r in enumerate(rows, start=1) if (m := mark(r, f"{place}, entity {n}", problems))))


PAIRS = Format("spaCy 2 training tuples", "pairs of a text and {'entities': [...]}", by_hand=True)


def _is_spacy_entities(given: dict[str, Any]) -> bool:
    return isinstance(given.get("text"), str) and _triples(given.get("entities"))


def _spacy_entities(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    yield from read_pair([given.get("text"), {"entities": given.get("entities")}], place, problems)


# DataTurks


def _is_dataturks(given: dict[str, Any]) -> bool:
    return isinstance(given.get("content"), str) and "annotation" in given


def _dataturks(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    text = _text(given, "content", place, problems)
    if text is None:
        return
    if given.get("annotation") is None:
        yield Item(place, text, left_out=_NEVER)
        return
    marks: list[Mark] = []
    for n, annotation in enumerate(_dicts(given["annotation"]), start=1):
        for point in _dicts(annotation.get("points")):
            marks += _labelled(point, annotation.get("label"), f"{place}, annotation {n}", problems)
    yield Item(place, text, tuple(marks))


# SageMaker Ground Truth


def _jobs(given: dict[str, Any]) -> list[str]:
    return [
        key
        for key, value in given.items()
        if isinstance(value, dict) and isinstance(value.get("annotations"), dict) and "entities" in value["annotations"]
    ]


def _is_ground_truth(given: dict[str, Any]) -> bool:
    return ("source" in given or "source-ref" in given) and any(key.endswith("-metadata") for key in given)


def _ground_truth(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    if "source-ref" in given:
        problems.add(place, "its text lies elsewhere ('source-ref')", "put the text itself into 'source'")
        return
    text = _text(given, "source", place, problems)
    if text is None:
        return
    jobs = _jobs(given)
    failed = [k for k, v in given.items() if k.endswith("-metadata") and isinstance(v, dict) and v.get("failure-reason")]
    if len(jobs) > 1:
        problems.add(place, f"several jobs marked it: {', '.join(jobs)}", "leave the key of the one that holds")
    elif not jobs or failed:
        yield Item(place, text, left_out="documents whose labeling failed or never was, left out")
    else:
        rows = enumerate(_dicts(given[jobs[0]]["annotations"]["entities"]), start=1)
        keys = ("startOffset", "endOffset")
        yield Item(
            place, text, tuple(m for n, e in rows if (m := _mark(e, keys, e.get("label"), f"{place}, entity {n}", problems)))
        )


#: In this order: what has a mark of its own before what has common keys only.
TOOLS: tuple[ObjectFormat, ...] = (
    ObjectFormat(Format("Label Studio JSON", "objects with 'data' and 'annotations'"), _is_label_studio, _label_studio),
    ObjectFormat(
        Format("Label Studio JSON-MIN", "objects with 'annotation_id' and 'annotator'"), _is_label_studio_min, _label_studio_min
    ),
    ObjectFormat(
        Format("SageMaker Ground Truth manifest", "objects with 'source' and a job's metadata", sure=False),
        _is_ground_truth,
        _ground_truth,
    ),
    ObjectFormat(
        Format("DataTurks JSON", "objects with 'content' and 'annotation'", Offsets(end="inclusive")), _is_dataturks, _dataturks
    ),
    ObjectFormat(Format("Prodigy JSONL", "objects with '_task_hash' and 'answer'"), _is_prodigy, _prodigy),
    ObjectFormat(
        Format("doccano JSONL with relations", "objects with 'entities' and 'relations'", sure=False),
        _is_doccano_relations,
        _doccano_relations,
    ),
    ObjectFormat(
        Format("doccano JSONL", "objects with a text and a list of triples as 'label'", sure=False), _is_doccano, _doccano
    ),
    ObjectFormat(Format("spaCy documents as JSON", "objects with 'text', 'tokens' and 'ents'"), _is_spacy_doc, _spacy_doc),
    ObjectFormat(
        Format("spaCy 2 entities as JSON", "objects with 'text' and triples as 'entities'", by_hand=True),
        _is_spacy_entities,
        _spacy_entities,
    ),
)


def read_cells(rows: Iterable[tuple[str, dict[str, str]]], problems: Problems) -> Iterator[Item]:
    """Label Studio's CSV and TSV: the rows of JSON-MIN, with JSON in the cells."""
    for place, row in rows:
        given: dict[str, Any] = dict(row)
        for key, cell in row.items():
            if key != "text" and cell.startswith("["):
                try:
                    given[key] = json.loads(cell)
                except ValueError:
                    problems.add(place, f"the cell {key!r} is not JSON", "export it again as JSON")
        yield from _label_studio_min(given, place, problems)


Reader = Callable[[dict[str, Any], str, Problems], Iterable[Item]]
