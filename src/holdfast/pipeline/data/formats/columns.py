"""A token a line with its tag. Which column is the token and which the tag is proved by what stands in them: see `layout`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from holdfast.pipeline.data.formats.json_tokens import joined
from holdfast.pipeline.data.formats.layout import Layout, Row, decide, parted, unlike_columns, without_header
from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Columns, Format, Item, Mark, Problems
from holdfast.pipeline.data.formats.tags import is_tag, scheme_of, spans_of_tags

DIVIDER = "-DOCSTART-"
#: What JNLPBA puts before each abstract.
MEDLINE = "###MEDLINE:"
IOB1 = "entities that begin with I- and not B-, read as beginning there"
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]+")
_BREAKS = re.compile("\r\n|\r\r\n|[\r\n\u2028\u2029\u0085]")


def rows_of(text: str, problems: Problems) -> list[list[Row]]:
    """The sentences of the file as rows, comments and dividers left out."""
    if "\r" in text.replace("\r\n", ""):
        problems.note("carriage returns alone, read as ends of lines", f"line {text[: _lone(text)].count(chr(10)) + 1}")
    lines = _BREAKS.split(text)
    split = [(n, _unmarked(line), _cells(_unmarked(line))) for n, line in enumerate(lines, start=1)]
    for n, line in enumerate(lines, start=1):
        if _unmarked(line) != line:
            problems.note("marks of byte order within the file, left out", f"line {n}")
    usual = Counter(len(cells) for _, line, cells in split if line.strip() and not line.startswith("#")).most_common(1)
    width = usual[0][0] if usual else 0
    sentences: list[list[Row]] = []
    rows: list[Row] = []
    for number, line, cells in [*split, (0, "", ())]:
        if not line.strip() or cells[0] == DIVIDER or (len(cells) == 1 and cells[0].startswith(MEDLINE)):
            if rows:
                sentences.append(rows)
            rows = []
            continue
        if line.startswith(("# ", "#\t")) and not (len(cells) > 1 and len(cells) == width and any(map(is_tag, cells[1:]))):
            continue
        rows.append(Row(number, cells, line))
    return sentences


def _unmarked(line: str) -> str:
    """The line without marks of byte order before it; one that is all of a cell is a token."""
    bare = line.lstrip("\ufeff")
    return line if bare.startswith("\t") else bare


def _lone(text: str) -> int:
    found = re.search("\r(?!\n)", text)
    return found.start() if found else 0


def _cells(line: str) -> tuple[str, ...]:
    """The columns of a line. Only tab and space divide: other whitespace may be a token of its own."""
    if "\t" in line.strip(" "):
        return tuple(cell.strip(" ") for cell in line.strip("\r").split("\t"))
    return tuple(cell for cell in line.strip(" \r").split(" ") if cell)


def read_columns(text: str, asked: Columns | None, problems: Problems) -> tuple[Format, list[Item]]:
    """The sentences of a file of columns, each an item; and what the file is."""
    plain = Format("columns", "a token a line")
    sentences = without_header(rows_of(text, problems), problems)
    rows = [row for sentence in sentences for row in sentence]
    if not rows:
        return plain, []
    if found := unlike_columns(rows):
        problems.add(*found)
        return plain, []
    width = Counter(len(row.cells) for row in rows).most_common(1)[0][0]
    sentences, width = _level(sentences, width, problems)
    if not sentences:
        return plain, []
    if asked is None and width == 10 and all(re.fullmatch(r"\d+([-.]\d+)?", row.cells[0]) for s in sentences for row in s):
        named = _conllu(sentences)
        if named is not None:
            described = Format("CoNLL-U with names in MISC", "ten columns, NER= or name= in the last")
            return described, _items(named, Layout(0, 1), problems)
    layout = decide(sentences, width, asked, problems)
    if layout is None:
        return plain, []
    scheme = scheme_of(row.cells[layout.tag] for s in sentences for row in s if is_tag(row.cells[layout.tag]))
    name = f"{width} columns, token in {layout.token + 1}, tag in {layout.tag + 1}"
    why = f"tags of the scheme {scheme or 'IOB'}" if not asked else "as asked for"
    if scheme not in {"IOB", None}:
        problems.note(f"tags of {scheme}, converted", f"line {sentences[0][0].number}")
    return Format(name, why), _items(sentences, layout, problems)


def _level(sentences: list[list[Row]], width: int, problems: Problems) -> tuple[list[list[Row]], int]:
    """The rows that have the usual number of columns; the others are problems."""
    kept = []
    for sentence in sentences:
        good = []
        for row in sentence:
            cells = row.cells
            while len(cells) > width and not cells[-1]:
                cells = cells[:-1]
            if len(cells) == 1:
                problems.add(
                    f"line {row.number}", f"one column, {short(cells[0])}", "expected a token and its tag, with a tab between"
                )
            elif len(cells) != width:
                what = f"{len(cells)} columns where the others have {width}: {short(row.line.strip())}"
                problems.add(
                    f"line {row.number}", what, "give each line as many; a token with a blank needs tabs between the columns"
                )
            else:
                good.append(Row(row.number, cells, row.line))
        kept.append(good)
    return [s for s in kept if s], width


def _conllu(sentences: list[list[Row]]) -> list[list[Row]] | None:
    """Tokens and tags of CoNLL-U with names in MISC; None where it has none."""
    made = []
    named = False
    for sentence in sentences:
        rows = []
        for row in sentence:
            if not row.cells[0].isdigit():  # 1-2 and 3.1 are no tokens
                continue
            fields = dict(f.split("=", 1) for f in row.cells[9].split("|") if "=" in f)
            tag = fields.get("NER", fields.get("name"))
            named = named or tag is not None
            rows.append(Row(row.number, (row.cells[1], tag or "O"), row.line))
        made.append(rows)
    return made if named else None


def _items(sentences: Sequence[Sequence[Row]], layout: Layout, problems: Problems) -> list[Item]:
    return [item for s in parted(sentences, layout, problems) if (item := _item(s, layout, problems))]


def _item(rows: Sequence[Row], layout: Layout, problems: Problems) -> Item | None:
    tags = [row.cells[layout.tag] for row in rows]
    if layout.inner is not None:
        for row in rows:
            if is_tag(row.cells[layout.inner]) and row.cells[layout.inner][0] in "BSU":
                problems.note("entities of the inner layer, dropped", f"line {row.number}", row.cells[layout.inner][2:])
    spans, wrong = spans_of_tags(tags)
    for n, what in wrong:
        problems.add(f"line {rows[n].number}", what, "a tag is O, B-LABEL or I-LABEL, in the last column")
    for n, before in zip(range(len(tags)), ["O", *tags], strict=False):
        if tags[n].startswith("I-") and (before == "O" or before[2:] != tags[n][2:]):
            problems.note(IOB1, f"line {rows[n].number}")
    kept: dict[int, int] = {}
    tokens: list[str] = []
    for n, row in enumerate(rows):
        cell = row.cells[layout.token]
        if not cell:
            problems.add(f"line {row.number}", "the token is empty", "give the token, or take the line out")
        elif _ZERO_WIDTH.fullmatch(cell):
            problems.note("tokens that have no width, dropped", f"line {row.number}")
        else:
            if cell == '""""':
                problems.note("tokens in quotes as a table writes them, kept as they stand", f"line {row.number}")
            kept[n] = len(tokens)
            tokens.append(cell)
    if not tokens:
        return None
    text, words = joined(tokens)
    return Item(f"line {rows[0].number}", text, tuple(_marks(spans, kept, words, rows, problems)), words)


