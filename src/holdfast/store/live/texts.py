"""Texts and pictures: whether what they begin has an end."""

from __future__ import annotations

import contextlib
import json
import re

from holdfast.store.live.content import SMALL, STEPS, Content, EndsEarly, Untold, big, exact, tail

_TOKEN = re.compile(r"""(?s)"(?:[^"\\]|\\.)*"|'(?:[^'\\\n]|\\.)*'|//[^\n]*|/\*.*?\*/|["\[{\]}]|/\*""")
#: So much of a long JSON text is read to see whether it is one of many lines.
_HEAD = 1 << 16
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"


def closes(text: str) -> bool | None:
    """Whether the object or list that a text begins with is closed; nothing where it begins with neither.

    Comments, single quotes and trailing commas, which JSON does not have and settings often do, are borne.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    depth = 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in ("{", "["):
            depth += 1
        elif token in ("}", "]"):
            depth -= 1
            if depth == 0:
                return True
        elif token in ('"', "/*"):
            return False
    return False


def json_torn(content: Content) -> str:
    """What it begins is closed. Of more than 1 MiB only whether the last sign closes; lines of JSON may end anywhere.

    Source: RFC 8259. A list of a trace may stay open (Chrome's Trace Event Format).
    """
    head = exact(content, 0, content.size if content.size <= SMALL else _HEAD)
    if content.size <= SMALL:
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(head)
            return ""
    text = head.decode(json.detect_encoding(head), "replace")
    if closes(text) is not False:
        return ""
    if text.lstrip()[:1] == "[" and '"ph"' in text[:4096]:
        raise Untold
    if content.size > SMALL:
        end = tail(content, 256).rstrip(b" \t\r\n\0")
        if end[-1:] in (b"}", b"]", b""):
            return ""
    return "a JSON text that ends before it is closed"


def ubjson_torn(content: Content) -> str:
    """XGBoost's binary model is one object. Source: UBJSON draft 12, "Container Types"."""
    return "" if tail(content, 1) == b"}" else "a model that ends before it is closed"


_TREE_LINE = re.compile(rb"(?m)^(Tree=\d|leaf_\w+=|split_\w+=|threshold=|decision_type=|left_child=|right_child=|internal_\w+=)")


def lightgbm_torn(content: Content) -> str:
    """Trees, "end of trees", importances, parameters, "end of parameters".

    A model without parameters is allowed, and one without categories, so behind the trees only what was begun can be cut.
    Source: LightGBM, gbdt_model_text.cpp, `SaveModelToString`.
    """
    head = exact(content, 0, min(content.size, 16))
    if not re.match(rb"tree\nversion=v[34]", head):
        raise Untold
    end = tail(content, SMALL if content.size <= SMALL else 1 << 16)
    if b"\nend of parameters" in end:
        return "" if _categories_close(end) else "a LightGBM model that ends inside its categories"
    if b"\nparameters:" in end:
        return "a LightGBM model that ends inside its parameters"
    if b"\nend of trees" in end:
        return ""
    if content.size <= SMALL or _TREE_LINE.search(end):
        return "a LightGBM model that ends inside its trees"
    return ""


def _categories_close(end: bytes) -> bool:
    """Python adds the categories of a data frame as one line of JSON. Source: LightGBM's basic.py, `_dump_pandas_categorical`."""
    categories = end.partition(b"\npandas_categorical:")[2]
    try:
        json.loads(categories or b"null")
    except ValueError:
        return False
    return True


def png_torn(content: Content) -> str:
    """Ends in its end chunk, or has one and something behind it. Source: PNG (Third Edition), 5.3 and 11.2.5."""
    if tail(content, 12) == _PNG_END:
        return ""
    at = 8
    for _ in range(STEPS):
        head = exact(content, at, 8)
        if not head[4:].isalpha():
            raise Untold
        at += 12 + big(head[:4])
        if at > content.size:
            raise EndsEarly
        if head[4:] == b"IEND":
            return ""
    raise Untold


def jpeg_torn(content: Content) -> str:
    """Has an end mark behind its head, where it is small; cameras put more behind it. Source: ITU-T T.81, B.1.1 and B.2."""
    if tail(content, 2) == b"\xff\xd9" or content.size > SMALL:
        return ""
    at = 2
    while True:
        head = exact(content, at, 4)
        if head[0] != 0xFF:
            raise Untold
        if head[1] == 0xFF:  # fill
            at += 1
            continue
        if head[1] == 0xD9:
            return ""
        at += 2 + big(head[2:])
        if head[1] == 0xDA:
            break
    return "" if b"\xff\xd9" in content.read(at, content.size - at) else "a JPEG without its end mark"


def pdf_torn(content: Content) -> str:
    """Source: ISO 32000-1, 7.5.5, and annex H: readers look for it in the last 1,024 bytes; here it is 4,096."""
    return "" if b"%%EOF" in tail(content, 4096) else "a PDF without its end mark"
