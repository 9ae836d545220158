"""spaCy's `.spacy`: a DocBin of documents with their entities. It is read by spaCy itself."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.pipeline.data.formats.shape import Format, Item, Mark, Problems

FORMAT = Format("spaCy DocBin", "zlib around what DocBin writes")
_UNKNOWN = "documents with words that nobody has annotated, left out"


def read_docbin(data: bytes, problems: Problems) -> Iterator[Item]:
    """The documents of a DocBin, with its tokens as their words.

    One in which words are not annotated is left out: they are not known to be outside. Where a blank stands behind every token,
    as `Doc(vocab, words=...)` puts it, the last blank is none of the text.
    """
    try:
        import spacy
        from spacy.tokens import DocBin
    except ImportError:
        problems.add("", "a .spacy file needs the library spacy", "pip install 'holdfast[spacy]', or export JSON with Doc.to_json")
        return
    try:
        documents = list(DocBin().from_bytes(data).get_docs(spacy.blank("xx").vocab))
    except Exception as error:  # noqa: BLE001 - spaCy, srsly and zlib each have their own for what is no DocBin
        problems.add("", f"it cannot be read as a DocBin: {type(error).__name__}: {error}", "write it again, whole")
        return
    for number, document in enumerate(documents, start=1):
        place = f"document {number}"
        if any(token.ent_iob == 0 for token in document):
            if not any(token.ent_iob for token in document) and document.spans:
                groups = ", ".join(sorted(document.spans))
                problems.add(
                    place, f"its spans stand in groups ({groups}), not in doc.ents", "set doc.ents from the group that holds"
                )
            else:
                yield Item(place, document.text, left_out=_UNKNOWN)
            continue
        text = document.text[:-1] if all(token.whitespace_ for token in document) else document.text
        words = tuple((token.idx, token.idx + len(token)) for token in document if not token.is_space)
        marks = [Mark(e.start_char, e.end_char, e.label_, f"{place}, entity {n}") for n, e in enumerate(document.ents, start=1)]
        yield Item(place, text, tuple(marks), words)