def _marks(
    spans: Sequence[tuple[int, int, str]],
    kept: dict[int, int],
    words: Sequence[tuple[int, int]],
    rows: Sequence[Row],
    problems: Problems,
) -> Iterator[Mark]:
    for first, last, label in spans:
        inside = [kept[n] for n in range(first, last + 1) if n in kept]
        place = f"line {rows[first].number}"
        if inside:
            yield Mark(words[inside[0]][0], words[inside[-1]][1], label, place)
        else:
            problems.note("entities of tokens that have no width, dropped", place, label)


def read_bars(text: str, problems: Problems) -> list[Item]:
    """A sentence a line, each word with its tag behind a bar: `word|TAG` or `word|POS|TAG`."""
    items = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [word.split("|") for word in line.split()]
        if not cells:
            continue
        if any(len(c) < 2 or not is_tag(c[-1]) for c in cells):
            bad = next("|".join(c) for c in cells if len(c) < 2 or not is_tag(c[-1]))
            problems.add(f"line {number}", f"{short(bad)} has no tag", "each word should be word|TAG")
            continue
        rows = [Row(number, (c[0] or "|", c[-1]), line) for c in cells]
        if item := _item(rows, Layout(0, 1), problems):
            items.append(item)
    return items


def looks_like_bars(text: str) -> bool:
    """True where the first line is words with a tag behind a bar each."""
    words = next((line for line in text.splitlines() if line.strip()), "").split()
    return bool(words) and all("|" in w and is_tag(w.rsplit("|", 1)[1]) for w in words)


def read_conll2012(text: str, problems: Problems) -> list[Item]:
    """CoNLL-2012: the word in column 4, names as brackets in column 11."""
    items = []
    rows: list[Row] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        cells = line.split()
        if cells and not line.startswith("#"):
            rows.append(Row(number, tuple(cells), line))
        elif rows:
            if item := _bracketed(rows, problems):
                items.append(item)
            rows = []
    return items


def _bracketed(rows: Sequence[Row], problems: Problems) -> Item | None:
    opened: list[tuple[str, int]] = []
    spans = []
    for n, row in enumerate(rows):
        if len(row.cells) < 11:
            problems.add(
                f"line {row.number}", f"{len(row.cells)} columns, expected at least 11", "write the line as CoNLL-2012 has it"
            )
            return None
        cell = row.cells[10]
        opened += [(label, n) for label in re.findall(r"\(([^()*\s]+)", cell)]
        for _ in range(cell.count(")")):
            if not opened:
                problems.add(f"line {row.number}", f"{short(cell)} closes what nothing opens", "mend the brackets of column 11")
                return None
            label, begun = opened.pop()
            spans.append((begun, n, label))
    if opened:
        problems.add(f"line {rows[opened[0][1]].number}", "a bracket of column 11 is never closed", "mend it")
        return None
    tokens = [row.cells[3] for row in rows]
    text, words = joined(tokens)
    marks = tuple(Mark(words[a][0], words[b][1], label, f"line {rows[a].number}") for a, b, label in sorted(spans))
    return Item(f"line {rows[0].number}", text, marks, words)
