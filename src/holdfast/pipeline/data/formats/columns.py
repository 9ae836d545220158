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

from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.sentences import Row, cells_of, item_of, lines_of, sentences_of
from holdfast.pipeline.data.formats.shape import Columns, Format, Item, Problems
from holdfast.pipeline.data.formats.source import Source
from holdfast.pipeline.data.formats.tags import is_tag, scheme_of

_HEADERS = "lines with names of columns, left out"
_ONE_COLUMN = "expected a token and its tag, with a tab between"
_SETTING = "say which it is, counted from 1, for example data.columns: {token: 1, tag: 4}"
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


@dataclass(frozen=True)
class Layout:
    """How a file of columns is read.

    Args:
        format: What it is, and by what that was known.
        width: How many columns each row has.
        token: Which of them is the token, counted from 0.
        tag: Which is the tag.
        inner: A column of tags that stand within those, and are counted and dropped.
        misc: True where the tag is a key in the last column, as in CoNLL-U.
        header: True where the first row names the columns.
        empty: Columns that hold `O` alone as far as was looked; a name in one of them would be a second layer.
        noted: What is to be said of the whole file once.
    """

    format: Format
    width: int
    token: int
    tag: int
    inner: int | None = None
    misc: bool = False
    header: bool = False
    empty: tuple[int, ...] = ()
    noted: str = ""


def find_layout(source: Source, asked: Columns | None, problems: Problems) -> Layout | None:
    """Which column is the token and which the tag, by a sample of the file that is all of it where it is small.

    Args:
        source: The file.
        asked: What a person says; it is taken as it is.
        problems: Takes what is wrong where nothing could be chosen.

    Returns:
        None where nothing could be chosen.
    """
    said = Problems()
    lines = list(lines_of(source.sample(), said))
    usual = Counter(len(cells_of(line)) for _, line in lines if line.strip() and not line.startswith("#")).most_common(1)
    sentences = list(sentences_of(lines, usual[0][0] if usual else 0))
    count = sum(map(len, sentences))
    sentences = _without_header(sentences, said)
    header = sum(map(len, sentences)) < count
    rows = [row for sentence in sentences for row in sentence]
    if not rows:
        return Layout(Format("columns", "a token a line"), 0, 0, 0, header=header)
    if found := _in_turn(rows):
        what = "a whole sentence on a line, tokens and tags in turn"
        problems.add(f"line {found}", what, "write a token and its tag a line, with a tab between")
        return None
    width = Counter(len(row.cells) for row in rows).most_common(1)[0][0]
    whole = [level for sentence in sentences if (level := level_rows(sentence, width, said))]
    rows = [row for sentence in whole for row in sentence]
    numbered = bool(rows) and width == 10 and all(re.fullmatch(r"\d+([-.]\d+)?", row.cells[0]) for row in rows)
    if numbered and any(_misc_tag(row) is not None for row in rows):
        misc = Format("CoNLL-U with names in MISC", "ten columns, NER= or name= in the last")
        return Layout(misc, width, 1, 9, misc=True, header=header)
    chosen = None if not rows else _chosen(asked, width, rows, said) if asked else _proved(whole, rows, width, said)
    if chosen is None:
        problems.extend(said)
        return None
    token, tag, inner = chosen
    scheme = scheme_of({row.cells[tag] for row in rows if is_tag(row.cells[tag])})
    name = f"{width} columns, token in {token + 1}, tag in {tag + 1}"
    why = f"tags of the scheme {scheme or 'IOB'}" if not asked else "as asked for"
    noted = f"tags of {scheme}, converted" if scheme not in {"IOB", None} else ""
    others = () if asked else tuple(n for n in range(width) if n not in {token, tag, inner} and {r.cells[n] for r in rows} == {"O"})
    return Layout(Format(name, why), width, token, tag, inner, header=header, empty=others, noted=noted)


def read_columns(source: Source, layout: Layout, problems: Problems) -> Iterator[Item]:
    """The sentences of a file of columns, each an item. A row that is not as the layout says is a problem."""
    header, noted = layout.header, layout.noted
    for sentence in sentences_of(lines_of(source.blocks(), problems), layout.width):
        rows = sentence
        if header:
            problems.note(_HEADERS, f"line {rows[0].number}")
            header, rows = False, rows[1:]
        rows = level_rows(rows, layout.width, problems)
        if layout.misc:
            rows = [r._replace(cells=(*r.cells[:9], _misc_tag(r) or "O")) for r in rows if r.cells[0].isdigit()]
        if not rows:
            continue
        if noted:
            problems.note(noted, f"line {rows[0].number}")
            noted = ""
        _look_beside(rows, layout, problems)
        if item := item_of(rows, layout.token, layout.tag, problems):
            yield item


