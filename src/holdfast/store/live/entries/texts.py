"""Entries of the table of kinds: settings, models as text, pictures."""

from __future__ import annotations

import dataclasses

from holdfast.store.live.entries.words import SAVE
from holdfast.store.live.kind import FileKind, Treatment

_TEXTS = "Settings, models as text, pictures"

JSON = FileKind(
    "JSON",
    _TEXTS,
    "`json.dump`, tokenizers, notebooks, XGBoost's `.json`",
    "`.json`, `.ipynb` or `.geojson`, and `{` or `[` at the start",
    Treatment.REST,
    worth="does not parse",
    whole="what it begins is closed",
    advice=SAVE,
    never_empty=(".json", ".ipynb", ".geojson"),
)
PNG = FileKind(
    "PNG",
    _TEXTS,
    "matplotlib, Pillow",
    "`89 PNG` at the start",
    Treatment.REST,
    worth="shows its upper part only",
    whole="its end mark is there",
    advice=SAVE,
    never_empty=(".png",),
)
JPEG = dataclasses.replace(
    PNG,
    name="JPEG",
    made_by="Pillow",
    known_by="`ff d8 ff` at the start",
    whole="up to 1 MiB: its end mark is there",
    never_empty=(".jpg", ".jpeg"),
)
PDF = dataclasses.replace(
    PNG,
    name="PDF",
    made_by="matplotlib, LaTeX",
    known_by="`%PDF-` at the start",
    worth="does not open, or is repaired by the viewer",
    whole="`%%EOF` is at its end",
    never_empty=(".pdf",),
)
