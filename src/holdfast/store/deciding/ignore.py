r"""What is left out on purpose: `.holdfastignore`, in gitignore's syntax (gitignore(5)).

The promise: nothing that git keeps is left out. tests/store/deciding/test_ignore.py holds it against `git check-ignore`.

Written after git's own code, `dir.c` (`add_patterns_from_buffer`, `trim_trailing_spaces`, `parse_path_pattern`, `match_basename`,
`match_pathname`, `last_matching_pattern`) and `wildmatch.c`, as of 2.39.5 and 2.55. No library does it: each one that was tried
leaves out files that git keeps (re-inclusion below folders, `**`, classes, names that are not ASCII). Bytes are matched, as in git,
so `?` is one byte. Case counts, as where git runs on Linux.

The two versions differ in one thing: right after a beginning without wildcards (`run**/x`), `**` reached across folders before
2.52. The narrow reading holds for what leaves out, the wide one for what keeps (`!`): both leave out all that is left out here.

A pattern becomes a regular expression that cannot run away. Within one part of a path the first place at which what follows a `*`
fits is as good as any later one, and so is the first folder at which what follows a `**/` fits up to the next. Both stand in atomic
groups, which are never entered again: a match costs at most the length of the name times that of the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

_BOM: Final = b"\xef\xbb\xbf"
_ALPHA: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGIT: Final = frozenset(b"0123456789")
_PUNCT: Final = frozenset(b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
#: `[[:name:]]`, as git's ctype.c has it: ASCII in every locale, and neither vertical tab nor form feed is a space.
_CLASSES: Final = {
    b"alnum": _ALPHA | _DIGIT,
    b"alpha": _ALPHA,
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset(range(1, 32)) | {127},
    b"digit": _DIGIT,
    b"graph": _ALPHA | _DIGIT | _PUNCT,
    b"lower": frozenset(b"abcdefghijklmnopqrstuvwxyz"),
    b"print": _ALPHA | _DIGIT | _PUNCT | {32},
    b"punct": _PUNCT,
    b"space": frozenset(b" \t\n\r"),
    b"upper": frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    b"xdigit": frozenset(b"0123456789ABCDEFabcdef"),
}
#: What one byte of a name may be.
_BYTES: Final = frozenset(range(1, 256)) - {ord("/")}
_NO_WILDCARD: Final = re.compile(rb"[^*?\[\\]*")


@dataclass(frozen=True)
class Unread:
    r"""A line, or the end of one, that leaves nothing out and keeps nothing, in git neither.

    Attributes:
        number: 1 and up; 0 for a pattern from the settings.
        text: The line, with what is not UTF-8 as `\xNN`.
        why: What is wrong with it, as the rest of a sentence.
    """

    number: int
    text: str
    why: str


class _NotUnderstood(Exception):
    """No name can match this pattern. Its text says why."""


@dataclass(frozen=True)
class _Rule:
    keeps: bool
    folders_only: bool
    #: Asked for the last part of a path, not for all of it.
    by_name: bool
    match: Callable[[bytes], object]


@dataclass(frozen=True)
class Rules:
    """Which paths are left out.

    Attributes:
        unread: What was not understood of the file and the settings, in their order.
    """

    unread: tuple[Unread, ...] = ()
    _last_first: tuple[_Rule, ...] = ()

    @classmethod
    def parse(cls, data: bytes = b"", extra: Sequence[str] = ()) -> Rules:
        """The rules of a file, and after them those of the settings. A line that is not understood is skipped and told.

        Args:
            data: The file's bytes, in whatever encoding: lines end at LF, and one CR before it is dropped.
            extra: Patterns, each written as a line of the file would be.

        Returns:
            The rules. Nothing is raised, whatever the bytes are.
        """
        rules: list[_Rule] = []
        unread: list[Unread] = []
        for number, line in _lines(data, extra):
            pattern, zero, _ = line.partition(b"\0")
            if zero:
                unread.append(Unread(number, _shown(line), "has a NUL byte, and counts up to it only: is the file UTF-8?"))
            try:
                if (rule := _rule(_trimmed(pattern))) is not None:
                    rules.append(rule)
            except _NotUnderstood as error:
                unread.append(Unread(number, _shown(line), str(error)))
        return cls(tuple(unread), tuple(reversed(rules)))

    def __bool__(self) -> bool:
        return bool(self._last_first)

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        """Whether an entry of a folder that is kept is left out. The last pattern that matches decides.

        Below a folder that is left out nothing is asked any more: as in git, nothing below it can be kept again.

        Args:
            path: POSIX, relative to the project folder, as `os.fsdecode` gives it. Not the project folder itself.
            is_folder: It is a real folder. A link to a folder is none.
        """
        whole = _bytes(path)
        name = whole[whole.rfind(b"/") + 1 :]
        for rule in self._last_first:
            if (is_folder or not rule.folders_only) and rule.match(name if rule.by_name else whole):
                return not rule.keeps
        return False

    def leaves_out_below(self, path: str, *, is_folder: bool) -> bool:
        """As `leaves_out`, for a path of which it is not known whether the folders above it are kept: they are asked first."""
        slash = path.find("/")
        while slash != -1:
            if self.leaves_out(path[:slash], is_folder=True):
                return True
            slash = path.find("/", slash + 1)
        return self.leaves_out(path, is_folder=is_folder)


def _lines(data: bytes, extra: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that is neither empty nor a comment."""
    numbered = list(enumerate(data.removeprefix(_BOM).split(b"\n"), start=1))
    numbered += [(0, line) for text in extra for line in _bytes(text).split(b"\n")]
    for number, line in numbered:
        if line and not line.startswith(b"#"):
            yield number, line.removesuffix(b"\r")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which no name on a disk has
        return text.encode("utf-8", "surrogatepass")


