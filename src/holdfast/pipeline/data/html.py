"""Documents with their entities marked, as HTML for a notebook. Pure.

Everything that comes from a file is escaped. Colours are light, under black letters, and never alone: the label stands beside each
entity. Styles stand in the elements, since notebooks take away sheets of what they do not trust.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from holdfast.pipeline.data.documents import Document
from holdfast.store.format.keys import printable

#: How many documents, characters of one, and lines of notes and of problems are shown.
DOCUMENTS, LONG, LINES = 20, 1000, 50

#: Light colours after Okabe and Ito, who chose theirs to be told apart by people who see colours otherwise.
_COLOURS = ("#fbd28b", "#a9dcf6", "#8fe0c4", "#f9f2a2", "#9cc8f0", "#f7b68f", "#eebbd7", "#d5d5d5")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def page(
    head: str, counts: Mapping[str, Mapping[str, int]], documents: Iterable[Document], notes: Sequence[str], problems: Sequence[str]
) -> str:
    """A heading, how often each label stands, notes, problems, and documents with their entities marked.

    Args:
        head: One line on all of it.
        counts: By the heading of a column, how often each label stands.
        documents: The first of them that hold entities are shown.
        notes: Lines for a person.
        problems: All that is wrong.
    """
    labels = sorted({label for count in counts.values() for label in count})
    colours = {label: _COLOURS[n % len(_COLOURS)] for n, label in enumerate(labels)}
    parts = [f"<div><p><b>{_safe(head)}</b></p>", _table(counts, colours)]
    parts += [_lines("Problems", problems), _lines("Notes", notes)]
    parts += [_document(document, colours) for document in _shown(documents)]
    return "".join([*parts, "</div>"])


def _shown(documents: Iterable[Document]) -> Iterator[Document]:
    left = DOCUMENTS
    for document in documents:
        if left and document.spans:
            left -= 1
            yield document


def _safe(text: str) -> str:
    return html.escape(_CONTROL.sub("\ufffd", text))


def _table(counts: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]) -> str:
    if not colours:
        return "<p>no entities</p>"
    cell = '<td style="text-align:right">'
    head = "".join(f"<th>{_safe(name)}</th>" for name in counts)
    rows = "".join(
        f'<tr><th style="background:{colour};color:#000;text-align:left" dir="auto">{_safe(label)}</th>'
        + "".join(f"{cell}{count.get(label, 0):,}</td>" for count in counts.values())
        + "</tr>"
        for label, colour in colours.items()
    )
    return f"<table><thead><tr><th>label</th>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _lines(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    shown = "".join(f"<li>{_safe(printable(line))}</li>" for line in lines[:LINES])
    more = f"<li>and {len(lines) - LINES:,} more</li>" if len(lines) > LINES else ""
    return f"<p><b>{title}</b></p><ul>{shown}{more}</ul>"


def _document(document: Document, colours: Mapping[str, str]) -> str:
    text = document.text
    parts = []
    at = 0
    for span in document.spans:
        if span.start >= LONG:
            break
        end = min(span.end, LONG)
        style = f"background:{colours[span.label]};color:#000;padding:0 .3em;border-radius:.3em"
        name = f'<small style="font-weight:bold"><bdi>{_safe(span.label)}</bdi></small>'
        parts.append(
            f'{_safe(text[at : span.start])}<mark style="{style}"><bdi>{_safe(text[span.start : end])}</bdi> {name}</mark>'
        )
        at = end
    rest = _safe(text[at:LONG]) + ("…" if len(text) > LONG else "")
    return f'<p dir="auto" style="white-space:pre-wrap;text-align:start">{"".join(parts)}{rest}</p>'
