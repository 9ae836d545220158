"""Formats that are known and not read: what each looks like, and the way on from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.pipeline.data.formats.shape import Foreign

_LINES = '{"text": ..., "annotations": [[start, end, label], ...]}, one a line'

_ARGILLA = Foreign(
    "Argilla records",
    f"what was discarded looks as what was submitted there: keep what was, with to_list(flatten=True), as {_LINES}",
)
_LIGHTTAG = Foreign("LightTag's export", f"write each example's 'content', with its annotations' start, end and tag, as {_LINES}")
_TAGTOG = Foreign("tagtog's ann.json", f"its offsets count in parts of the HTML beside it: write the text of each part as {_LINES}")
_KILI = Foreign(
    "Kili's export", f"write 'content', with beginOffset, beginOffset plus the length of its content, and the category, as {_LINES}"
)
_LABELBOX = Foreign("Labelbox's export", f"its ends belong to the span, so add 1 to each, and write it as {_LINES}")
_AZURE = Foreign(
    "Azure's custom NER project", f"it gives offset and length, mostly in UTF-16: write the documents beside it as {_LINES}"
)
_VERTEX = Foreign(
    "Vertex AI's JSON lines",
    f"write textContent, with startOffset, endOffset (as numbers, 0 where absent) and displayName, as {_LINES}",
)
_UBIAI = Foreign(
    "UBIAI's JSON", f"export it as spaCy or IOB, or write 'document', with start, end and entityLabel of its 'tokens', as {_LINES}"
)
_DOCCANO_NUMBERS = Foreign("doccano's JSONL with numbers for labels", "export 'JSONL (text label)' in doccano, which has the names")
_CLASSIFICATION = Foreign(
    "texts with one label each, as for classification", "entities need a start and an end each: export the spans"
)

_OBJECTS: tuple[tuple[Foreign, Callable[[dict[str, Any]], bool]], ...] = (
    (_ARGILLA, lambda o: "fields" in o and ("responses" in o or "suggestions" in o)),
    (_LIGHTTAG, lambda o: "annotations_and_examples" in o or ("example_id" in o and "content" in o)),
    (_TAGTOG, lambda o: "annotatable" in o and "entities" in o),
    (_KILI, lambda o: isinstance(o.get("labels"), list) and any(isinstance(v, dict) and "jsonResponse" in v for v in o["labels"])),
    (_LABELBOX, lambda o: "Labeled Data" in o or "data_row" in o),
    (_AZURE, lambda o: "projectFileVersion" in o),
    (_VERTEX, lambda o: "textSegmentAnnotations" in o or "textContent" in o or "textGcsUri" in o),
    (_UBIAI, lambda o: "documentName" in o and "document" in o),
    (_DOCCANO_NUMBERS, lambda o: "annotation_approver" in o and isinstance(o.get("annotations"), list)),
    (_CLASSIFICATION, lambda o: isinstance(o.get("text"), str) and isinstance(o.get("label"), str) and "annotations" not in o),
)


def foreign_object(given: dict[str, Any]) -> Foreign | None:
    """The format that an object is of, if it is one that is known and not read."""
    return next((foreign for foreign, fits in _OBJECTS if fits(given)), None)


_BYTES: tuple[tuple[bytes, Foreign], ...] = (
    (
        b"PK\x03\x04",
        Foreign(
            "a zip archive",
            "unpack it and name the file that holds; doccano packs a file for each annotator, each with all documents",
        ),
    ),
    (b"\x1f\x8b", Foreign("a gzip file", "unpack it with gunzip")),
    (b"%PDF", Foreign("a PDF", "data needs a text and its annotations; export them from the annotation tool")),
    (b"\x80\x04\x95", Foreign("a Python pickle", "it is never run; write it as JSON lines")),
    (b"\x80\x05\x95", Foreign("a Python pickle", "it is never run; write it as JSON lines")),
    (b"SQLite format 3\x00", Foreign("an SQLite database", "export the annotations from the tool that wrote it, as JSONL")),
)


def foreign_bytes(head: bytes) -> Foreign | None:
    """The format that a file's first bytes tell, if it is one that is known and not read."""
    return next((foreign for magic, foreign in _BYTES if head.startswith(magic)), None)


HTML = Foreign("HTML", "data needs a text and its annotations; export JSON from the annotation tool")
XML = Foreign("XML that is not a UIMA CAS", "export UIMA CAS XMI, WebAnno TSV or JSONL from the tool that wrote it")
NO_TEXT = Foreign(
    "plain text without annotations",
    "if brat marked it, put its .ann file beside it; an empty one says that nothing is marked; else move it out",
)
