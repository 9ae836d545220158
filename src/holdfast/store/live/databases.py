"""Databases: what their headers prove without their library."""

from __future__ import annotations

from holdfast.store.live.content import Content, EndsEarly, Untold, big, exact, little

_LMDB_NO_PAGE = (1 << 64) - 1
#: Where DuckDB's two headers lie, and where its blocks begin (storage_info.hpp: three sectors of 4,096 bytes).
_DUCKDB_HEADERS = (4096, 8192)
_DUCKDB_BLOCKS = 12288
_DUCKDB_NO_BLOCK = (1 << 64) - 1


def sqlite_torn(content: Content) -> str:
    """Shorter than the pages in its header. In WAL mode nothing is told: the rest may lie in the log.

    Of a database in use its journal may still bring back what is missing; SQLite's own look decides there.
    Source: https://www.sqlite.org/fileformat.html, "The Database Header".
    """
    head = exact(content, 0, 100)
    page = big(head[16:18])
    page = 1 << 16 if page == 1 else page
    if head[18:20] != b"\1\1" or head[24:28] != head[92:96]:
        raise Untold  # the page count is only valid where both counters agree
    return "a SQLite database shorter than its header says" if big(head[28:32]) * page > content.size else ""


def lmdb_torn(content: Content) -> str:
    """The roots that the newer of its two meta pages names lie inside it. More is not told by two pages.

    Source: lmdb's mdb.c: `MDB_page` (16 bytes of head), `MDB_meta` and `MDB_db` (48 bytes, the root last), on 64 bits.
    """
    size = little(exact(content, 40, 4))
    if size < 256 or size > 1 << 16 or size & (size - 1):
        raise Untold
    metas = [exact(content, at + 16, 136) for at in (0, size)]
    if metas[1][:4] != metas[0][:4]:
        return "an LMDB whose second meta page is not there"
    newest = max(metas, key=lambda meta: little(meta[128:136]))
    roots = [little(newest[at + 40 : at + 48]) for at in (24, 72)]
    if any(root != _LMDB_NO_PAGE and (root + 1) * size > content.size for root in roots):
        return "an LMDB that ends before its newest root page"
    return ""


def duckdb_torn(content: Content) -> str:
    """All blocks are there that the newer of its two headers counts, but for free ones, which may be cut off.

    Nothing is told where the numbers cannot be a header's, as in an encrypted one, or the list of free blocks is a long one.
    Source: duckdb/storage/storage_info.hpp, `DatabaseHeader`: checksum, iteration, meta block, free list, block count, block size,
    each 8 bytes; of a pointer to a block the upper 8 bits are its place in there (`MetaBlockPointer`).
    """
    heads = [exact(content, at, 48) for at in _DUCKDB_HEADERS]
    newest = max(heads, key=lambda head: little(head[8:16]))
    count, size = little(newest[32:40]), little(newest[40:48])
    if not 1 << 14 <= size <= 1 << 18 or size & (size - 1) or count > 1 << 40:
        raise Untold
    if _DUCKDB_BLOCKS + count * size > content.size:
        free = _duckdb_free(content, little(newest[24:32]), size)
        used = next((block + 1 for block in reversed(range(count)) if block not in free), 0)
        if _DUCKDB_BLOCKS + used * size > content.size:
            raise EndsEarly
    return ""


def _duckdb_free(content: Content, pointer: int, size: int) -> set[int]:
    """The free blocks: behind a pointer to the next part, their number, and each of them.

    Source: duckdb's metadata_manager.cpp (a block is 64 parts behind its checksum), single_file_block_manager.cpp, `LoadFreeList`.
    """
    if pointer == _DUCKDB_NO_BLOCK:
        return set()
    part = (size - 8) // 64 // 8 * 8
    at = _DUCKDB_BLOCKS + (pointer & ((1 << 56) - 1)) * size + 8 + (pointer >> 56) * part
    data = exact(content, at, part)
    count = little(data[8:16])
    if 16 + 8 * count > part:
        raise Untold
    return {little(data[16 + 8 * n : 24 + 8 * n]) for n in range(count)}


def level_torn(content: Content) -> str:
    """`CURRENT` names a manifest and ends its line. Of tables nothing is told: no manifest names one that is cut yet.

    Source: leveldb's db/version_set.cc, `VersionSet::Recover`.
    """
    if content.read(0, 9) == b"MANIFEST-" and content.size < 64 and not exact(content, 0, content.size).endswith(b"\n"):
        return "a CURRENT without the end of its line"
    return ""
