"""Lines of columns as sentences of rows, and a sentence with its tags as an item. Nothing of a file is held but the sentence."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from holdfast.pipeline.data.formats.json_tokens import joined
from holdfast.pipeline.data.formats.layout import Row
from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Format, Item, Mark, Problems
from holdfast.pipeline.data.formats.source import Source
from holdfast.pipeline.data.formats.tags import IOB1, is_tag, spans_of_tags

DIVIDER = "-DOCSTART-"
#: What JNLPBA puts before each abstract.
MEDLINE = "###MEDLINE:"
CONLL2012 = Format("CoNLL-2012", "lines that begin with '#begin document'")
_ZERO_WIDTH = re.compile("[\x00\u200b-\u200f\u2060-\u2064\ufeff\u00ad]+")
_BREAKS = re.compile("\r\n|\r\r\n|[\r\n\u2028\u2029\u0085]")
_BLANKS = re.compile("[ \t\r\n]")
_LETTERS = frozenset(string.ascii_letters)
_SOURCE = re.compile(r"# ?newdoc\b(?:\s+id\s*=\s*(.+))?|#begin document \((.*)\)|#\t(.+?)\s*\[[^\]]*\]\s*$")
_ENDS = ("\r", "\u2028", "\u2029", "\u0085")
#: What a sentence may begin with that is looked at line by line.
_ODD = ("#", "\n")
_MARKED = re.compile(rf"\n#[ \t]|{DIVIDER}")
_LONE = re.compile("\r(?!\r?\n)")


def lines_of(blocks: Iterable[tuple[int, str]], problems: Problems) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, whatever ends them. Where a carriage return alone does, it counts as a line."""
    more = 0  # lines that no line feed ended
    for begin, block in blocks:
        lines = _lines_in(block, begin + more, problems)
        yield from enumerate(lines, start=begin + more)
        more += len(lines) - block.removesuffix("\n").count("\n") - 1


def _lines_in(block: str, first: int, problems: Problems) -> list[str]:
    lines = block.removesuffix("\n").split("\n")
    if not block.isascii() or "\r" in block:
        if "\r" in block and (lone := _LONE.search(block)):
            at = first + block.count("\n", 0, lone.start())
            problems.note("carriage returns alone, read as ends of lines", f"line {at}")
        if any(end in block for end in _ENDS):
            lines = _BREAKS.split(block.removesuffix("\n").removesuffix("\r"))
        if "\ufeff" in block:
            lines = [_without_mark(line, number, problems) for number, line in enumerate(lines, start=first)]
    return lines


def _without_mark(line: str, number: int, problems: Problems) -> str:
    bare = line.lstrip("\ufeff")
    if bare == line or bare.startswith("\t"):  # one that is all of a cell is a token
        return line
    problems.note("marks of byte order within the file, left out", f"line {number}")
    return bare


def cells_of(line: str) -> tuple[str, ...]:
    """The columns of a line. Only tab and space divide: other whitespace may be a token of its own."""
    if "\t" in line:
        if " " not in line:
            return tuple(line.split("\t"))
        if "\t" in line.strip(" "):
            return tuple([cell.strip(" ") for cell in line.split("\t")])
    return tuple([cell for cell in line.split(" ") if cell])


class Regular(NamedTuple):
    """A sentence in which every row has as many cells: the number of its first line, the rows, and the source."""

    number: int
    cells: list[list[str]]
    source: str | None

    @property
    def rows(self) -> list[Row]:
        """The same as rows."""
        return [Row(n, tuple(cells), "\t".join(cells), self.source) for n, cells in enumerate(self.cells, start=self.number)]


