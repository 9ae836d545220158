"""Pickles: whether the last object ends. Nothing is ever loaded; opcodes and frames are passed over."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from typing import IO, cast

from holdfast.store.live.content import SMALL, STEPS, Content, EndsEarly, Untold, exact, little, tail
from holdfast.store.live.kinds import HEAD

_WINDOW = 1 << 14
_ENDS_EARLY = "a pickle that ends before its end"

#: What a pickle of protocol 4 or 5 goes on with behind a frame: a frame, or what is too large for one; and how long its length is.
#: Source: PEP 3154, "Framing"; pickletools.
_GOES_ON = {b"\x95": 8, b"B": 4, b"X": 4, b"\x8d": 8, b"\x8e": 8, b"\x96": 8}


def pickle_torn(content: Content) -> str:
    """A pickle ends in a full stop. What follows one that ended, as in a format of one's own, is left alone."""
    if tail(content, 1) == b".":
        return ""
    head = content.read(0, HEAD)
    if b"joblib.numpy_pickle" in head:
        return _ENDS_EARLY  # arrays lie between its frames, so they cannot be passed over, and nothing lies behind it
    try:
        if head[1] >= 4 and head[2:3] == b"\x95":
            return _ENDS_EARLY if _ends_in_frames(content) else ""
        at = 0
        while content.read(at, 1) == b"\x80":
            at = pickle_end(content, at)
    except EndsEarly:
        return _ENDS_EARLY
    return ""


def _ends_in_frames(content: Content) -> bool:
    """True where the file ends inside a frame, or behind one that is not the last; a large pickle is a handful of reads."""
    at = 2
    for _ in range(STEPS):
        head = content.read(at, 9)
        width = _GOES_ON.get(head[:1])
        if width is None:
            return not head  # it ended, and something else follows
        at += 1 + width + little(head[1 : 1 + width])
        if len(head) < 1 + width or at >= content.size:
            return True
        around = content.read(at - 1, 3)
        if around[:1] == b"." and around[1:2] == b"\x80":
            at += 2  # another pickle
        elif around[:1] == b".":
            return False  # it may have ended here
    return False


def pickle_end(content: Content, at: int) -> int:
    """Where the pickle that begins at `at` ends.

    Raises:
        EndsEarly: the file ends before the pickle does.
        Untold: it is none, or it is longer than what is read.
    """
    stream = _Noticing(content, at)
    for _ in _opcodes(stream):
        pass
    return stream.place


def _opcodes(stream: _Noticing) -> Iterator[tuple[str, object]]:
    """The opcodes of one pickle with their arguments, up to its end.

    Raises:
        EndsEarly: the file ends before the pickle does.
        Untold: it is none, or it is longer than what is read.
    """
    try:
        for opcode, argument, _ in pickletools.genops(cast(IO[bytes], stream)):
            yield opcode.name, argument
    except ValueError:
        raise Untold from None


class _Noticing:
    """What `pickletools` reads from: a content from one place on, up to 1 MiB of it. What is not there is never given.

    Args:
        content: The file.
        at: Where to begin.
    """

    def __init__(self, content: Content, at: int) -> None:
        self._content = content
        self._most = at + SMALL
        self._window, self._begins = b"", at
        self.place = at

    def read(self, size: int) -> bytes:
        """The next bytes, all of them."""
        data = self._ahead(size)
        self.place += size
        return data

    def readline(self) -> bytes:
        """The next line with its end."""
        size = 1 << 8
        while (end := self._ahead(min(size, self._content.size - self.place)).find(b"\n")) < 0:
            if self.place + size >= self._content.size:
                raise EndsEarly
            size *= 2
        return self.read(end + 1)

    def _ahead(self, size: int) -> bytes:
        if self.place + size > self._content.size:
            raise EndsEarly
        if self.place + size > self._most:
            raise Untold
        start = self.place - self._begins
        if start + size > len(self._window):
            self._begins, self._window, start = self.place, self._content.read(self.place, max(size, _WINDOW)), 0
        data = self._window[start : start + size]
        if len(data) < size:
            raise EndsEarly
        return data


#: Bytes of an element by the name of its storage (torch/storage.py). What is not here is not told.
_ELEMENTS = {
    **dict.fromkeys(("ByteStorage", "CharStorage", "BoolStorage", "UntypedStorage"), 1),
    **dict.fromkeys(("ShortStorage", "HalfStorage", "BFloat16Storage"), 2),
    **dict.fromkeys(("IntStorage", "FloatStorage"), 4),
    **dict.fromkeys(("LongStorage", "DoubleStorage", "ComplexFloatStorage"), 8),
    "ComplexDoubleStorage": 16,
}


def torch_legacy_torn(content: Content) -> str:
    """Whether every storage that its head lists is there.

    Five pickles (torch's number, the version, the machine, the object, the keys of its storages), then each storage in the order of
    the keys: the number of its elements as int64, and they. Source: torch/serialization.py, `_legacy_save`.
    """
    stream = _Noticing(content, 0)
    widths: dict[object, int] = {}
    keys: list[object] = []
    try:
        for part in range(5):
            opcodes = list(_opcodes(stream))
            if part == 3:
                widths = dict(_storages(opcodes))
            keys = [argument for name, argument in opcodes if name == "BINUNICODE"]
        at = stream.place
        for key in keys:
            at += 8 + widths[key] * little(exact(content, at, 8))
    except EndsEarly:
        return "a torch.save that ends inside its head"
    except KeyError:
        raise Untold from None
    return "a torch.save that ends inside its tensors" if at > content.size else ""


def _storages(opcodes: list[tuple[str, object]]) -> Iterator[tuple[object, int]]:
    """Key and bytes of an element of each storage in an object: ("storage", class, key, location, elements, view)."""
    memo: dict[object, object] = {}
    since_mark: list[object] = []
    last: object = None
    for name, argument in opcodes:
        if name == "MARK":
            since_mark = []
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = last
        elif name in ("BINGET", "LONG_BINGET", "BINUNICODE", "GLOBAL"):
            last = memo.get(argument) if name.endswith("GET") else argument
            since_mark.append(last)
        elif name == "BINPERSID" and len(since_mark) > 2 and since_mark[0] == "storage":
            yield since_mark[2], _ELEMENTS[str(since_mark[1]).rpartition(" ")[2]]
        else:
            last = None
