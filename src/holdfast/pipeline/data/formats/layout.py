"""Which column of a file of columns is what, proved by what stands in them. Pure decisions over sentences of rows.

Tags are known by their scheme, numbers that count up, names that hold for a whole sentence and parts of speech by theirs. What
holds for three rows proves nothing, and where two columns could be meant nothing is chosen: the setting is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Columns, Problems
from holdfast.pipeline.data.formats.tags import is_tag

#: What to do where it cannot be told.
SETTING = "say which it is, counted from 1, for example data.columns: {token: 1, tag: 4}"
#: Fewer rows than this prove nothing by being alike, numbers, or looking like parts of speech.
_PROOF = 4
#: Longer sentences are hardly one.
LONG = 500
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
#: What some write in place of `O`.
_OUTSIDE = frozenset({"OTHER", "Other", "other", "OUT", "OUTSIDE", "None", "none", "NONE", "null", "NULL", "-", "_", "0", "*", "."})
_PREFIXED = re.compile(r"(?:[BILUESM]_\S+|\S+[-_:][BILUESM]|[BILUESM]:\S+)")
_NUMBER = re.compile(r"\d+([-.:]\d+)?")
_BRACKETS = re.compile(r"[\w()*-]*[(*)][\w()*-]*")
_SEVERAL = re.compile(r"\d+-\d+|\d+\.\d+")


class Row(NamedTuple):
    """A line: its number, its cells, the line itself, and the source that lines before it name."""

    number: int
    cells: tuple[str, ...]
    line: str
    source: str | None = None


@dataclass(frozen=True)
class Layout:
    """Which column is what, counted from 0.

    Args:
        token: The token.
        tag: Its tag.
        inner: Tags of a second layer, which is dropped.
        ids: CoNLL-U's numbers, by which rows that stand for several tokens or for none are known.
        ends: What tells where a sentence ends in a file without blank lines.
        again: Whether that column counts and begins again; else it names the sentence.
    """

    token: int
    tag: int
    inner: int | None = None
    ids: int | None = None
    ends: int | None = None
    again: bool = False


def without_header(sentences: list[list[Row]], problems: Problems) -> list[list[Row]]:
    """The sentences without a first line that names the columns."""
    if not sentences:
        return sentences
    first = sentences[0][0]
    names = [cell.strip("#").casefold() for cell in first.cells]
    known = sum(name in _HEADER | _ASIDE for name in names)
    if known >= 2 or (known and names[0] in _HEADER and len(names) > 1 and not is_tag(first.cells[-1])):
        problems.note("lines with names of columns, left out", f"line {first.number}")
        return [s for s in ([*sentences[0][1:]], *sentences[1:]) if s]
    if known and names[0] in _HEADER and len(sentences[0]) > 1:
        problems.note("first lines that may be names of columns, read as a token", f"line {first.number}")
    return sentences


def unlike_columns(rows: Sequence[Row]) -> tuple[str, str, str] | None:
    """Place, what and mend for what is no token a line: a sentence on each line, or commas between the cells."""
    long = [row for row in rows if len(row.cells) >= 4 and len(row.cells) % 2 == 0]
    alike = [row for row in long if all(map(is_tag, row.cells[1::2]))]
    varied = len({len(row.cells) for row in rows}) > 1 or len(rows) == 1
    if alike and varied and len(alike) * 2 >= len(rows):
        what = "a whole sentence on a line, tokens and tags in turn"
        return f"line {alike[0].number}", what, "write a token and its tag a line, with a tab between"
    behind = [row for row in rows if len(row.cells) == 2 and _is_line(row.cells[0].split(), row.cells[1].split())]
    if behind:
        what = "a whole sentence on a line, and its tags behind it"
        return f"line {behind[0].number}", what, "write a token and its tag a line, with a tab between"
    commas = [row for row in rows if len(row.cells) == 1 and is_tag(re.split("[,;]", row.line.strip())[-1])]
    if commas and len(commas) * 2 >= len(rows):
        return f"line {commas[0].number}", "the cells stand between commas", "write a token and its tag a line, with a tab between"
    return None


def _is_line(words: Sequence[str], tags: Sequence[str]) -> bool:
    return len(words) == len(tags) > 1 and all(map(is_tag, tags))


def decide(sentences: Sequence[Sequence[Row]], width: int, asked: Columns | None, problems: Problems) -> Layout | None:
    """Which column is what; None, and a problem, where that cannot be told.

    Args:
        sentences: All of the file, or as many of its sentences as show what stands in it; each row with as many cells as `width`.
        width: How many columns there are.
        asked: What a person says of them.
        problems: Takes the question.
    """
    ids = next((n for n in range(width) if _is_ids(n, sentences)), None)
    ends, again = _ends(sentences[0], width) if len(sentences) == 1 and width > 2 else (None, False)
    shape = Layout(0, 0, None, ids, ends, again)
    seen = list(parted(sentences, shape, Problems()))
    rows = [row for sentence in seen for row in sentence]
    if not rows:
        return None
    chosen = _chosen(asked, width, rows, problems) if asked else _proved(seen, rows, width, problems)
    if chosen is None:
        return None
    taken = {chosen.token, chosen.tag}
    return replace(chosen, ids=None if ids in taken else ids, ends=None if ends in taken else ends, again=again)


def parted(sentences: Iterable[Sequence[Row]], layout: Layout, problems: Problems) -> Iterator[list[Row]]:
    """The sentences without rows that are no tokens, and ended where the layout says that one ends."""
    whole = layout.ids is None and layout.ends is None
    for given in sentences:
        rows: list[Row] = list(given) if whole else []
        before = ""
        for row in () if whole else given:
            if layout.ids is not None and _SEVERAL.fullmatch(row.cells[layout.ids]):
                problems.note("rows for several words or for an empty one, no tokens of their own, left out", f"line {row.number}")
                continue
            if layout.ends is not None:
                cell = row.cells[layout.ends]
                if rows and cell not in {"", before} and not (layout.again and _next(before, cell)):
                    what = f"sentences that no blank line ends, ended where column {layout.ends + 1} says so"
                    problems.note(what, f"line {row.number}")
                    yield rows
                    rows = []
                before = cell or before
            rows.append(row)
        if len(rows) > LONG:
            problems.note(f"sentences of more than {LONG} words, with no blank line between", f"line {rows[0].number}")
        if rows:
            yield rows


def _next(before: str, cell: str) -> bool:
    return before.isdigit() and cell.isdigit() and int(cell) == int(before) + 1


def _is_ids(n: int, sentences: Sequence[Sequence[Row]]) -> bool:
    """True for CoNLL-U's numbers, which count from 1 in each sentence, with a `1-2` or `3.1` between where there is one."""
    for sentence in sentences:
        count = 0
        for row in sentence:
            cell = row.cells[n]
            if cell.isdigit() and int(cell) == count + 1:
                count += 1
            elif _SEVERAL.fullmatch(cell) and int(re.split("[-.]", cell)[0]) == count + ("-" in cell):
                continue
            else:
                return False
        if not count:
            return False
    return bool(sentences)