def _shown(line: bytes) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line.decode("utf-8", "backslashreplace"))


def _trimmed(line: bytes) -> bytes:
    """Without the spaces at its end. A backslash keeps the one after it; tabs stay."""
    bare = line.rstrip(b" ")
    backslashes = len(bare) - len(bare.rstrip(b"\\"))
    return line[: len(bare) + 1] if backslashes % 2 else bare


def _rule(line: bytes) -> _Rule | None:
    """One line as a rule; None for one without text.

    Raises:
        _NotUnderstood: If no name can match it.
    """
    if not line:
        return None
    keeps = line.startswith(b"!")
    pattern = line[keeps:]
    if not pattern.strip(b"/"):
        raise _NotUnderstood("names nothing")
    folders_only = pattern.endswith(b"/")
    pattern = pattern[: len(pattern) - folders_only]
    by_name = b"/" not in pattern
    items = _items(pattern.removeprefix(b"/"), wide=keeps)
    return _Rule(keeps, folders_only, by_name, re.compile(_expression(items)).match)


class _Wild(Enum):
    """What may match any number of bytes."""

    STAR = "any bytes of one part of the path"
    FOLDERS = "any number of whole parts, each with its slash"
    FOLDER_OR_MORE = "the same, one at least"
    REST = "whatever follows"


#: A single byte as a regular expression, or one of the above.
_Item: TypeAlias = bytes | _Wild


def _items(pattern: bytes, *, wide: bool) -> list[_Item]:
    """What a pattern of wildmatch.c consists of.

    Args:
        pattern: Without `!`, and without `/` at its beginning and end.
        wide: `**` right after a beginning without wildcards reaches across folders, as in git before 2.52.

    Raises:
        _NotUnderstood: If no name can match it.
    """
    items: list[_Item] = []
    plain = _NO_WILDCARD.match(pattern)
    begins = {0, plain.end() if wide and plain else 0}  # where `**` may stand, apart from after a slash
    at = 0
    while at < len(pattern):
        first, byte = at, pattern[at : at + 1]
        at += 1
        if byte == b"*":
            while pattern[at : at + 1] == b"*":
                at += 1
            deep = at - first > 1 and (first in begins or pattern[first - 1 : first] == b"/")
            if deep and at == len(pattern):
                items.append(_Wild.REST)
            elif deep and pattern[at : at + 1] == b"/":
                items.append(_Wild.FOLDERS)
                at += 1
            elif deep and pattern[at : at + 2] == b"\\/":
                items.append(_Wild.FOLDER_OR_MORE)
                at += 2
            else:
                items.append(_Wild.STAR)
        elif byte == b"?":
            items.append(b"[^/]")
        elif byte == b"[":
            allowed, at = _class(pattern, at)
            items.append(_one_of(allowed))
        else:
            if byte == b"\\":
                byte = pattern[at : at + 1]
                at += 1
                if not byte:
                    raise _NotUnderstood("ends in a backslash that nothing follows")
            items.append(b"/" if byte == b"/" else re.escape(byte))
    return items


