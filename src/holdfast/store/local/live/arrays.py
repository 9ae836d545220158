"""Arrays and weights: whether a file is as long as its own head says."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any

from holdfast.store.local.live.content import SMALL, Content, EndsEarly, Untold, exact, little
from holdfast.store.local.live.kinds import HEAD, hdf5_start

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
            stored = math.prod(head["shape"]) * _item_bytes(head["descr"])
        except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
            raise Untold from None
        at += length + stored
        if at > content.size:
            return "a NumPy array shorter than its shape"
    return ""


def _item_bytes(described: Any) -> int:
    """Bytes of one item of a type as `numpy.lib.format` writes it.

    Raises:
        Untold: objects, which are a pickle, or a type that is not known.
    """
    if isinstance(described, list):
        return sum(_item_bytes(field[1]) * math.prod(field[2] if len(field) > 2 else ()) for field in described)
    if isinstance(described, tuple):  # a type and the shape of one item
        return _item_bytes(described[0]) * math.prod(described[1])
    plain = re.fullmatch(r"[<>|=]?([biufcUSVmM])(\d+)(\[[^\]]*\])?", described) if isinstance(described, str) else None
    if plain is None or plain[1] == "O":
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
    """Whether the end that the superblock tells of is the end, and whether a writer has left its mark.

    A file that was never flushed is longer than its superblock says, and does not open. The mark counts from version 3 on, where
    the library refuses such a file; before that a flushed file opens with it.

    Source: HDF5 File Format Specification 3.0, II.A; H5Fsuper.c for the end, which counts from the file's first byte.
    """
    start = hdf5_start(content.read(0, HEAD))
    if start < 0:
        raise Untold
    version = exact(content, start + 8, 1)[0]
    if version < 2:
        offset_bytes, fields, driver = exact(content, start + 13, 1)[0], start + 24 + 4 * version, 3
    else:
        offset_bytes, fields, driver = exact(content, start + 9, 1)[0], start + 12, -1
    if version > 3 or offset_bytes not in (2, 4, 8):
        raise Untold
    undefined = (1 << 8 * offset_bytes) - 1
    values = [little(exact(content, fields + i * offset_bytes, offset_bytes)) for i in range(4)]
    if driver >= 0 and values[driver] != undefined:
        raise Untold  # one file of several: the end that it tells of is that of all
    if version >= 2 and values[1] != undefined and b"NCSA" in content.read(values[0] + values[1], 1024):
        raise Untold
    if version == 3 and exact(content, start + 11, 1)[0] & 1:
        return "an HDF5 file that is marked as being written"
    if values[2] == content.size:
        return ""
    return f"an HDF5 file {'shorter' if content.size < values[2] else 'longer'} than its superblock says: not flushed, or cut"


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