class Sentences:
    """Makes sentences of lines that come piece by piece, comments and dividers left out.

    Args:
        width: How many columns most have; a line that begins with `# ` and is as wide, with a tag, is no comment.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows: list[Row] = []
        self._source: str | None = None

    def of_lines(self, lines: Iterable[tuple[int, str]]) -> Iterator[list[Row]]:
        """The sentences that end in these lines."""
        for number, line in lines:
            begun = line[:1]
            if begun in _LETTERS:
                self._rows.append(Row(number, cells_of(line), line, self._source))
            elif not line or line.isspace() or _divides(line):
                self._source = source_named(line, number, self._source)
                if self._rows:
                    yield self._rows
                    self._rows = []
            elif line.startswith(("# ", "#\t", "#begin")) and _is_comment(cells_of(line), self._width):
                self._source = source_named(line, number, self._source)
            else:
                self._rows.append(Row(number, cells_of(line), line, self._source))

    def end(self) -> Iterator[list[Row]]:
        """The last one, which nothing ends."""
        if self._rows:
            yield self._rows

    def of_blocks(self, blocks: Iterable[tuple[int, str]], problems: Problems) -> Iterator[list[Row] | Regular]:
        """All sentences of a file. Where a block has nothing odd in it, whole sentences are split at once."""
        more = 0
        for begin, block in blocks:
            first = begin + more
            divider = _divider(block)
            head, tail = block.find("\n\n") + 2, block.rfind("\n\n")
            if divider is None or tail < head:
                lines = _lines_in(block, first, problems)
                more += len(lines) - block.removesuffix("\n").count("\n") - 1
                yield from self.of_lines(enumerate(lines, start=first))
                continue
            yield from self._of_part(first, block[:head])
            number = first + block.count("\n", 0, head)
            for part in block[head:tail].split("\n\n"):
                cells = [line.split(divider) for line in part.split("\n")]
                if part.startswith(_ODD) or _MARKED.search(part) or any(len(row) != self._width for row in cells):
                    yield from self._of_part(number, part + "\n\n")
                else:
                    yield Regular(number, cells, self._source)
                number += len(cells) + 1
            yield from self._of_part(number, block[tail + 2 :])
        yield from self.end()

    def _of_part(self, number: int, part: str) -> Iterator[list[Row]]:
        return self.of_lines(enumerate(part.removesuffix("\n").split("\n") if part else (), start=number))


def _divider(block: str) -> str | None:
    """What divides the cells of a block with nothing odd in it; None where its lines are looked at one by one."""
    if any(odd in block for odd in (*_ENDS, "\ufeff", "\n\t", "\n ")):
        return None
    if "\t" in block:
        return None if " " in block else "\t"
    return None if "  " in block or " \n" in block else " "


def sentences_of(lines: Iterable[tuple[int, str]], width: int) -> Iterator[list[Row]]:
    """The sentences of lines that are all there is."""
    made = Sentences(width)
    yield from made.of_lines(lines)
    yield from made.end()


def _divides(line: str) -> bool:
    if not line.startswith((DIVIDER, MEDLINE)):
        return False
    cells = cells_of(line)
    return cells[0] == DIVIDER or (len(cells) == 1 and cells[0].startswith(MEDLINE))


def source_named(line: str, number: int, before: str | None) -> str | None:
    """The source of what follows a line: of `-DOCSTART-`, `# newdoc`, `#begin document`, GermEval's `#`; else as before."""
    if line.startswith((DIVIDER, MEDLINE)):
        return f"line {number}"
    if line.startswith("#") and (found := _SOURCE.match(line)):
        return (found[1] or found[2] or found[3] or f"line {number}").strip()
    return before


def _is_comment(cells: tuple[str, ...], width: int) -> bool:
    return not (len(cells) > 1 and len(cells) == width and any(map(is_tag, cells[1:])))


def item_of(rows: Sequence[Row], token: int, tag: int, problems: Problems) -> Item | None:
    """The item of a sentence; what is no tag and no token is added to the problems. None where no token is left."""
    tokens, tags = [row.cells[token] for row in rows], [row.cells[tag] for row in rows]
    return _item(tokens, tags, [row.number for row in rows], rows[0].source, problems)


def item_of_regular(sentence: Regular, token: int, tag: int, problems: Problems) -> Item | None:
    """The same of a sentence of which nothing is to be said but its tags and tokens."""
    tokens, tags = [row[token] for row in sentence.cells], [row[tag] for row in sentence.cells]
    return _item(tokens, tags, range(sentence.number, sentence.number + len(tags)), sentence.source, problems)