def _ends(rows: Sequence[Row], width: int) -> tuple[int | None, bool]:
    """The column that tells where sentences end, in a file that has no blank lines, and whether it counts and begins again."""
    best: tuple[int, int | None, bool] = (1, None, False)
    for n in range(width):
        cells = [row.cells[n] for row in rows]
        again = _restarts(cells)
        runs = again or _rising(cells)
        if runs > best[0]:
            best = runs, n, again > 0
    return best[1], best[2]


def _restarts(cells: Sequence[str]) -> int:
    """How often numbers that count up from 0 or 1 begin again, the first time included; 0 where they are none."""
    if not cells or cells[0] not in {"0", "1"} or not all(c.isdigit() for c in cells):
        return 0
    numbers = [int(c) for c in cells]
    if any(b not in {a + 1, numbers[0]} for a, b in pairwise(numbers)):
        return 0
    return numbers.count(numbers[0]) if len(set(numbers)) > 1 else 0


def _rising(cells: Sequence[str]) -> int:
    """How many sentences are named one after the other (`1 1 1 2 2`, or `Sentence: 1` and nothing until the next)."""
    named = [cell for cell in cells if cell]
    values = [b for a, b in pairwise(["", *named]) if a != b]
    parts = [re.fullmatch(r"(.*?)(\d+)", value) for value in values]
    if not cells or not cells[0] or len(values) == len(cells) or not all(parts):
        return 0
    steps = [(p[1], int(p[2])) for p in parts if p]
    if steps[0][0] == "" and steps[0][1] > 1:  # bare numbers may be anything
        return 0
    return len(values) if all(b == (a[0], a[1] + 1) for a, b in pairwise(steps)) else 0


