"""Tags of words in the schemes that are in use: IOB1, IOB2, IOBES, BILOU and BMES. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

#: What stands for "nobody has looked at this word".
UNKNOWN = frozenset({"-", "?", "-100"})

#: What is said where it is so.
IOB1 = "entities that begin with I- and not B-, read as beginning there"

_TAG = re.compile(r"O|([BIESLUMW])-\S.*")
_TWO = re.compile(r"[BIESLUMW]-\S*[|,;/+# ](?:O$|O[|,;/+# ]|[BIESLUMW]-\S).*")
_BEGIN, _SINGLE, _END = frozenset("BSUW"), frozenset("SUW"), frozenset("EL")
_SCHEMES = {"IOB": "BI", "IOBES": "BIES", "BILOU": "BILU", "BMES": "BMES", "BMEW": "BMEW"}


@lru_cache(maxsize=4096)
def is_tag(value: str) -> bool:
    """True for `O`, and for a letter of one of the schemes with a label after it."""
    return _TAG.fullmatch(value) is not None


def scheme_of(tags: Iterable[str]) -> str | None:
    """The scheme that has all these prefixes; None where none has."""
    letters = {tag[0] for tag in tags if tag != "O"}
    return next((name for name, known in _SCHEMES.items() if letters <= set(known)), None)


def spans_of_tags(tags: Sequence[str]) -> tuple[list[tuple[int, int, str]], list[tuple[int, str]]]:
    """First and last word and label of each entity; and what is no tag, by its number.

    Lenient as seqeval's default mode is: what goes on with nothing begins there, and so does a change of label.
    """
    spans: list[tuple[int, int, str]] = []
    wrong: list[tuple[int, str]] = []
    for odd in {tag for tag in set(tags) if not is_tag(tag) or _TWO.fullmatch(tag)}:
        what = f"{odd!r} is not a tag" if not is_tag(odd) else f"{odd!r} holds two tags"
        wrong += [(n, what) for n, tag in enumerate(tags) if tag == odd]
    wrong.sort()
    begun: int | None = None
    label = ""
    for n, tag in enumerate([*tags, "O"]):
        if tag == "O" and begun is None:
            continue
        inside = is_tag(tag) and tag != "O"
        goes_on = inside and begun is not None and tag[2:] == label and tag[0] not in _BEGIN
        if begun is not None and not goes_on:
            spans.append((begun, n - 1, label))
            begun = None
        if inside and not goes_on:
            begun, label = n, tag[2:]
        if inside and begun is not None and tag[0] in _END | _SINGLE:
            spans.append((begun, n, label))
            begun = None
    return spans, wrong