def _look_beside(rows: Sequence[Row], layout: Layout, problems: Problems) -> None:
    """Count what an inner layer marks; and find a second layer that begins behind what was looked at."""
    if layout.inner is not None:
        for row in rows:
            cell = row.cells[layout.inner]
            if cell != "O" and is_tag(cell) and cell[0] in "BSU":
                problems.note("entities of the inner layer, dropped", f"line {row.number}", cell[2:])
    for n in layout.empty:
        for row in rows:
            if row.cells[n] != "O":
                what = f"columns {layout.tag + 1} and {n + 1} ({short(row.cells[n])}) each hold tags"
                problems.add(f"line {row.number}", what, _SETTING)
                return


def _without_header(sentences: list[list[Row]], problems: Problems) -> list[list[Row]]:
    if not sentences:
        return sentences
    first = sentences[0][0]
    names = [cell.strip("#").casefold() for cell in first.cells]
    known = sum(name in _HEADER | _ASIDE for name in names)
    if known >= 2 or (known and names[0] in _HEADER and len(names) > 1 and not is_tag(first.cells[-1])):
        problems.note(_HEADERS, f"line {first.number}")
        rest = [sentences[0][1:], *sentences[1:]]
        return [s for s in rest if s]
    return sentences


def _in_turn(rows: Sequence[Row]) -> int | None:
    """The line of a file that has a sentence on each line, tokens and tags in turn."""
    long = [row for row in rows if len(row.cells) >= 4 and len(row.cells) % 2 == 0]
    alike = [row for row in long if all(map(is_tag, row.cells[1::2]))]
    varied = len({len(row.cells) for row in rows}) > 1 or len(rows) == 1
    return alike[0].number if alike and varied and len(alike) * 2 >= len(rows) else None


def level_rows(rows: Sequence[Row], width: int, problems: Problems) -> list[Row]:
    """The rows that have the usual number of columns; the others are problems."""
    if all(len(row.cells) == width for row in rows):
        if width == 1:
            for row in rows:
                problems.add(f"line {row.number}", f"one column, {short(row.cells[0])}", _ONE_COLUMN)
            return []
        return list(rows)
    good = []
    for row in rows:
        cells = row.cells
        while len(cells) > width and not cells[-1]:
            cells = cells[:-1]
        if len(cells) == 1:
            problems.add(f"line {row.number}", f"one column, {short(cells[0])}", _ONE_COLUMN)
        elif len(cells) != width:
            what = f"{len(cells)} columns where the others have {width}: {short(row.line.strip())}"
            problems.add(f"line {row.number}", what, "give each line as many; a token with a blank needs tabs between the columns")
        else:
            good.append(row._replace(cells=cells))
    return good


def _misc_tag(row: Row) -> str | None:
    """The tag in the last column of a line of CoNLL-U."""
    fields = dict(f.split("=", 1) for f in row.cells[9].split("|") if "=" in f)
    return fields.get("NER", fields.get("name"))


def _chosen(asked: Columns, width: int, rows: Sequence[Row], problems: Problems) -> tuple[int, int, int | None] | None:
    if not (1 <= asked.token <= width and 1 <= asked.tag <= width) or asked.token == asked.tag:
        what = f"data.columns names columns {asked.token} and {asked.tag}, and there are {width}"
        problems.add(f"line {rows[0].number}", what, "columns count from 1")
        return None
    return asked.token - 1, asked.tag - 1, None


def _proved(
    sentences: Sequence[Sequence[Row]], rows: Sequence[Row], width: int, problems: Problems
) -> tuple[int, int, int | None] | None:
    place = f"line {rows[0].number}"
    columns = [[row.cells[n] for row in rows] for n in range(width)]
    found = _tag_column(columns, rows, problems)
    if found is None:
        return None
    tag, inner = found
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
    return tokens[0], tag, inner


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    return [v.casefold() for v in one] == [v.casefold() for v in other]


def _tag_column(columns: Sequence[Sequence[str]], rows: Sequence[Row], problems: Problems) -> tuple[int, int | None] | None:
    """The column of tags, and one of an inner layer."""
    place = f"line {rows[0].number}"
    found = [n for n, column in enumerate(columns) if _is_tags(column)]
    whole = [n for n in found if any(v != "O" and is_tag(v) for v in columns[n])]
    names = [n for n in whole if not _is_chunks(columns[n])]
    if len(names) == 1:
        empty = [n for n in found if n < names[0] and set(columns[n]) == {"O"}]
        if not empty:
            return names[0], None
        names = [empty[0], *names]
    if len(names) > 1:
        shown = ", ".join(f"{n + 1} ({short(next((v for v in columns[n] if v != 'O'), 'O'))})" for n in names)
        nested = all(outer != "O" or inner == "O" for outer, inner in zip(columns[-2], columns[-1], strict=True))
        if len(columns) == 4 and names == [2, 3] and nested and _is_numbered(rows):
            return 2, 3
        problems.add(place, f"columns {shown} each hold tags", _SETTING)
        return None
    if whole:
        n = whole[0]
        problems.add(place, f"column {n + 1} holds chunks ({short(next(v for v in columns[n] if v != 'O'))}), not names", _SETTING)
        return None
    if found:
        return found[-1], None
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