def _chosen(asked: Columns, width: int, rows: Sequence[Row], problems: Problems) -> Layout | None:
    if not (1 <= asked.token <= width and 1 <= asked.tag <= width) or asked.token == asked.tag:
        what = f"data.columns names columns {asked.token} and {asked.tag}, and there are {width}"
        problems.add(f"line {rows[0].number}", what, "columns count from 1")
        return None
    return Layout(asked.token - 1, asked.tag - 1)


def _proved(sentences: Sequence[Sequence[Row]], rows: Sequence[Row], width: int, problems: Problems) -> Layout | None:
    place = f"line {rows[0].number}"
    columns = [[row.cells[n] for row in rows] for n in range(width)]
    if width == 10 and all(map(_NUMBER.fullmatch, columns[0])) and not any(map(_is_tags, columns)):
        mend = "name a file that has them; Universal NER gives them in files of its own"
        problems.add(place, "CoNLL-U without names: no NER= or name= stands in the last column", mend)
        return None
    found = _tag_column(columns, rows, problems)
    if found is None:
        return None
    tag, inner = found
    left = [n for n in range(width) if n != tag and not _is_tags(columns[n])]
    tokens = [n for n in left if not _is_aside(n, columns[n], sentences)]
    tokens = _words(tokens, columns) if len(rows) >= _PROOF else _words_of_few(tokens, columns)
    if width == 2 and not tokens and not _is_counting(1 - tag, sentences):
        tokens = [1 - tag]
    if not tokens:
        problems.add(place, f"no column of {width} looks like tokens", SETTING)
        return None
    if len(tokens) > 1:
        shown = ", ".join(f"{n + 1} ({short(columns[n][0])})" for n in tokens)
        problems.add(place, f"columns {shown} could each be the token", SETTING)
        return None
    token = columns[tokens[0]]
    if len(rows) >= _PROOF and all(re.fullmatch(r"\D\d", v) for v in token):
        what = f"each token ends in its place in the word, as {short(token[0])} does and Weibo's set has them"
        problems.add(place, what, "take the numbers behind the tokens away, or say data.columns if they are meant")
        return None
    return Layout(tokens[0], tag, inner)


def _words(tokens: Sequence[int], columns: Sequence[Sequence[str]]) -> list[int]:
    """Those of the columns that are no parts of speech."""
    if len(tokens) < 2:
        return list(tokens)
    unknown = [n for n in tokens if not set(columns[n]) <= _KNOWN_POS]
    words = [n for n in unknown if not all(_POS.fullmatch(v) for v in columns[n])]
    most = max((len(set(columns[n])) for n in words), default=0)
    # there are more words than parts of speech, by far where the parts are of a set that is not known
    if any(len(set(columns[n])) + (n in unknown) > most for n in tokens if n not in words):
        return list(tokens)
    # a lemma is like its token, also where all of a text is in capitals and looks like parts of speech
    twins = [n for n in unknown for w in words if n != w and _alike(columns[n], columns[w])]
    return sorted({*words, *twins}) or unknown or list(tokens)


def _words_of_few(tokens: Sequence[int], columns: Sequence[Sequence[str]]) -> list[int]:
    """The same of a few rows: only what is all known parts of speech, beside one column in small letters, is told apart."""
    left = [n for n in tokens if not all(v in _KNOWN_POS and v.isalpha() for v in columns[n])]
    if len(left) != 1 or not any(c.islower() for v in columns[left[0]] for c in v):
        return list(tokens)
    return [n for n in tokens if n in left or _alike(columns[n], columns[left[0]])]


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """True where most words of the two begin with the same letter."""
    pairs = [(a[0].casefold(), b[0].casefold()) for a, b in zip(one, other, strict=True) if a[:1].isalnum() and b[:1].isalnum()]
    return sum(a == b for a, b in pairs) * 2 > len(pairs)


