"""A token a line with its tag. Which column is the token and which the tag is proved by what stands in them.

Every column is looked at over the whole file: tags are known by their scheme, numbers that count up, names that hold for a whole
sentence and parts of speech by theirs. Where two columns could be meant nothing is chosen, and the setting is named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from holdfast.pipeline.data.formats.json_tokens import joined
from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Columns, Format, Item, Mark, Problems
from holdfast.pipeline.data.formats.tags import is_tag, scheme_of, spans_of_tags

DIVIDER = "-DOCSTART-"
IOB1 = "entities that begin with I- and not B-, read as beginning there"
_SETTING = "say which it is, counted from 1, for example data.columns: {token: 1, tag: 4}"
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u2060-\u2064\ufeff\u00ad]+")
_CHUNKS = frozenset(["NP", "VP", "PP", "ADJP", "ADVP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP", "NC", "VC", "PC"])
_POS = re.compile(r"[A-Z]{1,8}\d{0,2}[$*]?(?:[-.:|][A-Z]+)*|[^\w\s]+|_|-LRB-|-RRB-|\$[(,.\[]?")
_FILLERS = frozenset(["-X-", "_", "-", "*", ""])
#: Penn Treebank's and Universal Dependencies' parts of speech, and STTS's commonest.
_PARTS_OF_SPEECH = """
    CC CD DT EX FW IN JJ JJR JJS LS MD NN NNS NNP NNPS PDT POS PRP PRP$ RB RBR RBS RP SYM TO UH VB VBD VBG VBN VBP
    VBZ WDT WP WP$ WRB ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ VERB X NE APPR ART ADJA
    VVFIN $. $, $( . , : ; ( ) '' `` # $ -LRB- -RRB- HYPH NFP ADD
"""
_KNOWN_POS = frozenset(_PARTS_OF_SPEECH.split())
_HEADER = frozenset(
    ["token", "tokens", "word", "words", "form", "text", "tag", "tags", "label", "labels", "ner", "ner_tag", "ner_tags"]
)
_ASIDE = frozenset(["pos", "id", "sentence", "lemma", "chunk"])
_PREFIXED = re.compile(r"(?:[BILUESM]_\S+|\S+[-_:][BILUESM]|[BILUESM]:\S+)")
_SOURCE = re.compile(r"# ?newdoc\b(?:\s+id\s*=\s*(.+))?|#begin document \((.*)\)|#\t(.+?)\s*\[[^\]]*\]\s*$")
_BREAKS = re.compile("\r\n|\r\r\n|[\r\n\u2028\u2029\u0085]")


@dataclass(frozen=True)
class Row:
    """A line: its number, its cells, the line itself, and the source that lines before it name."""

    number: int
    cells: tuple[str, ...]
    line: str
    source: str | None = None


def rows_of(text: str, problems: Problems) -> list[list[Row]]:
    """The sentences of the file as rows, comments and dividers left out."""
    if "\r" in text.replace("\r\n", ""):
        problems.note("carriage returns alone, read as ends of lines", f"line {text[: _lone(text)].count(chr(10)) + 1}")
    lines = _BREAKS.split(text)
    split = [(n, line.lstrip("\ufeff"), _cells(line.lstrip("\ufeff"))) for n, line in enumerate(lines, start=1)]
    for n, line in enumerate(lines, start=1):
        if line.startswith("\ufeff"):
            problems.note("marks of byte order within the file, left out", f"line {n}")
    usual = Counter(len(cells) for _, line, cells in split if line.strip() and not line.startswith("#")).most_common(1)
    width = usual[0][0] if usual else 0
    sentences: list[list[Row]] = []
    rows: list[Row] = []
    source: str | None = None
    for number, line, cells in [*split, (0, "", ())]:
        source = source_named(line, number, source)
        if not line.strip() or cells[0] == DIVIDER:
            if rows:
                sentences.append(rows)
            rows = []
            continue
        if line.startswith(("# ", "#\t")) and not (len(cells) > 1 and len(cells) == width and any(map(is_tag, cells[1:]))):
            continue
        rows.append(Row(number, cells, line, source))
    return sentences


def source_named(line: str, number: int, before: str | None) -> str | None:
    """The source of what follows a line: of `-DOCSTART-`, `# newdoc`, CoNLL-2012's `#begin document`, GermEval's `#`; else as before."""
    if line.startswith(DIVIDER):
        return f"line {number}"
    if line.startswith("#") and (found := _SOURCE.match(line)):
        return (found[1] or found[2] or found[3] or f"line {number}").strip()
    return before


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
    sentences = rows_of(text, problems)
    sentences = _without_header(sentences, problems)
    rows = [row for sentence in sentences for row in sentence]
    if not rows:
        return Format("columns", "a token a line"), []
    if found := _in_turn(rows):
        problems.add(
            f"line {found}",
            "a whole sentence on a line, tokens and tags in turn",
            "write a token and its tag a line, with a tab between",
        )
        return Format("columns", "a token a line"), []
    width = Counter(len(row.cells) for row in rows).most_common(1)[0][0]
    sentences, width = _level(sentences, width, problems)
    rows = [row for sentence in sentences for row in sentence]
    if not rows:
        return Format("columns", "a token a line"), []
    if width == 10 and all(re.fullmatch(r"\d+([-.]\d+)?", row.cells[0]) for row in rows):
        named = _conllu(sentences)
        if named is not None:
            return Format("CoNLL-U with names in MISC", "ten columns, NER= or name= in the last"), _items(named, 0, 1, problems)
    chosen = _chosen(asked, width, rows, problems) if asked else _proved(sentences, rows, width, problems)
    if chosen is None:
        return Format("columns", "a token a line"), []
    token, tag = chosen
    scheme = scheme_of(row.cells[tag] for row in rows if is_tag(row.cells[tag]))
    name = f"{width} columns, token in {token + 1}, tag in {tag + 1}"
    why = f"tags of the scheme {scheme or 'IOB'}" if not asked else "as asked for"
    if scheme not in {"IOB", None}:
        problems.note(f"tags of {scheme}, converted", f"line {rows[0].number}")
    return Format(name, why), _items(sentences, token, tag, problems)


def _without_header(sentences: list[list[Row]], problems: Problems) -> list[list[Row]]:
    if not sentences:
        return sentences
    first = sentences[0][0]
    names = [cell.strip("#").casefold() for cell in first.cells]
    known = sum(name in _HEADER | _ASIDE for name in names)
    if known >= 2 or (known and names[0] in _HEADER and len(names) > 1 and not is_tag(first.cells[-1])):
        problems.note("lines with names of columns, left out", f"line {first.number}")
        rest = [sentences[0][1:], *sentences[1:]]
        return [s for s in rest if s]
    return sentences


def _in_turn(rows: Sequence[Row]) -> int | None:
    """The line of a file that has a sentence on each line, tokens and tags in turn."""
    long = [row for row in rows if len(row.cells) >= 4 and len(row.cells) % 2 == 0]
    alike = [row for row in long if all(map(is_tag, row.cells[1::2]))]
    varied = len({len(row.cells) for row in rows}) > 1 or len(rows) == 1
    return alike[0].number if alike and varied and len(alike) * 2 >= len(rows) else None


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
                good.append(Row(row.number, cells, row.line, row.source))
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
            rows.append(Row(row.number, (row.cells[1], tag or "O"), row.line, row.source))
        made.append(rows)
    return made if named else None


def _chosen(asked: Columns, width: int, rows: Sequence[Row], problems: Problems) -> tuple[int, int] | None:
    if not (1 <= asked.token <= width and 1 <= asked.tag <= width) or asked.token == asked.tag:
        what = f"data.columns names columns {asked.token} and {asked.tag}, and there are {width}"
        problems.add(f"line {rows[0].number}", what, "columns count from 1")
        return None
    return asked.token - 1, asked.tag - 1


def _proved(sentences: Sequence[Sequence[Row]], rows: Sequence[Row], width: int, problems: Problems) -> tuple[int, int] | None:
    place = f"line {rows[0].number}"
    columns = [[row.cells[n] for row in rows] for n in range(width)]
    tag = _tag_column(columns, rows, problems)
    if tag is None:
        return None
    tokens = [n for n in range(width) if n != tag and not _is_tags(columns[n]) and not _is_aside(n, columns[n], sentences)]
    if len(rows) > 2:
        tokens = [n for n in tokens if not _numbers(columns[n])] or tokens
    # one or two lines prove nothing of what is the same throughout, or looks like a part of speech
    if len(tokens) > 1 and len(rows) > 2:
        unknown = [n for n in tokens if not set(columns[n]) <= _KNOWN_POS]
        words = [n for n in unknown if not all(_POS.fullmatch(v) for v in columns[n])]
        # a lemma differs from its token by case, where both are short; it is no part of speech
        twins = [n for n in unknown for w in words if n != w and _alike(columns[n], columns[w])]
        tokens = sorted({*words, *twins}) or unknown or tokens
    if width == 2 and not tokens and not _is_counting(1 - tag, sentences):
        tokens = [1 - tag]
    if not tokens:
        problems.add(place, f"no column of {width} looks like tokens", _SETTING)
        return None
    if len(tokens) > 1:
        shown = ", ".join(f"{n + 1} ({short(columns[n][0])})" for n in tokens)
        problems.add(place, f"columns {shown} could each be the token", _SETTING)
        return None
    return tokens[0], tag


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    return [v.casefold() for v in one] == [v.casefold() for v in other]


def _tag_column(columns: Sequence[Sequence[str]], rows: Sequence[Row], problems: Problems) -> int | None:
    place = f"line {rows[0].number}"
    found = [n for n, column in enumerate(columns) if _is_tags(column)]
    whole = [n for n in found if any(v != "O" and is_tag(v) for v in columns[n])]
    names = [n for n in whole if not _is_chunks(columns[n])]
    if len(names) == 1:
        empty = [n for n in found if n < names[0] and set(columns[n]) == {"O"}]
        if not empty:
            return names[0]
        names = [empty[0], *names]
    if len(names) > 1:
        shown = ", ".join(f"{n + 1} ({short(next((v for v in columns[n] if v != 'O'), 'O'))})" for n in names)
        nested = all(outer != "O" or inner == "O" for outer, inner in zip(columns[-2], columns[-1], strict=True))
        if len(columns) == 4 and names == [2, 3] and nested and _is_numbered(rows):
            for row in rows:
                if is_tag(row.cells[3]) and row.cells[3][0] in "BSU":
                    problems.note("entities of the inner layer, dropped", f"line {row.number}", row.cells[3][2:])
            return 2
        problems.add(place, f"columns {shown} each hold tags", _SETTING)
        return None
    if whole:
        n = whole[0]
        problems.add(place, f"column {n + 1} holds chunks ({short(next(v for v in columns[n] if v != 'O'))}), not names", _SETTING)
        return None
    if found:
        return found[-1]
    _say_no_tags(rows, problems)
    return None


def _say_no_tags(rows: Sequence[Row], problems: Problems) -> None:
    """Why no column holds tags, told of the last one."""
    mend = "a tag is O, B-LABEL or I-LABEL, in the last column"
    values = [row.cells[-1] for row in rows]
    if all(v == "O" or _PREFIXED.fullmatch(v) for v in values) and "O" in values:
        mend = "write tags as B-LABEL, the prefix first and a dash between"
    elif len(rows) > 1 and values.count("O") * 3 > len(rows) and all(re.fullmatch(r"[A-Z][\w-]*", v) for v in values):
        mend = "labels alone do not tell neighbours apart: write B-LABEL for the first word and I-LABEL for the others"
    elif len(rows) > 1 and all(v.isdigit() for v in values):
        mend = "write the names of the tags in place of their numbers"
    for row in rows[:1000]:
        if not is_tag(row.cells[-1]):
            problems.add(f"line {row.number}", f"{short(row.cells[-1])} is not a tag", mend)


def _is_tags(column: Sequence[str]) -> bool:
    """True where most are tags, and some row proves it."""
    good = sum(map(is_tag, column))
    return good == len(column) or (good * 3 >= len(column) * 2 and any(v != "O" and is_tag(v) for v in column))


def _is_chunks(column: Sequence[str]) -> bool:
    return {v[2:] for v in column if is_tag(v) and v != "O"} <= _CHUNKS


def _is_numbered(rows: Sequence[Row]) -> bool:
    """True where the first column counts from 1 and begins again at 1, as GermEval does."""
    before = 0
    for row in rows:
        cell = row.cells[0]
        if not cell.isdigit() or int(cell) not in {1, before + 1}:
            return False
        before = int(cell)
    return True


def _numbers(column: Sequence[str]) -> bool:
    return all(re.fullmatch(r"\d+([-.]\d+)?", v) for v in column)


def _is_counting(n: int, sentences: Sequence[Sequence[Row]]) -> bool:
    """True where the numbers of each sentence go up by one, and more than one sentence or three rows show it."""
    values = [[row.cells[n] for row in s] for s in sentences]
    if not all(v.isdigit() for s in values for v in s):
        return False
    rising = all(int(b) - int(a) == 1 for s in values for a, b in pairwise(s))
    return rising and sum(map(len, values)) >= 2


def _is_aside(n: int, column: Sequence[str], sentences: Sequence[Sequence[Row]]) -> bool:
    """True for what is no token: numbers, one value for all, one value for each sentence, features, brackets."""
    if _is_counting(n, sentences):
        return True
    if set(column) <= _FILLERS:
        return True
    if len(column) >= 3 and (_numbers(column) or len(set(column)) == 1):
        return True
    several = [s for s in sentences if len(s) > 1]
    if len(several) >= 1 and len(column) >= 3 and all(len({row.cells[n] for row in s}) == 1 for s in several):
        return True
    if len(several) >= 1 and all({row.cells[n] for row in s[1:]} == {""} for s in several):  # told in the first row only
        return True
    return all(v in {"_", "-", "*", ""} or "=" in v for v in column)


def _items(sentences: Sequence[Sequence[Row]], token: int, tag: int, problems: Problems) -> list[Item]:
    return [item for s in sentences if (item := _item(s, token, tag, problems))]


def _item(rows: Sequence[Row], token: int, tag: int, problems: Problems) -> Item | None:
    tags = [row.cells[tag] for row in rows]
    spans, wrong = spans_of_tags(tags)
    for n, what in wrong:
        problems.add(f"line {rows[n].number}", what, "a tag is O, B-LABEL or I-LABEL, in the last column")
    for n, before in zip(range(len(tags)), ["O", *tags], strict=False):
        if tags[n].startswith("I-") and (before == "O" or before[2:] != tags[n][2:]):
            problems.note(IOB1, f"line {rows[n].number}")
    kept: dict[int, int] = {}
    tokens: list[str] = []
    for n, row in enumerate(rows):
        cell = row.cells[token]
        if not cell:
            problems.add(f"line {row.number}", "the token is empty", "give the token, or take the line out")
        elif _ZERO_WIDTH.fullmatch(cell):
            problems.note("tokens that have no width, dropped", f"line {row.number}")
        else:
            kept[n] = len(tokens)
            tokens.append(cell)
    if not tokens:
        return None
    text, words = joined(tokens)
    return Item(f"line {rows[0].number}", text, tuple(_marks(spans, kept, words, rows, problems)), words, source=rows[0].source)


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
    """A sentence a line, each word with its tag behind a bar: `word|TAG` or `word|POS|TAG`. A word may hold bars itself."""
    items = []
    lines = [(number, [word.split("|") for word in _blanks(line)]) for number, line in enumerate(text.splitlines(), start=1)]
    usual = Counter(len(cells) for _, words in lines for cells in words).most_common(1)
    behind = usual[0][0] - 1 if usual else 1
    for number, words in lines:
        if not words:
            continue
        if any(len(c) < 2 or not is_tag(c[-1]) for c in words):
            bad = next("|".join(c) for c in words if len(c) < 2 or not is_tag(c[-1]))
            problems.add(f"line {number}", f"{short(bad)} has no tag", "each word should be word|TAG")
            continue
        rows = [Row(number, ("|".join(c[: max(1, len(c) - behind)]) or "|", c[-1]), "") for c in words]
        if item := _item(rows, 0, 1, problems):
            items.append(item)
    return items


def _blanks(line: str) -> list[str]:
    """What stands between blanks and tabs. Other whitespace, such as a blank that breaks no line, is part of a word."""
    return [cell for cell in re.split("[ \t\r]", line) if cell]


def looks_like_bars(text: str) -> bool:
    """True where the first line is words with a tag behind a bar each."""
    words = _blanks(next((line for line in text.splitlines() if line.strip()), ""))
    return bool(words) and all("|" in w and is_tag(w.rsplit("|", 1)[1]) for w in words)


def read_conll2012(text: str, problems: Problems) -> list[Item]:
    """CoNLL-2012: the word in column 4, names as brackets in column 11."""
    items = []
    rows: list[Row] = []
    source: str | None = None
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        source = source_named(line, number, source)
        cells = _blanks(line)
        if cells and not line.startswith("#"):
            rows.append(Row(number, tuple(cells), line, source))
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
    return Item(f"line {rows[0].number}", text, marks, words, source=rows[0].source)