def _class(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """The bytes that a class allows, and where what follows it begins. `at` is behind its `[`.

    As in wildmatch.c: a `]` right at the beginning is one of its bytes, and so is a `-` where no range can be.

    Raises:
        _NotUnderstood: If it has no end, or allows nothing.
    """

    def byte() -> int:
        if at >= len(pattern):
            raise _NotUnderstood("has a `[` without its `]`")
        return pattern[at]

    close = 0  # the `]` found last

    def named_until() -> int:
        """Where the `]` of a `[:name:]` is; 0 where there is none. Each `]` is looked for once, so that nothing is quadratic."""
        nonlocal close
        if pattern[at + 1 : at + 2] != b":":
            return 0
        if close < at + 2:
            close = pattern.find(b"]", at + 2)
        if close == -1:
            raise _NotUnderstood("has a `[` without its `]`")
        return close if close > at + 2 and pattern[close - 1] == ord(":") else 0

    negated = byte() in b"!^"
    at += negated
    listed: set[int] = set()
    before = 0  # what a range may begin with
    start = at
    while at == start or byte() != ord("]"):
        this = byte()
        if this == ord("-") and before and pattern[at + 1 : at + 2] not in {b"", b"]"}:
            at += 1
            if byte() == ord("\\"):
                at += 1
            listed.update(range(before, byte() + 1))
            before = 0
        elif this == ord("[") and (end := named_until()):
            if (known := _CLASSES.get(pattern[at + 2 : end - 1])) is None:
                raise _NotUnderstood(f"asks for `{_shown(pattern[at : end + 1])}`, which there is not")
            listed |= known
            before = 0
            at = end
        else:
            if this == ord("\\"):
                at += 1
            before = byte()
            listed.add(before)
        at += 1
    allowed = _BYTES - listed if negated else _BYTES & listed
    if not allowed:
        raise _NotUnderstood("has a class that allows nothing")
    return allowed, at + 1


def _one_of(allowed: frozenset[int]) -> bytes:
    firsts = [byte for byte in sorted(allowed) if byte - 1 not in allowed]
    lasts = [byte for byte in sorted(allowed) if byte + 1 not in allowed]
    return b"[" + b"".join(b"\\x%02x-\\x%02x" % ends for ends in zip(firsts, lasts, strict=True)) + b"]"


def _expression(items: list[_Item]) -> bytes:
    """A regular expression for `match`, which fits from the beginning of a path, or of a name, to its end."""
    chunks: list[tuple[bytes, list[_Item]]] = [(b"", [])]
    for item in items:
        if item is _Wild.FOLDERS:
            chunks.append((rb"(?:[^/]*+/)*?", []))
        elif item is _Wild.FOLDER_OR_MORE:
            chunks.append((rb"(?:[^/]*+/)+?", []))
        else:
            chunks[-1][1].append(item)
    # Up to the next `**/` the first place where a chunk fits is as good as any: it covers a fixed number of parts.
    found = [b"(?>%s%s)" % (skipped, _chunk(held, end=b"")) for skipped, held in chunks[:-1]]
    skipped, held = chunks[-1]
    return b"".join(found) + skipped + _chunk(held, end=rb"\Z")


def _chunk(items: list[_Item], *, end: bytes) -> bytes:
    """The parts of a path between two `**/`."""
    done: list[bytes] = []
    pieces: list[list[bytes]] = [[]]  # of the part at hand: what stands between its stars
    for item in items:
        if item is _Wild.REST:
            end = b""
        elif item is _Wild.STAR:
            pieces.append([])
        elif item == b"/":
            done.append(_part(pieces, b"/"))
            pieces = [[]]
        elif isinstance(item, bytes):
            pieces[-1].append(item)
    return b"".join(done) + _part(pieces, end)


def _part(pieces: list[list[bytes]], end: bytes) -> bytes:
    first, *others = (b"".join(piece) for piece in pieces)
    if not others:
        return first + end
    *middle, last = others
    # The first place where a piece fits is as good as any later one; the last piece has to fit at the end of the part.
    return first + b"".join(b"(?>[^/]*?%s)" % piece for piece in middle) + b"(?>[^/]*%s%s)" % (last, end)
