"""What grows by records: where the last whole one ends."""

from __future__ import annotations

import itertools
import re

from holdfast.store.live.content import STEPS, Content, Untold, exact, little
from holdfast.store.live.crc import masked_crc
from holdfast.store.live.texts import closes

_WINDOW = 1 << 16
_LARGE_WINDOW = 1 << 20
_BLOCK = 1 << 15
_WANDB_HEAD = 7
_RECORD_TYPES = (1, 2, 3, 4)  # full, first, middle, last
_LAST_TYPES = (1, 4)
#: A line longer than this is none.
_MOST_LINE = 16 << 20


def tfrecord_torn(content: Content) -> str:
    """Whether it ends inside a record; of a long one whose last record is large nothing is told."""
    whole = _last_record_end(content, content.size, STEPS)
    return "a file of records that ends inside one" if whole < content.size else ""


def tfrecord_prefix(content: Content, length: int) -> int:
    """How much of the first bytes is whole records."""
    return _last_record_end(content, length, 0)


def _last_record_end(content: Content, length: int, steps: int) -> int:
    """Where the last whole record ends: found from the end, and where no record begins near it, from the start.

    Source: tensorflow/core/lib/io/record_writer.h: length as uint64, its masked CRC-32C, the data, the data's masked CRC-32C.

    Args:
        content: The file.
        length: How much of it.
        steps: The most records to pass over. 0: all of them.

    Raises:
        Untold: there are more.
    """
    for back in (_WINDOW, _LARGE_WINDOW):
        if length <= back:
            break
        begins = length - back
        window = content.read(begins, back)
        for found in itertools.islice(_MAY_BE_LENGTH.finditer(window), STEPS):
            if _is_record(window[found.start() : found.start() + 12]):
                return _walk_records(content, begins + found.start(), length, 0)
    return _walk_records(content, 0, length, steps)


#: A length below 4 GiB, and a checksum that is not 0, which is none of them: data of zeros is passed over.
_MAY_BE_LENGTH = re.compile(rb"(?s)(?=.{4}\0{4}(?!\0{4}))")


def _is_record(head: bytes) -> bool:
    return len(head) == 12 and masked_crc(head[:8]) == little(head[8:12])


def _walk_records(content: Content, at: int, length: int, steps: int) -> int:
    """Where the last whole record ends, from one that begins at `at`; all where none begins, for nothing may be cut away then."""
    window, begins, seen = b"", at, 0
    while at + 12 <= length:
        if not begins <= at <= begins + len(window) - 12:
            begins, window = at, content.read(at, min(_WINDOW, length - at))
        head = window[at - begins : at - begins + 12]
        if not _is_record(head):
            return length
        end = at + 16 + little(head[:8])
        if end > length:
            break
        at, seen = end, seen + 1
        if steps and seen > steps:
            raise Untold
    return at


def wandb_torn(content: Content) -> str:
    """Whether it ends inside a record."""
    return "a run that ends inside a record" if wandb_prefix(content, content.size) < content.size else ""


def wandb_prefix(content: Content, length: int) -> int:
    """How much of the first bytes is whole records; as a rule one block is read.

    Source: leveldb's doc/log_format.md, which wandb follows behind a head of 7 bytes: blocks of 32 KiB; CRC, length as uint16, type
    (full, first, middle, last), the data; less than 7 bytes at the end of a block are zeros.
    """
    if length <= _WANDB_HEAD:
        return length
    block = (length - 1) // _BLOCK * _BLOCK
    for _ in range(STEPS):
        whole = _block_end(content, block, length)
        if whole is not None:
            return whole
        if block == 0:
            return _WANDB_HEAD
        block -= _BLOCK
    raise Untold


def _block_end(content: Content, block: int, length: int) -> int | None:
    """Where the last record that ends in this block ends; nothing where none does; all where it is none that is known."""
    data = content.read(block, min(_BLOCK, length - block))
    at, found = 0 if block else _WANDB_HEAD, None
    while at + 7 <= len(data):
        kind = data[at + 6]
        if kind not in _RECORD_TYPES:
            return length
        at += 7 + little(data[at + 4 : at + 6])
        if at > len(data):
            return found
        if kind in _LAST_TYPES:
            found = block + at
    return length if found == block + at and len(data) == _BLOCK else found


def lines_prefix(content: Content, length: int) -> int:
    """How much of the first bytes is whole lines."""
    end = length
    while end > 0 and length - end < _MOST_LINE:
        start = max(0, end - _WINDOW)
        at = content.read(start, end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0 if end == 0 else length


def json_lines_prefix(content: Content, length: int) -> int:
    """As `lines_prefix`; a last line without its end counts where its object is closed."""
    whole = lines_prefix(content, length)
    rest = length - whole
    return length if 0 < rest <= _WINDOW and closes(exact(content, whole, rest).decode("utf-8", "replace")) else whole
