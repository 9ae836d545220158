"""Arrow's two containers and Parquet: whether their end is there, and how far a stream is whole."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.store.live.content import Content, EndsEarly, exact, little, tail

_CONTINUES = b"\xff\xff\xff\xff"
#: No schema or batch describes itself in more bytes than this.
_MOST_METADATA = 1 << 24
_SCHEMA = 1


def arrow_file_torn(content: Content) -> str:
    """Source: Arrow Columnar Format, "IPC File Format": ARROW1, pad, stream, footer, its length as int32, ARROW1."""
    end = tail(content, 10)
    if end[-6:] != b"ARROW1":
        return "an Arrow file without its end mark"
    if little(end[:4]) + 8 + 10 > content.size:
        return "an Arrow file whose footer does not lie inside it"
    return ""


def parquet_torn(content: Content) -> str:
    """Source: Parquet's "File Format": PAR1 (PARE where encrypted), columns, footer, its length as uint32, the mark again."""
    end = tail(content, 8)
    if content.size < 12 or end[4:] not in (b"PAR1", b"PARE"):
        return "a Parquet file without its footer"
    if little(end[:4]) + 12 > content.size:
        return "a Parquet file whose footer does not lie inside it"
    return ""


def begins_stream(head: bytes) -> bool:
    """True where a file begins with an Arrow stream's schema."""
    if head[:4] != _CONTINUES or not 0 < (length := little(head[4:8])) <= _MOST_METADATA:
        return False
    described = _message(head[8 : 8 + length])
    return described is not None and described[0] == _SCHEMA


def stream_prefix(content: Content, length: int) -> int:
    """How much of an Arrow stream's first bytes is whole messages, in bytes."""
    whole = 0
    for end in _messages(content):
        if end > length:
            break
        whole = end
    return whole


def _messages(content: Content) -> Iterator[int]:
    """Where each message ends. Source: Arrow Columnar Format, "Encapsulated message format" and "IPC Streaming Format"."""
    at = 0
    try:
        while exact(content, at, 4) == _CONTINUES:
            length = little(exact(content, at + 4, 4))
            at += 8
            if length == 0:  # the end of a stream; another one may follow
                yield at
                continue
            described = _message(exact(content, at, length)) if length <= _MOST_METADATA else None
            if described is None:
                return
            at += length + described[1]
            yield at
    except EndsEarly:
        return


def _message(data: bytes) -> tuple[int, int] | None:
    """Kind and body length of a message, from its flatbuffer; nothing where it is none.

    Source: Arrow's Message.fbs (version, header_type, header, bodyLength) and "FlatBuffer Internals": a table begins with the
    signed distance back to its vtable, which holds the offset of each field as uint16.
    """
    if len(data) < 8:
        return None
    table = little(data[:4])
    vtable = table - int.from_bytes(data[table : table + 4], "little", signed=True)
    if not (4 <= table <= len(data) - 4 and 0 <= vtable <= len(data) - 8):
        return None
    fields = [little(data[at : at + 2]) for at in range(vtable + 4, min(vtable + little(data[vtable : vtable + 2]), len(data)), 2)]
    fields += [0] * (4 - len(fields))
    if not fields[1]:
        return None
    header_type = little(data[table + fields[1] : table + fields[1] + 1])
    body = little(data[table + fields[3] : table + fields[3] + 8]) if fields[3] else 0
    return header_type, body
