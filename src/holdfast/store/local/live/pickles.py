"""Pickles: whether the last object ends. Nothing is ever loaded; opcodes and frames are passed over."""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator

from holdfast.store.local.live.content import SMALL, STEPS, Content, EndsEarly, Untold, exact, little, tail
from holdfast.store.local.live.kinds import HEAD

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
            return _ENDS_EARLY if _frames_end(content) else ""
        at = 0
        while content.read(at, 1) == b"\x80":
            for _, _, end in _opcodes(content, at):
                at = end
    except EndsEarly:
        return _ENDS_EARLY
    return ""


def _frames_end(content: Content) -> bool:
    """True where the file ends inside a frame, or behind one that is not the last, so that a large pickle is a handful of reads."""
    at = 2
    for _ in range(STEPS):
        if at == content.size:
            return True
        head = content.read(at, 9)
        width = _GOES_ON.get(head[:1])
        if width is None:
            return False  # it ended, and something else follows
        at += 1 + width + little(head[1 : 1 + width])
        if len(head) < 1 + width or at > content.size:
            return True
        if content.read(at - 1, 1) == b"." and at < content.size:
            return False  # it may have ended here
    return False


def _opcodes(content: Content, at: int) -> Iterator[tuple[str, object, int]]:
    """The opcodes of a pickle within the first MiB with their arguments, and where the pickle ends, as far as that is known.

    Raises:
        EndsEarly: the file ends before the pickle does.
        Untold: it is none, or it is too long.
    """
    stream = _Noticing(content.read(at, SMALL))
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            yield opcode.name, argument, at + stream.tell()
    except ValueError:
        if stream.ran_out and at + SMALL >= content.size:
            raise EndsEarly from None
        raise Untold from None


class _Noticing(io.BytesIO):
    """Bytes that remember whether more was asked for than there were."""

    ran_out = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.ran_out |= len(data) < (size or 0)
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        data = super().readline(size)
        self.ran_out |= not data.endswith(b"\n")
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
    at = 0
    widths: dict[object, int] = {}
    keys: list[object] = []
    try:
        for part in range(5):
            opcodes = list(_opcodes(content, at))
            at = opcodes[-1][2]
            if part == 3:
                widths = dict(_storages(opcodes))
            keys = [argument for name, argument, _ in opcodes if name == "BINUNICODE"]
        for key in keys:
            at += 8 + widths[key] * little(exact(content, at, 8))
    except EndsEarly:
        return "a torch.save that ends inside its head"
    except KeyError:
        raise Untold from None
    return "a torch.save that ends inside its tensors" if at > content.size else ""


def _storages(opcodes: list[tuple[str, object, int]]) -> Iterator[tuple[object, int]]:
    """Key and bytes of an element of each storage in an object: ("storage", class, key, location, elements, view)."""
    memo: dict[object, object] = {}
    since_mark: list[object] = []
    last: object = None
    for name, argument, _ in opcodes:
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
