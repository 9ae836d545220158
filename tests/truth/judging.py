"""What status said, held against what came back. Pure: inventories in, violations out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from tests.truth.beyond import Entry, Inventory

#: The title of the verdict where there is nothing to keep: folders alone are nothing.
NOTHING = "NOTHING YET"


@dataclass(frozen=True)
class Violation:
    """Something that is not as status said.

    Args:
        kind: In a few words, always the same for the same kind.
        path: Below outputs.
        detail: What was expected and found.
    """

    kind: str
    path: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.path or 'outputs'} {self.detail}".rstrip()


@dataclass(frozen=True)
class Row:
    """What status says of an artifact, or of a path that no artifact holds.

    Args:
        path: Below outputs.
        safe: It is called safe.
        files: So many files may be lost, as it says.
        named: Paths below outputs that it names as not safe.
        gone: It is an artifact of its own that is here no more: nothing records that, and it comes back.
    """

    path: str
    safe: bool
    files: int
    named: frozenset[str] = frozenset()
    gone: bool = False


@dataclass(frozen=True)
class Said:
    """What status says.

    Args:
        word: The title of its verdict.
        rows: All of them.
    """

    word: str
    rows: tuple[Row, ...] = ()

    @property
    def safe(self) -> bool:
        return self.word == "SAFE"

    @property
    def named(self) -> frozenset[str]:
        """All that is named as not safe, in whatever row."""
        return frozenset(path for row in self.rows for path in row.named)

    def row_of(self, path: str) -> Row | None:
        """The row of the innermost artifact that holds a path."""
        holding = [r for r in self.rows if within(path, r.path)]
        return max(holding, key=lambda r: len(r.path), default=None)


@dataclass(frozen=True)
class Terms:
    """How strictly inventories are compared.

    Args:
        ever: Paths that were here at any time: they may come back.
        accepted: Paths that the user gave up.
        folder_times: They were recorded last, so they come back too.
        calm: What was backed up last, of a calm session: nothing else may come back below these.
    """

    ever: Collection[str] = ()
    accepted: Collection[str] = ()
    folder_times: bool = False
    calm: Collection[str] = ()


@dataclass(frozen=True)
class Difference:
    """Something that came back otherwise, or did not."""

    what: str
    path: str
    detail: str = ""
    is_file: bool = field(default=True)


def within(path: str, above: str) -> bool:
    """True where one path lies at or below another."""
    return not above or path == above or path.startswith(above + "/")


def judge(said: Said, here: Inventory, back: Inventory, terms: Terms) -> list[Violation]:
    """All that contradicts what status said."""
    found = list(differences(said, here, back, terms))
    if said.safe:
        return [Violation(f"SAFE, and {d.what}", d.path, d.detail) for d in found]
    return list(_not_safe(said, found))


def _not_safe(said: Said, found: list[Difference]) -> Iterator[Violation]:
    lost: dict[Row, list[Difference]] = {}
    for one in found:
        row = said.row_of(one.path)
        if any(within(one.path, n) for n in said.named):
            continue
        if row is None and said.word == NOTHING and one.what == "a folder is lost":
            continue
        if row is None:
            yield Violation(f"in no row, and {one.what}", one.path, one.detail)
        elif row.safe:
            yield Violation(f"its row is safe, and {one.what}", one.path, one.detail)
        elif one.is_file:
            lost.setdefault(row, []).append(one)
    for row, those in lost.items():
        paths = sorted({d.path for d in those})
        if len(paths) > row.files:
            text = f"{len(paths)} for {row.files} said: " + ", ".join(f"{d.path} ({d.what})" for d in those[:8])
            yield Violation("more files lost than its row says", row.path, text)


def differences(said: Said, here: Inventory, back: Inventory, terms: Terms) -> Iterator[Difference]:
    """What is here and did not come back as it is. What is named out of outputs, or a socket, counts as lost unless accepted."""
    for path, entry in sorted(here.items()):
        if not path or any(within(path, a) for a in terms.accepted):
            continue
        came = back.get(path)
        if entry["kind"] == "other":
            yield Difference("a socket or pipe is not named", path, is_file=False)
        elif entry["kind"] == "link" and entry["out"]:
            yield Difference("a link out is not named", path, str(entry["to"]), is_file=False)
        elif came is None:
            yield Difference(f"{_kind(entry)} is lost", path, is_file=entry["kind"] == "file")
        elif came["kind"] != entry["kind"]:
            yield Difference(f"{_kind(entry)} came back as {_kind(came)}", path, is_file=entry["kind"] == "file")
        else:
            # SQLite makes files beside a database in WAL mode also where it only reads, and removes them.
            holds_database = any(e.get("database") and p.rpartition("/")[0] == path for p, e in here.items())
            yield from _same_kind(path, entry, came, folder_times=terms.folder_times and not holds_database)
    yield from _hard_links(said, here, back)
    for path in sorted(back.keys() - here.keys()):
        row = said.row_of(path)
        if not any(within(path, c) for c in terms.calm):
            continue
        if path not in _above_gone(said) and not (row is not None and row.gone):
            yield Difference("something came back that was removed", path, is_file=False)
    for path in sorted(back.keys() - here.keys() - set(terms.ever)):
        yield Difference("something came back that never was here", path, is_file=False)


def _above_gone(said: Said) -> set[str]:
    """Folders that come back with an artifact that is here no more."""
    parts = [row.path.split("/") for row in said.rows if row.gone]
    return {"/".join(p[:end]) for p in parts for end in range(len(p))}


def _kind(entry: Entry) -> str:
    return "a database" if entry.get("database") else f"a {entry['kind']}"


def _same_kind(path: str, entry: Entry, came: Entry, *, folder_times: bool) -> Iterator[Difference]:
    kind, is_file = _kind(entry), entry["kind"] == "file"
    if entry["kind"] == "link":
        if came["to"] != entry["to"] or came["out"]:
            yield Difference("a link leads elsewhere", path, f"{entry['to']} is {came['to']}", is_file=False)
        elif came["absolute"]:
            yield Difference("a link came back absolute", path, is_file=False)
        return
    if is_file and (came["size"], came["hash"]) != (entry["size"], entry["hash"]):
        yield Difference(f"{kind} has another content", path, f"{entry['size']} bytes were {came['size']}")
    if came["mode"] & 0o777 != entry["mode"] & 0o777:
        yield Difference(f"{kind} has another mode", path, f"{entry['mode']:o} is {came['mode']:o}", is_file)
    if (is_file or folder_times) and came["mtime_ns"] != entry["mtime_ns"]:
        yield Difference(f"{kind} has another time", path, f"{entry['mtime_ns']} is {came['mtime_ns']}", is_file)


def _hard_links(said: Said, here: Inventory, back: Inventory) -> Iterator[Difference]:
    """Within an artifact, what is one file here is one file there, and nothing else is."""
    for path, others in _groups(said, here).items():
        for other in others:
            if path in back and other in back and back[path].get("inode") != back[other].get("inode"):
                yield Difference("hard links came back as two files", path, other, is_file=False)
    for path, others in _groups(said, back).items():
        for other in others:
            if path in here and other in here and here[path].get("inode") != here[other].get("inode"):
                yield Difference("two files came back as hard links", path, other, is_file=False)


def _groups(said: Said, found: Inventory) -> Mapping[str, list[str]]:
    """The first path of every file in every artifact to its other paths."""
    first: dict[tuple[str, int], str] = {}
    groups: dict[str, list[str]] = {}
    for path, entry in sorted(found.items()):
        row = said.row_of(path)
        if entry["kind"] == "file" and entry["links"] > 1 and row is not None:
            begun = first.setdefault((row.path, entry["inode"]), path)
            if begun != path:
                groups.setdefault(begun, []).append(path)
    return groups


def wanting(here: Inventory, accepted: Collection[str]) -> dict[str, str]:
    """What keeps a calm session from being safe: what cannot be kept, and what is torn by its own format. By path, in a word."""
    found = {}
    for path, entry in here.items():
        if any(within(path, a) for a in accepted):
            continue
        if entry["kind"] == "other":
            found[path] = "a socket or pipe"
        elif entry["kind"] == "link" and entry["out"]:
            found[path] = "a link out"
        elif entry.get("torn"):
            found[path] = "a torn file"
    return found


def judge_fresh(
    before: Inventory, after: Inventory, aside: Collection[str], stored: Inventory, outcome: str, *, true: bool, under: str
) -> list[Violation]:
    """The fresh machine on which something was written before `ensure` was asked. What was moved aside is not lost."""
    found = []
    for path, entry in sorted(before.items()):
        here = path in after and after[path].get("hash") == entry.get("hash")
        if entry["kind"] == "file" and not here and entry["hash"] not in aside:
            found.append(Violation("ensure took what was here", path, outcome))
    if true:
        for path, entry in sorted(stored.items()):
            if not path or not within(path, under) or entry["kind"] == "other" or (entry["kind"] == "link" and entry["out"]):
                continue
            if path not in after:
                found.append(Violation(f"ensure is true, and {_kind(entry)} is not here", path, outcome))
            elif path not in before and entry["kind"] == "file" and after[path].get("hash") != entry["hash"]:
                found.append(Violation("ensure is true, and what came is something else", path, outcome))
    elif outcome not in ("DIFFERS", "FAILED"):
        found.append(Violation("ensure is false, and says neither DIFFERS nor FAILED", "", outcome))
    return found
