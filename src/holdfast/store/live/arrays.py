"""Arrays and weights: whether a file is as long as its own head says."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any

from holdfast.store.live.content import SMALL, Content, EndsEarly, Untold, exact, little
from holdfast.store.live.kinds import HEAD, hdf5_start
from holdfast.store.live.pickles import pickle_end

_NPY_MARK = b"\x93NUMPY"
#: Bytes of one unit of a NumPy type that counts in units: characters of UCS-4, bytes.
_UNITS = {"U": 4}


def npy_torn(content: Content) -> str:
    """Arrays one behind the other are allowed. Source: numpy.lib.format, "Format Version 1.0" to "3.0"."""
    at = 0
    while content.read(at, 6) == _NPY_MARK:
        version = exact(content, at + 6, 1)[0]
        size = 2 if version == 1 else 4
        length = little(exact(content, at + 8, size))
        if version > 3 or length > SMALL:
            raise Untold
        at += 8 + size
        described = exact(content, at, length)
        try:
            head = ast.literal_eval(described.decode("utf-8" if version == 3 else "latin-1"))
            objects = head["descr"] == "|O"
            stored = 0 if objects else math.prod(head["shape"]) * _item_bytes(head["descr"])
        except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
            raise Untold from None
        if stored < 0:
            raise Untold
        at += length + stored
        if objects:
            at = pickle_end(content, at)
        if at > content.size:
            return "a NumPy array shorter than its shape"
    return ""


def _item_bytes(described: Any) -> int:
    """Bytes of one item of a type as `numpy.lib.format` writes it.

    Raises:
        Untold: a type that is not known.
    """
    if isinstance(described, list):
        return sum(_item_bytes(field[1]) * math.prod(field[2] if len(field) > 2 else ()) for field in described)
    if isinstance(described, tuple):  # a type and the shape of one item
        return _item_bytes(described[0]) * math.prod(described[1])
    plain = re.fullmatch(r"[<>|=]?([biufcUSVmM])(\d+)(\[[^\]]*\])?", described) if isinstance(described, str) else None
    if plain is None:
        raise Untold
    return int(plain[2]) * _UNITS.get(plain[1], 1)


def safetensors_torn(content: Content) -> str:
    """Source: safetensors' README, "Format": 8 bytes of length, a JSON object, and bytes that it indexes without a hole."""
    length = little(exact(content, 0, 8))
    if 8 + length > content.size:
        return "a safetensors file that ends inside its head"
    if length > SMALL:
        raise Untold
    try:
        head = json.loads(exact(content, 8, length))
        ends = [tensor["data_offsets"][1] for name, tensor in head.items() if name != "__metadata__"]
        end = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise Untold from None  # some other format with a length and an object
    if end == content.size:
        return ""
    return f"a safetensors file {'shorter' if content.size < end else 'longer'} than its head says"


def hdf5_torn(content: Content) -> str:
    """Whether it reaches as far as its superblock says, and was closed.

    What was never flushed is longer than that and has no root group yet. Longer alone proves nothing: files with a few bytes behind
    their end are about, and open. From version 3 on the library refuses a file with a writer's mark; of 2 it opens it, and 0 and 1
    do not have one that counts.

    Source: HDF5 File Format Specification 3.0, II.A and IV.A.1; H5Fsuper.c for the end, which counts from the file's first byte.
    """
    start = hdf5_start(content.read(0, HEAD))
    if start < 0:
        raise Untold
    head = exact(content, start, 48)
    version = head[8]
    width, fields, mark = (head[13], start + 24 + 4 * version, 0) if version < 2 else (head[9], start + 12, head[11])
    if version > 3 or width not in (2, 4, 8):
        raise Untold
    base, extension, end, last, _, root = (little(content.read(fields + i * width, width)) for i in range(6))
    undefined = (1 << 8 * width) - 1
    if version < 2:
        several = last != undefined  # where the driver's information lies
    else:
        root = last
        several = extension != undefined and b"NCSA" in content.read(base + extension, 1024)
    if several:
        raise Untold  # one file of several: the end is that of all of them
    if version == 3 and mark & 1:
        return "an HDF5 file that is marked as being written"
    if content.size < end:
        return "an HDF5 file shorter than its superblock says"
    if content.size > end and (mark & 1 or content.read(base + root, 4)[:2] not in (b"\1\0", b"OH")):
        return "an HDF5 file that was not flushed since it was written to"
    return ""


def onnx_torn(content: Content) -> str:
    """Walks the fields of the model itself. Source: onnx.proto, `ModelProto`; "Encoding" of Protocol Buffers.

    Cut between two fields it cannot be told from a model without the others, but the graph is one field.
    """
    at = 0
    while at < content.size:
        tag, at = _varint(content, at)
        if tag >> 3 not in _MODEL_FIELDS or tag & 7 not in (0, 2):
            raise Untold
        value, at = _varint(content, at)
        if tag & 7 == 2:
            at += value
            if at > content.size:
                return "an ONNX model that ends inside its graph" if tag >> 3 == 7 else "an ONNX model that ends inside a field"
    return ""


#: onnx.proto: the numbers of `ModelProto`'s fields.
_MODEL_FIELDS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26))


def _varint(content: Content, at: int) -> tuple[int, int]:
    data = content.read(at, 10)
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, at + index + 1
    if len(data) < 10:
        raise EndsEarly
    raise Untold
