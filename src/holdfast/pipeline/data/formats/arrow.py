"""Parquet and Arrow as Hugging Face `datasets` writes them: lists of tokens and of tags, the names of the tags in the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast.pipeline.data.formats.json_tokens import tagged
from holdfast.pipeline.data.formats.shape import Format, Item, Problems

FORMAT = Format("datasets parquet or Arrow", "its first bytes")
_TAGS = ("ner_tags", "tags", "labels", "fine_ner_tags")


def read_arrow(path: Path, data: bytes, problems: Problems) -> Iterator[Item]:
    """The rows of a parquet file, an Arrow file or an Arrow stream.

    Args:
        path: The file; the names of the tags may stand in a `dataset_info.json` beside it.
        data: What it holds.
        problems: Takes what is wrong.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        problems.add("", "parquet and Arrow need the library pyarrow", "pip install 'holdfast[data]'")
        return
    try:
        buffer = pa.BufferReader(data)
        if data[:4] == b"PAR1":
            table = pq.read_table(buffer)
        elif data[:6] == b"ARROW1":
            table = pa.ipc.open_file(buffer).read_all()
        else:
            table = pa.ipc.open_stream(buffer).read_all()
    except (pa.ArrowException, OSError) as error:
        problems.add("", f"it cannot be read as parquet or Arrow: {str(error).splitlines()[0]}", "write it again, whole")
        return
    columns = table.column_names
    key = next((name for name in _TAGS if name in columns), None)
    if "tokens" not in columns or key is None:
        what = f"no columns 'tokens' and 'ner_tags' (it has {', '.join(columns)})"
        problems.add("", what, "rename them, with datasets' rename_column")
        return
    names = _names(path, table.schema.metadata, key)
    if names is None and not _are_texts(table, key):
        mend = "write the set with datasets' to_parquet, which keeps them, or write the names in place of the numbers"
        problems.add("", f"what the numbers in {key!r} stand for is nowhere", mend)
        return
    yield from _rows(table, key, names, problems)


def _rows(table: Any, key: str, names: list[str] | None, problems: Problems) -> Iterator[Item]:
    number = 0
    for batch in table.select(["tokens", key]).to_batches(max_chunksize=1000):
        for tokens, tags in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            number += 1
            place = f"row {number}"
            if tokens is None or tags is None:
                problems.add(place, "it has no tokens or no tags", "leave the row out")
            elif names is None:
                if item := tagged(tokens, tags, place, problems):
                    yield item
            elif any(tag in {-1, -100} for tag in tags):
                yield Item(place, " ".join(tokens), left_out="sentences with words that are tagged as unknown, left out")
            elif any(not 0 <= tag < len(names) for tag in tags):
                problems.add(place, f"a tag of {max(tags)}, and there are names for {len(names)}", "mend the tags, or the names")
            elif tokens and (item := tagged(tokens, [names[tag] for tag in tags], place, problems)):
                yield item


def _are_texts(table: Any, key: str) -> bool:
    return "string" in str(table.schema.field(key).type)


def _names(path: Path, metadata: dict[bytes, bytes] | None, key: str) -> list[str] | None:
    """The names of the tags: of the schema, or of the `dataset_info.json` beside the file."""
    found: list[Any] = []
    with suppress(KeyError, ValueError, TypeError):
        found.append(json.loads((metadata or {})[b"huggingface"])["info"]["features"])
    with suppress(OSError, KeyError, ValueError, TypeError):
        found.append(json.loads(path.with_name("dataset_info.json").read_bytes())["features"])
    for features in found:
        try:
            feature = features[key]
            inner = feature[0] if isinstance(feature, list) else feature["feature"]
            names = inner["names"]
        except (KeyError, TypeError, IndexError):
            continue
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
    return None
