"""Ignore files and paths made by chance: bits that are hard to read, and paths that nearly match them."""

from __future__ import annotations

import random
import re

from tests.store.deciding.asking_git import Case


def _each(text: str) -> list[bytes]:
    return text.encode("utf-8", "surrogateescape").split(b"|")


#: What lines are made of; what is there several times is more likely.
_BITS = _each(
    "a|b|ab|.|-| |x|A|]|^|{a,b}|\t|\r|\x0c|\udcff|\u00e9|\u2028|*|*|*|**|**|***|?|?|**/|/**|/**/|**\\/"
    "|/|/|/|/|//|\\/|\\|\\*|\\a|\\\\|\\?|\\[|\\ |!|#"
    "|[ab]|[!a]|[^b]|[a-c]|[]a]|[!]a]|[a-]|[-a]|[a|[]|[z-a]|[\\]a]|[a\\-z]|[a/b]|[!/]|[%--]|[a-\\c]|[\udca0-\udcff]"
    "|[[:alpha:]]|[^[:digit:]]|[[:space:]]|[[:nope:]]|[[:alpha]|[[:]"
)
#: Lines that matter for what stands beside them.
_LINES = _each("*|/*|!*/|!*.a|*/|**|a/|a/**|!a/b|!/a|!a/**||/|!")
_TEXT = _each("a|b|ab|ba|aa|x|z|A|]|[|-|.| |*|?|\\|!|#|^|\t|\udcff|0|\u00e9|\u2028|\x0c|\r|\n")


def made(rng: random.Random, count: int) -> list[Case]:
    """`count` ignore files of one to four lines, with up to five paths each."""
    return [_case(rng) for _ in range(count)]


def _case(rng: random.Random) -> Case:
    lines = [_line(rng) for _ in range(rng.choice([1, 1, 2, 3, 4]))]
    entries: dict[bytes, bytes] = {}  # path, and what stands behind it
    for _ in range(5):
        path = _path(rng, lines)
        if path is None:
            continue
        above = [path[: m.start()] for m in re.finditer(rb"/", path)]
        if path in entries or any(entries.get(a, b"/") != b"/" for a in above):
            continue
        entries.update(dict.fromkeys(above, b"/"))
        entries[path] = rng.choice([b"", b"", b"/", b"@"])
    return Case(rng.choice([b"\n", b"\n", b"\r\n"]).join(lines), tuple(p + kind for p, kind in entries.items()))


def _line(rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return rng.choice(_LINES)
    body = b"".join(rng.choice(_BITS) for _ in range(rng.randint(1, 6)))
    return b"!" * (rng.random() < 0.3) + b"/" * (rng.random() < 0.15) + body + rng.choice([b"", b"", b"", b"/", b" ", b"  "])


def _path(rng: random.Random, lines: list[bytes]) -> bytes | None:
    """A path that a line nearly describes, or any; None where it would be no path."""
    if rng.random() < 0.8:
        line = rng.choice(lines).removeprefix(b"!").strip(b" /")
        path = re.sub(rb"\*+/|/\*+|\*+|\?|\[[^]]+\]|\\.", lambda m: _instead(rng, m[0]), line)
    else:
        path = b"/".join(rng.choice(_TEXT) + rng.choice([b"", *_TEXT]) for _ in range(rng.randint(1, 4)))
    if rng.random() < 0.3:
        path += b"/" + rng.choice(_TEXT)
    if rng.random() < 0.15:
        path = rng.choice(_TEXT) + b"/" + path
    parts = [p for p in path.split(b"/") if p]
    if not parts or any(p in {b".", b"..", b".git"} or b"\0" in p for p in parts) or parts[-1].endswith(b"@"):
        return None
    return b"/".join(parts)


def _instead(rng: random.Random, wild: bytes) -> bytes:
    """What a wildcard might stand for, slashes in their place."""
    some = b"/".join(rng.choice([b"", *_TEXT]) for _ in range(rng.choice([1, 1, 1, 2, 3])))
    if wild.startswith(b"*"):
        return rng.choice([some + wild[-1:].replace(b"*", b""), b""])
    if wild.startswith(b"/"):
        return rng.choice([b"/" + some, b""])
    if wild.startswith(b"\\"):
        return wild[1:]
    if wild.startswith(b"["):
        return rng.choice([wild[1:2], wild[-2:-1], rng.choice(_TEXT), b""])
    return rng.choice(_TEXT)