def _item(
    tokens: Sequence[str], tags: Sequence[str], numbers: Sequence[int], source: str | None, problems: Problems
) -> Item | None:
    place = f"line {numbers[0]}"
    text, words = joined(tokens)
    plain = all(tokens) and '""""' not in tokens and (text.isascii() or not _ZERO_WIDTH.search(text))
    if plain and tags.count("O") == len(tags):  # most sentences of most files
        return Item(place, text, (), words, source=source)
    spans, wrong = spans_of_tags(tags)
    for n, what in wrong:
        problems.add(f"line {numbers[n]}", what, "a tag is O, B-LABEL or I-LABEL, in the last column")
    for first, _, _ in spans:
        if tags[first][0] == "I":
            problems.note(IOB1, f"line {numbers[first]}")
    if plain:
        marks = [Mark(words[a][0], words[b][1], label, f"line {numbers[a]}") for a, b, label in spans]
        return Item(place, text, tuple(marks), words, source=source)
    kept: dict[int, int] = {}
    for n, cell in enumerate(tokens):
        if not cell:
            problems.add(f"line {numbers[n]}", "the token is empty", "give the token, or take the line out")
        elif _ZERO_WIDTH.fullmatch(cell):
            problems.note("tokens that have no width, dropped", f"line {numbers[n]}")
        else:
            if cell == '""""':
                problems.note("tokens in quotes as a table writes them, kept as they stand", f"line {numbers[n]}")
            kept[n] = len(kept)
    if not kept:
        return None
    text, words = joined([tokens[n] for n in kept])
    return Item(place, text, tuple(_marks(spans, kept, words, numbers, problems)), words, source=source)


def _marks(
    spans: Sequence[tuple[int, int, str]],
    kept: dict[int, int],
    words: Sequence[tuple[int, int]],
    numbers: Sequence[int],
    problems: Problems,
) -> Iterator[Mark]:
    for first, last, label in spans:
        inside = [kept[n] for n in range(first, last + 1) if n in kept]
        place = f"line {numbers[first]}"
        if inside:
            yield Mark(words[inside[0]][0], words[inside[-1]][1], label, place)
        else:
            problems.note("entities of tokens that have no width, dropped", place, label)


def read_bars(source: Source, problems: Problems) -> Iterator[Item]:
    """A sentence a line, each word with its tag behind a bar: `word|TAG` or `word|POS|TAG`.

    A word may hold bars itself: as many stand behind it as do behind most words so far.
    """
    counts: Counter[int] = Counter()
    for number, line in lines_of(source.blocks(), problems):
        cells = [word.split("|") for word in _between_blanks(line)]
        if not cells:
            continue
        if any(len(c) < 2 or not is_tag(c[-1]) for c in cells):
            bad = next("|".join(c) for c in cells if len(c) < 2 or not is_tag(c[-1]))
            problems.add(f"line {number}", f"{short(bad)} has no tag", "each word should be word|TAG")
            continue
        counts.update(map(len, cells))
        behind = max(counts, key=lambda n: (counts[n], -n)) - 1
        words = ["|".join(c[: max(1, len(c) - behind)]) or "|" for c in cells]
        rows = [Row(number, (word, c[-1]), line) for word, c in zip(words, cells, strict=True)]
        if item := item_of(rows, 0, 1, problems):
            yield item


def looks_like_bars(begun: str) -> bool:
    """True where the first line is words with a tag behind a bar each."""
    words = _between_blanks(next((line for line in begun.splitlines() if line.strip()), ""))
    return bool(words) and all("|" in w and is_tag(w.rsplit("|", 1)[1]) for w in words)


def _between_blanks(line: str) -> list[str]:
    """What stands between blanks and tabs. Other whitespace, such as a blank that breaks no line, is part of a word."""
    return [cell for cell in _BLANKS.split(line) if cell]


def looks_like_prose(begun: str) -> bool:
    """True where lines are of many words, of any number, and not one cell is a tag."""
    lines = [line.split() for line in begun.splitlines() if line.strip() and not line.startswith("#")]
    widths = {len(words) for words in lines}
    plain = "\t" not in begun and not any(is_tag(word) for words in lines for word in words)
    return plain and max(widths, default=0) >= 6 and (len(widths) > 1 or len(lines) == 1)


def read_conll2012(source: Source, problems: Problems) -> Iterator[Item]:
    """CoNLL-2012: the word in column 4, names as brackets in column 11."""
    rows: list[Row] = []
    named: str | None = None
    for number, line in chain(source.lines(), [(0, "")]):
        named = source_named(line, number, named)
        cells = _between_blanks(line)
        if cells and not line.startswith("#"):
            rows.append(Row(number, tuple(cells), line, named))
        elif rows:
            if item := _bracketed(rows, problems):
                yield item
            rows = []


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
    return Item(f"line {rows[0].number}", text, marks, words, source=rows[0].source)