def _tag_column(columns: Sequence[Sequence[str]], rows: Sequence[Row], problems: Problems) -> tuple[int, int | None] | None:
    """The column of tags, and that of an inner layer of them."""
    place = f"line {rows[0].number}"
    found = [n for n, column in enumerate(columns) if _is_tags(column)]
    whole = [n for n in found if any(v != "O" and is_tag(v) for v in columns[n])]
    names = [n for n in whole if not _is_chunks(columns[n])]
    empty = [n for n in found if n not in whole]
    if len(columns) == 4 and {*names, *empty} == {2, 3} and 2 in names and _is_numbered(rows) and _is_nested(*columns[2:]):
        return 2, 3  # as GermEval has it
    if names and len(names) + len(empty) > 1:
        several = sorted([*names, *empty])
        shown = ", ".join(f"{n + 1} ({short(next((v for v in columns[n] if v != 'O'), 'O'))})" for n in several)
        problems.add(place, f"columns {shown} each hold tags", SETTING)
        return None
    if names:
        return names[0], None
    if whole:
        if whole == [2] and empty == [3] and len(columns) == 4:  # CoNLL-2003 without a name
            return 3, None
        n = whole[0]
        problems.add(place, f"column {n + 1} holds chunks ({short(next(v for v in columns[n] if v != 'O'))}), not names", SETTING)
        return None
    if found:
        problems.note("columns of tags in which nothing but O stands, as far as was looked", place)
        return found[-1], None
    _say_no_tags(rows, problems)
    return None


def _is_nested(outer: Sequence[str], inner: Sequence[str]) -> bool:
    return all(a != "O" or b == "O" for a, b in zip(outer, inner, strict=True))


def _say_no_tags(rows: Sequence[Row], problems: Problems) -> None:
    """Why no column holds tags, told of the last one."""
    values = [row.cells[-1] for row in rows]
    mend = _mend_of(values)
    for row in rows[:1000]:
        if not is_tag(row.cells[-1]):
            problems.add(f"line {row.number}", f"{short(row.cells[-1])} is not a tag", mend)


def _mend_of(values: Sequence[str]) -> str:
    """What to do with a last column that holds no tags."""
    others = {v for v in values if not is_tag(v)}
    if len(values) > 1 and set(values) <= {"O", "B", "I", "E", "S", "L", "U"}:
        return "a prefix alone has no label: write B-LABEL and I-LABEL"
    if all(is_tag(v.strip("\"'")) for v in values):
        return "take the quotes around the cells away"
    if all(is_tag(v.upper()) for v in values):
        return "write O and the prefixes in capital letters"
    if all(v == "O" or _PREFIXED.fullmatch(v) for v in values) and "O" in values:
        return "write tags as B-LABEL, the prefix first and a dash between"
    if len(values) > 1 and len(others) == 1 and "O" not in values and others <= _OUTSIDE:
        return f"write O where {short(next(iter(others)))} stands, if it means that a word is no entity"
    if len(values) > 1 and "O" in values and all(re.fullmatch(r"[^\W\d][\w./&-]*", v) for v in values):
        return "labels alone do not tell neighbours apart: write B-LABEL for the first word and I-LABEL for the others"
    if len(values) > 1 and all(v.isdigit() for v in values):
        return "write the names of the tags in place of their numbers"
    return "a tag is O, B-LABEL or I-LABEL, in the last column"


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


def _is_counting(n: int, sentences: Sequence[Sequence[Row]]) -> bool:
    """True where the numbers of each sentence go up by one, and two rows or more show it."""
    values = [[row.cells[n] for row in s] for s in sentences]
    if not all(v.isdigit() for s in values for v in s):
        return False
    rising = all(int(b) - int(a) == 1 for s in values for a, b in pairwise(s))
    return rising and sum(map(len, values)) >= 2


def _is_aside(n: int, column: Sequence[str], sentences: Sequence[Sequence[Row]]) -> bool:
    """True for what is no token: numbers, one value for all, one value for each sentence, features, brackets."""
    few = len(column) < _PROOF
    if _is_counting(n, sentences) or set(column) <= (_FILLERS - {"-", "*"} if few else _FILLERS):
        return True
    several = [s for s in sentences if len(s) > 1]
    if several and all({row.cells[n] for row in s[1:]} == {""} for s in several):  # told in the first row only
        return True
    if few:
        return False
    if all(v in {"_", "-", "*", ""} or "=" in v for v in column) or all(map(_BRACKETS.fullmatch, column)):
        return True
    if all(map(_NUMBER.fullmatch, column)) or len(set(column)) == 1:
        return True
    return bool(several) and all(len({row.cells[n] for row in s}) == 1 for s in several)
