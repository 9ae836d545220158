"""Archives and compressed files: whether their end is there."""

from __future__ import annotations

import binascii
import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from holdfast.store.live.content import SMALL, STEPS, Content, EndsEarly, Untold, big, exact, little, tail

_ZIP_END = b"PK\5\6"
_ZIP_END_BYTES = 22
_ZIP64_LOCATOR_BYTES = 20
_ZIP64_END_BYTES = 56
_MOST_COMMENT = (1 << 16) - 1
#: Larger results are not made for a check.
_MOST_DECOMPRESSED = 64 << 20


def zip_torn(content: Content) -> str:
    """Source: APPNOTE.TXT 6.3.10, 4.3.12 to 4.3.16."""
    end = tail(content, _ZIP_END_BYTES)
    if not (end[:4] == _ZIP_END and end[-2:] == b"\0\0"):
        end = tail(content, _ZIP_END_BYTES + _MOST_COMMENT)
    at = len(end)
    beyond = False
    while (at := end.rfind(_ZIP_END, 0, at + 3 if at < len(end) else at)) >= 0:
        if len(end) - at >= _ZIP_END_BYTES:
            if _directory_fits(content, content.size - len(end) + at, end[at : at + _ZIP_END_BYTES]):
                return ""
            beyond = True
    return "a zip whose directory does not lie inside it" if beyond else "a zip without its end record"


def _directory_fits(content: Content, at: int, record: bytes) -> bool:
    """True where the directory that an end record at `at` tells of lies before it."""
    members, length, offset = little(record[10:12]), little(record[12:16]), little(record[16:20])
    locator_at = at - _ZIP64_LOCATOR_BYTES
    locator = content.read(locator_at, _ZIP64_LOCATOR_BYTES) if locator_at >= 0 else b""
    if locator[:4] == b"PK\6\7":  # torch writes it always
        # What the locator says is off where something was put before the archive; right before it is where everyone writes it.
        for place in (little(locator[8:16]), locator_at - _ZIP64_END_BYTES):
            record64 = content.read(place, _ZIP64_END_BYTES) if 0 <= place <= locator_at - _ZIP64_END_BYTES else b""
            if record64[:4] == b"PK\6\6":
                members, length, offset = little(record64[32:40]), little(record64[40:48]), little(record64[48:56])
                at = place
                break
    start = at - length
    return start >= 0 and offset <= start and (members == 0 or length == 0 or content.read(start, 4) == b"PK\1\2")


class _Decompressor(Protocol):
    """What zlib, lzma and bz2 have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def gzip_torn(content: Content) -> str:
    """Up to 1 MiB by decompressing it; of a larger one nothing is told, because its last 8 bytes can be any."""
    return _small_torn("gzip", content, b"\x1f\x8b", lambda data: _inflate(data, 31))


def zlib_torn(content: Content) -> str:
    """As `gzip_torn`."""
    return _small_torn("joblib, compressed", content, b"", lambda data: _inflate(data, 15))


def xz_torn(content: Content) -> str:
    """Source: The .xz File Format 1.2.1, 2.1.2: a stream's footer, and behind it padding of zeros in fours."""
    footer = tail(content, SMALL).rstrip(b"\0")  # it ends in `YZ`, so no zero belongs to it
    if footer[-2:] != b"YZ" or binascii.crc32(footer[-8:-2]) != little(footer[-12:-8]):
        return "an xz without its footer"
    return ""


def bzip2_torn(content: Content) -> str:
    """A stream ends in 48 known bits and 32 of a checksum, at any bit; less than a byte of padding follows."""
    if content.size <= SMALL:
        return _small_torn("bzip2", content, b"BZh", lambda data: _run(bz2.BZ2Decompressor(), data))
    end = big(tail(content, 11))
    if any((end >> shift + 32) & 0xFFFFFFFFFFFF == 0x177245385090 for shift in range(8)):
        return ""
    return "a bzip2 without its end mark"


def _small_torn(what: str, content: Content, again: bytes, decompress: Callable[[bytes], _Decompressor | None]) -> str:
    """Decompresses stream after stream; what follows the last one and does not begin as one is left alone."""
    if content.size > SMALL:
        return ""
    data = exact(content, 0, content.size)
    try:
        while data:
            done = decompress(data)
            if done is None:
                return ""
            if not done.eof:
                return f"a {what} that ends before its end"
            data = done.unused_data if again and done.unused_data.startswith(again) else b""
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        return f"a {what} that does not decompress"
    return ""


def _inflate(data: bytes, window: int) -> _Decompressor | None:
    made = 0
    inflater = zlib.decompressobj(window)
    while data and not inflater.eof:
        made += len(inflater.decompress(data, 1 << 20))
        data = inflater.unconsumed_tail
        if made > _MOST_DECOMPRESSED:
            return None
    return inflater


def _run(machine: bz2.BZ2Decompressor, data: bytes) -> _Decompressor | None:
    made = len(machine.decompress(data, 1 << 20))
    while not machine.eof and not machine.needs_input:
        made += len(machine.decompress(b"", 1 << 20))
        if made > _MOST_DECOMPRESSED:
            return None
    return machine


def zstd_torn(content: Content) -> str:
    """Walks frames and blocks. Source: RFC 8878, 3.1.1 and 3.1.2."""
    at, steps = 0, 0
    while at < content.size:
        mark = little(exact(content, at, 4))
        if mark & 0xFFFFFFF0 == 0x184D2A50:
            at += 8 + little(exact(content, at + 4, 4))
            if at > content.size:
                raise EndsEarly
            continue
        if mark != 0xFD2FB528:
            return ""
        flags = exact(content, at + 4, 1)[0]
        single = flags >> 5 & 1
        at += 5 + (not single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
        last = False
        while not last:
            steps += 1
            if steps > STEPS:
                raise Untold
            header = little(exact(content, at, 3))
            last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
            if kind == 3:
                raise Untold
            at += 3 + (1 if kind == 1 else length)
        at += 4 if flags & 4 else 0
        if at > content.size:
            raise EndsEarly
    return ""


def tar_torn(content: Content) -> str:
    """Whether a member's data lies behind the end."""
    return "a tar that ends inside a member" if tar_prefix(content, content.size, STEPS) < content.size else ""


def tar_prefix(content: Content, length: int, steps: int = 0) -> int:
    """How much of a tar's first bytes is whole members, in bytes.

    What has members of another shape (GNU's sparse and multi-volume ones, sizes in pax headers) counts as whole, and so does what
    follows two blocks of zeros. Source: POSIX.1-2017, pax, "ustar Interchange Format".

    Args:
        content: The archive.
        length: How much of it.
        steps: The most members; beyond them the rest counts as whole. 0: all of them.
    """
    at, whole, seen = 0, 0, 0
    while at < length:
        seen += 1
        if steps and seen > steps:
            return length
        if at + 512 > length:
            return whole
        header = content.read(at, 512)
        if header[257:262] != b"ustar":
            return length
        kind, stored = header[156:157], _tar_size(header[124:136])
        if stored is None or kind in b"SMVN" or (kind in b"xg" and b" size=" in content.read(at + 512, min(stored, 1 << 16))):
            return length
        at += 512 + (0 if kind in b"123456" else -(-stored // 512) * 512)
        if at > length:
            return whole
        whole = whole if kind in b"xgLK" else at  # such a header belongs to the member behind it
    return whole


def _tar_size(field: bytes) -> int | None:
    """A size in octal, or in GNU's base 256."""
    if field[0] & 0x80:
        return big(bytes([field[0] & 0x7F]) + field[1:])
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and set(digits) <= set(b"01234567") else None
